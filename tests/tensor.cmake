srtrain_add_test(test_operation_gradients LEVELS LIBRARY srtrain_double
                 SOURCES operation_gradients.c operation_gradients_dense.c operation_gradients_lists.c operation_gradients_attention.c
                         operation_gradients_filters.c)
srtrain_add_test(test_sampled_loss LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_operations LEVELS LIBRARY srtrain_double SOURCES operation_world.c)
srtrain_add_test(test_fused_attention LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_intervals LEVELS LIBRARY srtrain_double SOURCES operation_world.c)
srtrain_add_test(test_kernels LEVELS)
srtrain_add_test(test_tape)
srtrain_add_test(test_fourier LEVELS LIBRARY srtrain_double)
srtrain_add_test(test_gemm LEVELS)
# The matrix unit's products, over emulated instructions: tested on every processor.
add_library(product_amx_emulated OBJECT ${PROJECT_SOURCE_DIR}/src/tensor/product_amx.c)
target_compile_definitions(product_amx_emulated PRIVATE SR_AMX_EMULATED multiply_amx=multiply_amx_emulated amx_allow=amx_allow_emulated)
target_include_directories(product_amx_emulated PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(product_amx_emulated PRIVATE srtrain_options)
target_sources(test_gemm PRIVATE $<TARGET_OBJECTS:product_amx_emulated>)
