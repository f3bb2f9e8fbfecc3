# What srtrain plan computes with.
srtrain_add_test(test_network)

# End to end: the programs themselves, as a user runs them.
foreach(test test_end_to_end test_bad_input test_import test_recommend test_analyze test_plan test_batch_operation
             test_fault_injection test_launch test_lost_output test_run_directory test_same_on_ranks test_hints
             test_cases test_compare test_grown test_item_vectors test_other_data test_encode test_recommend_lists test_mixed_machines test_plan_threads test_plan_imagined test_unusable_settings)
  srtrain_add_test(${test} SOURCES program.c world.c optional.c)
  target_compile_definitions(${test} PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}" MPI_FLAVOUR="${SRTRAIN_MPI_FLAVOUR}")
  target_link_libraries(${test} PRIVATE srtrain::hdf5)
  add_dependencies(${test} srtrain_program srprep)
  set_tests_properties(${test} PROPERTIES TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT})
endforeach()
# These compute on several ranks most of their time. The others start programs, one of which in a few has ranks that compute.
set_tests_properties(test_batch_operation test_fault_injection PROPERTIES PROCESSORS 2)

srtrain_add_optional_tests(test_batch_operation a_full_disk_ends_the_run_and_leaves_what_it_has_saved)
srtrain_add_optional_tests(test_analyze gnuplot_draws_pictures maps_of_attention_are_drawn_as_shapes)
set_tests_properties(test_batch_operation.a_full_disk_ends_the_run_and_leaves_what_it_has_saved PROPERTIES PROCESSORS 2)

# Ranks are killed while they write: to a disk, and by a launcher as users have it.
set_property(TEST test_fault_injection APPEND PROPERTY ENVIRONMENT SRTRAIN_TEST_DIRECTORY=/tmp OMPI_MCA_odls_base_sigkill_timeout=1)

# A file call of a rank that stands still: a library that is loaded before the program.
add_library(srtrain_stopped_call MODULE faults/stopped_call.c)
target_link_libraries(srtrain_stopped_call PRIVATE srtrain_options ${CMAKE_DL_LIBS})
set_target_properties(srtrain_stopped_call PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
srtrain_add_test(test_standing_files SOURCES program.c world.c)
target_link_libraries(test_standing_files PRIVATE srtrain::hdf5)
add_dependencies(test_standing_files srtrain_stopped_call srtrain_program srprep)
if(SRTRAIN_SANITIZE)
  target_compile_definitions(test_standing_files PRIVATE STOPPED_CALL_LIBRARY="")
else()
  target_compile_definitions(test_standing_files PRIVATE STOPPED_CALL_LIBRARY="$<TARGET_FILE:srtrain_stopped_call>")
endif()
target_compile_definitions(test_standing_files PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}" MPI_FLAVOUR="${SRTRAIN_MPI_FLAVOUR}")
set_tests_properties(test_standing_files PROPERTIES SKIP_RETURN_CODE 77)

# Random faults over several hosts. By hand: more of them, and other seeds.
if(NOT SRTRAIN_SANITIZE)
  add_test(NAME test_host_faults
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/hosts.sh ${MPIEXEC_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/python.sh
                   ${CMAKE_CURRENT_SOURCE_DIR}/test_host_faults.py ${CMAKE_BINARY_DIR} 2 867)
  set_tests_properties(test_host_faults PROPERTIES PROCESSORS 2 SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                       ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
endif()

srtrain_add_test(test_time_limit SOURCES ${PROJECT_SOURCE_DIR}/src/commands/time_limit.c)

# Recommendations of imported parameters are compared with fixtures.
target_sources(test_recommend PRIVATE fixture.c fixture_configuration.c)
target_compile_definitions(test_recommend PRIVATE SRTRAIN_OWN_FIXTURE_DIRECTORY="${SRTRAIN_OWN_FIXTURE_DIRECTORY}")

# The same programs on other processors, by qemu; sanitizers do not run there.
if(NOT SRTRAIN_SANITIZE)
  add_test(NAME other_processors
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/processors.sh ${CMAKE_BINARY_DIR} ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG})
  set_tests_properties(other_processors PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: "
                       TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT} ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
endif()

# Exported arrays, read by the libraries of Python where these are installed.
add_test(NAME test_export_python
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_export.py ${CMAKE_BINARY_DIR})
set_tests_properties(test_export_python PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

# The server of docs/serving.md, where onnxruntime is installed.
add_test(NAME test_serving
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_serving.py ${CMAKE_BINARY_DIR}
                 ${PROJECT_SOURCE_DIR}/docs/serving.md)
set_tests_properties(test_serving PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

# Comparisons against SciPy, where it is installed.
add_test(NAME test_compare_scipy
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_compare.py ${CMAKE_BINARY_DIR})
set_tests_properties(test_compare_scipy PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

# Event files, read by TensorBoard, where it is installed.
add_test(NAME test_tensorboard
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_tensorboard.py ${CMAKE_BINARY_DIR})
set_tests_properties(test_tensorboard PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

# Reports of runs, also opened in Chromium where there is one.
foreach(part Page Browser)
  string(TOLOWER ${part} name)
  add_test(NAME test_report_${name}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_report.py ${CMAKE_BINARY_DIR} ${part})
  set_tests_properties(test_report_${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT}
                       ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
endforeach()

# Pages that show what programs print, and what they take.
add_test(NAME the_table_of_models_says_what_goes_together
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/models_table.sh ${PROJECT_SOURCE_DIR} $<TARGET_FILE:srtrain_program>)
add_test(NAME the_page_on_commands_is_what_the_programs_say
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/commands_page.sh ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR})
foreach(page tutorial python)
  add_test(NAME ${page}_page_shows_what_is_printed
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/page_runs.py
                   ${PROJECT_SOURCE_DIR}/docs/${page}.md ${CMAKE_BINARY_DIR} ${MPIEXEC_EXECUTABLE})
  set_tests_properties(${page}_page_shows_what_is_printed PROPERTIES SKIP_RETURN_CODE 77 PROCESSORS 2
                       TIMEOUT ${SRTRAIN_TEST_TIMEOUT} ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")
endforeach()
