srtrain_add_test(test_checkpoint RANKS 1 2 3 4)
add_test(NAME checkpoint_bytes_do_not_depend_on_ranks
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/compare_checkpoints.sh ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}
                 $<TARGET_FILE:test_checkpoint>)
set_tests_properties(checkpoint_bytes_do_not_depend_on_ranks PROPERTIES PROCESSORS 4 TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
srtrain_add_test(test_damage SOURCES small_dataset.c)
srtrain_add_test(test_directory_lock SOURCES files.c)
srtrain_add_allocation_test(test_allocations_checkpoint RANKS 1 2)
