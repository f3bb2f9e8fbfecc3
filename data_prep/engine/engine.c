#include "engine/engine.h"

#include <stdlib.h>

/* Turning what is left of each user into a sequence. */
typedef struct {
    const engine_plan *plan;
    part_plan *parts;
    sequences *to;
    store_reader names;
    uint64_t next_user; /* the one whose identifier is read next */
    int64_t too_long, ties;
} sequencing;

/* Users come in the order of their numbers, like their identifiers. */
static sr_status read_name(sequencing *s, uint32_t user, const char **bytes, size_t *length, sr_error *error)
{
    do {
        SR_TRY(reader_take(&s->names, NAME_HEADER, bytes, error));
        *length = name_at(*bytes).length;
        SR_TRY(reader_take(&s->names, *length, bytes, error));
    } while (s->next_user++ < user);
    return SR_OK;
}

static sr_status add_sequence(void *context, event *events, size_t *count, sr_error *error)
{
    sequencing *s = context;
    const char *bytes;
    size_t length, left = *count;
    uint32_t train_end, valid_end;
    SR_TRY(read_name(s, events->user, &bytes, &length, error));
    const uint64_t most = s->plan->rules.max_length;
    s->too_long += most > 0 && *count > most ? (int64_t)(*count - most) : 0;
    event *kept;
    parts_of_user(s->parts, events, &left, &kept, &train_end, &valid_end);
    if (left == 0)
        return SR_OK;
    uint64_t first = kept->order;
    for (size_t i = 1; i < left; ++i) {
        first = kept[i].order < first ? kept[i].order : first;
        s->ties += kept[i].time == kept[i - 1].time;
    }
    const added_sequence added = {place_in_input(s->plan->part_starts, first), bytes, length, kept, left, train_end, valid_end};
    return sequences_add(s->to, &added, error);
}

static sr_status make_sequences(workplace *place, gathered *g, const engine_plan *plan, part_plan *parts, sequences *to,
                                engine_counts *counts, sr_error *error)
{
    const uint64_t held = (g->events.memory ? g->events.size + g->users.size + g->items.size : 0);
    const uint64_t least = place->memory / 4, free_memory = place->memory > held + least ? place->memory - held : least;
    sequencing s = {.plan = plan, .parts = parts, .to = to};
    sr_status status = sequences_create(to, place, plan->has_times, plan->read, free_memory, error);
    if (status == SR_OK)
        status = reader_begin(&s.names, &g->users, 0, g->users.size, 1 << 16, error);
    if (status == SR_OK)
        status = for_each_user(place, g, add_sequence, &s, false, error);
    reader_end(&s.names);
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    store_close(&g->events);
    store_close(&g->users);
    int64_t sums[] = {s.too_long, s.ties, (int64_t)parts->dropped.items, (int64_t)parts->dropped.users};
    SR_TRY(sr_parallel_sum_int64(place->parallel, sums, 4, error));
    counts->cold = (cold_counts){(uint64_t)sums[2], (uint64_t)sums[3]};
    counts->users.too_long = (uint64_t)sums[0];
    counts->ties = (uint64_t)sums[1];
    return sequences_finish(to, error);
}

static void release_sequences(void *sequences_of_rank)
{
    sequences_free(sequences_of_rank);
}

static sr_status write_sequences(workplace *place, const gathered *g, const engine_plan *plan, sequences *from,
                                 engine_counts *counts, sr_error *error)
{
    counts->interactions = from->totals.interactions;
    if (from->totals.users == 0)
        return sr_fail(
            error, SR_ERROR_DATA,
            "nothing is left of %llu interactions: %llu were rated too low, %llu outside the time range, %llu of "
            "items that are not listed, %llu repeated, %llu of users or items with too many, %llu outside the core, %llu cold",
            (unsigned long long)plan->read, (unsigned long long)counts->low_rating, (unsigned long long)counts->out_of_time,
            (unsigned long long)counts->not_listed, (unsigned long long)counts->users.duplicates,
            (unsigned long long)counts->users.capped, (unsigned long long)counts->users.core,
            (unsigned long long)(counts->cold.items + counts->cold.users));
    const column_plan columns = {.totals = from->totals,
                                 .next = sequences_next,
                                 .release = release_sequences,
                                 .context = from,
                                 .has_times = plan->has_times,
                                 .all_items = g->all_items,
                                 .items = &g->items,
                                 .items_file = GATHERED_ITEMS,
                                 .first_item = g->first_item,
                                 .own_items = g->item_count,
                                 .split_text = plan->split_text,
                                 .origin = plan->origin,
                                 .directory = plan->directory,
                                 .shards = plan->shards};
    return columns_write(place, &columns, error);
}

static sr_status run_gathered(workplace *place, gathered *g, const engine_plan *plan, engine_counts *counts, sr_error *error)
{
    sequences list = {.file = {.descriptor = -1}};
    part_plan parts = {.rule = plan->split,
                       .cold = plan->cold,
                       .users = &plan->rules,
                       .part_starts = plan->part_starts,
                       .has_times = plan->has_times};
    if (plan->has_gap)
        SR_TRY(sessions_cut(place, g, plan->gap, &counts->sessions, error));
    SR_TRY(reduce_users(place, g, &plan->rules, &counts->users, error));
    sr_status status = parts_settle(&parts, place, g, error);
    if (status == SR_OK) {
        status = make_sequences(place, g, plan, &parts, &list, counts, error);
        if (status == SR_OK)
            status = write_sequences(place, g, plan, &list, counts, error);
        sequences_free(&list);
    }
    parts_free(&parts);
    return status;
}

/* What did not come in, or was left out when it was gathered. */
static sr_status count_left_out(const workplace *place, const collector *from, uint64_t not_listed, engine_counts *counts,
                                sr_error *error)
{
    int64_t sums[] = {(int64_t)from->low_rating, (int64_t)from->out_of_time, (int64_t)(from->not_listed + not_listed)};
    SR_TRY(sr_parallel_sum_int64(place->parallel, sums, 3, error));
    *counts = (engine_counts){
        .low_rating = (uint64_t)sums[0], .out_of_time = (uint64_t)sums[1], .not_listed = (uint64_t)sums[2]};
    return SR_OK;
}

sr_status engine_run(workplace *place, collector *from, const engine_plan *plan, engine_counts *counts, sr_error *error)
{
    SR_TRY(sr_parallel_agree(place->parallel, collector_finish(from, error), error));
    gathered g;
    sr_status status = gather(place, from, &g, error);
    if (status == SR_OK)
        status = count_left_out(place, from, g.not_listed, counts, error);
    collector_free(from);
    if (status == SR_OK)
        status = run_gathered(place, &g, plan, counts, error);
    gathered_free(&g);
    return status;
}
