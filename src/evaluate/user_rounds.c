#include "evaluate/user_rounds.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum { UNIT_ITEMS = 1 << 16 }; /* interactions from which on a unit is full */

/* ---- growing bytes ---- */

static sr_status append(byte_buffer *buffer, const void *data, size_t count, sr_error *error)
{
    SR_TRY(SR_GROW(&buffer->bytes, &buffer->room, buffer->used + count, "a round of users", error));
    if (count)
        memcpy(buffer->bytes + buffer->used, data, count);
    buffer->used += count;
    return SR_OK;
}

/* ---- rank 0 reads ---- */

static const user_record *records_of(const user_rounds *rounds)
{
    return (const user_record *)(const void *)rounds->records.bytes;
}

static const size_t *name_ends_of(const user_rounds *rounds)
{
    return (const size_t *)(const void *)rounds->name_ends.bytes;
}

size_t user_rounds_users(const user_rounds *rounds)
{
    return rounds->records.used / sizeof(user_record);
}

const char *user_rounds_name(const user_rounds *rounds, size_t user, size_t *length)
{
    const size_t *ends = name_ends_of(rounds), begin = user ? ends[user - 1] : 0;
    *length = ends[user] - begin;
    return rounds->names.bytes + begin;
}

static sr_status add_user(user_rounds *rounds, const sr_recommended_user *user, bool opens_unit, sr_error *error)
{
    if (opens_unit)
        rounds->unit_begins[rounds->units++] = user_rounds_users(rounds);
    const user_record record = {.index = ++rounds->users_so_far,
                                .length = user->length,
                                .number = user->number,
                                .opens_unit = opens_unit,
                                .candidates = user->candidate_count};
    SR_TRY(append(&rounds->records, &record, sizeof record, error));
    SR_TRY(append(&rounds->items, user->items, user->length * sizeof *user->items, error));
    if (rounds->with_times)
        SR_TRY(append(&rounds->times, user->times, user->length * sizeof *user->times, error));
    SR_TRY(append(&rounds->candidates, user->candidates, user->candidate_count * sizeof *user->candidates, error));
    SR_TRY(append(&rounds->names, user->name, user->name_length, error));
    return append(&rounds->name_ends, &rounds->names.used, sizeof rounds->names.used, error);
}

static sr_status read_round(user_rounds *rounds, sr_error *error)
{
    const size_t most = rounds->units_of_a_rank * (size_t)sr_parallel_size(rounds->parallel);
    size_t in_unit = 0, items_in_unit = 0;
    rounds->records.used = rounds->items.used = rounds->times.used = rounds->names.used = rounds->name_ends.used = 0;
    rounds->candidates.used = 0;
    rounds->units = 0;
    while (!rounds->ended) {
        const bool full = in_unit == 0 || in_unit == rounds->unit_users || items_in_unit >= UNIT_ITEMS;
        if (full && rounds->units == most)
            break;
        sr_recommended_user user = {.name = NULL};
        SR_TRY(rounds->source->next(rounds->source->context, &user, error));
        rounds->ended = user.name == NULL;
        if (rounds->ended)
            break;
        in_unit = full ? 1 : in_unit + 1;
        items_in_unit = (full ? 0 : items_in_unit) + user.length;
        SR_TRY(add_user(rounds, &user, full, error));
    }
    rounds->unit_begins[rounds->units] = user_rounds_users(rounds);
    return SR_OK;
}

/* ---- dealing ---- */

/* On rank 0: where each rank's users begin, as an offset of records, items, times and candidates in bytes; each [ranks + 1]. */
static void divide(const user_rounds *rounds, size_t ranks, size_t *record_offsets, size_t *item_offsets, size_t *time_offsets,
                   size_t *candidate_offsets)
{
    const user_record *records = records_of(rounds);
    size_t user = 0, items = 0, candidates = 0;
    for (size_t rank = 0; rank <= ranks; ++rank) {
        for (const size_t begin = rounds->unit_begins[rounds->units * rank / ranks]; user < begin; ++user) {
            items += records[user].length;
            candidates += records[user].candidates;
        }
        candidate_offsets[rank] = candidates * sizeof(int32_t);
        record_offsets[rank] = user * sizeof *records;
        item_offsets[rank] = items * sizeof(int32_t);
        time_offsets[rank] = items * sizeof(int64_t);
    }
}

static void free_part(user_rounds *rounds)
{
    free(rounds->part);
    free(rounds->part_items);
    free(rounds->part_times);
    free(rounds->part_candidates);
    rounds->part_candidates = NULL;
    rounds->part = NULL;
    rounds->part_items = NULL;
    rounds->part_times = NULL;
}

static sr_status deal(user_rounds *rounds, size_t *offsets, sr_error *error)
{
    sr_parallel *parallel = rounds->parallel;
    const size_t ranks = (size_t)sr_parallel_size(parallel);
    size_t *items = offsets + ranks + 1, *times = items + ranks + 1, *candidates = times + ranks + 1, bytes;
    free_part(rounds);
    if (sr_parallel_rank(parallel) == 0)
        divide(rounds, ranks, offsets, items, times, candidates);
    SR_TRY(sr_parallel_scatter(parallel, rounds->records.bytes, offsets, (void **)&rounds->part, &bytes, error));
    rounds->part_users = bytes / sizeof *rounds->part;
    for (size_t user = 1; user < rounds->part_users; ++user)
        rounds->part[user].first_candidate = rounds->part[user - 1].first_candidate + rounds->part[user - 1].candidates;
    if (rounds->source->has_candidates)
        SR_TRY(sr_parallel_scatter(parallel, rounds->candidates.bytes, candidates, (void **)&rounds->part_candidates, &bytes,
                                   error));
    SR_TRY(sr_parallel_scatter(parallel, rounds->items.bytes, items, (void **)&rounds->part_items, &bytes, error));
    return rounds->with_times
               ? sr_parallel_scatter(parallel, rounds->times.bytes, times, (void **)&rounds->part_times, &bytes, error)
               : SR_OK;
}

sr_status user_rounds_next(user_rounds *rounds, bool *more, sr_error *error)
{
    size_t *offsets = NULL;
    sr_status status = SR_ALLOCATE(&offsets, 4 * ((size_t)sr_parallel_size(rounds->parallel) + 1), "a round of users", error);
    if (status == SR_OK && sr_parallel_rank(rounds->parallel) == 0)
        status = read_round(rounds, error);
    *more = rounds->units > 0;
    status = sr_parallel_agree(rounds->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(rounds->parallel, more, sizeof *more, error);
    if (status == SR_OK && *more)
        status = deal(rounds, offsets, error);
    free(offsets);
    return status;
}

size_t user_rounds_unit(const user_rounds *rounds, size_t first, size_t first_item, scored_history *histories)
{
    size_t user = first;
    do {
        const user_record *record = &rounds->part[user];
        histories[user - first] = (scored_history){.items = rounds->part_items + first_item,
                                                   .times = rounds->with_times ? rounds->part_times + first_item : NULL,
                                                   .next_time = rounds->next_time,
                                                   .length = record->length,
                                                   .user = (size_t)record->number - 1};
        if (rounds->source->has_candidates) {
            histories[user - first].candidates = rounds->part_candidates + record->first_candidate;
            histories[user - first].candidate_count = record->candidates;
        }
        first_item += record->length;
        ++user;
    } while (user < rounds->part_users && !rounds->part[user].opens_unit);
    return user - first;
}

/* ---- beginning and end ---- */

sr_status user_rounds_create(user_rounds *rounds, sr_parallel *parallel, const sr_user_source *source, bool with_times,
                             size_t unit_users, size_t units_of_a_rank, sr_error *error)
{
    *rounds = (user_rounds){.parallel = parallel,
                            .source = source,
                            .with_times = with_times,
                            .unit_users = unit_users,
                            .units_of_a_rank = units_of_a_rank};
    const size_t most = units_of_a_rank * (size_t)sr_parallel_size(parallel);
    return sr_parallel_agree(parallel, SR_ALLOCATE(&rounds->unit_begins, most + 1, "a round of users", error), error);
}

void user_rounds_free(user_rounds *rounds)
{
    free(rounds->records.bytes);
    free(rounds->items.bytes);
    free(rounds->times.bytes);
    free(rounds->candidates.bytes);
    free(rounds->names.bytes);
    free(rounds->name_ends.bytes);
    free(rounds->unit_begins);
    free_part(rounds);
}
