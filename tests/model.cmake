add_executable(parity parity.c fixture.c)
set_target_properties(parity PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(parity PRIVATE srtrain_library)
