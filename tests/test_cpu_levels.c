/* All CPU levels of this machine beside each other: whole models in training, what denormal numbers are left with, and the
 * agreement of ranks. */
#include "small_training.h"
#include "srtrain/cpu.h"
#include "srtrain/denormals.h"
#include "srtrain/fourier.h"
#include "srtrain/log.h"
#include "tensor/gemm.h"
#include "run/wisdom.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 60, ITEMS = 3000, LENGTH = 14, OPTIONS = 8, LEVELS = 8 };

static size_t item_of(size_t user, size_t i)
{
    return user * user + 7 * i + i * i / 3;
}

static int64_t time_of(size_t user, size_t i)
{
    return (int64_t)(1000 * user + 60 * i * i);
}

static int set_up(void **state)
{
    return shared_dataset_set_up(
        state, &(equal_sequences){
                   .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of, .time_of = time_of});
}

/* The levels of this machine, from the lowest. */
static size_t levels_here(const sr_kernels *levels[LEVELS])
{
    size_t count = 0;
    for (size_t i = 0; sr_kernels_level_name(i); ++i) {
        assert_true(i < LEVELS);
        levels[count] = sr_kernels_choose(sr_kernels_level_name(i));
        count += levels[count] != NULL;
    }
    assert_true(count > 0);
    return count;
}

/* ---- models ---- */

enum { STEPS = 5 };

typedef struct {
    double losses[STEPS], norms[STEPS];
} course;

static void train(const shared_dataset *data, const sr_kernels *kernels, const char *const options[OPTIONS], course *made)
{
    const char *assignments[OPTIONS + 4] = {"data.path=none", "model.max_length=12", "training.batch_size=24",
                                            "training.learning_rate=0.003"};
    size_t count = 4;
    sr_error error = {.message = ""};
    small_training t;
    for (size_t i = 0; i < OPTIONS && options[i]; ++i)
        assignments[count++] = options[i];
    small_training_begin_with(&t, kernels, data, assignments, count, STEPS);
    for (size_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(&t, (int64_t)step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        made->losses[step] = sr_step_loss(&result);
        made->norms[step] = result.gradient_norm;
    }
    small_training_end(&t);
}

static void assert_close(const char *option, const char *level, const char *what, double actual, double expected,
                         double tolerance)
{
    if (!(fabs(actual / expected - 1) <= tolerance))
        fail_msg("%s: %s is %.9g at level %s instead of %.9g", option, what, actual, level, expected);
}

/* Every backbone and calibrator, with dropout. */
static void all_levels_train_every_model_alike(void **state)
{
    static const char *const cases[][OPTIONS] = {
        {"model.backbone=sasrec"},
        {"training.loss=bpr", "training.objective=all"},
        {"training.loss=binary_cross_entropy", "model.hidden_size=50", "model.heads=1", "model.activation=relu"},
        {"calibrators.spatial.order=true", "calibrators.adversarial.combine=gate"},
        {"calibrators.refinement.kind=value", "calibrators.refinement.value=learned"},
        {"calibrators.frequency.cutoff=3"},
        {"model.backbone=bert4rec"},
        {"model.backbone=ssept", "model.user_hidden_size=4"},
        {"model.backbone=tisasrec", "model.time_unit=60", "model.time_span=64"},
        {"model.backbone=stosa", "training.loss=stosa", "model.activation=elu"},
        {"model.backbone=gru4rec"},
        {"model.backbone=caser"},
        {"model.backbone=fmlprec"},
        {"model.attention_dropout=0.3", "training.contrastive.weight=0.1"},
        {"training.loss=sampled_softmax", "training.negatives=100", "training.objective=all"},
        {"training.loss=gbce", "training.negative_sharing=target", "model.similarity=cosine", "training.temperature=0.2"},
    };
    const sr_kernels *levels[LEVELS];
    const size_t count = levels_here(levels);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; ++c) {
        course expected, actual;
        train(*state, levels[0], cases[c], &expected);
        for (size_t level = 1; level < count; ++level) {
            train(*state, levels[level], cases[c], &actual);
            for (size_t step = 0; step < STEPS; ++step) {
                assert_close(cases[c][0], levels[level]->level, "a loss", actual.losses[step], expected.losses[step], 1e-5);
                assert_close(cases[c][0], levels[level]->level, "a norm", actual.norms[step], expected.norms[step], 1e-4);
            }
        }
    }
}

static void matrix_units_change_products_of_bf16_alone(void **state)
{
    static const char *const full[OPTIONS] = {"training.precision=fp32"};
    static const char *const half[][OPTIONS] = {
        {"training.precision=bf16"},
        {"training.precision=bf16", "training.loss=sampled_softmax", "training.negatives=100"},
    };
    const sr_kernels *with = sr_kernels_choose("amx"), *without = sr_kernels_choose("avx512");
    course by_unit, by_vectors;
    if (!with) {
        print_message("no matrix unit here\n");
        skip();
    }
    train(*state, with, full, &by_unit);
    train(*state, without, full, &by_vectors);
    assert_memory_equal(&by_unit, &by_vectors, sizeof by_unit);
    for (size_t c = 0; c < sizeof half / sizeof *half; ++c) {
        train(*state, with, half[c], &by_unit);
        train(*state, without, half[c], &by_vectors);
        assert_memory_not_equal(&by_unit, &by_vectors, sizeof by_unit);
        for (size_t step = 0; step < STEPS; ++step)
            assert_close("training.precision=bf16", "amx", "a loss", by_unit.losses[step], by_vectors.losses[step], 2e-3);
    }
}

/* ---- denormal numbers ---- */

static size_t denormals_of(const sr_real *values, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        found += (bits & 0x7F800000u) == 0 && (bits & 0x007FFFFFu) != 0;
    }
    return found;
}

static void moments_fade_to_zero_in_every_thread(void **state)
{
    (void)state;
    enum { THREADS = 3, ELEMENTS = 37 };
    const sr_adam_step step = {
        .step_size = 0.001f, .beta1 = 0.9f, .beta2 = 0.999f, .second_correction = 1, .epsilon = 1e-8f, .gradient_scale = 1};
    const sr_kernels *levels[LEVELS];
    const size_t count = levels_here(levels);
    size_t left = 0, threads = 0;
    /* Threads that are there before they are told. */
#pragma omp parallel num_threads(THREADS) reduction(+ : threads)
    ++threads;
    assert_int_equal(threads, THREADS);
#pragma omp parallel num_threads(THREADS) reduction(+ : left)
    {
        sr_flush_denormals();
        for (size_t level = 0; level < count; ++level) {
            float values[ELEMENTS] = {0}, gradients[ELEMENTS] = {0}, first[ELEMENTS], second[ELEMENTS];
            for (size_t i = 0; i < ELEMENTS; ++i)
                first[i] = second[i] = 3e-39f;
            levels[level]->adam(values, gradients, first, second, ELEMENTS, &step);
            for (size_t i = 0; i < ELEMENTS; ++i)
                left += first[i] != 0 || second[i] != 0;
            left += denormals_of(first, ELEMENTS) + denormals_of(second, ELEMENTS);
        }
    }
    assert_int_equal(left, 0);
}

/* Rows that a batch has read fade when no other reads them. Quickly, by the decay that is set. */
static void check_rows_that_fade(const shared_dataset *data, const sr_kernels *kernels, const char *option)
{
    enum { LONG = 500 };
    const char *const assignments[] = {"data.path=none",          "model.max_length=8",      "model.hidden_size=16",
                                       "model.inner_size=16",     "training.batch_size=6",   "training.loss=bpr",
                                       "training.adam_beta1=0.6", "training.adam_beta2=0.7", option};
    sr_error error = {.message = ""};
    small_training t;
    small_training_begin_with(&t, kernels, data, assignments, sizeof assignments / sizeof *assignments, LONG);
    for (int64_t step = 0; step < LONG; ++step) {
        sr_step_result result;
        if (small_training_step(&t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
    }
    assert_int_equal(sr_stepper_settle(&t.stepper, NULL), SR_OK);
    const sr_parameters *parameters = sr_model_parameters(t.model);
    const sr_optimizer *optimizer = &t.stepper.optimizer;
    const size_t in_first = denormals_of(optimizer->state.blocks[0].values, parameters->block_size);
    const size_t in_second = denormals_of(optimizer->state.blocks[1].values, parameters->block_size);
    const size_t in_gradients = denormals_of(parameters->gradients, parameters->block_size);
    if (in_first + in_second + in_gradients > 0)
        fail_msg("%s at level %s leaves denormals: %zu in first moments, %zu in second ones, %zu in gradients", option,
                 kernels->level, in_first, in_second, in_gradients);
    small_training_end(&t);
}

static void no_step_leaves_denormal_numbers(void **state)
{
    static const char *const options[] = {"training.item_updates=every_step", "training.item_updates=deferred",
                                          "training.threads=2"};
    const sr_kernels *levels[LEVELS];
    const size_t count = levels_here(levels);
    for (size_t level = 0; level < count; ++level)
        for (size_t i = 0; i < sizeof options / sizeof *options; ++i)
            check_rows_that_fade(*state, levels[level], options[i]);
}

/* ---- agreement ---- */

/* A variable of the environment of the last rank, or of all; NULL takes it away. */
static void set_variable(const shared_dataset *data, const char *name, const char *value, bool on_all)
{
    if (!on_all && sr_parallel_rank(data->parallel) != sr_parallel_size(data->parallel) - 1)
        return;
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void ranks_agree_on_the_lowest_level(void **state)
{
    const shared_dataset *data = *state;
    const int last = sr_parallel_size(data->parallel) - 1;
    sr_error error = {.message = ""};
    sr_cpu cpu;
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, &error), SR_OK);
    assert_ptr_equal(cpu.kernels, sr_kernels_choose(NULL));
    assert_string_equal(cpu.highest, cpu.kernels->level);
    assert_non_null(strstr(cpu.level_reason, "highest"));
    if (strcmp(cpu.highest, "generic") == 0) {
        print_message("one level here\n");
        skip();
    }
    set_variable(data, SR_CPU_LEVEL_VARIABLE, "generic", false);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, &error), SR_OK);
    assert_string_equal(cpu.kernels->level, "generic");
    char limit[64];
    snprintf(limit, sizeof limit, last > 0 ? "limited by SRTRAIN_CPU_LEVEL of rank %d on " : "as SRTRAIN_CPU_LEVEL says", last);
    assert_non_null(strstr(cpu.level_reason, limit));
    set_variable(data, SR_CPU_LEVEL_VARIABLE, "generic", true);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, &error), SR_OK);
    assert_non_null(strstr(cpu.level_reason, "as SRTRAIN_CPU_LEVEL says"));
    set_variable(data, SR_CPU_LEVEL_VARIABLE, "", true);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, &error), SR_OK);
    assert_string_equal(cpu.kernels->level, cpu.highest);
    set_variable(data, SR_CPU_LEVEL_VARIABLE, NULL, true);
}

static void every_level_can_be_forced(void **state)
{
    const shared_dataset *data = *state;
    const sr_kernels *levels[LEVELS];
    const size_t count = levels_here(levels);
    for (size_t level = 0; level < count; ++level) {
        sr_cpu cpu;
        set_variable(data, SR_CPU_LEVEL_VARIABLE, levels[level]->level, true);
        assert_int_equal(sr_cpu_agree(&cpu, data->parallel, NULL), SR_OK);
        assert_ptr_equal(cpu.kernels, levels[level]);
    }
    set_variable(data, SR_CPU_LEVEL_VARIABLE, NULL, true);
}

static void a_level_that_is_not_there_fails_on_all_ranks(void **state)
{
    const shared_dataset *data = *state;
    sr_error error = {.message = ""};
    sr_cpu cpu;
    set_variable(data, SR_CPU_LEVEL_VARIABLE, "avx9", false);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, &error), SR_ERROR_USAGE);
    set_variable(data, SR_CPU_LEVEL_VARIABLE, NULL, false);
    assert_non_null(strstr(error.message, "SRTRAIN_CPU_LEVEL is \"avx9\""));
    assert_non_null(strstr(error.message, "this machine has generic"));
}

/* OpenBLAS as it is on a processor that it does not know. */
static void blas_without_a_fitting_core_gets_one(void **state)
{
    const shared_dataset *data = *state;
    char before[64];
    sr_cpu cpu;
    snprintf(before, sizeof before, "%s", sr_blas_core());
    if (!sr_kernels_choose("avx2") || !sr_blas_use_core("Prescott") || strcmp(sr_blas_core(), "Prescott") != 0) {
        print_message("this BLAS cannot be told its core here\n");
        skip();
    }
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, NULL), SR_OK);
    assert_string_equal(cpu.blas_core, sr_kernels_choose("avx512") ? "SkylakeX" : "Haswell");
    assert_string_equal(sr_blas_core(), cpu.blas_core);
    assert_non_null(strstr(cpu.blas_reason, "instead of Prescott"));
    assert_null(getenv("OPENBLAS_CORETYPE"));
    assert_true(sr_blas_use_core(before));
}

static void blas_has_the_same_core_on_all_ranks(void **state)
{
    const shared_dataset *data = *state;
    const bool is_last = sr_parallel_rank(data->parallel) == sr_parallel_size(data->parallel) - 1;
    char before[64];
    sr_cpu cpu;
    snprintf(before, sizeof before, "%s", sr_blas_core());
    if (!sr_kernels_choose("avx2") || !sr_blas_use_core("Haswell") || strcmp(sr_blas_core(), "Haswell") != 0) {
        print_message("this BLAS cannot be told its core here\n");
        skip();
    }
    if (!is_last)
        assert_true(sr_blas_use_core("Zen"));
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, NULL), SR_OK);
    if (sr_parallel_size(data->parallel) > 1)
        assert_string_equal(cpu.blas_core, sr_kernels_choose("avx512") ? "SkylakeX" : "Haswell");
    assert_string_equal(cpu.blas_warning, "");
    /* A rank with a level below the others' brings all to kernels of that level. */
    set_variable(data, SR_CPU_LEVEL_VARIABLE, "generic", false);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, NULL), SR_OK);
    set_variable(data, SR_CPU_LEVEL_VARIABLE, NULL, false);
    assert_string_equal(cpu.blas_core, "Prescott");
    assert_true(sr_blas_use_core(before));
}

static void a_core_that_the_user_has_set_stays_and_is_told(void **state)
{
    const shared_dataset *data = *state;
    char before[64];
    sr_cpu cpu;
    snprintf(before, sizeof before, "%s", sr_blas_core());
    if (!sr_kernels_choose("avx2") || !sr_blas_use_core("Prescott") || strcmp(sr_blas_core(), "Prescott") != 0) {
        print_message("this BLAS cannot be told its core here\n");
        skip();
    }
    set_variable(data, "OPENBLAS_CORETYPE", "Prescott", false);
    assert_int_equal(sr_cpu_agree(&cpu, data->parallel, NULL), SR_OK);
    const bool is_set = getenv("OPENBLAS_CORETYPE") != NULL;
    set_variable(data, "OPENBLAS_CORETYPE", NULL, false);
    assert_int_equal(strcmp(cpu.blas_core, "Prescott") == 0, is_set);
    assert_int_equal(strstr(cpu.blas_reason, "OPENBLAS_CORETYPE") != NULL, is_set);
    assert_int_equal(*cpu.blas_warning != '\0', sr_parallel_size(data->parallel) > 1);
    assert_true(sr_blas_use_core(before));
}

/* ---- FFTW ---- */

static void ranks_go_on_with_an_fftw_that_does_not_understand_others(void **state)
{
    const shared_dataset *data = *state;
    const bool is_last = sr_parallel_rank(data->parallel) == sr_parallel_size(data->parallel) - 1;
    char path[128], text[1024] = "", *wisdom = NULL;
    sr_error error = {.message = ""};
    sr_log *log = NULL;
    snprintf(path, sizeof path, "%s/wisdom.log", data->directory);
    assert_int_equal(sr_fourier_wisdom(&wisdom, &error), SR_OK);
    if (sr_parallel_rank(data->parallel) == 0) {
        assert_int_equal(sr_log_open(&log, &error), SR_OK);
        assert_int_equal(sr_log_attach_file(log, path, &error), SR_OK);
    }
    assert_int_equal(sr_adopt_wisdom(data->parallel, wisdom, log, &error), SR_OK);
    assert_int_equal(sr_adopt_wisdom(data->parallel, is_last ? "(of another processor)" : wisdom, log, &error), SR_OK);
    sr_log_close(log);
    free(wisdom);
    if (sr_parallel_rank(data->parallel) != 0)
        return;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *said = strstr(text, "does not understand");
    assert_non_null(said);
    assert_null(strstr(said + 1, "does not understand"));
    snprintf(path, sizeof path, "the FFTW of rank %d ", sr_parallel_size(data->parallel) - 1);
    assert_non_null(strstr(text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_levels_train_every_model_alike),
        cmocka_unit_test(matrix_units_change_products_of_bf16_alone),
        cmocka_unit_test(moments_fade_to_zero_in_every_thread),
        cmocka_unit_test(no_step_leaves_denormal_numbers),
        cmocka_unit_test(ranks_agree_on_the_lowest_level),
        cmocka_unit_test(every_level_can_be_forced),
        cmocka_unit_test(a_level_that_is_not_there_fails_on_all_ranks),
        cmocka_unit_test(blas_without_a_fitting_core_gets_one),
        cmocka_unit_test(blas_has_the_same_core_on_all_ranks),
        cmocka_unit_test(a_core_that_the_user_has_set_stays_and_is_told),
        cmocka_unit_test(ranks_go_on_with_an_fftw_that_does_not_understand_others),
    };
    /* What a developer may have set is not what is tested. */
    unsetenv(SR_CPU_LEVEL_VARIABLE);
    unsetenv("OPENBLAS_CORETYPE");
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
