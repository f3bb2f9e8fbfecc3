srtrain_add_test(test_base)
srtrain_add_test(test_random)
