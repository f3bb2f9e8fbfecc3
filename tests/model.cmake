srtrain_add_test(test_parameters)
srtrain_add_test(test_item_table LIBRARY srtrain_double SOURCES scattered_items.c)
srtrain_add_test(test_chunks LIBRARY srtrain_double)
srtrain_add_test(test_long_windows LIBRARY srtrain_double)
foreach(name test_model test_model_gradients test_model_causality test_objective)
  srtrain_add_test(${name} LEVELS LIBRARY srtrain_double SOURCES model_world.c transforms.c)
endforeach()
srtrain_add_test(test_fearec LEVELS LIBRARY srtrain_double SOURCES transforms.c)

# The parity program, its run over the fixtures of the project, all of whose models exist, and over those of another directory: that
# which SRTRAIN_FIXTURES names when the test runs, or one that lies beside the project.
add_executable(parity parity.c fixture.c fixture_configuration.c fixture_lists.c)
set_target_properties(parity PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(parity PRIVATE srtrain_library)
add_executable(fixture_to_onnx fixture_to_onnx.c fixture.c fixture_configuration.c)
set_target_properties(fixture_to_onnx PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(fixture_to_onnx PRIVATE srtrain_library)
srtrain_add_test(test_graph SOURCES model_world.c transforms.c files.c)
add_executable(variants_to_onnx variants_to_onnx.c model_world.c transforms.c)
target_include_directories(variants_to_onnx SYSTEM PRIVATE ${CMOCKA_INCLUDE_DIR})
set_target_properties(variants_to_onnx PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(variants_to_onnx PRIVATE srtrain_library cmocka)
set(SRTRAIN_OWN_FIXTURE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/fixtures)
file(GLOB SRTRAIN_OWN_FIXTURES CONFIGURE_DEPENDS ${SRTRAIN_OWN_FIXTURE_DIRECTORY}/*.h5)
add_test(NAME parity COMMAND parity --attention --all-known ${SRTRAIN_OWN_FIXTURES})
add_test(NAME parity_of_other_fixtures
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/other_fixtures.sh $<TARGET_FILE:parity> ${PROJECT_SOURCE_DIR}/../shared/fixtures)
# Graphs, run by onnxruntime where it is installed.
add_test(NAME test_onnx COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_onnx.py
                                ${CMAKE_BINARY_DIR}/tests ${SRTRAIN_OWN_FIXTURE_DIRECTORY} all-known)
add_test(NAME test_onnx_of_other_fixtures
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/python.sh ${CMAKE_CURRENT_SOURCE_DIR}/test_onnx.py ${CMAKE_BINARY_DIR}/tests
                 ${PROJECT_SOURCE_DIR}/../shared/fixtures)
set_tests_properties(test_onnx test_onnx_of_other_fixtures PROPERTIES ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}"
                     TIMEOUT ${SRTRAIN_LONG_TEST_TIMEOUT} SKIP_RETURN_CODE 77)
set_tests_properties(parity parity_of_other_fixtures PROPERTIES ENVIRONMENT "${SRTRAIN_TEST_ENVIRONMENT}"
                     TIMEOUT ${SRTRAIN_TEST_TIMEOUT} SKIP_RETURN_CODE 77)
srtrain_add_test(test_parity SOURCES program.c)
target_compile_definitions(test_parity PRIVATE MPIEXEC="${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG}"
                           SRTRAIN_OWN_FIXTURE_DIRECTORY="${SRTRAIN_OWN_FIXTURE_DIRECTORY}")
target_link_libraries(test_parity PRIVATE srtrain::hdf5)
add_dependencies(test_parity parity)
# Those above run at the highest CPU level.
srtrain_test_levels(levels srtrain_library)
foreach(level IN LISTS levels)
  add_test(NAME parity.${level} COMMAND parity --attention --all-known ${SRTRAIN_OWN_FIXTURES})
  add_test(NAME parity_of_other_fixtures.${level}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/other_fixtures.sh $<TARGET_FILE:parity> ${PROJECT_SOURCE_DIR}/../shared/fixtures)
  srtrain_set_level(parity.${level} ${level})
  srtrain_set_level(parity_of_other_fixtures.${level} ${level})
endforeach()
