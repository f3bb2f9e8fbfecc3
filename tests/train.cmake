srtrain_add_test(test_optimizer)
srtrain_add_test(test_step RANKS 1 2 3 4)
