/* What ranks share to draw negatives: memory of which each node has one copy, the table in it, and targets of the batch. */
#include "parallel/parallel_internal.h"
#include "shared_dataset.h"
#include "step/draws.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 70, ITEMS = 90, LENGTH = 14 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

/* Nodes of every size that the ranks can form; the last one may be smaller. */
static void with_every_node_size(const shared_dataset *data, void (*check)(const shared_dataset *data))
{
    for (int processes = 1; processes <= sr_parallel_size(data->parallel); ++processes) {
        assert_int_equal(parallel_pretend_nodes(data->parallel, processes, NULL), SR_OK);
        check(data);
    }
}

/* Every rank adds its number + 1 to every word, at the same time as the others. */
static void check_copies(const shared_dataset *data)
{
    enum { WORDS = 1000 };
    const int ranks = sr_parallel_size(data->parallel);
    sr_node_memory *memory;
    sr_error error;
    assert_int_equal(sr_node_memory_create(&memory, data->parallel, WORDS * sizeof(int64_t), "a test", &error), SR_OK);
    int64_t *words = sr_node_memory_at(memory);
    for (size_t i = 0; i < WORDS; ++i)
        __atomic_fetch_add(&words[i], sr_parallel_rank(data->parallel) + 1, __ATOMIC_RELAXED);
    assert_int_equal(sr_node_memory_sum(memory, &error), SR_OK);
    for (size_t i = 0; i < WORDS; ++i)
        assert_int_equal(words[i], ranks * (ranks + 1) / 2);
    sr_node_memory_free(memory);
}

static void copies_of_nodes_are_added_up(void **state)
{
    with_every_node_size(*state, check_copies);
}

static sr_sampling sampling_by(sr_negative_sampling sampling, bool all)
{
    sr_settings settings;
    sr_settings_default(&settings);
    settings.model.objective = all ? SR_OBJECTIVE_ALL : SR_OBJECTIVE_LAST;
    settings.model.max_length = 5;
    settings.training.batch_size = 8;
    sr_sampling made = sr_settings_sampling(&settings);
    made.negatives = made.reads_shares = true;
    made.sampled = (sr_negative_settings){.count = 10,
                                          .sharing = SR_SHARING_SLICE,
                                          .slice = 3,
                                          .sampling = sampling,
                                          .popularity_exponent = 0.75,
                                          .batch_share = 0.5,
                                          .target_hits = SR_HITS_MASK};
    return made;
}

static void assert_same_negatives(const sr_negatives *left, const sr_negatives *right)
{
    const size_t entries = left->lists * left->length;
    assert_int_equal(left->lists, right->lists);
    assert_memory_equal(left->items, right->items, entries * sizeof *left->items);
    assert_memory_equal(left->log_q, right->log_q, entries * sizeof *left->log_q);
    const size_t targets = left->first_target[left->lists];
    assert_memory_equal(left->target_log_q, right->target_log_q, targets * sizeof *left->target_log_q);
    assert_memory_equal(left->excluded_share, right->excluded_share, targets * sizeof *left->excluded_share);
}

/* A table that all ranks have made together has the bits of one that a rank has made alone. */
static void check_tables(const shared_dataset *data)
{
    sr_arena *arena;
    assert_int_equal(sr_arena_create(&arena, 1 << 16, NULL), SR_OK);
    for (int i = 0; i < 6; ++i) {
        sr_sampling sampling = sampling_by((sr_negative_sampling)(SR_SAMPLING_POPULARITY + i / 2), i % 2 == 1);
        sr_sampler *alone, *together;
        sr_node_memory *table;
        sr_error error = {.message = ""};
        sr_batch left, right;
        sr_totals totals;
        assert_int_equal(sr_sampler_create(&alone, data->dataset, &sampling, &error), SR_OK);
        sampling.shares_table = true;
        assert_int_equal(sr_sampler_create(&together, data->dataset, &sampling, &error), SR_OK);
        if (sr_share_sampler_table(&table, data->parallel, together, &error) != SR_OK)
            fail_msg("%s", error.message);
        assert_non_null(table);
        const sr_part part = {.rank = (size_t)sr_parallel_rank(data->parallel),
                              .ranks = (size_t)sr_parallel_size(data->parallel)};
        assert_int_equal(sr_sampler_batch(alone, 1, 1, part, arena, &left, &totals, &error), SR_OK);
        assert_int_equal(sr_sampler_batch(together, 1, 1, part, arena, &right, &totals, &error), SR_OK);
        assert_true(left.negatives->lists > 0);
        assert_same_negatives(left.negatives, right.negatives);
        sr_sampler_free(alone);
        sr_sampler_free(together);
        sr_node_memory_free(table);
    }
    sr_arena_free(arena);
}

static void ranks_make_the_table_of_draws_together(void **state)
{
    with_every_node_size(*state, check_tables);
}

static void uniform_draws_need_no_table(void **state)
{
    const shared_dataset *data = *state;
    sr_sampling sampling = sampling_by(SR_SAMPLING_UNIFORM, false);
    sr_sampler *sampler;
    sr_node_memory *table;
    assert_int_equal(sr_sampler_create(&sampler, data->dataset, &sampling, NULL), SR_OK);
    assert_int_equal(sr_share_sampler_table(&table, data->parallel, sampler, NULL), SR_OK);
    assert_null(table);
    sr_sampler_free(sampler);
}

/* ---- targets of the global batch, where no rank looks at all of it ---- */

static void draw_alone(const sr_sampler *sampler, const sr_worker *worker, sr_arena *arena, sr_batch *batch)
{
    sr_totals totals;
    const sr_part part = {.rank = (size_t)sr_parallel_rank(worker->parallel),
                          .ranks = (size_t)sr_parallel_size(worker->parallel)};
    assert_true(sr_sampler_gathers_targets(sampler, part.ranks));
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, part, arena, batch, &totals, NULL), SR_OK);
}

/* So many members that they form groups: each gathers a part of the targets, and draws what it draws when it looks at all. */
static void ranks_of_groups_gather_the_targets_of_the_batch(void **state)
{
    const shared_dataset *data = *state;
    const size_t threads = (size_t)(20 / sr_parallel_size(data->parallel));
    sr_sampling sampling = sampling_by(SR_SAMPLING_MIXED, true);
    sampling.batch_size = 100000;
    sr_sampler *sampler;
    assert_int_equal(sr_sampler_create(&sampler, data->dataset, &sampling, NULL), SR_OK);
    assert_int_equal(sr_parallel_use_threads(data->parallel, threads, NULL), SR_OK);
    sr_stepper stepper = {.sampler = sampler};
    sr_worker workers[20];
    sr_arena *arenas[20];
    sr_batch drawn[20], expected;
    sr_status statuses[20];
    for (size_t t = 0; t < threads; ++t) {
        workers[t] = (sr_worker){.stepper = &stepper, .parallel = sr_parallel_member(data->parallel, t)};
        assert_int_equal(sr_arena_create(&workers[t].arena, 1 << 14, NULL), SR_OK);
        assert_int_equal(sr_arena_create(&arenas[t], 1 << 14, NULL), SR_OK);
    }
#pragma omp parallel num_threads((int)threads) default(shared)
    {
        const size_t t = (size_t)omp_get_thread_num();
        sr_totals totals;
        statuses[t] = draws_batch(&workers[t], &(drawn_batch){.parts = 1}, &drawn[t], &totals, NULL);
    }
    for (size_t t = 0; t < threads; ++t) {
        assert_int_equal(statuses[t], SR_OK);
        draw_alone(sampler, &workers[t], arenas[t], &expected);
        assert_same_negatives(drawn[t].negatives, expected.negatives);
        sr_arena_free(workers[t].arena);
        sr_arena_free(arenas[t]);
    }
    sr_sampler_free(sampler);
    assert_int_equal(sr_parallel_use_threads(data->parallel, 1, NULL), SR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_nodes_are_added_up),
        cmocka_unit_test(ranks_make_the_table_of_draws_together),
        cmocka_unit_test(uniform_draws_need_no_table),
        cmocka_unit_test(ranks_of_groups_gather_the_targets_of_the_batch),
    };
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
