/* Training examples, their order over an epoch, and their division among ranks. */
#include "srtrain/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { USERS = 7, ITEMS = 40 };

typedef struct {
    char directory[64];
    sr_dataset *dataset;
    sr_settings settings;
    sr_arena *arena;
} world;

/* User u has 2 + 3 u interactions with items 1, 2, 3, ... */
static void write_data(const char *directory)
{
    int64_t offsets[USERS + 1] = {0};
    int32_t items[200], train_end[USERS], valid_end[USERS];
    const char *user_names[USERS], *item_names[ITEMS];
    static char names[ITEMS][8];
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t length = 2 + 3 * user;
        for (size_t i = 0; i < length; ++i)
            items[count++] = 1 + (int32_t)((user + 5 * i) % ITEMS);
        offsets[user + 1] = (int64_t)count;
        train_end[user] = (int32_t)(length >= 3 ? length - 2 : length);
        valid_end[user] = (int32_t)(length >= 3 ? length - 1 : length);
    }
    for (size_t i = 0; i < ITEMS; ++i) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        item_names[i] = names[i];
        if (i < USERS)
            user_names[i] = names[i];
    }
    const sr_dataset_contents contents = {.users = USERS,
                                          .items = ITEMS,
                                          .interactions = count,
                                          .offsets = offsets,
                                          .item_ids = items,
                                          .train_end = train_end,
                                          .valid_end = valid_end,
                                          .user_names = user_names,
                                          .item_names = item_names,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_error error;
    if (sr_dataset_write(directory, &contents, 2, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    snprintf(w->directory, sizeof w->directory, "/tmp/srtrain-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    char path[80];
    snprintf(path, sizeof path, "%s/data", w->directory);
    write_data(path);
    sr_error error;
    if (sr_dataset_open(&w->dataset, path, &error) != SR_OK)
        fail_msg("%s", error.message);
    sr_settings_default(&w->settings);
    w->settings.model.max_length = 6;
    w->settings.training.batch_size = 8;
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char command[128];
    sr_dataset_close(w->dataset);
    sr_arena_free(w->arena);
    snprintf(command, sizeof command, "rm -r %s", w->directory);
    const int result = system(command);
    free(w);
    return result;
}

static sr_sampler *make_sampler(const world *w)
{
    sr_sampler *sampler;
    assert_int_equal(sr_sampler_create(&sampler, w->dataset, &w->settings, NULL), SR_OK);
    return sampler;
}

static void draw(const world *w, const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks,
                 sr_batch *batch)
{
    size_t targets, examples;
    assert_int_equal(sr_sampler_batch(sampler, epoch, index, rank, ranks, w->arena, batch, &targets, &examples, NULL), SR_OK);
}

static void sliding_gives_every_nonempty_prefix(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_sampler(w);
    size_t expected = 0;
    for (size_t user = 0; user < USERS; ++user)
        expected += sr_dataset_sequence(w->dataset, user).train_end - 1;
    assert_int_equal(sr_sampler_examples(sampler), expected);
    assert_int_equal(sr_sampler_batches(sampler), (expected + 7) / 8);
    sr_sampler_free(sampler);
}

static void window_gives_the_last_items_only_and_the_empty_prefix(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    sr_sampler *sampler = make_sampler(w);
    size_t expected = 0, empty = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const size_t train = sr_dataset_sequence(w->dataset, user).train_end;
        expected += train < 6 ? train : 6;
    }
    assert_int_equal(sr_sampler_examples(sampler), expected);
    for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
        sr_batch batch;
        draw(w, sampler, 0, index, 0, 1, &batch);
        for (size_t t = 0; t < batch.targets; ++t) {
            const size_t token = batch.reads.tokens[batch.target_reads[t]];
            empty += batch.items[token] == 0;
        }
    }
    assert_int_equal(empty, USERS);
    sr_sampler_free(sampler);
}

static void every_target_follows_its_history(void **state)
{
    world *w = *state;
    for (int window = 0; window < 2; ++window) {
        w->settings.data.samples = window ? SR_SAMPLES_WINDOW : SR_SAMPLES_SLIDING;
        sr_sampler *sampler = make_sampler(w);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, 3, index, 0, 1, &batch);
            for (size_t t = 0; t < batch.targets; ++t) {
                const int32_t last = batch.items[batch.reads.tokens[batch.target_reads[t]]];
                if (last != 0) /* items of a user are five apart */
                    assert_int_equal(batch.target_items[t], 1 + (last - 1 + 5) % ITEMS);
            }
        }
        sr_sampler_free(sampler);
    }
}

static void an_epoch_visits_every_example_once_in_an_order_of_its_own(void **state)
{
    world *w = *state;
    sr_sampler *sampler = make_sampler(w);
    const size_t examples = sr_sampler_examples(sampler);
    uint64_t first_order[2] = {0, 0};
    for (size_t epoch = 0; epoch < 2; ++epoch) {
        char *seen = calloc(examples, 1);
        for (size_t index = 0; index < sr_sampler_batches(sampler); ++index) {
            sr_batch batch;
            draw(w, sampler, epoch, index, 0, 1, &batch);
            for (size_t s = 0; s < batch.layout.sequences; ++s) {
                assert_true(batch.layout.identity[s] < examples);
                assert_false(seen[batch.layout.identity[s]]);
                seen[batch.layout.identity[s]] = 1;
            }
            if (index == 0)
                first_order[epoch] = batch.layout.identity[0] * 1000 + batch.layout.identity[1];
        }
        for (size_t i = 0; i < examples; ++i)
            assert_true(seen[i]);
        free(seen);
    }
    assert_true(first_order[0] != first_order[1]);
    sr_sampler_free(sampler);
}

static void ranks_divide_the_same_batch_without_overlap(void **state)
{
    world *w = *state;
    w->settings.data.samples = SR_SAMPLES_WINDOW;
    w->settings.training.loss = SR_LOSS_BPR;
    sr_sampler *sampler = make_sampler(w);
    for (size_t ranks = 1; ranks <= 12; ++ranks) { /* more ranks than examples as well */
        size_t total = 0, sum = 0, negative_sum = 0;
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            size_t targets, examples;
            assert_int_equal(sr_sampler_batch(sampler, 1, 2, rank, ranks, w->arena, &batch, &targets, &examples, NULL), SR_OK);
            assert_int_equal(targets, 8);
            assert_int_equal(examples, 8);
            total += batch.targets;
            for (size_t t = 0; t < batch.targets; ++t) {
                sum += (size_t)batch.target_items[t];
                negative_sum += (size_t)batch.negative_items[t] * (size_t)batch.target_items[t];
                assert_int_not_equal(batch.negative_items[t], batch.target_items[t]);
            }
        }
        static size_t expected_sum, expected_negatives;
        if (ranks == 1) {
            expected_sum = sum;
            expected_negatives = negative_sum;
        }
        assert_int_equal(total, 8);
        assert_int_equal(sum, expected_sum);
        assert_int_equal(negative_sum, expected_negatives);
    }
    sr_sampler_free(sampler);
}

static void all_positions_gives_one_example_a_user_with_the_next_items_as_targets(void **state)
{
    world *w = *state;
    w->settings.training.objective = SR_OBJECTIVE_ALL;
    sr_sampler *sampler = make_sampler(w);
    assert_int_equal(sr_sampler_examples(sampler), USERS); /* even the shortest has two training items */
    sr_batch batch;
    size_t targets, examples, expected = 0;
    assert_int_equal(sr_sampler_batch(sampler, 0, 0, 0, 1, w->arena, &batch, &targets, &examples, NULL), SR_OK);
    for (size_t user = 0; user < USERS; ++user) {
        const size_t pairs = sr_dataset_sequence(w->dataset, user).train_end - 1;
        expected += pairs < 6 ? pairs : 6;
    }
    assert_int_equal(batch.targets, expected);
    assert_int_equal(targets, expected);
    sr_sampler_free(sampler);
}

static void work_is_divided_nearly_equally(void **state)
{
    (void)state;
    enum { PIECES = 200, RANKS = 7 };
    size_t work[PIECES], loads[RANKS] = {0}, total = 0, largest = 0;
    uint32_t owners[PIECES];
    for (size_t i = 0; i < PIECES; ++i) {
        work[i] = 4 + i * i % 53;
        total += work[i];
    }
    assert_int_equal(sr_divide_work(work, PIECES, RANKS, owners, NULL), SR_OK);
    for (size_t i = 0; i < PIECES; ++i)
        loads[owners[i]] += work[i];
    for (size_t rank = 0; rank < RANKS; ++rank)
        largest = loads[rank] > largest ? loads[rank] : largest;
    assert_true(largest <= total / RANKS + 5);
    assert_int_equal(sr_divide_work(work, 2, RANKS, owners, NULL), SR_OK);
    assert_int_not_equal(owners[0], owners[1]);
    assert_int_equal(sr_divide_work(work, 0, RANKS, owners, NULL), SR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sliding_gives_every_nonempty_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(window_gives_the_last_items_only_and_the_empty_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_target_follows_its_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_visits_every_example_once_in_an_order_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ranks_divide_the_same_batch_without_overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_positions_gives_one_example_a_user_with_the_next_items_as_targets, set_up,
                                        tear_down),
        cmocka_unit_test(work_is_divided_nearly_equally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
