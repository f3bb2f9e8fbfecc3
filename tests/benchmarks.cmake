# The PyTorch program that steps are compared with computes what the fixtures say. Skipped without PyTorch.
add_test(NAME peers_match_fixtures COMMAND ${PROJECT_SOURCE_DIR}/benchmarks/run.sh peers --check ${SRTRAIN_OWN_FIXTURES})
set_tests_properties(peers_match_fixtures PROPERTIES SKIP_REGULAR_EXPRESSION "is missing: apt-get" TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                     ENVIRONMENT "OMP_NUM_THREADS=1;PYTHONDONTWRITEBYTECODE=1")

# Benchmarks: that they run and that their results agree with each other; no test depends on a time.
if(SRTRAIN_BUILD_BENCHMARKS)
  foreach(test test_scaling test_benchmark_all test_benchmark_catalogues test_benchmark_daily) # in Python
    add_test(NAME ${test} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/${test}.py)
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                         ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
  endforeach()
endif()
