/* How long a step takes: timed on this machine, with reductions by the model of the network. */
#include "plan/probe.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/clock.h"
#include "srtrain/optimizer.h"

#include <stdlib.h>

enum { WARM_UP = 2, LEAST_STEPS = 5, MOST_STEPS = 50 };
static const double LONGEST = 5; /* seconds, after the least steps */

/* Of a part of average work, the first of each batch's. */
static sr_status time_steps(probe *p, double *median, sr_error *error)
{
    const sr_plan_request *request = p->request;
    const size_t workers = request->ranks * request->threads, batches = sr_sampler_batches(request->sampler);
    double seconds[MOST_STEPS];
    size_t steps = 0;
    const double begin = sr_seconds();
    for (size_t i = 0; steps < MOST_STEPS && (steps < LEAST_STEPS || sr_seconds() - begin < LONGEST); ++i) {
        const batch_part part = {.index = i % batches, .worker = i % workers, .workers = workers};
        const double start = sr_seconds();
        SR_TRY(probe_step(p, &part, NULL, error));
        if (i >= WARM_UP)
            seconds[steps++] = sr_seconds() - start;
    }
    qsort(seconds, steps, sizeof *seconds, sr_compare_doubles);
    *median = seconds[steps / 2];
    return SR_OK;
}

/* Of one worker, which updates its part. */
static sr_status time_optimizer(probe *p, double *median, sr_error *error)
{
    enum { TIMES = 5 };
    const sr_plan_request *request = p->request;
    sr_parameters *parameters = sr_model_parameters(p->model);
    double seconds[TIMES];
    sr_optimizer optimizer;
    sr_status status = sr_optimizer_create(&optimizer, parameters, &request->settings->training, error);
    for (size_t i = 0; status == SR_OK && i < TIMES; ++i) {
        const double start = sr_seconds();
        const double squares = sr_gradient_squares(parameters, request->kernels, NULL, 0, request->threads);
        const sr_update update = {.step = (int64_t)i, .gradient_norm = squares, .parts = request->threads};
        status = sr_optimizer_step(&optimizer, request->kernels, &update, error);
        seconds[i] = sr_seconds() - start;
    }
    sr_optimizer_free(&optimizer);
    SR_TRY(status);
    qsort(seconds, TIMES, sizeof *seconds, sr_compare_doubles);
    *median = seconds[TIMES / 2];
    return SR_OK;
}

/* How many items the model that is timed knows. A step with a divided table updates about as many rows as a worker reads; a
 * loss over the whole catalogue, and a replicated table, need all of them. */
static sr_status measured_items(const sr_plan *plan, const sr_plan_request *request, size_t *items, sr_error *error)
{
    const bool is_dense = sr_model_moves_every_item(&request->settings->model);
    *items = SIZE_MAX;
    if (plan->table == SR_PLAN_DIVIDED && !is_dense)
        *items = (size_t)plan->rows_read + 1;
    else if (request->imagined.users > 0)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "--measure: a step with a %s goes through the whole catalogue, of which an imagined data set has a sample "
            "only: take a loss of sampled items and model.item_table=divided, or --rate",
            is_dense ? "loss over all items" : "replicated item table");
    return SR_OK;
}

sr_status sr_plan_measure(sr_plan *plan, const sr_plan_request *request, sr_error *error)
{
    if (request->settings->model.contrastive.in_use && request->ranks * request->threads > 1)
        return sr_fail(error, SR_ERROR_USAGE,
                       "--measure: contrastive training compares every example with the whole global batch, so that a part of "
                       "it alone says nothing about the time of a step");
    probe p;
    double part = 0, update = 0;
    size_t items;
    SR_TRY(measured_items(plan, request, &items, error));
    SR_TRY(probe_create(&p, request, items, SIZE_MAX, error));
    sr_status status = time_steps(&p, &part, error);
    if (status == SR_OK)
        status = time_optimizer(&p, &update, error);
    probe_free(&p);
    SR_TRY(status);
    plan->compute_seconds = part * plan->imbalance + update;
    plan->reduction_seconds = plan->tables[plan->table].network_seconds;
    plan->step_seconds = plan->compute_seconds + plan->reduction_seconds;
    snprintf(plan->time_source, sizeof plan->time_source,
             "one thread of this machine, measured; a network of %.3g us and %.3g GB/s%s", 1e6 * request->network.latency,
             1e-9 * request->network.bandwidth, plan->threads > 1 ? "; threads of a rank do not slow each other down" : "");
    return SR_OK;
}
