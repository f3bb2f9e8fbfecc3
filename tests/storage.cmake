srtrain_add_test(test_checkpoint SOURCES checkpoint_world.c RANKS 1 2 3 4)
srtrain_add_test(test_checkpoint_damage SOURCES checkpoint_world.c RANKS 1 2 3 4)
srtrain_add_test(test_checkpoint_state SOURCES checkpoint_world.c RANKS 1 2)
add_test(NAME checkpoint_bytes_do_not_depend_on_ranks
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/compare_checkpoints.sh ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}
                 $<TARGET_FILE:test_checkpoint>)
set_tests_properties(checkpoint_bytes_do_not_depend_on_ranks PROPERTIES PROCESSORS 4 TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
srtrain_add_test(test_damage SOURCES small_dataset.c)
srtrain_add_test(test_directory_lock SOURCES files.c)
srtrain_add_allocation_test(test_allocations_checkpoint SOURCES divided_rows.c RANKS 1 2)

# File calls that fail, and power that is lost: a layer under the file calls, linked into tests or loaded before programs.
set(SRTRAIN_FAULTS faults/layer.c faults/journal.c faults/real_calls.c faults/file_calls.c faults/streams.c)
srtrain_add_test(test_checkpoint_faults FILE faults/test_checkpoint_faults.c SOURCES faults/every_fault.c divided_rows.c
                 ${SRTRAIN_FAULTS} RANKS 1 2 3)
target_include_directories(test_checkpoint_faults PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
srtrain_add_test(test_conversion_faults LIBRARY srprep_library FILE faults/test_conversion_faults.c
                 SOURCES faults/every_fault.c ${SRTRAIN_FAULTS} RANKS 1 2)

add_library(srtrain_faults MODULE ${SRTRAIN_FAULTS})
target_link_libraries(srtrain_faults PRIVATE srtrain_options)
set_target_properties(srtrain_faults PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
srtrain_add_test(test_lost_power FILE faults/test_lost_power.c SOURCES program.c world.c)
target_include_directories(test_lost_power PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(test_lost_power PRIVATE srtrain::hdf5)
add_dependencies(test_lost_power srtrain_faults srtrain_program srprep)
if(SRTRAIN_SANITIZE)
  target_compile_definitions(test_lost_power PRIVATE FAULTS_LIBRARY="")
else()
  target_compile_definitions(test_lost_power PRIVATE FAULTS_LIBRARY="$<TARGET_FILE:srtrain_faults>")
endif()
target_compile_definitions(test_lost_power PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
set_tests_properties(test_lost_power PROPERTIES TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT} SKIP_RETURN_CODE 77)
