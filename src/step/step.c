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

/* One of the worker's parts of a batch: of several, or all that it has. */
static sr_status draw_part(sr_worker *worker, const drawn_batch *which, sr_batch *batch, sr_totals *totals, sr_error *error)
{
    double mark = sr_seconds();
    sr_arena_reset(worker->arena);
    sr_tape_reset(worker->tape);
    const sr_status status = draws_batch(worker, which, batch, totals, error);
    worker->times.data += sr_lap(&mark);
    return status;
}

/* All that this worker has of the batch, with the rows that it names up to date. A rank that failed has taken part in what
 * ranks do together. */
static sr_status draw_batch(sr_worker *worker, const drawn_batch *which, sr_batch *batch, sr_totals *totals, sr_error *error)
{
    const drawn_batch all = {which->epoch, which->index, 0, 1};
    const sr_sampler *sampler = worker->stepper->sampler;
    const size_t rank = (size_t)sr_parallel_rank(worker->parallel), ranks = (size_t)sr_parallel_size(worker->parallel);
    const sr_status status = item_rows_prepare(worker, draw_part(worker, &all, batch, totals, error), batch, error);
    if (status == SR_OK)
        sr_sampler_prefetch(sampler, (size_t)which->epoch, (size_t)which->index + 1, rank, ranks);
    return status;
}

/* What the objective of a step is asked for; ranks, the batch and its targets are the caller's to say. */
static sr_objective_request request_of(const sr_worker *worker, int64_t step, sr_ranks *ranks, const sr_batch *batch)
{
    const uint64_t seed = (uint64_t)worker->stepper->settings->training.seed;
    const uint64_t of_model = (uint64_t)(step + worker->stepper->earlier_steps);
    return (sr_objective_request){.model = worker->model,
                                  .tape = worker->tape,
                                  .batch = batch,
                                  .pass = {.training = true, .seed = seed, .step = of_model, .ranks = ranks}};
}

/* The targets of the global batch, where each rank knows those of its own part alone. A rank that failed takes part. */
static sr_status sum_targets(sr_worker *worker, sr_status status, double *targets, sr_error *error)
{
    double sums[] = {status != SR_OK, status == SR_OK ? *targets : 0};
    SR_TRY(sr_parallel_sum_double(worker->parallel, sums, 2, error));
    *targets = sums[1];
    return sums[0] > 0 ? sr_parallel_agree(worker->parallel, status, error) : SR_OK;
}

/* Adds what a part of the batch has given. */
static void add_outcome(sr_outcome *sum, const sr_outcome *part)
{
    for (size_t i = 0; i < sum->terms.count; ++i)
        sum->terms.list[i].value += part->terms.list[i].value;
    sum->forward += part->forward;
    sum->loss += part->loss;
    sum->backward += part->backward;
}

/* The objective over the worker's parts of a batch, one after the other. Nothing couples examples of different parts (rules of
 * training.micro_batch). A rank that failed goes on to draw, as ranks may do that together. */
static sr_status run_parts(sr_worker *worker, drawn_batch which, int64_t step, sr_status status, sr_ranks *ranks,
                           sr_outcome *outcome, sr_error *error)
{
    for (which.part = 0; which.part < which.parts; ++which.part) {
        sr_batch batch;
        sr_totals totals;
        sr_outcome of_part;
        sr_objective_request request = request_of(worker, step, ranks, &batch);
        request.targets = outcome->targets;
        const sr_status drawn = draw_part(worker, &which, &batch, &totals, status == SR_OK ? error : NULL);
        if (status == SR_OK)
            status = drawn;
        if (status == SR_OK)
            status = sr_objective_run(&request, SR_OK, &of_part, error);
        if (status == SR_OK)
            add_outcome(outcome, &of_part);
    }
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
    const drawn_batch which = {epoch, index, 0, sr_micro_batches(&stepper->settings->training, ranks.count)};
    const bool sums = sr_sampler_sums_targets(stepper->sampler, ranks.count);
    sr_status status = draw_batch(worker, &which, &batch, &totals, error);
    sr_objective_request request = request_of(worker, step, &ranks, &batch);
    request.targets = (double)totals.targets;
    request.sums_targets = sums;
    if (which.parts == 1) {
        status = sr_objective_run(&request, status, outcome, error);
    } else {
        *outcome = (sr_outcome){.targets = request.targets};
        sr_objective_terms(sr_model_configuration(worker->model), &outcome->terms);
        if (sums)
            status = sum_targets(worker, status, &outcome->targets, error);
        outcome->together = sums && status != SR_OK;
        if (!outcome->together)
            status = run_parts(worker, which, step, status, &ranks, outcome, error);
    }
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
    sr_update update = {.step = step + stepper->optimizer_steps,
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
        item_rows_note(stepper, step + stepper->optimizer_steps, first.result.learning_rate);
    stepper->times = stepper->workers[0].times;
    *result = first.result;
    if (first.status != SR_OK && error)
        *error = first.error;
    return first.status;
}
