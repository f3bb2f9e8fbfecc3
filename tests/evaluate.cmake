srtrain_add_test(test_evaluate RANKS 1 2 3 4)
srtrain_add_test(test_analysis RANKS 1 2 3 4)
