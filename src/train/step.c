/* One training step on all ranks:
 * batch -> encoder -> loss -> gradients -> reduction -> optimizer. */
#include "srtrain/train.h"

#include "srtrain/clock.h"

#include <math.h>
#include <string.h>

sr_status sr_stepper_create(sr_stepper *stepper, sr_parallel *parallel, const sr_settings *settings, const sr_kernels *kernels,
                            const sr_sampler *sampler, sr_model *model, int64_t total_steps, sr_error *error)
{
    *stepper = (sr_stepper){.parallel = parallel,
                            .settings = settings,
                            .kernels = kernels,
                            .sampler = sampler,
                            .model = model,
                            .total_steps = total_steps};
    const sr_training_settings *training = &settings->training;
    sr_parameters *parameters = sr_model_parameters(model);
    sr_status status = sr_arena_create(&stepper->arena, (size_t)4 << 20, error);
    if (status == SR_OK)
        status = sr_tape_create(&stepper->tape, kernels, true, error);
    if (status == SR_OK)
        status = sr_optimizer_create(&stepper->optimizer, parameters, error);
    if (status == SR_OK)
        status = sr_reduction_create(&stepper->reduction, parallel, parameters, training->reduction == SR_REDUCTION_OVERLAPPED,
                                     (size_t)(training->reduction_bucket_megabytes * 0x1p20), error);
    if (status != SR_OK)
        sr_stepper_free(stepper);
    return status;
}

void sr_stepper_free(sr_stepper *stepper)
{
    sr_reduction_free(stepper->reduction);
    sr_optimizer_free(&stepper->optimizer);
    sr_tape_free(stepper->tape);
    sr_arena_free(stepper->arena);
    *stepper = (sr_stepper){0};
}

/* Seconds since *mark, which moves to now. */
static double lap(double *mark)
{
    const double now = sr_seconds(), seconds = now - *mark;
    *mark = now;
    return seconds;
}

/* This rank's part of the batch, forward and backward: gradients of the global mean loss, not yet summed over ranks. */
static sr_status compute_gradients(sr_stepper *stepper, int64_t epoch, int64_t index, int64_t step, sr_step_result *result,
                                   sr_error *error)
{
    const sr_settings *settings = stepper->settings;
    double mark = sr_seconds();
    sr_batch batch;
    size_t targets, examples;
    sr_arena_reset(stepper->arena);
    sr_tape_reset(stepper->tape);
    SR_TRY(sr_sampler_batch(stepper->sampler, (size_t)epoch, (size_t)index, (size_t)sr_parallel_rank(stepper->parallel),
                            (size_t)sr_parallel_size(stepper->parallel), stepper->arena, &batch, &targets, &examples, error));
    result->targets = (double)targets;
    result->examples = (double)examples;
    stepper->times.data += lap(&mark);
    const sr_pass pass = {.training = true, .seed = (uint64_t)settings->training.seed, .step = (uint64_t)step};
    sr_tensor *representation = sr_model_encode(stepper->model, stepper->tape, &batch, &pass);
    sr_tensor *loss = sr_model_loss(stepper->model, stepper->tape, &batch, representation, settings->training.loss,
                                    1.0 / (double)targets);
    SR_TRY(sr_tape_status(stepper->tape, error));
    result->loss_sum = (double)loss->values[0] * (double)targets;
    stepper->times.forward += lap(&mark);
    SR_TRY(sr_tape_backward(stepper->tape, loss, SR_PARAMETERS_EVERY, sr_reduction_ready, stepper->reduction, error));
    stepper->times.backward += lap(&mark);
    return SR_OK;
}

/* Sums over ranks what the step must know: the loss, whether anybody failed, and the votes. A rank that failed takes part, so
 * that nobody waits for it in vain. */
static sr_status agree_on_step(sr_stepper *stepper, sr_status status, const bool flags[2], sr_step_result *result,
                               sr_error *error)
{
    double sums[] = {status == SR_OK ? result->loss_sum : 0, status != SR_OK, flags[0], flags[1]};
    SR_TRY(sr_parallel_sum_double(stepper->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[1] > 0)
        return sr_parallel_agree(stepper->parallel, status, error);
    result->loss_sum = sums[0];
    result->votes[0] = (int64_t)sums[2];
    result->votes[1] = (int64_t)sums[3];
    return SR_OK;
}

/* The first parameter whose gradient is not finite, for the message. */
static const char *first_bad_parameter(const sr_parameters *parameters, const sr_kernels *kernels)
{
    for (size_t i = 0; i < parameters->count; ++i)
        if (!isfinite(kernels->sum_of_squares(parameters->gradients + parameters->list[i].offset, parameters->list[i].size)))
            return parameters->list[i].name;
    return "none";
}

static sr_status check_finite(sr_stepper *stepper, int64_t epoch, int64_t step, const sr_step_result *result, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(stepper->model);
    if (!isfinite(result->loss_sum))
        return sr_fail(error, SR_ERROR_RUNTIME, "the loss of step %lld (epoch %lld) is not finite: %g", (long long)step + 1,
                       (long long)epoch + 1, result->loss_sum);
    if (!isfinite(result->gradient_norm))
        return sr_fail(error, SR_ERROR_RUNTIME,
                       "the gradient of step %lld (epoch %lld) is not finite; the first such parameter is %s (loss %g)",
                       (long long)step + 1, (long long)epoch + 1, first_bad_parameter(parameters, stepper->kernels),
                       result->loss_sum / result->targets);
    return SR_OK;
}

sr_status sr_train_step(sr_stepper *stepper, int64_t epoch, int64_t batch, int64_t step, const bool flags[2],
                        sr_step_result *result, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    *result = (sr_step_result){0};
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    sr_reduction_begin(stepper->reduction);
    const sr_status status = compute_gradients(stepper, epoch, batch, step, result, error);
    double mark = sr_seconds();
    SR_TRY(sr_reduction_finish(stepper->reduction, status == SR_OK ? error : NULL));
    SR_TRY(agree_on_step(stepper, status, flags, result, error));
    stepper->times.reduction += lap(&mark);
    result->gradient_norm = sr_gradient_norm(parameters, stepper->kernels);
    SR_TRY(check_finite(stepper, epoch, step, result, error));
    result->learning_rate = sr_learning_rate(&stepper->settings->training, step, stepper->total_steps);
    sr_optimizer_step(&stepper->optimizer, stepper->kernels, &stepper->settings->training, step, result->learning_rate,
                      result->gradient_norm);
    stepper->times.optimizer += lap(&mark);
    return SR_OK;
}
