srtrain_add_test(test_evaluate SOURCES small_dataset.c shared_dataset.c scattered_items.c RANKS 1 2 3 4)
srtrain_add_test(test_analysis SOURCES small_dataset.c shared_dataset.c RANKS 1 2 3 4)
srtrain_add_test(test_divided_evaluation SOURCES small_dataset.c shared_dataset.c scattered_items.c items_over_ranks.c RANKS 1 2 3 4)
srtrain_add_test(test_striped_file SOURCES rank_world.c RANKS 1 2 3 4)
