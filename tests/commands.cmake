# End to end: the programs themselves, as a user runs them.
foreach(test test_end_to_end test_bad_input test_import test_analyze)
  srtrain_add_test(${test} SOURCES program.c world.c)
  target_compile_definitions(${test} PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  target_link_libraries(${test} PRIVATE srtrain::hdf5)
  add_dependencies(${test} srtrain_program srprep)
  set_tests_properties(${test} PROPERTIES PROCESSORS 2 TIMEOUT 600)
endforeach()
