/* Contrastive training meets other examples with the same target. */
#include "sampler_world.h"

#include "data/same_target.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { MOST_EXAMPLES = 128, MOST_ITEMS = 16 };

/* A history as a model sees it, and what follows it. */
typedef struct {
    int32_t items[MOST_ITEMS];
    size_t length;
    int32_t target;
} short_history;

static bool same_items(const short_history *left, const short_history *right)
{
    return left->length == right->length && memcmp(left->items, right->items, left->length * sizeof *left->items) == 0;
}

/* Every example by its number, straight from the data; returns how many. */
static size_t list_examples(const world *w, short_history *list)
{
    const size_t longest = (size_t)w->settings.model.max_length;
    const bool window = w->settings.data.samples == SR_SAMPLES_WINDOW;
    size_t count = 0;
    for (size_t user = 0; user < USERS; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(w->dataset, user);
        const size_t first = window && sequence.train_end > longest ? sequence.train_end - longest : 0;
        for (size_t target = first + !window; target < sequence.train_end; ++target) {
            const size_t length = target - first < longest ? target - first : longest;
            assert_true(count < MOST_EXAMPLES && length <= MOST_ITEMS);
            list[count] = (short_history){.length = length, .target = sequence.items[target]};
            memcpy(list[count++].items, sequence.items + target - length, length * sizeof(int32_t));
        }
    }
    return count;
}

/* The history of sequence `s` of a view, in which every example has one. */
static short_history history_of(const sr_batch *batch, size_t s)
{
    const sr_layout *layout = &batch->layout;
    const size_t begin = layout->offsets[s] + layout->leading[s], end = layout->offsets[s + 1] - layout->trailing[s];
    short_history history = {.length = end - begin};
    assert_true(history.length <= MOST_ITEMS);
    memcpy(history.items, batch->items + begin, history.length * sizeof *history.items);
    return history;
}

/* Draws an epoch on `ranks` ranks into alike[number of the example], and checks that views hold the examples of their batch. */
static void draw_alike(const world *w, size_t epoch, size_t ranks, const short_history *list, short_history *alike)
{
    sr_sampler *sampler = make_sampler(w);
    bool seen[MOST_EXAMPLES] = {false};
    for (size_t index = sr_sampler_batches(sampler); index-- > 0;) /* any batch can be drawn directly */
        for (size_t rank = 0; rank < ranks; ++rank) {
            sr_batch batch;
            sr_arena_reset(w->arena);
            draw(w, sampler, epoch, index, rank, ranks, &batch);
            assert_int_equal(batch.again->examples, batch.examples);
            assert_int_equal(batch.alike->examples, batch.examples);
            assert_int_equal(batch.again->targets + batch.alike->targets, 0);
            assert_int_equal(batch.again->layout.sequences, batch.examples);
            assert_int_equal(batch.alike->layout.sequences, batch.examples);
            for (size_t e = 0; e < batch.examples; ++e) {
                const uint64_t number = batch.again->layout.identity[e];
                const short_history again = history_of(batch.again, e);
                assert_false(seen[number]);
                seen[number] = true;
                assert_true(batch.alike->layout.identity[e] == number);
                assert_true(same_items(&again, &list[number]));
                assert_int_equal(batch.target_items[e], list[number].target);
                alike[number] = history_of(batch.alike, e);
            }
        }
    for (size_t number = 0; number < sr_sampler_examples(sampler); ++number)
        assert_true(seen[number]);
    sr_sampler_free(sampler);
}

static const sr_samples every_samples[] = {SR_SAMPLES_SLIDING, SR_SAMPLES_WINDOW};

static void an_example_meets_another_history_with_the_same_target_where_there_is_one(void **state)
{
    world *w = *state;
    static short_history list[MOST_EXAMPLES], alike[MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    for (size_t s = 0; s < 2; ++s) {
        w->settings.data.samples = every_samples[s];
        const size_t count = list_examples(w, list);
        size_t alone = 0, with_others = 0;
        for (size_t epoch = 0; epoch < 20; ++epoch) {
            draw_alike(w, epoch, 1, list, alike);
            for (size_t e = 0; e < count; ++e) {
                size_t different = 0, found = 0;
                for (size_t other = 0; other < count; ++other)
                    if (list[other].target == list[e].target && !same_items(&list[other], &list[e])) {
                        ++different;
                        found += same_items(&list[other], &alike[e]);
                    }
                alone += different == 0;
                with_others += different > 0;
                assert_true(different > 0 ? found > 0 : same_items(&list[e], &alike[e]));
            }
        }
        assert_true(alone > 0 && with_others > 0);
    }
}

static void other_histories_are_drawn_uniformly_and_anew_in_every_epoch(void **state)
{
    enum { EPOCHS = 1200 };
    world *w = *state;
    static short_history list[MOST_EXAMPLES], alike[MOST_EXAMPLES];
    static unsigned met[MOST_EXAMPLES][MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    w->settings.training.batch_size = 1000;
    const size_t count = list_examples(w, list);
    for (size_t epoch = 0; epoch < EPOCHS; ++epoch) {
        draw_alike(w, epoch, 1, list, alike);
        for (size_t e = 0; e < count; ++e)
            for (size_t other = 0; other < count; ++other)
                met[e][other] += same_items(&alike[e], &list[other]);
    }
    size_t widest = 0;
    for (size_t e = 0; e < count; ++e) {
        size_t different = 0;
        for (size_t other = 0; other < count; ++other)
            different += list[other].target == list[e].target && !same_items(&list[other], &list[e]);
        widest = different > widest ? different : widest;
        for (size_t other = 0; other < count && different > 0; ++other) {
            if (list[other].target != list[e].target || same_items(&list[other], &list[e]))
                continue;
            size_t copies = 0; /* what several examples have in common is met more often */
            for (size_t third = 0; third < count; ++third)
                copies += list[third].target == list[e].target && same_items(&list[third], &list[other]);
            const double share = (double)copies / (double)different, expected = EPOCHS * share;
            assert_true(fabs(met[e][other] - expected) <= 5 * sqrt(expected * (1 - share)));
        }
    }
    assert_true(widest >= 3);
}

static void other_histories_depend_on_the_seed_and_not_on_ranks(void **state)
{
    world *w = *state;
    static short_history list[MOST_EXAMPLES], one[MOST_EXAMPLES], many[MOST_EXAMPLES];
    w->settings.model.contrastive.in_use = true;
    for (size_t s = 0; s < 2; ++s) {
        w->settings.data.samples = every_samples[s];
        const size_t count = list_examples(w, list);
        draw_alike(w, 4, 1, list, one);
        for (size_t ranks = 2; ranks <= 9; ++ranks) { /* more ranks than examples as well */
            draw_alike(w, 4, ranks, list, many);
            assert_memory_equal(one, many, count * sizeof *one);
        }
        ++w->settings.training.seed;
        draw_alike(w, 4, 1, list, many);
        if (s == 0) /* few examples of a window have a choice */
            assert_memory_not_equal(one, many, count * sizeof *one);
    }
}

/* A group in which nearly all histories are the same one, which is too often drawn in vain: item 1 is followed by item 3 in
 * each example, except for two that start with item 2; item 4 follows item 1 alone. */
enum { CROWD = 1000, CROWD_EXAMPLES = CROWD + 4 };
static const int32_t crowd_histories[2] = {1, 2};
static const int32_t crowd_targets[CROWD_EXAMPLES] = {[CROWD + 2] = 4, [CROWD + 3] = 4};

static const int32_t *targets_of_crowd(const void *context, size_t user, size_t *count)
{
    (void)user;
    *count = CROWD_EXAMPLES;
    return context;
}

static sr_example example_of_crowd(const void *context, size_t number)
{
    const int32_t *targets = context;
    const bool different = number == 17 || number == CROWD + 1;
    return (sr_example){.items = crowd_histories + different, .length = 1, .identity = number, .targets = targets + number};
}

static void rare_histories_are_found_in_a_crowd_of_equal_ones(void **state)
{
    (void)state;
    enum { DRAWS = 2000 };
    int32_t targets[CROWD_EXAMPLES];
    for (size_t i = 0; i < CROWD_EXAMPLES; ++i)
        targets[i] = crowd_targets[i] ? crowd_targets[i] : 3;
    same_target_index index;
    const target_source all = {1, targets_of_crowd, targets};
    const example_source source = {example_of_crowd, targets, 6};
    assert_int_equal(same_target_index_make(&index, 5, CROWD_EXAMPLES, &all, NULL), SR_OK);
    size_t first = 0, own = 0;
    for (uint64_t i = 0; i < DRAWS; ++i) {
        const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, i);
        const uint64_t drawn = same_target_draw(&index, &source, stream, 5).identity;
        assert_true(drawn == 17 || drawn == CROWD + 1);
        first += drawn == 17;
        own += same_target_draw(&index, &source, stream, CROWD + 3).identity == CROWD + 3; /* both of item 4 are the same */
        assert_int_equal(same_target_draw(&index, &source, stream, 17).items[0], 1);
    }
    assert_true(fabs((double)first - DRAWS / 2.0) < 5 * sqrt(DRAWS / 4.0));
    assert_int_equal(own, DRAWS);
    same_target_index_free(&index);
}

static void more_examples_than_the_index_can_number_are_refused(void **state)
{
    (void)state;
    same_target_index index;
    const target_source none = {0, targets_of_crowd, NULL};
    sr_error error;
    assert_int_equal(same_target_index_make(&index, 5, (size_t)1 << 32, &none, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "4294967296 training examples"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_example_meets_another_history_with_the_same_target_where_there_is_one,
                                        sampler_set_up, sampler_tear_down),
        cmocka_unit_test_setup_teardown(other_histories_are_drawn_uniformly_and_anew_in_every_epoch, sampler_set_up,
                                        sampler_tear_down),
        cmocka_unit_test_setup_teardown(other_histories_depend_on_the_seed_and_not_on_ranks, sampler_set_up, sampler_tear_down),
        cmocka_unit_test(rare_histories_are_found_in_a_crowd_of_equal_ones),
        cmocka_unit_test(more_examples_than_the_index_can_number_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
