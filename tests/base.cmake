srtrain_add_test(test_base)
srtrain_add_test(test_command_line)
srtrain_add_test(test_random)
srtrain_add_test(test_output_file SOURCES files.c)
srtrain_add_test(test_machine SOURCES files.c)
# Which folder may include which.
add_test(NAME folders_include_downwards
         COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/structure/includes.sh ${PROJECT_SOURCE_DIR})
