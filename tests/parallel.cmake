srtrain_add_test(test_parallel RANKS 1 2 3 4)
# Started without mpirun it is one rank.
add_test(NAME test_parallel.without-mpirun COMMAND test_parallel)
set_tests_properties(test_parallel.without-mpirun PROPERTIES TIMEOUT ${SRTRAIN_TEST_TIMEOUT} ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
