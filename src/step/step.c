/* One training step on all ranks: batch -> objective -> reduction -> optimizer.
 *
 * A rank may have several threads; each is a worker with its own part of the batch, as if it were a rank of its own. */
#include "srtrain/step.h"

#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/objective.h"
#include "step/draws.h"
#include "step/item_rows.h"
#include "step/nonfinite.h"
#include "step/reduction.h"
#include "step/shared_state.h"

#include <math.h>
#include <omp.h>

/* ---- gradients ---- */

/* This rank's part of the batch, with the rows that it names up to date. A rank that failed has taken part in what ranks do
 * together. */
static sr_status draw_batch(sr_worker *worker, int64_t epoch, int64_t index, sr_batch *batch, sr_totals *totals,
                            sr_error *error)
{
    const sr_sampler *sampler = worker->stepper->sampler;
    const size_t rank = (size_t)sr_parallel_rank(worker->parallel), ranks = (size_t)sr_parallel_size(worker->parallel);
    double mark = sr_seconds();
    sr_arena_reset(worker->arena);
    sr_tape_reset(worker->tape);
    sr_status status = draws_batch(worker, epoch, index, batch, totals, error);
    worker->times.data += sr_lap(&mark);
    status = item_rows_prepare(worker, status, batch, error);
    if (status == SR_OK)
        sr_sampler_prefetch(sampler, (size_t)epoch, (size_t)index + 1, rank, ranks);
    return status;
}

/* Terms and gradients of this rank's part, see sr_objective_run(). */
static sr_status run_objective(sr_worker *worker, int64_t epoch, int64_t index, int64_t step, sr_outcome *outcome,
                               double *examples, sr_error *error)
{
    const sr_stepper *stepper = worker->stepper;
    sr_batch batch;
    sr_totals totals = {0, 0};
    sr_ranks ranks = sr_parallel_ranks(worker->parallel);
    ranks.rounds_rows = stepper->settings->training.row_precision == SR_PRECISION_BF16;
    sr_status status = draw_batch(worker, epoch, index, &batch, &totals, error);
    const sr_objective_request request = {
        .model = worker->model,
        .tape = worker->tape,
        .batch = &batch,
        .pass = {.training = true, .seed = (uint64_t)stepper->settings->training.seed, .step = (uint64_t)step, .ranks = &ranks},
        .targets = (double)totals.targets,
        .sums_targets = sr_sampler_sums_targets(stepper->sampler, ranks.count)};
    status = sr_objective_run(&request, status, outcome, error);
    *examples = (double)totals.examples;
    worker->times.forward += outcome->forward;
    worker->times.loss += outcome->loss;
    worker->times.backward += outcome->backward;
    worker->times.reduction += ranks.seconds;
    sr_traffic_add(&worker->traffic, &ranks.traffic);
    return status;
}

/* Sums over ranks what the step must know: the terms, squares of gradients that one rank alone has, whether anybody failed, and
 * the votes. A rank that failed takes part, so that nobody waits for it in vain. */
static sr_status agree_on_step(sr_worker *worker, sr_status status, const bool votes[SR_VOTES], sr_step_result *result,
                               sr_error *error)
{
    enum { FAILED, ROWS, VOTES, TERMS = VOTES + SR_VOTES, MOST = TERMS + SR_TERMS_MAXIMUM };
    double sums[MOST] = {[FAILED] = status != SR_OK, [ROWS] = status == SR_OK ? item_rows_squares(worker) : 0};
    sr_terms *terms = &result->terms;
    for (size_t i = 0; i < SR_VOTES; ++i)
        sums[VOTES + i] = votes[i];
    for (size_t i = 0; i < terms->count && status == SR_OK; ++i)
        sums[TERMS + i] = terms->list[i].value;
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, TERMS + terms->count, error));
    if (sums[FAILED] > 0)
        return sr_parallel_agree(worker->parallel, status, error);
    worker->row_squares = sums[ROWS];
    for (size_t i = 0; i < SR_VOTES; ++i)
        result->votes[i] = sums[VOTES + i] > 0;
    for (size_t i = 0; i < terms->count; ++i)
        if (terms->list[i].scale != SR_SCALE_WHOLE)
            terms->list[i].value = sums[TERMS + i];
    return SR_OK;
}

/* Decides the same on every rank: losses and the norm of gradients are sums that all of them have. */
static sr_status check_finite(sr_worker *worker, sr_step_result *result, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(worker->stepper->model); /* where the sums are */
    int64_t facts[NONFINITE_FACTS];
    result->skipped = nonfinite_is_found(result);
    if (!result->skipped)
        return SR_OK;
    SR_TRY(sr_reduction_collect(worker->reduction, item_rows_touched(worker), error));
    nonfinite_look_at_rows(parameters, facts);
    SR_TRY(sr_parallel_sum_int64(worker->parallel, facts, NONFINITE_FACTS, error));
    nonfinite_describe(parameters, facts, result, result->reason, sizeof result->reason);
    if (worker->stepper->settings->training.skip_nonfinite_steps > 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "%s", result->reason);
}

/* Everything up to the gradients of the global batch. */
static sr_status compute_gradients(sr_worker *worker, int64_t epoch, int64_t batch, int64_t step, const bool votes[SR_VOTES],
                                   sr_step_result *result, sr_error *error)
{
    sr_outcome outcome;
    const sr_status status = run_objective(worker, epoch, batch, step, &outcome, &result->examples, error);
    if (outcome.together)
        return status;
    result->terms = outcome.terms;
    result->targets = outcome.targets;
    double mark = sr_seconds();
    SR_TRY(sr_reduction_run(worker->reduction, item_rows_touched(worker), status == SR_OK ? error : NULL));
    SR_TRY(agree_on_step(worker, status, votes, result, error));
    worker->times.reduction += sr_lap(&mark);
    return SR_OK;
}

/* ---- workers that share the parameters ---- */

/* Sums over all parts of what is divided once for each copy of the state. */
static sr_status sum_over_parts(void *context, double *values, size_t count, sr_error *error)
{
    const sr_worker *worker = context;
    if (worker->stepper->node)
        return sr_node_sum(worker->stepper->node, worker->parallel, values, count, error);
    sr_parallel_sum_over_threads(worker->parallel, values, count);
    return SR_OK;
}

/* The norm of the summed gradient, each worker a part of what all of them have. */
static sr_status gradient_norm(sr_worker *worker, double *norm, sr_error *error)
{
    const sr_stepper *stepper = worker->stepper;
    size_t part, parts;
    shared_state_part(worker, &part, &parts);
    *norm = sr_gradient_squares(sr_model_parameters(stepper->model), stepper->kernels, item_rows_touched(worker), part, parts);
    SR_TRY(sum_over_parts(worker, norm, 1, error));
    *norm = sqrt(*norm + worker->row_squares);
    return SR_OK;
}

/* Afterwards all of the node read parameters that are up to date; workers of a process wait for each other at the end of the
 * step. */
static sr_status update(sr_worker *worker, int64_t step, const sr_step_result *result, sr_error *error)
{
    sr_stepper *stepper = worker->stepper;
    sr_update update = {.step = step,
                        .learning_rate = result->learning_rate,
                        .gradient_norm = result->gradient_norm,
                        .touched = item_rows_touched(worker),
                        .sum = sum_over_parts,
                        .context = worker};
    shared_state_part(worker, &update.part, &update.parts);
    double mark = sr_seconds();
    SR_TRY(sr_optimizer_step(&stepper->optimizer, stepper->kernels, &update, error));
    SR_TRY(item_rows_update(worker, &update, error));
    item_rows_forget_part(worker);
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
    sr_parameters_clear_gradients(parameters, item_rows_touched(worker)); /* what the last step left */
    item_rows_clear(worker);
    SR_TRY(compute_gradients(worker, epoch, batch, step, thread == 0 ? votes : no_votes, result, error));
    double mark = sr_seconds();
    SR_TRY(gradient_norm(worker, &result->gradient_norm, error));
    SR_TRY(check_finite(worker, result, error));
    worker->times.optimizer += sr_lap(&mark);
    result->learning_rate = sr_learning_rate(&stepper->settings->training, step, stepper->total_steps);
    return result->skipped ? SR_OK : update(worker, step, result, error);
}

double sr_step_loss(const sr_step_result *result)
{
    return sr_term_mean(&result->terms.list[0], result->targets);
}

/* What a worker makes of a step. */
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
        item_rows_note(stepper, step, first.result.learning_rate);
    stepper->times = stepper->workers[0].times;
    *result = first.result;
    if (first.status != SR_OK && error)
        *error = first.error;
    return first.status;
}
