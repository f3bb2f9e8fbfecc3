srtrain_add_test(test_parameters)
srtrain_add_test(test_model LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_fearec LEVELS LIBRARY srtrain_double)

# The parity program, and its run over every fixture whose model exists. Fixtures lie outside the project: without them the test is skipped.
add_executable(parity parity.c fixture.c)
set_target_properties(parity PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(parity PRIVATE srtrain_library)
set(SRTRAIN_FIXTURE_DIRECTORY "${PROJECT_SOURCE_DIR}/../shared/fixtures" CACHE PATH "directory of parity fixtures, if there is one")
file(GLOB SRTRAIN_FIXTURES ${SRTRAIN_FIXTURE_DIRECTORY}/sasrec-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/ac_*.h5
     ${SRTRAIN_FIXTURE_DIRECTORY}/bert4rec-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/ssept-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/tisasrec-*.h5
     ${SRTRAIN_FIXTURE_DIRECTORY}/stosa-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/awrsr_*.h5
     ${SRTRAIN_FIXTURE_DIRECTORY}/gru4rec-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/caser-*.h5
     ${SRTRAIN_FIXTURE_DIRECTORY}/bsarec-*.h5 ${SRTRAIN_FIXTURE_DIRECTORY}/fmlprec-*.h5)
if(SRTRAIN_FIXTURES)
  add_test(NAME parity COMMAND parity --attention ${SRTRAIN_FIXTURES})
else()
  add_test(NAME parity COMMAND ${CMAKE_COMMAND} -E echo "no parity fixtures in ${SRTRAIN_FIXTURE_DIRECTORY}: skipped")
  set_tests_properties(parity PROPERTIES SKIP_REGULAR_EXPRESSION "skipped")
endif()
set_tests_properties(parity PROPERTIES ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}" TIMEOUT ${SRTRAIN_TEST_TIMEOUT})
# parity above runs at the highest CPU level.
if(SRTRAIN_FIXTURES)
  foreach(level IN LISTS SRTRAIN_CPU_LEVELS)
    add_test(NAME parity.${level} COMMAND parity --attention ${SRTRAIN_FIXTURES})
    srtrain_set_level(parity.${level} ${level})
  endforeach()
endif()
