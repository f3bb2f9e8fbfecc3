/* Adam, clipping and the learning rate. */
#include "srtrain/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 20 };

static sr_training_settings default_settings(void)
{
    sr_settings settings;
    sr_settings_default(&settings);
    return settings.training;
}

static void create(sr_parameters *parameters, sr_optimizer *optimizer)
{
    const size_t shape[] = {SIZE};
    sr_parameters_initialise(parameters);
    assert_int_equal(sr_parameters_declare(parameters, "p", shape, 1, SR_INITIAL_ONE, 0, SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    sr_parameters_draw(parameters, 1);
    assert_int_equal(sr_optimizer_create(optimizer, parameters, NULL), SR_OK);
    for (size_t i = 0; i < SIZE; ++i)
        parameters->gradients[i] = i % 2 ? -3.0f : 4.0f;
}

static void release(sr_parameters *parameters, sr_optimizer *optimizer)
{
    sr_optimizer_free(optimizer);
    sr_parameters_free(parameters);
}

static void the_first_step_has_the_size_of_the_learning_rate(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    const sr_training_settings settings = default_settings();
    create(&parameters, &optimizer);
    sr_optimizer_step(&optimizer, sr_kernels_choose(NULL), &settings, 0, 0.01,
                      sr_gradient_norm(&parameters, sr_kernels_choose(NULL)));
    for (size_t i = 0; i < SIZE; ++i) /* bias correction: m / sqrt(v) is the sign of the gradient */
        assert_true(fabsf(parameters.values[i] - (i % 2 ? 1.01f : 0.99f)) < 1e-6f);
    release(&parameters, &optimizer);
}

static void many_steps_follow_the_definition(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_training_settings settings = default_settings();
    settings.weight_decay = 0.1;
    settings.weight_decay_kind = SR_WEIGHT_DECAY_L2;
    create(&parameters, &optimizer);
    double value = 1, first = 0, second = 0;
    for (int64_t step = 0; step < 30; ++step) {
        const double gradient = 4 + 0.1 * value;
        first = 0.9 * first + 0.1 * gradient;
        second = 0.999 * second + 0.001 * gradient * gradient;
        const double t = (double)step + 1;
        value -= 0.01 * (first / (1 - pow(0.9, t))) / (sqrt(second / (1 - pow(0.999, t))) + 1e-8);
        sr_optimizer_step(&optimizer, sr_kernels_choose(NULL), &settings, step, 0.01, 1);
    }
    assert_true(fabs((double)parameters.values[0] - value) < 1e-5);
    release(&parameters, &optimizer);
}

static void decoupled_decay_shrinks_values_and_leaves_moments_alone(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_training_settings settings = default_settings();
    settings.weight_decay = 0.5;
    create(&parameters, &optimizer);
    memset(parameters.gradients, 0, SIZE * sizeof *parameters.gradients);
    sr_optimizer_step(&optimizer, sr_kernels_choose(NULL), &settings, 0, 0.1, 0);
    assert_true(fabsf(parameters.values[0] - 0.95f) < 1e-6f);
    assert_true(optimizer.first_moment[0] == 0 && optimizer.second_moment[0] == 0);
    release(&parameters, &optimizer);
}

static void clipping_scales_the_whole_gradient_to_the_norm(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_training_settings settings = default_settings();
    settings.clip_norm = 1;
    create(&parameters, &optimizer);
    const double norm = sr_gradient_norm(&parameters, sr_kernels_choose(NULL));
    assert_true(fabs(norm - sqrt(SIZE / 2 * (9.0 + 16.0))) < 1e-5);
    sr_optimizer_step(&optimizer, sr_kernels_choose(NULL), &settings, 0, 0.01, norm);
    assert_true(fabs((double)optimizer.first_moment[0] - 0.1 * 4 / norm) < 1e-6);
    parameters.gradients[3] = NAN;
    const bool finite = isfinite(sr_gradient_norm(&parameters, sr_kernels_choose(NULL)));
    assert_false(finite);
    release(&parameters, &optimizer);
}

static void the_learning_rate_warms_up_and_decays(void **state)
{
    (void)state;
    sr_training_settings settings = default_settings();
    settings.learning_rate = 1;
    settings.warmup_steps = 10;
    assert_true(fabs(sr_learning_rate(&settings, 0, 110) - 0.1) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 9, 110) - 1) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 109, 110) - 1) < 1e-12);
    settings.schedule = SR_SCHEDULE_LINEAR;
    assert_true(fabs(sr_learning_rate(&settings, 60, 110) - 0.5) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 109, 110) - 0.01) < 1e-12);
    settings.schedule = SR_SCHEDULE_COSINE;
    assert_true(fabs(sr_learning_rate(&settings, 10, 110) - 1) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 60, 110) - 0.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_has_the_size_of_the_learning_rate),
        cmocka_unit_test(many_steps_follow_the_definition),
        cmocka_unit_test(decoupled_decay_shrinks_values_and_leaves_moments_alone),
        cmocka_unit_test(clipping_scales_the_whole_gradient_to_the_norm),
        cmocka_unit_test(the_learning_rate_warms_up_and_decays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
