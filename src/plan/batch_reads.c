#include "plan/batch_reads.h"

#include "base/sizes.h"
#include "plan/sizes.h"
#include "srtrain/item_table.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* So many batches, and parts of each, are looked at. */
enum { BATCHES = 4, PARTS = 8 };

double expected_distinct(double draws, double count)
{
    return -count * expm1(draws * log1p(-1 / count));
}

static int by_number(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Those in the lists, with that of padding. */
static sr_status count_distinct(const sr_item_reads *reads, sr_arena *arena, size_t *distinct, sr_error *error)
{
    size_t count = 1;
    for (size_t list = 0; list < reads->count; ++list)
        count += reads->lists[list].count;
    int32_t *ids = sr_arena_take(arena, count * sizeof *ids);
    if (!ids)
        return sr_fail_memory(error, count * sizeof *ids, "ids of a batch");
    ids[0] = 0;
    count = 1;
    for (size_t list = 0; list < reads->count; ++list) {
        memcpy(ids + count, reads->lists[list].ids, reads->lists[list].count * sizeof *ids);
        count += reads->lists[list].count;
    }
    qsort(ids, count, sizeof *ids, by_number);
    *distinct = 1;
    for (size_t i = 1; i < count; ++i)
        *distinct += ids[i] != ids[i - 1];
    return SR_OK;
}

/* The sample of an imagined data set has each item once, and every drawn negative counts as another: then its catalogue is put
 * in their place. */
static sr_status ids_of(const sr_plan_request *request, const sr_batch *batch, sr_arena *arena, double *ids, sr_error *error)
{
    const bool is_imagined = request->imagined.users > 0;
    sr_batch read = *batch;
    size_t distinct = 0, drawn = 0;
    if (is_imagined && batch->negatives) {
        drawn = batch->negatives->lists * batch->negatives->length;
        read.negatives = NULL;
    }
    const sr_item_reads reads = sr_batch_item_reads(&read);
    SR_TRY(count_distinct(&reads, arena, &distinct, error));
    *ids = is_imagined ? 1 + expected_distinct((double)(distinct - 1 + drawn), (double)planned_items(request))
                       : (double)distinct;
    return SR_OK;
}

static sr_status look_at(const sr_plan_request *request, size_t index, sr_part part, double *ids, double *targets,
                         sr_error *error)
{
    sr_arena *arena;
    sr_batch batch;
    sr_totals totals;
    SR_TRY(sr_arena_create(&arena, (size_t)4 << 20, error));
    sr_status status = sr_sampler_batch(request->sampler, 0, index, part, arena, &batch, &totals, error);
    if (status == SR_OK)
        status = ids_of(request, &batch, arena, ids, error);
    *targets = status == SR_OK ? (double)batch.targets : 0;
    sr_arena_free(arena);
    return status;
}

sr_status batch_reads_find(batch_reads *reads, const sr_plan_request *request, bool counts_all, sr_error *error)
{
    const size_t workers = planned_workers(request), parts = smaller(workers, PARTS);
    /* The last batch may be smaller. */
    const size_t whole = larger(sr_sampler_batches(request->sampler) - 1, 1), batches = smaller(whole, BATCHES);
    double ids = 0, targets = 0, all_targets = 0;
    *reads = (batch_reads){.ids = 0};
    for (size_t b = 0; b < batches; ++b)
        for (size_t i = 0; i < parts; ++i) {
            const sr_part part = {.rank = i * workers / parts, .ranks = workers};
            SR_TRY(look_at(request, b * whole / batches, part, &ids, &targets, error));
            reads->ids += ids / (double)(batches * parts);
            reads->targets += targets * (double)workers / (double)(batches * parts);
            reads->most = ids > reads->most ? ids : reads->most;
        }
    if (counts_all)
        SR_TRY(look_at(request, 0, (sr_part){.ranks = 1}, &reads->all, &all_targets, error));
    reads->drawn = sr_sampler_gathers_targets(request->sampler, workers) ? reads->targets : 0;
    return SR_OK;
}
