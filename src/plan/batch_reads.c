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

static int by_bits(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Those in the lists, with that of padding. */
static sr_status count_distinct(const sr_item_reads *reads, size_t parts, sr_arena *arena, size_t *distinct, sr_error *error)
{
    size_t count = 1;
    for (size_t i = 0; i < parts; ++i)
        for (size_t list = 0; list < reads[i].count; ++list)
            count += reads[i].lists[list].count;
    int32_t *ids = sr_arena_take(arena, count * sizeof *ids);
    if (!ids)
        return sr_fail_memory(error, count * sizeof *ids, "ids of a batch");
    ids[0] = 0;
    count = 1;
    for (size_t i = 0; i < parts; ++i)
        for (size_t list = 0; list < reads[i].count; ++list) {
            memcpy(ids + count, reads[i].lists[list].ids, reads[i].lists[list].count * sizeof *ids);
            count += reads[i].lists[list].count;
        }
    qsort(ids, count, sizeof *ids, by_number);
    *distinct = 1;
    for (size_t i = 1; i < count; ++i)
        *distinct += ids[i] != ids[i - 1];
    return SR_OK;
}

static uint64_t hash_list(const int32_t *items, size_t length)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < length; ++i)
        hash = (hash ^ (uint32_t)items[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
    return hash;
}

/* Draws that parts have made. A list that several of them share was drawn once; lists of one item are nobody else's. */
static sr_status count_draws(const sr_batch *parts, size_t count, sr_arena *arena, size_t *draws, sr_error *error)
{
    size_t lists = 0, length = 0, distinct = 0;
    for (size_t i = 0; i < count; ++i) {
        lists += parts[i].negatives ? parts[i].negatives->lists : 0;
        length = parts[i].negatives ? parts[i].negatives->length : length;
    }
    uint64_t *hashes = sr_arena_take(arena, (lists + 1) * sizeof *hashes);
    if (!hashes)
        return sr_fail_memory(error, (lists + 1) * sizeof *hashes, "lists of a batch");
    lists = 0;
    for (size_t i = 0; i < count; ++i)
        for (size_t list = 0; parts[i].negatives && list < parts[i].negatives->lists; ++list)
            hashes[lists++] = hash_list(parts[i].negatives->items + list * length, length);
    qsort(hashes, lists, sizeof *hashes, by_bits);
    for (size_t i = 0; i < lists; ++i)
        distinct += length == 1 || i == 0 || hashes[i] != hashes[i - 1];
    *draws = distinct * length;
    return SR_OK;
}

/* What some parts read together. The sample of an imagined data set has each item once, and every drawn negative counts as
 * another: then its catalogue is put in their place. */
static sr_status ids_of(const sr_plan_request *request, const sr_batch *parts, size_t count, sr_arena *arena, double *ids,
                        sr_error *error)
{
    const bool is_imagined = request->imagined.users > 0;
    size_t distinct = 0, drawn = 0;
    sr_item_reads *reads = sr_arena_take(arena, count * sizeof *reads);
    if (!reads)
        return sr_fail_memory(error, count * sizeof *reads, "ids of a batch");
    for (size_t i = 0; i < count; ++i) {
        sr_batch read = parts[i];
        if (is_imagined)
            read.negatives = NULL;
        reads[i] = sr_batch_item_reads(&read);
    }
    if (is_imagined)
        SR_TRY(count_draws(parts, count, arena, &drawn, error));
    SR_TRY(count_distinct(reads, count, arena, &distinct, error));
    *ids = is_imagined ? 1 + expected_distinct((double)(distinct - 1 + drawn), (double)planned_items(request))
                       : (double)distinct;
    return SR_OK;
}

/* Consecutive parts of a batch, of so many. */
typedef struct {
    size_t batch, first, count, of;
} some_parts;

/* Adds what they read to *reads, and their targets. */
static sr_status add_parts(const sr_plan_request *request, const some_parts *some, sr_arena *arena, batch_reads *reads,
                           sr_error *error)
{
    double together = 0;
    sr_batch *parts = sr_arena_take(arena, some->count * sizeof *parts);
    if (!parts)
        return sr_fail_memory(error, some->count * sizeof *parts, "parts of a batch");
    for (size_t i = 0; i < some->count; ++i) {
        sr_totals totals;
        double ids = 0;
        const sr_part part = {.rank = some->first + i, .ranks = some->of};
        SR_TRY(sr_sampler_batch(request->sampler, 0, some->batch, part, arena, &parts[i], &totals, error));
        SR_TRY(ids_of(request, &parts[i], 1, arena, &ids, error));
        reads->ids += ids;
        reads->most = ids > reads->most ? ids : reads->most;
        reads->targets += (double)parts[i].targets;
    }
    SR_TRY(ids_of(request, parts, some->count, arena, &together, error));
    reads->fetched += together;
    return SR_OK;
}

static sr_status look_at(const sr_plan_request *request, const some_parts *some, batch_reads *reads, sr_error *error)
{
    sr_arena *arena;
    SR_TRY(sr_arena_create(&arena, (size_t)4 << 20, error));
    const sr_status status = add_parts(request, some, arena, reads, error);
    sr_arena_free(arena);
    return status;
}

sr_status batch_reads_find(batch_reads *reads, const sr_plan_request *request, bool counts_all, sr_error *error)
{
    const size_t threads = request->threads, workers = planned_workers(request);
    const size_t processes = smaller(request->ranks, larger(PARTS / threads, 1));
    /* The last batch may be smaller. */
    const size_t whole = larger(sr_sampler_batches(request->sampler) - 1, 1), batches = smaller(whole, BATCHES);
    const double looked_at = (double)(batches * processes * threads);
    batch_reads all = {.ids = 0};
    *reads = (batch_reads){.ids = 0};
    for (size_t b = 0; b < batches; ++b)
        for (size_t i = 0; i < processes; ++i) {
            const size_t first = i * request->ranks / processes * threads;
            SR_TRY(look_at(request, &(some_parts){b * whole / batches, first, threads, workers}, reads, error));
        }
    reads->ids /= looked_at;
    reads->fetched /= looked_at;
    reads->targets *= (double)workers / looked_at;
    if (counts_all)
        SR_TRY(look_at(request, &(some_parts){.count = 1, .of = 1}, &all, error));
    reads->all = all.ids;
    reads->drawn = sr_sampler_gathers_targets(request->sampler, workers) ? reads->targets : 0;
    return SR_OK;
}
