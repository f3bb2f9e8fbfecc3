srtrain_add_test(test_preflight)
srtrain_add_test(test_probe SOURCES small_dataset.c)
