srtrain_add_test(test_preflight)
srtrain_add_test(test_item_table_choice)
srtrain_add_test(test_probe SOURCES small_dataset.c)
# On all four ranks and on the first two and three of them.
srtrain_add_test(test_planned_traffic SOURCES rank_counts.c small_training.c small_dataset.c shared_dataset.c RANKS 4)
