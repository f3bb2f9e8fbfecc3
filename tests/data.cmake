srtrain_add_test(test_batch)
srtrain_add_test(test_sampler SOURCES small_dataset.c)
