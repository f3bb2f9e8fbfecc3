# What reads raw files, and the formats: for the fuzzers and for the test of their seeds.
set(SRTRAIN_FUZZED_FORMATS recbole movielens-100k movielens-1m movielens-csv amazon-json amazon-csv amazon-csv-2018 yelp-json
                           sequences pairs csv json)
set(SRTRAIN_FUZZED_SOURCES)
foreach(source src/base/lines src/base/status src/base/memory data_prep/readers/reader data_prep/readers/reading
        data_prep/readers/table data_prep/readers/json data_prep/readers/report data_prep/readers/numbers data_prep/readers/times
        data_prep/readers/recbole data_prep/readers/movielens data_prep/readers/amazon data_prep/readers/sequences
        data_prep/readers/csv)
  list(APPEND SRTRAIN_FUZZED_SOURCES ${PROJECT_SOURCE_DIR}/${source}.c)
endforeach()
