# srprep and the data sets it writes.
foreach(test test_lines test_table test_times test_dates test_filters test_dataset)
  srtrain_add_test(${test} LIBRARY srprep_library SOURCES files.c)
endforeach()
srtrain_add_test(test_zipf LIBRARY srprep_library)
srtrain_add_test(test_item_ranges LIBRARY srprep_library SOURCES rank_counts.c small_dataset.c shared_dataset.c RANKS 4)
srtrain_add_test(test_synthesis LIBRARY srprep_library SOURCES files.c interactions.c)
foreach(test test_readers test_quotes test_bad_lines test_chosen_lines test_json)
  srtrain_add_test(${test} LIBRARY srprep_library SOURCES files.c raw_text.c)
endforeach()

include(fuzz/sources.cmake)
srtrain_add_test(test_fuzz_seeds SOURCES fuzz/check_reader.c fuzz/replay_seeds.c ${SRTRAIN_FUZZED_SOURCES})
list(JOIN SRTRAIN_FUZZED_FORMATS "\",\"" formats)
target_compile_definitions(test_fuzz_seeds PRIVATE SRTRAIN_SMALL_BUFFERS FUZZED_FORMATS="${formats}")
srtrain_add_test(test_line_limits SOURCES files.c ${SRTRAIN_FUZZED_SOURCES})
target_compile_definitions(test_line_limits PRIVATE SRTRAIN_SMALL_BUFFERS)
srtrain_add_test(test_fuzz_storage_seeds SOURCES fuzz/replay_seeds.c ${SRTRAIN_FUZZED_STORAGE_SOURCES})
foreach(test test_fuzz_seeds test_fuzz_storage_seeds test_line_limits)
  target_include_directories(${test} PRIVATE ${PROJECT_SOURCE_DIR}/data_prep ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
target_compile_definitions(test_fuzz_storage_seeds PRIVATE SRTRAIN_SMALL_BUFFERS)

foreach(test test_srprep test_srprep_synth test_srprep_faults test_srprep_report test_layouts test_formats test_public_data)
  srtrain_add_test(${test} SOURCES program.c optional.c)
  target_compile_definitions(${test} PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  add_dependencies(${test} srprep)
endforeach()

target_compile_definitions(test_layouts PRIVATE LAYOUTS="${CMAKE_CURRENT_SOURCE_DIR}/layouts")

# Random conversions are compared with a model of docs/data.md in Python. A part of them runs each time:
# tests/test_conversions.py build/srprep 1000 runs more.
add_test(NAME test_conversions
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_conversions.py $<TARGET_FILE:srprep> 40)
add_test(NAME test_conversions.ranks-3
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_conversions.py $<TARGET_FILE:srprep> 4 2
                 ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} 3)
# The lines of docs/data.md that pipe Parquet into srprep.
add_test(NAME test_parquet COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_parquet.py
                                   $<TARGET_FILE:srprep> ${PROJECT_SOURCE_DIR}/docs/data.md)
set_tests_properties(test_conversions test_conversions.ranks-3 test_parquet PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${SRTRAIN_TEST_TIMEOUT}
                     ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}")

srtrain_add_optional_tests(test_srprep a_small_disk_is_a_clear_error)

# Published data sets cannot be part of the project. Where a directory with them is at hand, test_public_data compares with known counts.
set(SRTRAIN_DATA_DIRECTORY "" CACHE PATH "A directory with the public data sets, for the tests; empty for none")
if(NOT SRTRAIN_DATA_DIRECTORY AND IS_DIRECTORY ${PROJECT_SOURCE_DIR}/../shared/data)
  set(SRTRAIN_DATA_DIRECTORY ${PROJECT_SOURCE_DIR}/../shared/data)
endif()
# Without one it is skipped.
srtrain_add_optional_tests(test_public_data a_directory_of_hourly_files_is_one_input)
foreach(test test_public_data test_public_data.a_directory_of_hourly_files_is_one_input)
  set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77)
  if(SRTRAIN_DATA_DIRECTORY)
    set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT SRTRAIN_DATA_DIRECTORY=${SRTRAIN_DATA_DIRECTORY})
  endif()
endforeach()

srtrain_add_allocation_test(test_allocations_convert LIBRARY srprep_library SOURCES program.c RANKS 1 2)
target_compile_definitions(test_allocations_convert PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
