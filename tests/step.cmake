srtrain_add_test(test_optimizer)
srtrain_add_test(test_optimizers SOURCES small_training.c small_dataset.c shared_dataset.c RANKS 1 2)
srtrain_add_test(test_deferred_rows LIBRARY srtrain_double)
srtrain_add_test(test_deferred_rows_single FILE test_deferred_rows.c)
srtrain_add_test(test_step SOURCES small_training.c small_dataset.c shared_dataset.c optional.c RANKS 1 2 3 4)
# On all four ranks and on the first one, two and three of them.
srtrain_add_test(test_same_losses SOURCES rank_counts.c small_training.c small_dataset.c shared_dataset.c RANKS 4)
srtrain_add_test(test_shared_draws SOURCES small_dataset.c shared_dataset.c RANKS 1 2 3 4)
srtrain_add_test(test_node SOURCES small_training.c small_dataset.c shared_dataset.c RANKS 1 2 3 4 5)
srtrain_add_test(test_lags SOURCES transforms.c small_training.c small_dataset.c shared_dataset.c RANKS 1 2 3 4)
srtrain_add_test(test_item_updates SOURCES small_training.c small_dataset.c shared_dataset.c optional.c RANKS 1 2 3 4)
srtrain_add_test(test_divided_items SOURCES rank_counts.c small_training.c small_dataset.c shared_dataset.c RANKS 4)
# On two ranks of one host and two of another; the third is the first of its host.
srtrain_add_test(test_several_hosts SOURCES rank_counts.c small_training.c small_dataset.c shared_dataset.c LAUNCHER
                 ${CMAKE_CURRENT_SOURCE_DIR}/hosts.sh ${MPIEXEC_EXECUTABLE} sh -c "$ON_HOSTS 2,2 $0 $@")
srtrain_add_test(test_divided_checkpoint SOURCES divided_rows.c files.c rank_counts.c small_training.c small_dataset.c
                 shared_dataset.c RANKS 4)
srtrain_add_test(test_row_blocks SOURCES scattered_items.c small_training.c small_dataset.c shared_dataset.c RANKS 1)
srtrain_add_test(test_reduction SOURCES rank_world.c RANKS 1 2 3 4)
srtrain_add_test(test_rounded_reduction SOURCES small_training.c small_dataset.c shared_dataset.c RANKS 1 2 3 4)
# What AddressSanitizer does not allow.
if(SRTRAIN_SANITIZE)
  srtrain_add_optional_tests(test_step a_rank_without_memory_ends_the_step_on_all
    a_rank_without_memory_ends_a_step_of_contrastive_training_on_all
    a_rank_without_memory_ends_a_step_whose_passes_sum_over_ranks_on_all
    a_rank_without_memory_ends_a_step_with_a_divided_item_table_on_all
    a_rank_without_memory_ends_a_step_of_adversarial_training_on_all)
  srtrain_add_optional_tests(test_item_updates what_late_rows_take_is_known_before)
endif()

srtrain_add_allocation_test(test_allocations_step SOURCES small_training.c small_dataset.c shared_dataset.c RANKS 1 2)
