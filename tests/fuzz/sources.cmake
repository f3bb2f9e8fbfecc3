# What reads raw files, and the formats: for the fuzzers and for the test of their seeds.
set(SRTRAIN_FUZZED_FORMATS recbole movielens-100k movielens-1m movielens-csv amazon-json amazon-csv amazon-csv-2018 yelp-json
                           sequences pairs csv json)
set(SRTRAIN_FUZZED_SOURCES)
foreach(source src/base/lines src/base/shown src/base/status src/base/memory data_prep/readers/reader data_prep/readers/reading
        data_prep/readers/table data_prep/readers/json data_prep/readers/report data_prep/readers/numbers data_prep/readers/times
        data_prep/readers/recbole data_prep/readers/movielens data_prep/readers/amazon data_prep/readers/sequences
        data_prep/readers/csv)
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
