# srprep and the data sets it writes.
foreach(test test_lines test_table test_times test_filters test_dataset)
  srtrain_add_test(${test} LIBRARY srprep_library SOURCES files.c)
endforeach()
foreach(test test_readers test_synthesis)
  srtrain_add_test(${test} LIBRARY srprep_library SOURCES files.c interactions.c)
endforeach()

include(fuzz/sources.cmake)
srtrain_add_test(test_fuzz_seeds SOURCES fuzz/check_reader.c ${SRTRAIN_FUZZED_SOURCES})
target_include_directories(test_fuzz_seeds PRIVATE ${PROJECT_SOURCE_DIR}/data_prep)
list(JOIN SRTRAIN_FUZZED_FORMATS "\",\"" formats)
target_compile_definitions(test_fuzz_seeds PRIVATE SRTRAIN_SMALL_BUFFERS FUZZED_FORMATS="${formats}")

foreach(test test_srprep test_formats test_public_data)
  srtrain_add_test(${test} SOURCES program.c)
  target_compile_definitions(${test} PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}")
  add_dependencies(${test} srprep)
endforeach()

# Published data sets cannot be part of the project. Where a directory with them is at hand, test_public_data compares with known counts.
set(SRTRAIN_DATA_DIRECTORY "" CACHE PATH "A directory with the public data sets, for the tests; empty for none")
if(NOT SRTRAIN_DATA_DIRECTORY AND IS_DIRECTORY ${PROJECT_SOURCE_DIR}/../shared/data)
  set(SRTRAIN_DATA_DIRECTORY ${PROJECT_SOURCE_DIR}/../shared/data)
endif()
if(SRTRAIN_DATA_DIRECTORY)
  set_property(TEST test_public_data APPEND PROPERTY ENVIRONMENT SRTRAIN_DATA_DIRECTORY=${SRTRAIN_DATA_DIRECTORY})
endif()
