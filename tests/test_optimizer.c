/* Adam, clipping and the learning rate. */
#include "cpu_level.h"
#include "srtrain/optimizer.h"
#include "srtrain/settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static void fill(const sr_parameters *parameters, sr_real *block, sr_real value)
{
    for (size_t p = 0; p < parameters->count; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i)
            block[parameters->list[p].offset + i] = value;
}

/* Makes both blocks and the optimizer; every parameter is 1. */
static void start_at_one(sr_parameters *parameters, sr_optimizer *optimizer, const sr_training_settings *settings)
{
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    fill(parameters, parameters->values, 1);
    assert_int_equal(sr_optimizer_create(optimizer, parameters, settings, NULL), SR_OK);
}

static void create(sr_parameters *parameters, sr_optimizer *optimizer, const sr_training_settings *settings)
{
    const size_t shape[] = {SIZE};
    sr_parameters_initialise(parameters);
    assert_int_equal(sr_parameters_declare(parameters, "p", shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    start_at_one(parameters, optimizer, settings);
    for (size_t i = 0; i < SIZE; ++i)
        parameters->gradients[i] = i % 2 ? -3.0f : 4.0f;
}

static void release(sr_parameters *parameters, sr_optimizer *optimizer)
{
    sr_optimizer_free(optimizer);
    sr_parameters_free(parameters);
}

/* One step of the whole block. */
static void take_step(sr_optimizer *optimizer, int64_t step, double learning_rate, double gradient_norm)
{
    const sr_update update = {.step = step, .learning_rate = learning_rate, .gradient_norm = gradient_norm, .parts = 1};
    assert_int_equal(sr_optimizer_step(optimizer, tested_kernels(), &update, NULL), SR_OK);
}

static void the_first_step_has_the_size_of_the_learning_rate(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    const sr_training_settings settings = default_settings();
    create(&parameters, &optimizer, &settings);
    take_step(&optimizer, 0, 0.01, sqrt(sr_gradient_squares(&parameters, tested_kernels(), NULL, 0, 1)));
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
    settings.optimizer = sr_optimizer_number("adam");
    settings.weight_decay = 0.1;
    settings.weight_decay_kind = SR_WEIGHT_DECAY_L2;
    create(&parameters, &optimizer, &settings);
    double value = 1, first = 0, second = 0;
    for (int64_t step = 0; step < 30; ++step) {
        const double gradient = 4 + 0.1 * value;
        first = 0.9 * first + 0.1 * gradient;
        second = 0.999 * second + 0.001 * gradient * gradient;
        const double t = (double)step + 1;
        value -= 0.01 * (first / (1 - pow(0.9, t))) / (sqrt(second / (1 - pow(0.999, t))) + 1e-8);
        take_step(&optimizer, step, 0.01, 1);
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
    create(&parameters, &optimizer, &settings);
    memset(parameters.gradients, 0, SIZE * sizeof *parameters.gradients);
    take_step(&optimizer, 0, 0.1, 0);
    assert_true(fabsf(parameters.values[0] - 0.95f) < 1e-6f);
    assert_true(optimizer.state.blocks[0].values[0] == 0 && optimizer.state.blocks[1].values[0] == 0);
    release(&parameters, &optimizer);
}

/* Parameters in the order o, a, a, o, of sizes that leave gaps in the block. */
static void create_two_sets(sr_parameters *parameters, sr_optimizer *optimizer, const sr_training_settings *settings)
{
    static const sr_parameter_set sets[] = {SR_PARAMETERS_ORDINARY, SR_PARAMETERS_ATTACK, SR_PARAMETERS_ATTACK,
                                            SR_PARAMETERS_ORDINARY};
    sr_parameters_initialise(parameters);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; ++i) {
        const size_t shape[] = {7 + 10 * i};
        char name[16];
        snprintf(name, sizeof name, "p%zu", i);
        assert_int_equal(
            sr_parameters_declare(parameters, name, shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0}, sets[i], NULL, NULL),
            SR_OK);
    }
    start_at_one(parameters, optimizer, settings);
}

static void expect_values(const sr_parameters *parameters, float ordinary, float attack)
{
    for (size_t p = 0; p < parameters->count; ++p) {
        const sr_parameter *parameter = &parameters->list[p];
        const float wanted = parameter->set == SR_PARAMETERS_ATTACK ? attack : ordinary;
        for (size_t i = 0; i < parameter->size; ++i)
            if (!(fabsf(parameters->values[parameter->offset + i] - wanted) < 1e-6f))
                fail_msg("element %zu of %s is %.9g, not %.9g", i, parameter->name,
                         (double)parameters->values[parameter->offset + i], (double)wanted);
    }
}

static void mask_generators_step_and_decay_at_their_own_rate(void **state)
{
    (void)state;
    for (int decays = 0; decays < 2; ++decays) {
        sr_parameters parameters;
        sr_optimizer optimizer;
        sr_training_settings settings = default_settings();
        settings.weight_decay = decays ? 0.5 : 0;
        create_two_sets(&parameters, &optimizer, &settings);
        optimizer.attack_learning_rate_ratio = 10;
        fill(&parameters, parameters.gradients, decays ? 0 : 4);
        take_step(&optimizer, 0, 0.01, 0);
        if (decays)
            expect_values(&parameters, 1 - 0.01f * 0.5f, 1 - 0.1f * 0.5f);
        else
            expect_values(&parameters, 1 - 0.01f, 1 - 0.1f);
        release(&parameters, &optimizer);
    }
}

static void two_sets_with_a_ratio_of_one_move_like_one_set(void **state)
{
    (void)state;
    sr_parameters parameters[2];
    sr_optimizer optimizers[2];
    sr_training_settings settings = default_settings();
    settings.weight_decay = 0.1;
    for (int i = 0; i < 2; ++i) {
        create_two_sets(&parameters[i], &optimizers[i], &settings);
        for (size_t p = 0; i == 1 && p < parameters[i].count; ++p)
            parameters[i].list[p].set = SR_PARAMETERS_ORDINARY;
        for (int64_t step = 0; step < 3; ++step) {
            fill(&parameters[i], parameters[i].gradients, (float)step - 0.7f);
            take_step(&optimizers[i], step, 0.01, 0);
        }
    }
    assert_memory_equal(parameters[0].values, parameters[1].values, parameters[0].block_size * sizeof(sr_real));
    for (int i = 0; i < 2; ++i)
        release(&parameters[i], &optimizers[i]);
}

static void clipping_scales_the_whole_gradient_to_the_norm(void **state)
{
    (void)state;
    sr_parameters parameters;
    sr_optimizer optimizer;
    sr_training_settings settings = default_settings();
    settings.clip_norm = 1;
    create(&parameters, &optimizer, &settings);
    const double norm = sqrt(sr_gradient_squares(&parameters, tested_kernels(), NULL, 0, 1));
    assert_true(fabs(norm - sqrt(SIZE / 2 * (9.0 + 16.0))) < 1e-5);
    take_step(&optimizer, 0, 0.01, norm);
    assert_true(fabs((double)optimizer.state.blocks[0].values[0] - 0.1 * 4 / norm) < 1e-6);
    parameters.gradients[3] = NAN;
    const bool finite = isfinite(sqrt(sr_gradient_squares(&parameters, tested_kernels(), NULL, 0, 1)));
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

static void the_learning_rate_follows_the_batch_size(void **state)
{
    (void)state;
    sr_training_settings settings = default_settings();
    settings.learning_rate = 0.002;
    settings.batch_size = 4096;
    settings.base_batch_size = 1024;
    assert_true(fabs(sr_learning_rate(&settings, 0, 10) - 0.002) < 1e-12);
    settings.batch_scaling = SR_BATCH_SCALING_SQUARE_ROOT;
    assert_true(fabs(sr_learning_rate(&settings, 0, 10) - 0.004) < 1e-12);
    settings.batch_scaling = SR_BATCH_SCALING_LINEAR;
    assert_true(fabs(sr_learning_rate(&settings, 0, 10) - 0.008) < 1e-12);
}

static void a_warm_up_in_epochs_is_a_part_of_the_steps(void **state)
{
    (void)state;
    sr_training_settings settings = default_settings();
    settings.learning_rate = 1;
    settings.epochs = 20;
    settings.warmup_epochs = 2.5;
    assert_true(fabs(sr_learning_rate(&settings, 4, 80) - 0.5) < 1e-12); /* ten steps of four an epoch */
    assert_true(fabs(sr_learning_rate(&settings, 9, 80) - 1) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 10, 80) - 1) < 1e-12);
    settings.schedule = SR_SCHEDULE_LINEAR;
    assert_true(fabs(sr_learning_rate(&settings, 45, 80) - 0.5) < 1e-12);
    assert_true(fabs(sr_learning_rate(&settings, 1, 20) - 2.0 / 3) < 1e-12); /* a part of a step counts as one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_has_the_size_of_the_learning_rate),
        cmocka_unit_test(many_steps_follow_the_definition),
        cmocka_unit_test(decoupled_decay_shrinks_values_and_leaves_moments_alone),
        cmocka_unit_test(mask_generators_step_and_decay_at_their_own_rate),
        cmocka_unit_test(two_sets_with_a_ratio_of_one_move_like_one_set),
        cmocka_unit_test(clipping_scales_the_whole_gradient_to_the_norm),
        cmocka_unit_test(the_learning_rate_warms_up_and_decays),
        cmocka_unit_test(the_learning_rate_follows_the_batch_size),
        cmocka_unit_test(a_warm_up_in_epochs_is_a_part_of_the_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
