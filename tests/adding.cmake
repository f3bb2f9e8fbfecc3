# The recipes of docs/adding-a-model.md, followed: copies of the library's four lists with one row more each, and the files of
# the examples. The linker takes them in the place of the library's own lists, because they come before it.

# Puts `new` in front of the one place where `anchor` stands in the text of a variable.
function(srtrain_insert_before variable anchor new)
  string(FIND "${${variable}}" "${anchor}" first)
  string(FIND "${${variable}}" "${anchor}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "docs/adding-a-model.md: a list does not have once: ${anchor}")
  endif()
  string(REPLACE "${anchor}" "${new}${anchor}" changed "${${variable}}")
  set(${variable} "${changed}" PARENT_SCOPE)
endfunction()

# src/FOLDER/LIST.c with the row NAME_KIND of a type, in the build directory, in a folder named after the row; its path is appended
# to SRTRAIN_ADDING_LISTS.
function(srtrain_add_row folder list type kind name)
  set(source ${PROJECT_SOURCE_DIR}/src/${folder}/${list}.c)
  set(copy ${CMAKE_CURRENT_BINARY_DIR}/adding/${name}/${list}.c)
  file(READ ${source} text)
  srtrain_insert_before(text "\n/* clang-format off */\n" "extern const ${type} ${name}_${kind};\n")
  srtrain_insert_before(text "};\n/* clang-format on */\n" "    &${name}_${kind},\n")
  file(GENERATE OUTPUT ${copy} CONTENT "${text}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  set(SRTRAIN_ADDING_LISTS ${SRTRAIN_ADDING_LISTS} ${copy} PARENT_SCOPE)
endfunction()

set(SRTRAIN_ADDING_LISTS)
srtrain_add_row(model backbones backbone backbone average)
srtrain_add_row(model calibrators calibrator calibrator temperature)
srtrain_add_row(model losses loss loss margin)
srtrain_add_row(step optimizers optimizer_row optimizer sign)
set(SRTRAIN_ADDING_EXAMPLES examples/average.c examples/temperature.c examples/margin.c examples/sign.c)
srtrain_add_test(test_adding_a_model LIBRARY srtrain_double SOURCES quoted_page.c ${SRTRAIN_ADDING_EXAMPLES} ${SRTRAIN_ADDING_LISTS})

list(TRANSFORM SRTRAIN_ADDING_EXAMPLES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE files)
list(APPEND files ${SRTRAIN_ADDING_LISTS} ${CMAKE_CURRENT_SOURCE_DIR}/test_adding_a_model.c)
list(TRANSFORM files REPLACE "(.+)" "\"\\1\"")
list(JOIN files "," files)
target_compile_definitions(test_adding_a_model PRIVATE "SRTRAIN_ADDING_PAGE=\"${PROJECT_SOURCE_DIR}/docs/adding-a-model.md\""
                           "SRTRAIN_ADDING_FILES=${files}")

# A calibrator that the model refuses beside another one.
set(SRTRAIN_ADDING_LISTS)
srtrain_add_row(model calibrators calibrator calibrator sharpening)
srtrain_add_test(test_probability_stages LIBRARY srtrain_double SOURCES ${SRTRAIN_ADDING_LISTS})
