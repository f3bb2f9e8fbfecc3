# End to end: the programs themselves, as a user runs them.
foreach(test test_end_to_end test_bad_input test_import test_recommend test_analyze test_plan test_batch_operation
             test_fault_injection)
  srtrain_add_test(${test} SOURCES program.c world.c)
  target_compile_definitions(${test} PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  target_link_libraries(${test} PRIVATE srtrain::hdf5)
  add_dependencies(${test} srtrain_program srprep)
  set_tests_properties(${test} PROPERTIES PROCESSORS 2 TIMEOUT 1800)
endforeach()

# Recommendations of imported parameters are compared with fixtures, where there are any.
target_sources(test_recommend PRIVATE fixture.c)
set_property(TEST test_recommend APPEND PROPERTY ENVIRONMENT SRTRAIN_FIXTURE_DIRECTORY=${SRTRAIN_FIXTURE_DIRECTORY})
