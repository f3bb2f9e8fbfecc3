foreach(test test_parallel test_threads test_array_sum test_exchange)
  srtrain_add_test(${test} SOURCES rank_world.c RANKS 1 2 3 4)
endforeach()
# Started without mpirun it is one rank: as users start it, with the daemon that Open MPI 4 starts for it.
add_test(NAME test_parallel.without-mpirun COMMAND test_parallel)
set_tests_properties(test_parallel.without-mpirun PROPERTIES TIMEOUT ${SRTRAIN_TEST_TIMEOUT} ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
set_property(TEST test_parallel.without-mpirun APPEND PROPERTY ENVIRONMENT OMPI_MCA_ess_singleton_isolated=0)
