#include "cpu_level.h"
#include "small_training.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

void small_training_begin(small_training *training, const shared_dataset *data, const char *const *assignments, size_t count,
                          int64_t steps)
{
    small_training_begin_with(training, tested_kernels(), data, assignments, count, steps);
}

void small_training_begin_with(small_training *training, const sr_kernels *kernels, const shared_dataset *data,
                               const char *const *assignments, size_t count, int64_t steps)
{
    sr_error error = {.message = ""};
    const size_t items = sr_dataset_items(data->dataset), users = sr_dataset_users(data->dataset);
    if (sr_settings_parse(&training->settings, "data:\n", "test", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
    const int64_t threads = training->settings.training.threads;
    assert_int_equal(sr_parallel_use_threads(data->parallel, threads ? (size_t)threads : 1, &error), SR_OK);
    assert_int_equal(sr_settings_sampler(&training->sampler, data->dataset, &training->settings, &error), SR_OK);
    assert_int_equal(sr_model_declare(&training->model, &training->settings.model, items, users, &error), SR_OK);
    if (sr_stepper_create(&training->stepper, data->parallel, &training->settings, kernels, training->sampler, training->model,
                          steps, &error) != SR_OK)
        fail_msg("%s", error.message);
}

sr_status small_training_step(small_training *training, int64_t step, sr_step_result *result, sr_error *error)
{
    const bool votes[SR_VOTES] = {false};
    const int64_t batches = (int64_t)sr_sampler_batches(training->sampler);
    return sr_train_step(&training->stepper, step / batches, step % batches, step, votes, result, error);
}

void small_training_end(small_training *training)
{
    sr_stepper_free(&training->stepper);
    sr_model_free(training->model);
    sr_sampler_free(training->sampler);
}
