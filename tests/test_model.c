/* Whole small models in double precision: gradients against finite differences, causality, and the packing of batches. */
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ITEMS = 11, LENGTH = 6, EXAMPLES = 5 };

/* Histories of different length; the fourth is longer than the window, the last one is empty. */
static const int32_t histories[EXAMPLES][8] = {{3, 1, 4, 1, 5}, {9}, {2, 6}, {5, 3, 5, 8, 9, 7, 9, 3}, {0}};
static const size_t lengths[EXAMPLES] = {5, 1, 2, 8, 0};
static const int32_t next_items[EXAMPLES][8] = {{1, 4, 1, 5, 9}, {2}, {6, 5}, {3, 5, 8, 9, 7, 9, 3, 2}, {10}};
static const int32_t negatives[EXAMPLES][8] = {{7, 7, 8, 2, 6}, {1}, {4, 4}, {1, 1, 2, 2, 4, 4, 6, 6}, {3}};

typedef struct {
    const char *name;
    const char *assignments[8];
} variant;

static const variant variants[] = {
    {"last position", {"model.positions=learned"}},
    {"left padding without positions", {"model.padding=left", "model.positions=none"}},
    {"left padding", {"model.padding=left"}},
    {"all positions", {"training.objective=all"}},
    {"bpr", {"training.loss=bpr"}},
    {"binary cross entropy at all positions", {"training.loss=binary_cross_entropy", "training.objective=all"}},
    {"relu and one layer", {"model.activation=relu", "model.layers=1"}},
};

typedef struct {
    sr_settings settings;
    sr_model *model;
    sr_arena *arena;
    sr_tape *tape;
    sr_batch batch;
} world;

static void build_batch(world *w, bool with_targets, size_t count)
{
    const bool all = w->settings.training.objective == SR_OBJECTIVE_ALL;
    sr_example examples[EXAMPLES];
    for (size_t e = 0; e < count; ++e) {
        const size_t target = all || lengths[e] == 0 ? 0 : lengths[e] - 1;
        examples[e] = (sr_example){.items = histories[e],
                                   .length = lengths[e],
                                   .identity = 100 + e,
                                   .targets = with_targets ? next_items[e] + target : NULL,
                                   .negatives = with_targets ? negatives[e] + target : NULL};
    }
    assert_int_equal(
        sr_batch_build(&w->batch, w->arena, &w->settings.model, w->settings.training.objective, examples, count, NULL), SR_OK);
}

static void create_world(world *w, const variant *v)
{
    const char *assignments[16] = {"data.path=none",      "model.hidden_size=8", "model.heads=2",
                                   "model.inner_size=10", "model.max_length=6",  "model.initializer_range=0.4"};
    size_t count = 6;
    for (size_t i = 0; i < 8 && v->assignments[i]; ++i)
        assignments[count++] = v->assignments[i];
    sr_error error = {.message = ""};
    if (sr_settings_parse(&w->settings, "data:\n", "test", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_model_create(&w->model, &w->settings.model, ITEMS, NULL), SR_OK);
    assert_int_equal(sr_arena_create(&w->arena, 1 << 16, NULL), SR_OK);
    assert_int_equal(sr_tape_create(&w->tape, sr_kernels_choose(NULL), true, NULL), SR_OK);
    sr_parameters_draw(sr_model_parameters(w->model), 5);
}

static void free_world(world *w)
{
    sr_model_free(w->model);
    sr_tape_free(w->tape);
    sr_arena_free(w->arena);
}

static sr_tensor *compute_loss(world *w)
{
    const sr_pass pass = {.training = true, .seed = 3, .step = 7};
    sr_tape_reset(w->tape);
    sr_tensor *representation = sr_model_encode(w->model, w->tape, &w->batch, &pass);
    return sr_model_loss(w->model, w->tape, &w->batch, representation, w->settings.training.loss,
                         1.0 / (double)w->batch.targets);
}

/* Whether an element is a row of padding that is read without getting a gradient from it, which finite differences would see.
 */
static bool is_padding_row(const sr_parameter *parameter, size_t element)
{
    return strcmp(parameter->name, "item_embedding.weight") == 0 && element < parameter->shape[1];
}

static void gradients_of_a_whole_model_agree_with_finite_differences(void **state)
{
    world w;
    create_world(&w, *state);
    build_batch(&w, true, EXAMPLES);
    sr_parameters *parameters = sr_model_parameters(w.model);
    assert_int_equal(sr_tape_backward(w.tape, compute_loss(&w), SR_PARAMETERS_EVERY, NULL, NULL, NULL), SR_OK);
    const double step = 1e-5;
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            if (is_padding_row(&parameters->list[p], i))
                continue;
            sr_real *element = parameters->values + parameters->list[p].offset + i;
            const double original = *element;
            *element = original + step;
            const double above = compute_loss(&w)->values[0];
            *element = original - step;
            const double below = compute_loss(&w)->values[0];
            *element = original;
            const double expected = (above - below) / (2 * step),
                         actual = parameters->gradients[parameters->list[p].offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s[%zu]: gradient %.10g, finite differences %.10g", parameters->list[p].name, i, actual, expected);
        }
    free_world(&w);
}

/* The representation after the first `count` items of the longest history that fits the window, as its own example. */
static void representation_of_prefix(world *w, const int32_t *items, size_t count, sr_real *out)
{
    sr_batch batch;
    const sr_example example = {.items = items, .length = count, .identity = 1};
    const sr_pass pass = {.training = false};
    assert_int_equal(sr_batch_build(&batch, w->arena, &w->settings.model, SR_OBJECTIVE_LAST, &example, 1, NULL), SR_OK);
    sr_tape_reset(w->tape);
    const sr_tensor *state = sr_model_encode(w->model, w->tape, &batch, &pass);
    memcpy(out, state->values, 8 * sizeof *out);
}

static void changing_an_item_changes_nothing_before_it(void **state)
{
    (void)state;
    /* With right padding the state after k items is that of row k - 1 of the whole sequence. */
    world w;
    const variant all = {"all positions", {"training.objective=all"}};
    create_world(&w, &all);
    int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9};
    for (size_t changed = 0; changed < LENGTH; ++changed) {
        for (size_t count = 1; count <= LENGTH; ++count) {
            sr_real before[8], after[8];
            representation_of_prefix(&w, items, count, before);
            const int32_t original = items[changed];
            items[changed] = 11;
            representation_of_prefix(&w, items, count, after);
            items[changed] = original;
            assert_int_equal(memcmp(before, after, sizeof before) == 0, changed >= count);
        }
    }
    free_world(&w);
}

static void one_pass_over_a_sequence_gives_every_prefix(void **state)
{
    (void)state;
    world w;
    const variant all = {"all positions", {"training.objective=all"}};
    create_world(&w, &all);
    const int32_t items[LENGTH] = {3, 1, 4, 1, 5, 9}, targets[LENGTH] = {1, 4, 1, 5, 9, 2};
    const sr_example example = {.items = items, .length = LENGTH, .identity = 1, .targets = targets};
    const sr_pass pass = {.training = false};
    sr_real whole[LENGTH * 8];
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_ALL, &example, 1, NULL), SR_OK);
    sr_tape_reset(w.tape);
    const sr_tensor *states = sr_model_encode(w.model, w.tape, &w.batch, &pass);
    assert_int_equal(states->rows, LENGTH);
    memcpy(whole, states->values, sizeof whole);
    for (size_t count = 1; count <= LENGTH; ++count) {
        sr_real alone[8];
        representation_of_prefix(&w, items, count, alone);
        for (size_t i = 0; i < 8; ++i)
            assert_true(fabs(alone[i] - whole[(count - 1) * 8 + i]) < 1e-12);
    }
    free_world(&w);
}

static void an_example_does_not_depend_on_the_others_in_its_batch(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    const sr_pass pass = {.training = true, .seed = 3, .step = 7}; /* dropout included: it is keyed by the example */
    sr_real together[EXAMPLES][8];
    build_batch(&w, false, EXAMPLES);
    sr_tape_reset(w.tape);
    const sr_tensor *states = sr_model_encode(w.model, w.tape, &w.batch, &pass);
    for (size_t e = 0; e < EXAMPLES; ++e)
        memcpy(together[e], states->values + w.batch.example_reads[e] * 8, sizeof together[e]);
    for (size_t e = 0; e < EXAMPLES; ++e) {
        const sr_example example = {.items = histories[e], .length = lengths[e], .identity = 100 + e};
        assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, &example, 1, NULL), SR_OK);
        sr_tape_reset(w.tape);
        const sr_tensor *alone = sr_model_encode(w.model, w.tape, &w.batch, &pass);
        for (size_t i = 0; i < 8; ++i)
            assert_true(fabs(alone->values[i] - together[e][i]) < 1e-12);
    }
    free_world(&w);
}

static void a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[2]); /* left padding */
    const int32_t items[] = {1, 2, 3, 4, 5, 6, 7, 8}, target = 9;
    const sr_example examples[] = {{.items = items, .length = 8, .identity = 1, .targets = &target},
                                   {.items = items, .length = 0, .identity = 2, .targets = &target},
                                   {.items = items, .length = 2, .identity = 3, .targets = &target},
                                   {.items = items, .length = 0, .identity = 4, .targets = &target}};
    assert_int_equal(sr_batch_build(&w.batch, w.arena, &w.settings.model, SR_OBJECTIVE_LAST, examples, 4, NULL), SR_OK);
    const sr_layout *layout = &w.batch.layout;
    assert_int_equal(layout->sequences, 3);
    assert_int_equal(layout->offsets[3], LENGTH + LENGTH + 2);
    assert_int_equal(w.batch.items[0], 3); /* the window holds 3..8 */
    assert_int_equal(layout->leading[1], LENGTH);
    assert_int_equal(layout->columns[layout->offsets[2]], LENGTH - 2);
    assert_int_equal(w.batch.targets, 4);
    assert_int_equal(w.batch.target_reads[1], w.batch.target_reads[3]);
    assert_int_equal(w.batch.example_reads[1], w.batch.example_reads[3]);
    free_world(&w);
}

static void a_batch_without_examples_has_no_loss_and_no_gradient(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    build_batch(&w, true, 0);
    const sr_pass pass = {.training = true};
    sr_tensor *representation = sr_model_encode(w.model, w.tape, &w.batch, &pass);
    sr_tensor *loss = sr_model_loss(w.model, w.tape, &w.batch, representation, SR_LOSS_CROSS_ENTROPY, 0.25);
    assert_int_equal(sr_tape_backward(w.tape, loss, SR_PARAMETERS_EVERY, NULL, NULL, NULL), SR_OK);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    assert_true(loss->values[0] == 0);
    for (size_t i = 0; i < parameters->block_size; ++i)
        assert_true(parameters->gradients[i] == 0);
    free_world(&w);
}

static void the_loss_of_a_fresh_model_is_that_of_guessing(void **state)
{
    (void)state;
    world w;
    const variant small = {"initial weights as configured by default", {"model.initializer_range=0.02"}};
    create_world(&w, &small);
    build_batch(&w, true, EXAMPLES);
    /* Eight columns and five targets: the scores of the start still scatter by a few percent of ln V. */
    assert_true(fabs(compute_loss(&w)->values[0] / log(ITEMS + 1) - 1) < 0.05);
    free_world(&w);
}

static void heads_that_do_not_divide_the_width_are_refused(void **state)
{
    (void)state;
    sr_settings settings;
    sr_model *model;
    sr_error error;
    sr_settings_default(&settings);
    settings.model.heads = 3;
    assert_int_equal(sr_model_create(&model, &settings.model, ITEMS, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "not divisible"));
}

int main(void)
{
    enum { VARIANTS = sizeof variants / sizeof *variants };
    struct CMUnitTest gradient_tests[VARIANTS];
    for (size_t i = 0; i < VARIANTS; ++i) {
        memset(&gradient_tests[i], 0, sizeof gradient_tests[i]);
        gradient_tests[i].name = variants[i].name;
        gradient_tests[i].test_func = gradients_of_a_whole_model_agree_with_finite_differences;
        gradient_tests[i].initial_state = (void *)(uintptr_t)&variants[i];
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_an_item_changes_nothing_before_it),
        cmocka_unit_test(one_pass_over_a_sequence_gives_every_prefix),
        cmocka_unit_test(an_example_does_not_depend_on_the_others_in_its_batch),
        cmocka_unit_test(a_batch_holds_the_latest_items_and_one_sequence_for_all_empty_histories),
        cmocka_unit_test(a_batch_without_examples_has_no_loss_and_no_gradient),
        cmocka_unit_test(the_loss_of_a_fresh_model_is_that_of_guessing),
        cmocka_unit_test(heads_that_do_not_divide_the_width_are_refused),
    };
    return cmocka_run_group_tests_name("gradients of whole models", gradient_tests, NULL, NULL) +
           cmocka_run_group_tests_name("models and batches", tests, NULL, NULL);
}
