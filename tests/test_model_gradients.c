/* Gradients of whole models in double precision, against finite differences and against those of the same batch in parts. */
#include "model_world.h"

#include <math.h>
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
static sr_outcome run_in_chunks(world *w, size_t chunk_tokens)
{
    sr_parameters *parameters = sr_model_parameters(w->model);
    w->chunk_tokens = chunk_tokens;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    return run_objective(w);
}

static void assert_same_terms(const sr_outcome *actual, const sr_outcome *expected)
{
    assert_int_equal(actual->terms.count, expected->terms.count);
    for (size_t i = 0; i < expected->terms.count; ++i) {
        const double value = expected->terms.list[i].value;
        assert_true(fabs(actual->terms.list[i].value - value) <= 1e-12 * (1 + fabs(value)));
    }
}

static void chunks_of_a_batch_give_the_losses_and_gradients_of_all_of_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 9}; /* tokens: one sequence a chunk, and a few */
    for (size_t v = 0; v < variant_count; ++v)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
            world w;
            create_world(&w, &variants[v]);
            build_batch(&w, true, EXAMPLES);
            sr_parameters *parameters = sr_model_parameters(w.model);
            const sr_outcome expected = run_in_chunks(&w, SIZE_MAX);
            sr_real *whole;
            assert_int_equal(SR_ALLOCATE(&whole, parameters->block_size, "gradients", NULL), SR_OK);
            memcpy(whole, parameters->gradients, parameters->block_size * sizeof *whole);
            const sr_outcome actual = run_in_chunks(&w, sizes[s]);
            assert_same_terms(&actual, &expected);
            for (size_t i = 0; i < parameters->block_size; ++i)
                if (!(fabs(parameters->gradients[i] - whole[i]) <= 1e-11 * (1 + fabs(whole[i]))))
                    fail_msg("%s, chunks of %zu tokens: gradient %zu is %.15g instead of %.15g", variants[v].name, sizes[s], i,
                             parameters->gradients[i], whole[i]);
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
    struct CMUnitTest *gradient_tests = calloc(variant_count, sizeof *gradient_tests);
    if (!gradient_tests)
        return 1;
    for (size_t i = 0; i < variant_count; ++i) {
        gradient_tests[i].name = variants[i].name;
        gradient_tests[i].test_func = gradients_of_a_whole_model_agree_with_finite_differences;
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
