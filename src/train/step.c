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

/* One step's work on this rank. */
typedef struct {
    sr_batch batch;
    sr_encoding encoding;
    double global_targets;                    /* terms of the loss of the global batch */
    double global_squares[SR_LAYERS_MAXIMUM]; /* of the attack masks of the global batch */
} step_work;

/* The mask penalty is a norm over the whole batch, and how many items are masked is known to nobody before they are drawn: such
 * models need a sum over ranks between forward and backward. */
static bool is_coupled(const sr_stepper *stepper)
{
    const sr_model_settings *settings = &stepper->settings->model;
    return sr_model_needs_of(settings, true).masked || settings->calibrators.adversarial.in_use;
}

/* This rank's part of the batch through the encoder. */
static sr_status forward(sr_stepper *stepper, int64_t epoch, int64_t index, int64_t step, step_work *work,
                         sr_step_result *result, sr_error *error)
{
    double mark = sr_seconds();
    size_t targets, examples;
    sr_arena_reset(stepper->arena);
    sr_tape_reset(stepper->tape);
    SR_TRY(sr_sampler_batch(stepper->sampler, (size_t)epoch, (size_t)index, (size_t)sr_parallel_rank(stepper->parallel),
                            (size_t)sr_parallel_size(stepper->parallel), stepper->arena, &work->batch, &targets, &examples,
                            error));
    work->global_targets = (double)targets;
    result->examples = (double)examples;
    stepper->times.data += lap(&mark);
    const sr_pass pass = {.training = true, .seed = (uint64_t)stepper->settings->training.seed, .step = (uint64_t)step};
    sr_model_encode(stepper->model, stepper->tape, &work->batch, &pass, &work->encoding);
    stepper->times.forward += lap(&mark);
    return sr_tape_status(stepper->tape, error);
}

/* Sums over ranks what couples the examples of a batch. A rank that failed takes part, so that nobody waits for it in vain;
 * then all fail. */
static sr_status couple(sr_stepper *stepper, sr_status status, step_work *work, sr_error *error)
{
    double sums[2 + SR_LAYERS_MAXIMUM] = {status != SR_OK, status == SR_OK ? work->global_targets : 0};
    if (status == SR_OK)
        memcpy(sums + 2, work->encoding.mask_square_sums, sizeof work->encoding.mask_square_sums);
    SR_TRY(sr_parallel_sum_double(stepper->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return sr_parallel_agree(stepper->parallel, status, error);
    if (sr_model_needs_of(&stepper->settings->model, true).masked)
        work->global_targets = sums[1];
    memcpy(work->global_squares, sums + 2, sizeof work->global_squares);
    return SR_OK;
}

/* Losses of this rank's part and their gradients, not yet summed over ranks: those of the global mean loss and, for the mask
 * generators of an adversarial calibrator, those of the attacked loss, both at the same parameters (Zhou et al. 2023). */
static sr_status backward(sr_stepper *stepper, const step_work *work, sr_step_result *result, sr_error *error)
{
    const sr_loss kind = stepper->settings->training.loss;
    const double targets = work->global_targets, weight = targets > 0 ? 1 / targets : 0;
    const sr_encoding *encoding = &work->encoding;
    double mark = sr_seconds();
    sr_tensor *loss = sr_model_loss(stepper->model, stepper->tape, &work->batch, encoding->representation, kind, weight);
    sr_tensor *ranking = NULL, *attacked = NULL;
    if (encoding->attacked) {
        ranking = sr_model_loss(stepper->model, stepper->tape, &work->batch, encoding->attacked, kind, weight);
        attacked = sr_model_attacked_loss(stepper->model, stepper->tape, encoding, ranking, work->global_squares);
    }
    SR_TRY(sr_tape_status(stepper->tape, error));
    stepper->times.forward += lap(&mark);
    result->targets = targets;
    result->loss_sum = (double)loss->values[0] * targets;
    result->has_attack = attacked != NULL;
    if (attacked) {
        result->attacked_ranking_sum = (double)ranking->values[0] * targets;
        result->mask_penalty = sr_mask_penalty(work->global_squares, encoding->mask_count);
    }
    const sr_parameter_set followers = attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    SR_TRY(sr_tape_backward(stepper->tape, loss, followers, sr_reduction_ready, stepper->reduction, error));
    if (attacked)
        SR_TRY(sr_tape_backward(stepper->tape, attacked, SR_PARAMETERS_ATTACK, sr_reduction_ready, stepper->reduction, error));
    stepper->times.backward += lap(&mark);
    return SR_OK;
}

/* Sums over ranks what the step must know: the loss, whether anybody failed, and the votes. A rank that failed takes part, so
 * that nobody waits for it in vain. */
static sr_status agree_on_step(sr_stepper *stepper, sr_status status, const bool flags[2], sr_step_result *result,
                               sr_error *error)
{
    const bool computed = status == SR_OK;
    double sums[] = {computed ? result->loss_sum : 0, !computed, flags[0], flags[1],
                     computed ? result->attacked_ranking_sum : 0};
    SR_TRY(sr_parallel_sum_double(stepper->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[1] > 0)
        return sr_parallel_agree(stepper->parallel, status, error);
    result->loss_sum = sums[0];
    result->votes[0] = (int64_t)sums[2];
    result->votes[1] = (int64_t)sums[3];
    result->attacked_ranking_sum = sums[4];
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
    if (!isfinite(result->loss_sum + result->attacked_ranking_sum))
        return sr_fail(error, SR_ERROR_RUNTIME, "the loss of step %lld (epoch %lld) is not finite: %g", (long long)step + 1,
                       (long long)epoch + 1, result->loss_sum + result->attacked_ranking_sum);
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
    step_work work = {.global_targets = 0};
    sr_status status = forward(stepper, epoch, batch, step, &work, result, error);
    double mark = sr_seconds();
    if (is_coupled(stepper))
        SR_TRY(couple(stepper, status, &work, error));
    stepper->times.reduction += lap(&mark);
    if (status == SR_OK)
        status = backward(stepper, &work, result, error);
    mark = sr_seconds();
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
