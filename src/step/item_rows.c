#include "step/item_rows.h"

#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "step/touched_rows.h"

#include <omp.h>

sr_status item_rows_allow_late(sr_stepper *stepper, sr_error *error)
{
    if (stepper->settings->training.item_updates != SR_ITEM_UPDATES_DEFERRED)
        return SR_OK;
    const sr_table_list tables = sr_model_item_tables(stepper->model);
    return sr_optimizer_allow_late(&stepper->optimizer, &tables, error);
}

sr_status item_rows_create(sr_worker *worker, sr_error *error)
{
    const sr_optimizer *optimizer = &worker->stepper->optimizer;
    if (!sr_optimizer_allows_late(optimizer))
        return SR_OK;
    return touched_rows_create(&worker->touched, sr_model_parameters(worker->model), &optimizer->tables, error);
}

void item_rows_free(sr_worker *worker)
{
    touched_rows_free(worker->touched);
    worker->touched = NULL;
}

sr_status item_rows_prepare(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error)
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
    sr_optimizer_settle_rows(optimizer, worker->stepper->kernels, item_rows_touched(worker), thread, worker->stepper->threads);
    sr_parallel_sum_over_threads(worker->parallel, &unused, 1); /* nobody reads what another is still updating */
    worker->times.optimizer += sr_lap(&mark);
    return SR_OK;
}

const sr_touched_rows *item_rows_touched(const sr_worker *worker)
{
    return worker->touched ? touched_rows_found(worker->touched) : NULL;
}

void item_rows_note(sr_stepper *stepper, int64_t step, double learning_rate)
{
    sr_optimizer_note(&stepper->optimizer, step, learning_rate, item_rows_touched(&stepper->workers[0]));
}

void item_rows_settle(sr_stepper *stepper)
{
    const sr_touched_rows all = {.tables = stepper->optimizer.tables, .every = true};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        sr_flush_denormals();
        sr_optimizer_settle_rows(&stepper->optimizer, stepper->kernels, &all, (size_t)omp_get_thread_num(), stepper->threads);
    }
    sr_optimizer_forget(&stepper->optimizer);
}
