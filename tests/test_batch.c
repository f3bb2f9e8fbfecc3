/* Packing examples: padding, users, times, mask tokens and empty histories. */
#include "srtrain/batch.h"
#include "srtrain/model.h"
#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 20, MASK_TOKEN = ITEMS + 1, LENGTH = 4, EXAMPLES = 4, LONGEST = 6 };

/* Two items, none, more than the window has columns, a window full. */
static const int32_t histories[EXAMPLES][LONGEST] = {{11, 12}, {0}, {1, 2, 3, 4, 5, 6}, {7, 8, 9, 10}};
static const int64_t times[EXAMPLES][LONGEST] = {{110, 120}, {0}, {10, 20, 30, 40, 50, 60}, {70, 80, 90, 100}};
static const size_t lengths[EXAMPLES] = {2, 0, 6, 4};
static const int32_t next_items[EXAMPLES][LONGEST] = {{12, 13}, {0}, {2, 3, 4, 5, 6, 7}, {8, 9, 10, 11}};

typedef struct {
    sr_model_settings model;
    sr_arena *arena;
    sr_example examples[EXAMPLES];
    sr_batch batch;
} world;

/* One more setting of the model. */
static void set(world *w, const char *assignment)
{
    sr_settings settings = {.model = w->model};
    assert_int_equal(sr_settings_assign(&settings, assignment, NULL), SR_OK);
    w->model = settings.model;
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_settings settings;
    sr_settings_default(&settings);
    w->model = settings.model;
    w->model.max_length = LENGTH;
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    for (size_t e = 0; e < EXAMPLES; ++e)
        w->examples[e] = (sr_example){
            .items = histories[e], .times = times[e], .length = lengths[e], .user = 31 + (int32_t)e, .identity = 100 + e};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_arena_free(w->arena);
    free(w);
    return 0;
}

static void build(world *w, sr_objective objective, bool training, size_t count)
{
    assert_int_equal(sr_batch_build(&w->batch, w->arena, &w->model, objective, training, w->examples, count, NULL), SR_OK);
    assert_int_equal(w->batch.examples, count);
}

static bool shares_empty_histories(const world *w)
{
    const sr_packing packing = sr_model_packing(&w->model, SR_OBJECTIVE_LAST, true);
    return sr_shares_empty_histories(&packing);
}

static size_t work_of(const world *w, size_t example)
{
    const sr_packing packing = sr_model_packing(&w->model, SR_OBJECTIVE_LAST, true);
    return sr_example_work(&w->examples[example], &packing);
}

/* A model whose mask penalty counts every cell of the padded window. */
static void use_whole_window(world *w)
{
    set(w, "calibrators.adversarial.penalty=all");
    assert_true(sr_model_needs_of(&w->model, true).whole_window);
}

static void assert_sequence(const world *w, size_t s, const int32_t *items, size_t count, int32_t first_column, size_t leading,
                            size_t trailing)
{
    const sr_layout *layout = &w->batch.layout;
    assert_int_equal(layout->offsets[s + 1] - layout->offsets[s], count);
    assert_int_equal(layout->leading[s], leading);
    assert_int_equal(layout->trailing[s], trailing);
    for (size_t i = 0; i < count; ++i) {
        assert_int_equal(w->batch.items[layout->offsets[s] + i], items[i]);
        assert_int_equal(layout->columns[layout->offsets[s] + i], first_column + (int32_t)i);
    }
}

/* The token of sequence `s`, counted from its first one, whose state stands for the example's end. */
static size_t end_of(const world *w, size_t s, size_t example)
{
    const size_t read = w->batch.example_reads[example];
    assert_true(read >= w->batch.reads.offsets[s] && read < w->batch.reads.offsets[s + 1]);
    return w->batch.reads.tokens[read] - w->batch.layout.offsets[s];
}

static void nothing_is_padded_where_nothing_needs_it(void **state)
{
    world *w = *state;
    static const int32_t empty[LENGTH] = {0};
    for (int left = 0; left < 2; ++left) {
        w->model.padding = left ? SR_PADDING_LEFT : SR_PADDING_RIGHT;
        build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
        assert_int_equal(w->batch.layout.sequences, EXAMPLES);
        assert_int_equal(w->batch.layout.window, LENGTH);
        assert_true(w->batch.layout.causal);
        assert_null(w->batch.users);
        assert_null(w->batch.times);
        assert_sequence(w, 0, histories[0], 2, left ? 2 : 0, 0, 0);
        assert_sequence(w, 1, empty, LENGTH, 0, LENGTH, 0);
        assert_sequence(w, 2, histories[2] + 2, LENGTH, 0, 0, 0);
        assert_sequence(w, 3, histories[3], LENGTH, 0, 0, 0);
        const size_t ends[EXAMPLES] = {1, 3, 3, 3};
        for (size_t e = 0; e < EXAMPLES; ++e)
            assert_int_equal(end_of(w, e, e), ends[e]);
    }
}

static void a_whole_window_is_padded_behind_or_in_front_of_the_items(void **state)
{
    world *w = *state;
    static const int32_t empty[LENGTH] = {0}, right[LENGTH] = {11, 12, 0, 0}, left[LENGTH] = {0, 0, 11, 12};
    use_whole_window(w);
    for (size_t e = 0; e < EXAMPLES; ++e)
        w->examples[e].targets = next_items[e];
    for (int objective = SR_OBJECTIVE_LAST; objective <= SR_OBJECTIVE_ALL; ++objective)
        for (int pads_left = 0; pads_left < 2; ++pads_left) {
            w->model.padding = pads_left ? SR_PADDING_LEFT : SR_PADDING_RIGHT;
            build(w, (sr_objective)objective, true, EXAMPLES);
            assert_int_equal(w->batch.layout.window, LENGTH);
            assert_sequence(w, 0, pads_left ? left : right, LENGTH, 0, pads_left ? 2 : 0, pads_left ? 0 : 2);
            assert_sequence(w, 1, empty, LENGTH, 0, LENGTH, 0);
            assert_sequence(w, 2, histories[2] + 2, LENGTH, 0, 0, 0);
            assert_sequence(w, 3, histories[3], LENGTH, 0, 0, 0);
            const size_t ends[EXAMPLES] = {pads_left ? 3 : 1, 3, 3, 3};
            for (size_t e = 0; e < EXAMPLES; ++e)
                assert_int_equal(end_of(w, e, e), ends[e]);
        }
}

static void targets_of_every_position_are_read_at_their_items(void **state)
{
    world *w = *state;
    use_whole_window(w);
    w->model.padding = SR_PADDING_LEFT;
    for (size_t e = 0; e < EXAMPLES; ++e)
        w->examples[e].targets = next_items[e];
    build(w, SR_OBJECTIVE_ALL, true, EXAMPLES);
    assert_int_equal(w->batch.targets, 2 + 0 + LENGTH + LENGTH); /* an empty history has no item that something follows */
    for (size_t t = 0; t < w->batch.targets; ++t) {
        const size_t token = w->batch.reads.tokens[w->batch.target_reads[t]];
        assert_int_equal(w->batch.target_items[t], w->batch.items[token] + 1);
    }
}

static void users_stand_beside_every_token(void **state)
{
    world *w = *state;
    w->model.backbone = sr_backbone_number("ssept");
    for (int padded = 0; padded < 2; ++padded) {
        if (padded)
            use_whole_window(w);
        build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
        assert_null(w->batch.times);
        for (size_t s = 0; s < EXAMPLES; ++s) {
            assert_int_equal(w->batch.layout.identity[s], 100 + s);
            for (size_t token = w->batch.layout.offsets[s]; token < w->batch.layout.offsets[s + 1]; ++token)
                assert_int_equal(w->batch.users[token], 31 + s);
        }
    }
}

static void times_stand_beside_items_and_are_zero_beside_padding(void **state)
{
    world *w = *state;
    w->model.backbone = sr_backbone_number("tisasrec");
    for (int padded = 0; padded < 2; ++padded) {
        if (padded)
            use_whole_window(w);
        build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
        assert_null(w->batch.users);
        for (size_t token = 0; token < w->batch.layout.offsets[EXAMPLES]; ++token)
            assert_int_equal(w->batch.times[token], 10 * w->batch.items[token]);
    }
}

static void the_time_after_an_item_is_that_of_the_next_item_or_of_what_is_asked_for(void **state)
{
    world *w = *state;
    w->model.backbone = sr_backbone_number("hstu");
    set(w, "model.relative_times=true");
    for (int left = 0; left < 2; ++left) {
        w->model.padding = left ? SR_PADDING_LEFT : SR_PADDING_RIGHT;
        for (size_t e = 0; e < EXAMPLES; ++e)
            w->examples[e].next_time = 1000 + (int64_t)e;
        build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
        const sr_layout *layout = &w->batch.layout;
        for (size_t s = 0; s < EXAMPLES; ++s)
            for (size_t token = layout->offsets[s]; token < layout->offsets[s + 1]; ++token) {
                const int64_t after = token + 1 < layout->offsets[s + 1] ? w->batch.times[token + 1] : 1000 + (int64_t)s;
                assert_int_equal(w->batch.next_times[token], w->batch.items[token] ? after : 0);
            }
    }
    set(w, "model.time_query=own");
    build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
    assert_true(w->batch.times && !w->batch.next_times);
    set(w, "model.relative_times=false");
    build(w, SR_OBJECTIVE_LAST, true, EXAMPLES);
    assert_true(!w->batch.times && !w->batch.next_times);
}

static void a_mask_token_stands_in_the_column_behind_the_items(void **state)
{
    world *w = *state;
    static const int32_t expected[EXAMPLES][LENGTH + 1] = {
        {11, 12, MASK_TOKEN}, {MASK_TOKEN}, {3, 4, 5, 6, MASK_TOKEN}, {7, 8, 9, 10, MASK_TOKEN}};
    static const size_t tokens[EXAMPLES] = {3, 1, 5, 5};
    w->model.backbone = sr_backbone_number("bert4rec");
    for (size_t e = 0; e < EXAMPLES; ++e)
        w->examples[e].mask_token = MASK_TOKEN;
    for (int left = 0; left < 2; ++left) {
        w->model.padding = left ? SR_PADDING_LEFT : SR_PADDING_RIGHT;
        build(w, SR_OBJECTIVE_LAST, false, EXAMPLES);
        assert_int_equal(w->batch.layout.window, LENGTH + 1);
        assert_false(w->batch.layout.causal);
        for (size_t e = 0; e < EXAMPLES; ++e) {
            assert_sequence(w, e, expected[e], tokens[e], left ? LENGTH + 1 - (int32_t)tokens[e] : 0, 0, 0);
            assert_int_equal(end_of(w, e, e), tokens[e] - 1);
            assert_int_equal(w->batch.layout.identity[e], 100 + e);
        }
    }
}

static void a_whole_window_is_padded_beyond_the_mask_token(void **state)
{
    world *w = *state;
    static const int32_t expected[2][EXAMPLES][LENGTH + 1] = {
        {{11, 12, MASK_TOKEN, 0, 0}, {MASK_TOKEN, 0, 0, 0, 0}, {3, 4, 5, 6, MASK_TOKEN}, {7, 8, 9, 10, MASK_TOKEN}},
        {{0, 0, 11, 12, MASK_TOKEN}, {0, 0, 0, 0, MASK_TOKEN}, {3, 4, 5, 6, MASK_TOKEN}, {7, 8, 9, 10, MASK_TOKEN}}};
    static const size_t padding[EXAMPLES] = {2, 4, 0, 0};
    w->model.backbone = sr_backbone_number("bert4rec");
    set(w, "calibrators.adversarial.renormalize=none"); /* padding is attended to, in evaluation too */
    set(w, "calibrators.adversarial.masked_cells=included");
    set(w, "calibrators.adversarial.combine=fixed");
    assert_true(sr_model_needs_of(&w->model, false).whole_window);
    for (size_t e = 0; e < EXAMPLES; ++e)
        w->examples[e].mask_token = MASK_TOKEN;
    for (int left = 0; left < 2; ++left) {
        w->model.padding = left ? SR_PADDING_LEFT : SR_PADDING_RIGHT;
        build(w, SR_OBJECTIVE_LAST, false, EXAMPLES);
        assert_int_equal(w->batch.layout.window, LENGTH + 1);
        for (size_t e = 0; e < EXAMPLES; ++e) {
            assert_sequence(w, e, expected[left][e], LENGTH + 1, 0, left ? padding[e] : 0, left ? 0 : padding[e]);
            assert_int_equal(end_of(w, e, e), left ? LENGTH : LENGTH - padding[e]);
        }
    }
}

static void masked_training_reads_targets_only(void **state)
{
    world *w = *state;
    static const int32_t masked[LONGEST] = {1, MASK_TOKEN, 3, MASK_TOKEN, MASK_TOKEN, 6};
    static const int32_t targets[2][LONGEST] = {{0}, {0, 2, 0, 4, 5, 0}}; /* of the first example nothing is scored */
    w->model.backbone = sr_backbone_number("bert4rec");
    w->examples[1] = (sr_example){.items = masked, .length = LONGEST, .identity = 101, .targets = targets[1]};
    w->examples[0].targets = targets[0];
    for (int objective = SR_OBJECTIVE_LAST; objective <= SR_OBJECTIVE_ALL; ++objective) {
        build(w, (sr_objective)objective, true, 2);
        assert_int_equal(w->batch.layout.window, LENGTH);
        assert_sequence(w, 0, histories[0], 2, 0, 0, 0);
        assert_sequence(w, 1, masked + 2, LENGTH, 0, 0, 0);
        assert_null(w->batch.example_reads);
        assert_int_equal(w->batch.reads.offsets[1], 0);
        assert_int_equal(w->batch.reads.offsets[2], 2);
        assert_int_equal(w->batch.targets, 2); /* the window has lost the first one */
        for (size_t t = 0; t < 2; ++t) {
            assert_int_equal(w->batch.target_reads[t], t);
            assert_int_equal(w->batch.reads.tokens[t], 2 + 1 + t);
            assert_int_equal(w->batch.target_items[t], 4 + t);
        }
    }
}

static void empty_histories_share_a_sequence_only_where_nothing_tells_them_apart(void **state)
{
    world *w = *state;
    static const int32_t targets[3] = {5, 6, 7};
    for (size_t e = 0; e < 3; ++e)
        w->examples[e] = (sr_example){.length = 0, .user = 31 + (int32_t)e, .identity = 100 + e, .targets = &targets[e]};
    build(w, SR_OBJECTIVE_LAST, true, 3);
    assert_true(shares_empty_histories(w));
    assert_int_equal(w->batch.layout.sequences, 1);
    assert_true(w->batch.layout.identity[0] == SR_IDENTITY_EMPTY);
    assert_int_equal(w->batch.targets, 3);
    for (size_t e = 0; e < 3; ++e) {
        assert_int_equal(w->batch.example_reads[e], 0);
        assert_int_equal(w->batch.target_reads[e], 0);
        assert_int_equal(w->batch.target_items[e], 5 + e);
    }
    for (int kind = 0; kind < 2; ++kind) {
        if (kind == 0)
            w->model.backbone = sr_backbone_number("ssept");
        else {
            w->model.backbone = sr_backbone_number("sasrec");
            use_whole_window(w);
        }
        build(w, SR_OBJECTIVE_LAST, true, 3);
        assert_false(shares_empty_histories(w));
        assert_int_equal(w->batch.layout.sequences, 3);
        for (size_t e = 0; e < 3; ++e) {
            assert_int_equal(w->batch.layout.identity[e], 100 + e);
            assert_int_equal(w->batch.layout.leading[e], LENGTH);
            assert_int_equal(end_of(w, e, e), LENGTH - 1);
            assert_int_equal(w->batch.target_reads[e], e);
        }
    }
}

static void work_follows_the_tokens_that_are_computed(void **state)
{
    world *w = *state;
    size_t work[EXAMPLES];
    for (size_t e = 0; e < EXAMPLES; ++e)
        work[e] = work_of(w, e);
    assert_int_equal(work[0], work[1] + 2);
    assert_int_equal(work[2], work[1] + LENGTH);
    assert_int_equal(work[3], work[2]);
    const size_t longest = work[2];
    w->model.backbone = sr_backbone_number("ssept"); /* an empty history is a sequence of its own */
    assert_int_equal(work_of(w, 1), longest);
    assert_int_equal(work_of(w, 0), work[0]);
    use_whole_window(w);
    for (size_t e = 0; e < EXAMPLES; ++e)
        assert_int_equal(work_of(w, e), longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_padded_where_nothing_needs_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_whole_window_is_padded_behind_or_in_front_of_the_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(targets_of_every_position_are_read_at_their_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(users_stand_beside_every_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_time_after_an_item_is_that_of_the_next_item_or_of_what_is_asked_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(times_stand_beside_items_and_are_zero_beside_padding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mask_token_stands_in_the_column_behind_the_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_whole_window_is_padded_beyond_the_mask_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(masked_training_reads_targets_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_histories_share_a_sequence_only_where_nothing_tells_them_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(work_follows_the_tokens_that_are_computed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
