# srtrain_add_optional_tests(NAME TEST ...): tests of the program NAME that not every machine can run. Each is an entry of its own,
# NAME.TEST (and NAME.TEST.ranks-N where NAME has such), which says "skipped" where it cannot run; the program's other entries leave
# them out. Its SOURCES hold optional.c: by hand it runs all tests, or those that it is given.
function(srtrain_add_optional_tests name)
  string(REPLACE ";" " " elsewhere "${ARGN}")
  if(TEST ${name})
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "SRTRAIN_TESTS_ELSEWHERE=${elsewhere}")
    foreach(test IN LISTS ARGN)
      add_test(NAME ${name}.${test} COMMAND ${name} ${test})
      set_tests_properties(${name}.${test} PROPERTIES TIMEOUT ${SRTRAIN_TEST_TIMEOUT} SKIP_RETURN_CODE 77
                           ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
    endforeach()
  endif()
  foreach(ranks RANGE 1 4)
    if(TEST ${name}.ranks-${ranks})
      set_property(TEST ${name}.ranks-${ranks} APPEND PROPERTY ENVIRONMENT "SRTRAIN_TESTS_ELSEWHERE=${elsewhere}")
      foreach(test IN LISTS ARGN)
        add_test(NAME ${name}.${test}.ranks-${ranks}
                 COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}> ${test})
        set_tests_properties(${name}.${test}.ranks-${ranks} PROPERTIES PROCESSORS ${ranks} TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                             SKIP_RETURN_CODE 77 ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
      endforeach()
    endif()
  endforeach()
endfunction()
