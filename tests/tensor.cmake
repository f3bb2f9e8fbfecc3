srtrain_add_test(test_operation_gradients LEVELS LIBRARY srtrain_double
                 SOURCES operation_gradients.c operation_gradients_dense.c operation_gradients_lists.c operation_gradients_attention.c
                         operation_gradients_filters.c)
srtrain_add_test(test_sampled_loss LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_operations LEVELS LIBRARY srtrain_double SOURCES operation_world.c)
srtrain_add_test(test_intervals LEVELS LIBRARY srtrain_double SOURCES operation_world.c)
srtrain_add_test(test_kernels LEVELS)
srtrain_add_test(test_tape)
srtrain_add_test(test_fourier LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_gemm LEVELS)
# The matrix unit's products, over emulated instructions: tested on every processor.
add_library(amx_emulated OBJECT ${PROJECT_SOURCE_DIR}/src/tensor/amx_layout.c ${PROJECT_SOURCE_DIR}/src/tensor/product_amx.c)
foreach(function multiply_amx amx_allow amx_begin amx_end amx_lay_out amx_multiply)
  target_compile_definitions(amx_emulated PRIVATE ${function}=${function}_emulated)
endforeach()
target_compile_definitions(amx_emulated PRIVATE SR_AMX_EMULATED)
target_include_directories(amx_emulated PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(amx_emulated PRIVATE srtrain_options)
target_sources(test_gemm PRIVATE $<TARGET_OBJECTS:amx_emulated>)
