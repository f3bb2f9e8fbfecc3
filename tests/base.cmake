srtrain_add_test(test_base)
srtrain_add_test(test_random)
srtrain_add_test(test_output_file SOURCES files.c)
srtrain_add_test(test_machine SOURCES files.c)
# Which folder may include which.
add_test(NAME folders_include_downwards
         COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/structure/includes.sh ${PROJECT_SOURCE_DIR})
# Whether the documentation shows it so.
add_test(NAME picture_of_folders_is_current
         COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/structure/pictures.sh ${PROJECT_SOURCE_DIR})
