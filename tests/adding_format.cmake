# The recipe of docs/adding-a-format.md, followed: a copy of srprep's list of formats with one row more, and the file of the
# example. The linker takes them in the place of the library's own list, because they come before it.
set(list ${CMAKE_CURRENT_BINARY_DIR}/adding/formats.c)
file(READ ${PROJECT_SOURCE_DIR}/data_prep/readers/formats.c text)
srtrain_insert_before(text "\n/* clang-format off */\n" "extern const raw_format visits_format;\n")
srtrain_insert_before(text "};\n/* clang-format on */\n" "    &visits_format,\n")
file(GENERATE OUTPUT ${list} CONTENT "${text}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/data_prep/readers/formats.c)

srtrain_add_test(test_adding_a_format LIBRARY srprep_library SOURCES files.c raw_text.c quoted_page.c examples/visits.c ${list})
set(files ${CMAKE_CURRENT_SOURCE_DIR}/examples/visits.c ${list} ${CMAKE_CURRENT_SOURCE_DIR}/test_adding_a_format.c)
list(TRANSFORM files REPLACE "(.+)" "\"\\1\"")
list(JOIN files "," files)
target_compile_definitions(test_adding_a_format PRIVATE "SRTRAIN_ADDING_PAGE=\"${PROJECT_SOURCE_DIR}/docs/adding-a-format.md\""
                           "SRTRAIN_ADDING_FILES=${files}")
