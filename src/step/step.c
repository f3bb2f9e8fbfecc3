/* One training step on all ranks:
 * batch -> encoder -> loss -> gradients -> reduction -> optimizer.
 *
 * A rank may have several threads; each is a worker with its own part of the batch, as if it were a rank of its own. */
#include "srtrain/step.h"

#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "step/contrast.h"
#include "step/nonfinite.h"
#include "step/shared_state.h"
#include "step/touched_rows.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* One step's work on this rank. */
typedef struct {
    sr_batch batch;
    contrast contrast;
    sr_encoding encoding;
    double global_targets;                    /* terms of the loss of the global batch */
    double global_squares[SR_LAYERS_MAXIMUM]; /* of the attack masks of the global batch */
} step_work;

static bool sums_targets(const sr_worker *worker)
{
    return sr_sampler_sums_targets(worker->stepper->sampler, (size_t)sr_parallel_size(worker->parallel));
}

/* The mask penalty is a norm over the whole batch, and how many terms the loss has may be known to nobody before all ranks have
 * drawn their parts: that takes a sum over ranks between forward and backward. */
static bool is_coupled(const sr_worker *worker)
{
    return sums_targets(worker) || sr_model_needs_of(&worker->stepper->settings->model, true).couples_batch;
}

/* Sums over ranks that the model asks for within a pass, which returns nothing: a failure is kept. */
typedef struct {
    sr_parallel *parallel;
    double seconds;
    sr_error failure;
} pass_sums;

static void sum_in_pass(void *context, double *values, size_t count)
{
    pass_sums *sums = context;
    double mark = sr_seconds();
    if (sums->failure.status == SR_OK)
        (void)sr_parallel_sum_double(sums->parallel, values, count, &sums->failure); /* looked at after the pass */
    sums->seconds += sr_lap(&mark);
}

static sr_pass pass_of_step(const sr_worker *worker, int64_t step)
{
    return (sr_pass){.training = true, .seed = (uint64_t)worker->stepper->settings->training.seed, .step = (uint64_t)step};
}

/* The passes of a step, over whatever is in work->batch. */
static sr_status run_passes(sr_worker *worker, int64_t step, step_work *work, sr_error *error)
{
    pass_sums sums = {.parallel = worker->parallel, .failure = {.status = SR_OK}};
    sr_pass pass = pass_of_step(worker, step);
    pass.sum = sum_in_pass;
    pass.sum_context = &sums;
    double mark = sr_seconds();
    sr_model_encode(worker->model, worker->tape, &work->batch, &pass, &work->encoding);
    if (contrast_in_use(worker))
        contrast_encode(&work->contrast, worker, &work->batch, pass);
    worker->times.forward += sr_lap(&mark) - sums.seconds;
    worker->times.reduction += sums.seconds;
    if (sums.failure.status == SR_OK)
        return sr_tape_status(worker->tape, error);
    if (error)
        *error = sums.failure;
    return sums.failure.status;
}

/* A rank without a batch runs the passes over an empty one where they sum over ranks, so that nobody waits for it in vain. */
static void run_empty_passes(sr_worker *worker, int64_t step)
{
    static const size_t no_offsets[] = {0};
    const sr_model_settings *settings = &worker->stepper->settings->model;
    if (!sr_model_needs_of(settings, true).sums_in_passes)
        return;
    const sr_batch empty = {.layout = {.offsets = no_offsets, .window = (size_t)settings->max_length, .causal = true},
                            .reads = {.offsets = no_offsets}};
    step_work nothing = {.batch = empty};
    nothing.batch.again = nothing.batch.alike = &empty;
    (void)run_passes(worker, step, &nothing, NULL); /* the rank has failed already */
}

/* The rows of the item tables that this step gives a gradient; NULL: any. */
static const sr_touched_rows *touched_by(const sr_worker *worker)
{
    return worker->touched ? touched_rows_found(worker->touched) : NULL;
}

/* Rows that the step reads, and so updates, take the steps that they have missed. A rank that failed takes part; then all fail.
 */
static sr_status catch_up_rows(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error)
{
    sr_optimizer *optimizer = &worker->stepper->optimizer;
    if (!worker->touched)
        return status;
    double mark = sr_seconds(), unused = 0;
    const size_t thread = sr_parallel_thread(worker->parallel);
    if (status == SR_OK && thread == 0)
        status = sr_optimizer_reserve(optimizer, error);
    SR_TRY(touched_rows_find(worker->touched, worker->parallel, status, batch, error));
    worker->times.reduction += sr_lap(&mark);
    sr_optimizer_catch_up(optimizer, worker->stepper->kernels, touched_by(worker), thread, worker->stepper->threads);
    sr_parallel_sum_over_threads(worker->parallel, &unused, 1); /* nobody reads what another is still updating */
    worker->times.optimizer += sr_lap(&mark);
    return SR_OK;
}

/* Rows of the item table that the step reads are up to date and at hand. */
static sr_status prepare_rows(sr_worker *worker, sr_status status, int64_t step, const sr_batch *batch, sr_error *error)
{
    const sr_pass pass = pass_of_step(worker, step);
    status = catch_up_rows(worker, status, batch, error);
    double mark = sr_seconds();
    status = sr_model_fetch_items(worker->model, worker->tape, batch, &pass, status, error);
    worker->times.reduction += sr_lap(&mark);
    return status;
}

/* This rank's part of the batch through the encoder. */
static sr_status forward(sr_worker *worker, int64_t epoch, int64_t index, int64_t step, step_work *work, sr_step_result *result,
                         sr_error *error)
{
    double mark = sr_seconds();
    size_t targets, examples;
    sr_arena_reset(worker->arena);
    sr_tape_reset(worker->tape);
    sr_status status = sr_sampler_batch(worker->stepper->sampler, (size_t)epoch, (size_t)index,
                                        (size_t)sr_parallel_rank(worker->parallel), (size_t)sr_parallel_size(worker->parallel),
                                        worker->arena, &work->batch, &targets, &examples, error);
    worker->times.data += sr_lap(&mark);
    status = prepare_rows(worker, status, step, &work->batch, error);
    sr_reduction_begin(worker->reduction, touched_by(worker)); /* a rank that failed takes part in it */
    if (status != SR_OK) {
        run_empty_passes(worker, step);
        return status;
    }
    sr_sampler_prefetch(worker->stepper->sampler, (size_t)epoch, (size_t)index + 1, (size_t)sr_parallel_rank(worker->parallel),
                        (size_t)sr_parallel_size(worker->parallel));
    work->global_targets = (double)targets;
    result->examples = (double)examples;
    return run_passes(worker, step, work, error);
}

/* Sums over ranks what couples the examples of a batch. A rank that failed takes part, so that nobody waits for it in vain;
 * then all fail. */
static sr_status couple(sr_worker *worker, sr_status status, step_work *work, sr_error *error)
{
    double sums[2 + SR_LAYERS_MAXIMUM] = {status != SR_OK, status == SR_OK ? work->global_targets : 0};
    if (status == SR_OK)
        memcpy(sums + 2, work->encoding.mask_square_sums, sizeof work->encoding.mask_square_sums);
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return sr_parallel_agree(worker->parallel, status, error);
    if (sums_targets(worker))
        work->global_targets = sums[1];
    memcpy(work->global_squares, sums + 2, sizeof work->global_squares);
    return SR_OK;
}

/* Losses of this rank's part and their gradients, not yet summed over ranks: those of the global mean loss and, for the mask
 * generators, those of the attacked loss, both at the same parameters (Zhou et al. 2023). */
static sr_status backward(sr_worker *worker, step_work *work, sr_step_result *result, sr_error *error)
{
    const double targets = work->global_targets, weight = targets > 0 ? 1 / targets : 0;
    const sr_encoding *encoding = &work->encoding;
    double mark = sr_seconds();
    sr_tensor *loss = sr_model_loss(worker->model, worker->tape, &work->batch, encoding->representation, weight);
    sr_tensor *ranking = NULL, *attacked = NULL, *total = loss;
    if (contrast_in_use(worker))
        total = contrast_add_losses(&work->contrast, worker, &work->batch, loss);
    if (encoding->attacked) {
        ranking = sr_model_loss(worker->model, worker->tape, &work->batch, encoding->attacked, weight);
        attacked = sr_model_attacked_loss(worker->model, worker->tape, encoding, ranking, work->global_squares);
    }
    SR_TRY(sr_tape_status(worker->tape, error));
    worker->times.loss += sr_lap(&mark);
    result->targets = targets;
    result->loss_sum = (double)loss->values[0] * targets;
    result->has_attack = attacked != NULL;
    if (attacked) {
        result->attacked_ranking_sum = (double)ranking->values[0] * targets;
        result->mask_penalty = sr_mask_penalty(work->global_squares, encoding->mask_count);
    }
    contrast_report(&work->contrast, result);
    const sr_parameter_set followers = attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY;
    SR_TRY(sr_tape_backward(worker->tape, total, followers, sr_reduction_ready, worker->reduction, error));
    if (attacked)
        SR_TRY(sr_tape_backward(worker->tape, attacked, SR_PARAMETERS_ATTACK, sr_reduction_ready, worker->reduction, error));
    worker->times.backward += sr_lap(&mark);
    return SR_OK;
}

/* Sums over ranks what the step must know: the loss, whether anybody failed, and the votes. A rank that failed takes part, so
 * that nobody waits for it in vain. */
static sr_status agree_on_step(sr_worker *worker, sr_status status, const bool votes[SR_VOTES], sr_step_result *result,
                               sr_error *error)
{
    enum { PARTS = 5 };
    const bool computed = status == SR_OK;
    double sums[PARTS + SR_VOTES] = {!computed, computed ? result->loss_sum : 0, computed ? result->attacked_ranking_sum : 0,
                                     computed ? result->contrastive : 0, computed ? result->spectral : 0};
    for (size_t i = 0; i < SR_VOTES; ++i)
        sums[PARTS + i] = votes[i];
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, sizeof sums / sizeof *sums, error));
    if (sums[0] > 0)
        return sr_parallel_agree(worker->parallel, status, error);
    result->loss_sum = sums[1];
    result->attacked_ranking_sum = sums[2];
    result->contrastive = sums[3];
    result->spectral = sums[4];
    for (size_t i = 0; i < SR_VOTES; ++i)
        result->votes[i] = sums[PARTS + i] > 0;
    return SR_OK;
}

/* Decides the same on every rank: losses and the norm of gradients are sums that all of them have. */
static sr_status check_finite(sr_worker *worker, sr_step_result *result, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(worker->stepper->model); /* where the sums are */
    result->skipped = nonfinite_is_found(result);
    if (!result->skipped)
        return SR_OK;
    SR_TRY(sr_reduction_collect(worker->reduction, error));
    nonfinite_describe(parameters, result, result->reason, sizeof result->reason);
    if (worker->stepper->settings->training.skip_nonfinite_steps > 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "%s", result->reason);
}

/* Everything up to the gradients of the global batch. */
static sr_status compute_gradients(sr_worker *worker, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                                   step_work *work, sr_step_result *result, sr_error *error)
{
    sr_status status = forward(worker, epoch, batch, step, work, result, error);
    double mark = sr_seconds();
    if (is_coupled(worker))
        SR_TRY(couple(worker, status, work, error));
    worker->times.reduction += sr_lap(&mark);
    if (contrast_in_use(worker))
        SR_TRY(contrast_gather(&work->contrast, worker, status, error));
    if (status == SR_OK)
        status = backward(worker, work, result, error);
    mark = sr_seconds();
    status = sr_model_hand_back_items(worker->model, status, error);
    SR_TRY(sr_reduction_finish(worker->reduction, status == SR_OK ? error : NULL));
    SR_TRY(agree_on_step(worker, status, votes, result, error));
    worker->times.reduction += sr_lap(&mark);
    return SR_OK;
}

/* ---- workers that share the parameters ---- */

/* The norm of the summed gradient, each worker a part of it. */
static sr_status gradient_norm(const sr_worker *worker, double *norm, sr_error *error)
{
    const sr_stepper *stepper = worker->stepper;
    size_t part, parts;
    shared_state_part(worker, &part, &parts);
    *norm = sr_gradient_squares(sr_model_parameters(stepper->model), stepper->kernels, touched_by(worker), part, parts);
    if (stepper->node)
        SR_TRY(sr_node_sum(stepper->node, worker->parallel, norm, 1, error));
    else
        sr_parallel_sum_over_threads(worker->parallel, norm, 1);
    *norm = sqrt(*norm);
    return SR_OK;
}

/* Afterwards all of the node read parameters that are up to date; workers of a process wait for each other at the end of the
 * step. */
static sr_status update(sr_worker *worker, int64_t step, const sr_step_result *result, sr_error *error)
{
    sr_stepper *stepper = worker->stepper;
    size_t part, parts;
    shared_state_part(worker, &part, &parts);
    double mark = sr_seconds();
    sr_optimizer_step(&stepper->optimizer, stepper->kernels, &stepper->settings->training, step, result->learning_rate,
                      result->gradient_norm, touched_by(worker), part, parts);
    worker->times.optimizer += sr_lap(&mark);
    const sr_status status = stepper->node ? sr_node_wait(stepper->node, worker->parallel, error) : SR_OK;
    worker->times.reduction += sr_lap(&mark);
    return status;
}

/* What worker `thread` does of a step; all workers of a rank run it at the same time. */
static sr_status work(sr_stepper *stepper, size_t thread, int64_t epoch, int64_t batch, int64_t step,
                      const bool votes[SR_VOTES], sr_step_result *result, sr_error *error)
{
    static const bool no_votes[SR_VOTES] = {false};
    sr_worker *worker = &stepper->workers[thread];
    sr_parameters *parameters = sr_model_parameters(worker->model);
    if (worker->model != stepper->model) /* which the others read now */
        sr_model_set_step(worker->model, sr_model_step(stepper->model));
    sr_parameters_clear_gradients(parameters, touched_by(worker)); /* what the last step left */
    step_work own = {.global_targets = 0};
    const sr_status status = compute_gradients(worker, epoch, batch, step, thread == 0 ? votes : no_votes, &own, result, error);
    contrast_free(&own.contrast);
    if (status != SR_OK)
        return status;
    double mark = sr_seconds();
    SR_TRY(gradient_norm(worker, &result->gradient_norm, error));
    SR_TRY(check_finite(worker, result, error));
    worker->times.optimizer += sr_lap(&mark);
    result->learning_rate = sr_learning_rate(&stepper->settings->training, step, stepper->total_steps);
    return result->skipped ? SR_OK : update(worker, step, result, error);
}

/* A thread's part of a step. */
typedef struct {
    sr_step_result result;
    sr_status status;
    sr_error error;
} part_of_step;

sr_status sr_train_step(sr_stepper *stepper, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                        sr_step_result *result, sr_error *error)
{
    part_of_step first = {.status = SR_OK};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        part_of_step own = {.status = SR_OK};
        sr_flush_denormals();
        const size_t thread = (size_t)omp_get_thread_num();
        own.status = work(stepper, thread, epoch, batch, step, votes, &own.result, &own.error);
        if (thread == 0)
            first = own;
    }
    if (first.status == SR_OK && !first.result.skipped)
        sr_optimizer_note(&stepper->optimizer, &stepper->settings->training, step, first.result.learning_rate,
                          touched_by(&stepper->workers[0]));
    stepper->times = stepper->workers[0].times;
    *result = first.result;
    if (first.status != SR_OK && error)
        *error = first.error;
    return first.status;
}
