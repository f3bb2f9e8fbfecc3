#include "cpu_level.h"
#include "small_training.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Settings, threads and the sampler. */
static void prepare(small_training *training, const shared_dataset *data, const char *const *assignments, size_t count)
{
    sr_error error = {.message = ""};
    if (sr_settings_parse(&training->settings, "data:\n", "test", assignments, count, &error) != SR_OK)
        fail_msg("%s", error.message);
    const int64_t threads = training->settings.training.threads;
    assert_int_equal(sr_parallel_use_threads(data->parallel, threads ? (size_t)threads : 1, &error), SR_OK);
    assert_int_equal(sr_settings_sampler(&training->sampler, data->dataset, &training->settings, &error), SR_OK);
}

static void create_stepper(small_training *training, const sr_kernels *kernels, const shared_dataset *data, int64_t steps)
{
    sr_error error = {.message = ""};
    if (sr_stepper_create(&training->stepper, data->parallel, &training->settings, kernels, training->sampler, training->model,
                          steps, &error) != SR_OK)
        fail_msg("%s", error.message);
}

void small_training_begin(small_training *training, const shared_dataset *data, const char *const *assignments, size_t count,
                          int64_t steps)
{
    small_training_begin_with(training, tested_kernels(), data, assignments, count, steps);
}

void small_training_begin_declared(small_training *training, model_declaration declare, const shared_dataset *data,
                                   const char *const *assignments, size_t count, int64_t steps)
{
    prepare(training, data, assignments, count);
    assert_int_equal(declare(&training->model, &training->settings.model, sr_dataset_items(data->dataset),
                             sr_dataset_users(data->dataset), NULL),
                     SR_OK);
    create_stepper(training, tested_kernels(), data, steps);
}

void small_training_begin_with(small_training *training, const sr_kernels *kernels, const shared_dataset *data,
                               const char *const *assignments, size_t count, int64_t steps)
{
    prepare(training, data, assignments, count);
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(data->parallel),
                                       .ranks = (size_t)sr_parallel_size(data->parallel),
                                       .threads = sr_parallel_threads(data->parallel),
                                       .popularity = sr_dataset_popularity(data->dataset)};
    const sr_model_settings *settings = &training->settings.model;
    const size_t items = sr_dataset_items(data->dataset), users = sr_dataset_users(data->dataset);
    sr_error error = {.message = ""};
    const sr_status status = settings->item_table == SR_ITEM_TABLE_DIVIDED
                                 ? sr_model_declare_divided(&training->model, settings, items, users, &division, &error)
                                 : sr_model_declare(&training->model, settings, items, users, &error);
    if (status != SR_OK)
        fail_msg("%s", error.message);
    create_stepper(training, kernels, data, steps);
}

sr_status small_training_step(small_training *training, int64_t step, sr_step_result *result, sr_error *error)
{
    const bool votes[SR_VOTES] = {false};
    const int64_t batches = (int64_t)sr_sampler_batches(training->sampler);
    return sr_train_step(&training->stepper, step / batches, step % batches, step, votes, result, error);
}

void small_training_write(const small_training *training, const shared_dataset *data, const char *path, int64_t step)
{
    char text[] = "text";
    sr_error error = {.message = ""};
    const sr_checkpoint checkpoint = {.progress = {.step = step},
                                      .configuration = text,
                                      .program_version = text,
                                      .data_fingerprint = text,
                                      .data_directory = text};
    if (sr_checkpoint_write(data->parallel, path, &checkpoint, sr_model_parameters(training->model),
                            &training->stepper.optimizer.state, &error) != SR_OK)
        fail_msg("%s", error.message);
}

void small_training_read(small_training *training, const shared_dataset *data, const char *path)
{
    sr_error error = {.message = ""};
    if (sr_checkpoint_read_shared_state(data->parallel, training->stepper.node, path, sr_model_parameters(training->model),
                                        &training->stepper.optimizer.state, &error) != SR_OK)
        fail_msg("%s", error.message);
}

void small_training_end(small_training *training)
{
    sr_stepper_free(&training->stepper);
    sr_model_free(training->model);
    sr_sampler_free(training->sampler);
}
