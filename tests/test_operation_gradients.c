/* Every operation of the tape against central differences in double precision, by one generic test.
 *
 * The test makes every input of a row a parameter, draws it, forms a random weighted sum of the output, and compares the
 * gradient of each input element with (f(x + h) - f(x - h)) / 2h. */
#include "cpu_level.h"
#include "operation_gradients.h"
#include "srtrain/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static size_t declare_inputs(const operation_case *row, sr_parameters *parameters)
{
    size_t count = 0;
    for (; count < MOST_INPUTS && row->shapes[count][0]; ++count) {
        char name[32];
        snprintf(name, sizeof name, "input.%zu", count);
        assert_int_equal(sr_parameters_declare(parameters, name, row->shapes[count], 2,
                                               (sr_initial_values){SR_INITIAL_NORMAL, 0.8}, SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    sr_parameters_draw(parameters, 17);
    return count;
}

/* The same rows as a tensor that an operation made. */
static sr_tensor *copy_of(sr_tape *tape, sr_tensor *x)
{
    size_t *rows = sr_tape_take(tape, x->rows, sizeof *rows);
    for (size_t i = 0; i < x->rows; ++i)
        rows[i] = i;
    return sr_select_rows(tape, x, rows, x->rows);
}

/* The weighted sum of the operation's output, all inputs being parameters, whose gradients are added to, or copies of them,
 * whose gradients are new. The weights are a function of the element alone. */
static sr_tensor *objective_of(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs, bool copies)
{
    sr_tensor *x[MOST_INPUTS] = {NULL};
    for (size_t i = 0; i < inputs; ++i) {
        x[i] = sr_tape_parameter(tape, parameters, i);
        if (copies)
            x[i] = copy_of(tape, x[i]);
    }
    sr_tensor *out = row->build(tape, x);
    assert_non_null(out);
    sr_real *weights = sr_tape_take(tape, out->rows * out->columns, sizeof *weights);
    const sr_random_stream stream = sr_random_open(3, SR_RANDOM_TEST, 0);
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        weights[i] = sr_random_normal(stream, i, 0);
    return sr_weighted_sum(tape, out, weights);
}

static sr_tensor *objective(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    return objective_of(row, tape, parameters, inputs, false);
}

static double value_of(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    sr_tape_reset(tape);
    return objective(row, tape, parameters, inputs)->values[0];
}

/* Memory of the tape that is not written shows as what is not a number. */
static void poison(sr_tape *tape)
{
    enum { NUMBERS = 1 << 18 };
    sr_tape_reset(tape);
    sr_real *memory = sr_tape_take(tape, NUMBERS, sizeof *memory);
    for (size_t i = 0; i < NUMBERS; ++i)
        memory[i] = (sr_real)NAN;
    sr_tape_reset(tape);
}

static void gradients_of_copies_are_the_same(void **state)
{
    const operation_case *row = *state;
    sr_parameters parameters;
    sr_tape *tape;
    sr_parameters_initialise(&parameters);
    const size_t inputs = declare_inputs(row, &parameters);
    assert_int_equal(sr_tape_create(&tape, tested_kernels(), true, NULL), SR_OK);
    assert_int_equal(sr_tape_backward(tape, objective(row, tape, &parameters, inputs), SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    double *expected = calloc(parameters.block_size, sizeof *expected);
    assert_non_null(expected);
    for (size_t i = 0; i < parameters.block_size; ++i) {
        expected[i] = (double)parameters.gradients[i];
        parameters.gradients[i] = 0;
    }
    poison(tape);
    sr_tensor *loss = objective_of(row, tape, &parameters, inputs, true);
    assert_int_equal(sr_tape_backward(tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    for (size_t i = 0; i < parameters.block_size; ++i)
        if (!(fabs((double)parameters.gradients[i] - expected[i]) <= 1e-12 * (1 + fabs(expected[i]))))
            fail_msg("%s: element %zu of the gradients is %.10g behind a copy, and %.10g", row->name, i,
                     (double)parameters.gradients[i], expected[i]);
    free(expected);
    sr_tape_free(tape);
    sr_parameters_free(&parameters);
}

static void operation_agrees_with_finite_differences(void **state)
{
    const operation_case *row = *state;
    sr_parameters parameters;
    sr_tape *tape;
    sr_parameters_initialise(&parameters);
    const size_t inputs = declare_inputs(row, &parameters);
    assert_int_equal(sr_tape_create(&tape, tested_kernels(), true, NULL), SR_OK);
    sr_tensor *loss = objective(row, tape, &parameters, inputs);
    assert_int_equal(sr_tape_backward(tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    const double step = 1e-5;
    for (size_t p = 0; p < inputs; ++p) {
        const sr_parameter *parameter = &parameters.list[p];
        for (size_t i = 0; i < parameter->size; i += row->sampled ? 797 : 1) {
            sr_real *element = parameters.values + parameter->offset + i;
            const double original = *element;
            *element = original + step;
            const double above = value_of(row, tape, &parameters, inputs);
            *element = original - step;
            const double below = value_of(row, tape, &parameters, inputs);
            *element = original;
            const double expected = (above - below) / (2 * step), actual = parameters.gradients[parameter->offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s: gradient of input %zu, element %zu is %.10g, finite differences give %.10g", row->name, p, i,
                         actual, expected);
        }
    }
    sr_tape_free(tape);
    sr_parameters_free(&parameters);
}

int main(void)
{
    const operation_cases *const subjects[] = {&dense_cases, &list_cases, &attention_cases, &filter_cases};
    size_t count = 0, total = 0;
    for (size_t s = 0; s < sizeof subjects / sizeof *subjects; ++s)
        total += subjects[s]->count;
    struct CMUnitTest *tests = calloc(2 * total, sizeof *tests);
    if (!tests)
        return 1;
    for (size_t s = 0; s < sizeof subjects / sizeof *subjects; ++s)
        for (size_t i = 0; i < subjects[s]->count; ++i, ++count) {
            tests[count] = (struct CMUnitTest){.name = subjects[s]->list[i].name,
                                               .test_func = operation_agrees_with_finite_differences,
                                               .initial_state = (void *)(uintptr_t)&subjects[s]->list[i]};
            tests[total + count] = tests[count];
            tests[total + count].test_func = gradients_of_copies_are_the_same;
        }
    const int failed = _cmocka_run_group_tests("operations agree with finite differences", tests, 2 * total, make_transforms,
                                               free_transforms);
    free(tests);
    return failed;
}
