# The shape of the source itself.
set(structure ${CMAKE_CURRENT_SOURCE_DIR}/structure)
# Which folder may include which.
add_test(NAME folders_include_downwards COMMAND sh ${structure}/includes.sh ${PROJECT_SOURCE_DIR})
# Whether the documentation shows it so.
add_test(NAME picture_of_folders_is_current COMMAND sh ${structure}/pictures.sh ${PROJECT_SOURCE_DIR})
# What the installed library exports.
list(TRANSFORM MPI_C_INCLUDE_DIRS PREPEND -I OUTPUT_VARIABLE mpi_flags)
add_test(NAME the_library_exports_what_its_headers_declare
         COMMAND sh ${structure}/exports.sh ${PROJECT_SOURCE_DIR} ${SRTRAIN_EXPORTED_LIBRARY} ${CMAKE_C_COMPILER} ${mpi_flags})
set_tests_properties(the_library_exports_what_its_headers_declare PROPERTIES SKIP_RETURN_CODE 77)
# No long files, no long functions, no functions of many parameters.
add_test(NAME files_and_functions_stay_short COMMAND sh ${structure}/limits.sh ${PROJECT_SOURCE_DIR})
# Pages: lines, sentences, and links to files that are there.
add_test(NAME pages_are_well_formed COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${structure}/prose.py ${PROJECT_SOURCE_DIR})
set_tests_properties(pages_are_well_formed PROPERTIES SKIP_RETURN_CODE 77)
