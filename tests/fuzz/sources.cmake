# What reads raw files, and the formats: for the fuzzers and for the test of their seeds. The name of a format is that of its
# file, with - for _.
file(GLOB SRTRAIN_FUZZED_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/data_prep/readers/formats/*.c)
set(SRTRAIN_FUZZED_FORMATS)
foreach(source IN LISTS SRTRAIN_FUZZED_SOURCES)
  get_filename_component(format ${source} NAME_WE)
  string(REPLACE "_" "-" format ${format})
  list(APPEND SRTRAIN_FUZZED_FORMATS ${format})
endforeach()
foreach(source src/base/lines src/base/shown src/base/status src/base/memory src/base/units data_prep/readers/reader data_prep/readers/reading
        data_prep/readers/table data_prep/readers/json data_prep/readers/json_text data_prep/readers/lists
        data_prep/readers/roles data_prep/readers/dates data_prep/readers/words data_prep/readers/report data_prep/readers/numbers
        data_prep/readers/times data_prep/readers/formats)
  list(APPEND SRTRAIN_FUZZED_SOURCES ${PROJECT_SOURCE_DIR}/${source}.c)
endforeach()

# What reads checkpoints and data sets.
set(SRTRAIN_FUZZED_STORAGE_SOURCES ${CMAKE_CURRENT_LIST_DIR}/hdf5_changes.c ${CMAKE_CURRENT_LIST_DIR}/changed_file.c
                                   ${CMAKE_CURRENT_LIST_DIR}/check_checkpoint.c ${CMAKE_CURRENT_LIST_DIR}/check_dataset.c)
foreach(source src/storage/checkpoint_header src/storage/checkpoint_layout src/storage/checkpoint_read src/storage/checkpoint_verify
        src/storage/checkpoint_write src/storage/dataset_fingerprint src/storage/dataset_memory src/storage/dataset_pieces
        src/storage/dataset_plan src/storage/dataset_reader src/storage/dataset_verify src/storage/dataset_writer
        src/storage/disk_room src/storage/hdf5_file_driver src/storage/hdf5_helpers src/storage/mapped_file src/storage/mismatches
        src/storage/output_directory src/storage/seal src/storage/seal_hdf5 src/storage/weights_read data_prep/measure)
  list(APPEND SRTRAIN_FUZZED_STORAGE_SOURCES ${PROJECT_SOURCE_DIR}/${source}.c)
endforeach()
