srtrain_add_test(test_optimizer)
srtrain_add_test(test_step SOURCES small_dataset.c RANKS 1 2 3 4)
srtrain_add_test(test_time_limit)
