/* A small model in training on a data set that the ranks of a test share. */
#ifndef SRTRAIN_TESTS_SMALL_TRAINING_H
#define SRTRAIN_TESTS_SMALL_TRAINING_H

#include "shared_dataset.h"
#include "srtrain/step.h"

typedef struct {
    sr_settings settings;
    sr_sampler *sampler;
    sr_model *model;
    sr_stepper stepper;
} small_training;

/* Begins a training of `steps` steps with the settings that `assignments` ("section.key=value") make; as many threads as they
 * say, one by default, and the item table too. By tested_kernels(), or by others with the second function. Fails the test if it
 * cannot. Collective. */
void small_training_begin(small_training *training, const shared_dataset *data, const char *const *assignments, size_t count,
                          int64_t steps);
void small_training_begin_with(small_training *training, const sr_kernels *kernels, const shared_dataset *data,
                               const char *const *assignments, size_t count, int64_t steps);

/* The same with a model that `declare` declares, see sr_model_declare(). */
typedef sr_status (*model_declaration)(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                                       sr_error *error);
void small_training_begin_declared(small_training *training, model_declaration declare, const shared_dataset *data,
                                   const char *const *assignments, size_t count, int64_t steps);

/* Step `step` of all, with the batch that an unbroken training would have for it. Collective. */
sr_status small_training_step(small_training *training, int64_t step, sr_step_result *result, sr_error *error);

/* A checkpoint of the parameters and the optimizer's state after `step` steps, and these read from one. Fail the test if they
 * cannot. Collective. */
void small_training_write(const small_training *training, const shared_dataset *data, const char *path, int64_t step);
void small_training_read(small_training *training, const shared_dataset *data, const char *path);

/* Collective. */
void small_training_end(small_training *training);

#endif
