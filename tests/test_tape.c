/* The tape: restricted backward passes, sticky failure, reuse. */
#include "cpu_level.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    sr_parameters parameters;
    sr_tape *tape;
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    const size_t shape[] = {1, 1};
    sr_parameters_initialise(&w->parameters);
    for (int i = 0; i < 3; ++i) {
        const char name[2] = {(char)('a' + i), '\0'};
        assert_int_equal(sr_parameters_declare(&w->parameters, name, shape, 2, (sr_initial_values){SR_INITIAL_CONSTANT, 1},
                                               i == 2 ? SR_PARAMETERS_ATTACK : SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(&w->parameters, NULL), SR_OK);
    sr_parameters_draw(&w->parameters, 1);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_tape_free(w->tape);
    sr_parameters_free(&w->parameters);
    free(w);
    return 0;
}

static sr_tensor *parameter(world *w, size_t index)
{
    return sr_tape_parameter(w->tape, &w->parameters, index);
}

static float gradient(const world *w, size_t index)
{
    return w->parameters.gradients[w->parameters.list[index].offset];
}

static void backward_is_restricted_to_the_parameter_set(void **state)
{
    world *w = *state;
    sr_tensor *loss = sr_linear(w->tape, sr_add(w->tape, parameter(w, 0), parameter(w, 2)), parameter(w, 1), NULL);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ATTACK, NULL), SR_OK);
    assert_true(gradient(w, 0) == 0 && gradient(w, 1) == 0 && gradient(w, 2) == 1);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
    assert_true(gradient(w, 0) == 1 && gradient(w, 1) == 2 && gradient(w, 2) == 1);
}

static void gradients_add_up_over_backward_passes(void **state)
{
    world *w = *state;
    sr_tensor *loss = sr_linear(w->tape, parameter(w, 0), parameter(w, 1), NULL);
    for (int pass = 1; pass <= 3; ++pass) {
        assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_EVERY, NULL), SR_OK);
        assert_true(gradient(w, 0) == (float)pass);
    }
}

static void a_loss_that_does_not_depend_on_the_set_leaves_it_alone(void **state)
{
    world *w = *state;
    sr_tensor *loss = sr_linear(w->tape, parameter(w, 0), parameter(w, 1), NULL);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ATTACK, NULL), SR_OK);
    assert_true(gradient(w, 0) == 0 && gradient(w, 1) == 0 && gradient(w, 2) == 0);
}

static void running_out_of_memory_is_remembered_until_the_tape_is_reset(void **state)
{
    world *w = *state;
    assert_null(sr_tape_take(w->tape, SIZE_MAX / 2, 4));
    sr_error error;
    assert_null(sr_add(w->tape, NULL, parameter(w, 0)));
    assert_int_equal(sr_tape_status(w->tape, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "out of memory"));
    assert_int_equal(sr_tape_backward(w->tape, NULL, SR_PARAMETERS_EVERY, &error), SR_ERROR_RUNTIME);
    sr_tape_reset(w->tape);
    assert_int_equal(sr_tape_status(w->tape, &error), SR_OK);
}

static void the_padding_row_is_read_but_gets_no_gradient(void **state)
{
    world *w = *state;
    static const int32_t ids[] = {0, 0};
    static const float weights[] = {1, 1};
    sr_tensor *rows = sr_embedding(w->tape, parameter(w, 0), ids, 2, true);
    assert_true(rows->values[0] == 1 && rows->values[1] == 1);
    sr_tensor *loss = sr_weighted_sum(w->tape, rows, weights);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_EVERY, NULL), SR_OK);
    assert_true(gradient(w, 0) == 0);
}

static void a_tape_that_does_not_record_computes_the_same(void **state)
{
    world *w = *state;
    sr_tape *plain;
    assert_int_equal(sr_tape_create(&plain, tested_kernels(), false, NULL), SR_OK);
    sr_tensor *x = sr_tape_parameter(plain, &w->parameters, 0);
    assert_true(sr_add(plain, x, x)->values[0] == 2);
    sr_tape_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(backward_is_restricted_to_the_parameter_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gradients_add_up_over_backward_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loss_that_does_not_depend_on_the_set_leaves_it_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(running_out_of_memory_is_remembered_until_the_tape_is_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_padding_row_is_read_but_gets_no_gradient, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tape_that_does_not_record_computes_the_same, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
