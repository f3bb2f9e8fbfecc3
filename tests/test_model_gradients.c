/* Gradients of whole models in double precision: at the lowest CPU level every element against finite differences, at the
 * others every element against the lowest; and against those of the same batch in parts. */
#include "cpu_level.h"
#include "model_world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether an element is a row of padding that is read without getting a gradient from it, which finite differences would see.
 */
static bool is_padding_row(const sr_parameter *parameter, size_t element)
{
    static const char *const tables[] = {
        "item_embedding.weight",     "item_mean_embedding.weight", "item_covariance_embedding.weight",
        "user_embedding.weight",     "pos_key_embedding.weight",   "pos_value_embedding.weight",
        "time_key_embedding.weight", "time_value_embedding.weight"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i)
        if (strcmp(parameter->name, tables[i]) == 0)
            return element < parameter->shape[1];
    return false;
}

static void gradients_of_a_whole_model_agree_with_finite_differences(void **state)
{
    world w;
    create_world(&w, *state);
    build_batch(&w, true, EXAMPLES);
    sr_parameters *parameters = sr_model_parameters(w.model);
    freeze_lags(&w);
    const sr_outcome made = run_objective(&w);
    const bool coupled = sr_model_needs_of(&w.settings.model, true).couples_batch;
    assert_int_equal(made.terms.list[0].followers, coupled ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY);
    const double step = 1e-5;
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            if (is_padding_row(&parameters->list[p], i))
                continue;
            if (parameters->list[p].set == SR_PARAMETERS_FROZEN) {
                assert_true(parameters->gradients[parameters->list[p].offset + i] == 0);
                continue;
            }
            sr_real *element = parameters->values + parameters->list[p].offset + i;
            const double original = *element;
            *element = original + step;
            const double above = loss_for(&w, parameters->list[p].set);
            *element = original - step;
            const double below = loss_for(&w, parameters->list[p].set);
            *element = original;
            const double expected = (above - below) / (2 * step),
                         actual = parameters->gradients[parameters->list[p].offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s[%zu]: gradient %.10g, finite differences %.10g", parameters->list[p].name, i, actual, expected);
        }
    free_world(&w);
}

/* The objective, and gradients in the model that are nothing else's. */
static sr_outcome run_anew(world *w, sr_tape *tape)
{
    sr_parameters *parameters = sr_model_parameters(w->model);
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    return run_objective_on(w, tape, NULL, (double)w->batch.targets);
}

/* A copy of the gradients in the model; release with free(). */
static sr_real *copy_gradients(const world *w)
{
    const sr_parameters *parameters = sr_model_parameters(w->model);
    sr_real *copy;
    assert_int_equal(SR_ALLOCATE(&copy, parameters->block_size, "gradients", NULL), SR_OK);
    memcpy(copy, parameters->gradients, parameters->block_size * sizeof *copy);
    return copy;
}

static void assert_same_terms(const sr_outcome *actual, const sr_outcome *expected)
{
    assert_int_equal(actual->terms.count, expected->terms.count);
    for (size_t i = 0; i < expected->terms.count; ++i) {
        const double value = expected->terms.list[i].value;
        assert_true(fabs(actual->terms.list[i].value - value) <= 1e-12 * (1 + fabs(value)));
    }
}

/* Those in the model, against others. */
static void assert_same_gradients(const world *w, const sr_real *expected, const char *what)
{
    const sr_parameters *parameters = sr_model_parameters(w->model);
    for (size_t i = 0; i < parameters->block_size; ++i)
        if (!(fabs(parameters->gradients[i] - expected[i]) <= 1e-11 * (1 + fabs(expected[i]))))
            fail_msg("%s: gradient %zu is %.15g instead of %.15g", what, i, parameters->gradients[i], expected[i]);
}

/* What the lowest level computes is compared with finite differences. */
static void losses_and_gradients_of_a_whole_model_are_those_of_the_lowest_level(void **state)
{
    world w;
    sr_tape *tape;
    const variant *v = *state;
    create_world(&w, v);
    build_batch(&w, true, EXAMPLES);
    freeze_lags(&w);
    assert_int_equal(sr_tape_create(&tape, sr_kernels_choose(sr_kernels_level_name(0)), true, NULL), SR_OK);
    const sr_outcome expected = run_anew(&w, tape);
    sr_real *gradients = copy_gradients(&w);
    const sr_outcome actual = run_anew(&w, w.tape);
    assert_same_terms(&actual, &expected);
    assert_same_gradients(&w, gradients, v->name);
    free(gradients);
    sr_tape_free(tape);
    free_world(&w);
}

static void chunks_of_a_batch_give_the_losses_and_gradients_of_all_of_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 9}; /* tokens: one sequence a chunk, and a few */
    for (size_t v = 0; v < variant_count; ++v)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
            world w;
            char what[160];
            create_world(&w, &variants[v]);
            build_batch(&w, true, EXAMPLES);
            w.chunk_tokens = SIZE_MAX;
            const sr_outcome expected = run_anew(&w, w.tape);
            sr_real *whole = copy_gradients(&w);
            w.chunk_tokens = sizes[s];
            const sr_outcome actual = run_anew(&w, w.tape);
            assert_same_terms(&actual, &expected);
            snprintf(what, sizeof what, "%s, chunks of %zu tokens", variants[v].name, sizes[s]);
            assert_same_gradients(&w, whole, what);
            free(whole);
            free_world(&w);
        }
}

static void a_batch_without_examples_has_no_loss_and_no_gradient(void **state)
{
    (void)state;
    world w;
    create_world(&w, &variants[0]);
    build_batch(&w, true, 0);
    const sr_outcome outcome = run_objective_on(&w, w.tape, NULL, 4);
    const sr_parameters *parameters = sr_model_parameters(w.model);
    assert_true(outcome.terms.list[0].value == 0);
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
    assert_true(fabs(loss_for(&w, SR_PARAMETERS_ORDINARY) / log(ITEMS + 1) - 1) < 0.05);
    free_world(&w);
}

int main(void)
{
    const bool is_lowest = strcmp(tested_kernels()->level, sr_kernels_level_name(0)) == 0;
    struct CMUnitTest *gradient_tests = calloc(variant_count, sizeof *gradient_tests);
    if (!gradient_tests)
        return 1;
    for (size_t i = 0; i < variant_count; ++i) {
        gradient_tests[i].name = variants[i].name;
        gradient_tests[i].test_func = is_lowest ? gradients_of_a_whole_model_agree_with_finite_differences
                                                : losses_and_gradients_of_a_whole_model_are_those_of_the_lowest_level;
        gradient_tests[i].initial_state = (void *)(uintptr_t)&variants[i];
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_of_a_batch_give_the_losses_and_gradients_of_all_of_it),
        cmocka_unit_test(a_batch_without_examples_has_no_loss_and_no_gradient),
        cmocka_unit_test(the_loss_of_a_fresh_model_is_that_of_guessing),
    };
    const int failed = _cmocka_run_group_tests("gradients of whole models", gradient_tests, variant_count, NULL, NULL);
    free(gradient_tests);
    return failed + cmocka_run_group_tests_name("losses and gradients of a batch", tests, NULL, NULL);
}
