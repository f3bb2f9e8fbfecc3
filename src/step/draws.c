#include "step/draws.h"

#include <stdlib.h>

sr_status sr_share_sampler_table(sr_node_memory **memory, sr_parallel *parallel, sr_sampler *sampler, sr_error *error)
{
    const size_t bytes = sr_sampler_table_bytes(sampler);
    *memory = NULL;
    if (bytes == 0)
        return SR_OK;
    SR_TRY(sr_node_memory_create(memory, parallel, bytes, "the table of sampled negatives", error));
    void *table = sr_node_memory_at(*memory);
    sr_sampler_add_to_table(sampler, table, (size_t)sr_parallel_rank(parallel), (size_t)sr_parallel_size(parallel));
    const sr_status status = sr_node_memory_sum(*memory, error);
    if (status != SR_OK) {
        sr_node_memory_free(*memory);
        *memory = NULL;
        return status;
    }
    sr_sampler_use_table(sampler, table);
    return SR_OK;
}

/* The targets of the global batch, each rank a part of them: *gathered, for the caller to free. */
static sr_status gather_targets(sr_worker *worker, int64_t epoch, int64_t index, sr_part part, sr_batch_targets *gathered,
                                sr_error *error)
{
    sr_batch_targets own = {NULL, 0};
    void *items = NULL;
    size_t *offsets = NULL;
    const sr_status status = sr_sampler_targets(worker->stepper->sampler, (size_t)epoch, (size_t)index, part, worker->arena,
                                                &own, error);
    SR_TRY(sr_parallel_gather_all(worker->parallel, status, own.items, own.count, sizeof *own.items, &items, &offsets, error));
    const double others = sr_parallel_size(sr_parallel_process(worker->parallel)) - 1;
    worker->traffic.bytes[SR_TRAFFIC_IDS] += others * (double)(own.count * sizeof *own.items);
    *gathered = (sr_batch_targets){items, offsets[part.ranks]};
    free(offsets);
    return SR_OK;
}

sr_status draws_batch(sr_worker *worker, const drawn_batch *which, sr_batch *batch, sr_totals *totals, sr_error *error)
{
    const sr_sampler *sampler = worker->stepper->sampler;
    sr_part part = {.rank = (size_t)sr_parallel_rank(worker->parallel), .ranks = (size_t)sr_parallel_size(worker->parallel)};
    sr_batch_targets gathered = {NULL, 0};
    if (sr_sampler_gathers_targets(sampler, part.ranks)) {
        SR_TRY(gather_targets(worker, which->epoch, which->index, part, &gathered, error));
        part.targets = &gathered;
    }
    part.rank = part.rank * which->parts + which->part;
    part.ranks *= which->parts;
    const sr_status status = sr_sampler_batch(sampler, (size_t)which->epoch, (size_t)which->index, part, worker->arena, batch,
                                              totals, error);
    free((void *)gathered.items);
    return status;
}
