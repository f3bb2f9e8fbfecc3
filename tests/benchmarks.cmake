# The PyTorch program that steps are compared with computes what the fixtures say. Skipped without PyTorch.
add_test(NAME peers_match_fixtures COMMAND ${PROJECT_SOURCE_DIR}/benchmarks/run.sh peers --check ${SRTRAIN_OWN_FIXTURES})
set_tests_properties(peers_match_fixtures PROPERTIES SKIP_REGULAR_EXPRESSION "is missing: apt-get" TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                     ENVIRONMENT "OMP_NUM_THREADS=1;PYTHONDONTWRITEBYTECODE=1")

# Benchmarks: that they run and that their results agree with each other; no test depends on a time.
if(SRTRAIN_BUILD_BENCHMARKS)
  srtrain_add_test(test_scaling LIBRARY benchmark_scaling_library SOURCES program.c world.c)
  target_compile_definitions(test_scaling PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  target_link_libraries(test_scaling PRIVATE srtrain::hdf5)
  add_dependencies(test_scaling benchmark_scaling benchmark_step benchmark_reduction srprep)
  set_tests_properties(test_scaling PROPERTIES PROCESSORS 2 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT})
  srtrain_add_test(test_benchmark_all LIBRARY benchmark_scaling_library SOURCES program.c world.c)
  target_compile_definitions(test_benchmark_all PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  target_link_libraries(test_benchmark_all PRIVATE srtrain::hdf5)
  add_dependencies(test_benchmark_all benchmark_all)
  set_tests_properties(test_benchmark_all PROPERTIES PROCESSORS 2 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT})
endif()
