#include "engine/collect.h"

#include "engine/sort_keys.h"
#include "srtrain/memory.h"

#include <stdlib.h>

enum {
    EVENT_MEMORY = 2 * sizeof(event), /* sorting takes as much again */
    NAME_MEMORY = 40,                 /* sorting identifiers takes this for each */
    CHECK_EVERY = 64,                 /* interactions between looks at the memory */
    WRITE_BUFFER = 1 << 18
};

sr_status collector_create(collector *c, workplace *place, bool one_line_a_user, const entry_filter *filter, sr_error *error)
{
    *c = (collector){
        .place = place, .filter = *filter, .one_line_a_user = one_line_a_user, .first_time = INT64_MAX, .last_time = INT64_MIN};
    c->run_events.descriptor = c->run_users.descriptor = c->run_items.descriptor = -1;
    SR_TRY(names_create(&c->users, error));
    return names_create(&c->items, error);
}

void collector_free(collector *c)
{
    names_free(&c->users);
    names_free(&c->items);
    free(c->events);
    free(c->bounds);
    (void)writer_end(&c->event_writer, SR_ERROR_RUNTIME, NULL);
    (void)writer_end(&c->user_writer, SR_ERROR_RUNTIME, NULL);
    (void)writer_end(&c->item_writer, SR_ERROR_RUNTIME, NULL);
    store_close(&c->run_events);
    store_close(&c->run_users);
    store_close(&c->run_items);
    c->events = NULL;
    c->bounds = NULL;
}

void collector_begin_part(collector *c, uint64_t part)
{
    c->next_order = part << ORDER_PART_SHIFT;
}

uint64_t collector_part_size(const collector *c)
{
    return c->next_order & (((uint64_t)1 << ORDER_PART_SHIFT) - 1);
}

/* By time, then by order. */
static int event_compare(const void *left, const void *right)
{
    const event *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* ---- runs ---- */

/* Sorts one user's interactions, most of which are in order already. */
static void sort_user(event *list, size_t count)
{
    for (size_t i = 1; i < count; ++i)
        if (event_compare(&list[i - 1], &list[i]) > 0) {
            qsort(list, count, sizeof *list, event_compare);
            return;
        }
}

/* Moves all events to `sorted`, by user, time and order. ends [users + 1] is where each user's begin. */
static void distribute(const collector *c, event *sorted, uint64_t *ends)
{
    const size_t users = c->users.count;
    /* Counting by user: ends[user + 1] is first the number of the user's events, then where they begin, then where they end. */
    memset(ends, 0, (users + 1) * sizeof *ends);
    for (size_t i = 0; i < c->count; ++i)
        ++ends[c->events[i].user + 1];
    uint64_t begin = 0;
    for (size_t user = 0; user < users; ++user) {
        const uint64_t count = ends[user + 1];
        ends[user + 1] = begin;
        begin += count;
    }
    for (size_t i = 0; i < c->count; ++i)
        sorted[ends[c->events[i].user + 1]++] = c->events[i];
    for (size_t user = 0; user < users; ++user)
        sort_user(sorted + ends[user], (size_t)(ends[user + 1] - ends[user]));
}

static sr_status sort_events(const collector *c, event **sorted, uint64_t **ends, sr_error *error)
{
    *sorted = NULL;
    SR_TRY(SR_ALLOCATE(ends, (size_t)c->users.count + 1, "sorting", error));
    const sr_status status = SR_ALLOCATE(sorted, c->count, "sorting", error);
    if (status == SR_OK)
        distribute(c, *sorted, *ends);
    else
        free(*ends);
    return status;
}

/* Writes identifiers by hash. new_numbers [count] is where each has gone; counts[rank] of them belong to each rank, with
 * bytes[rank] bytes. */
static sr_status write_names(const collector *c, const name_table *d, store_writer *to, uint32_t *new_numbers, uint64_t *counts,
                             uint64_t *bytes, sr_error *error)
{
    uint32_t *sorted;
    SR_TRY(SR_ALLOCATE(&sorted, d->count, "sorting identifiers", error));
    sr_status status = sort_names(d, sorted, error);
    for (uint32_t i = 0; i < d->count && status == SR_OK; ++i) {
        const char *at = d->bytes + d->places[sorted[i]];
        const identifier n = name_at(at);
        const size_t size = NAME_HEADER + (size_t)n.length, owner = workplace_owner(c->place, n.hash);
        new_numbers[sorted[i]] = i;
        ++counts[owner];
        bytes[owner] += size;
        status = writer_put(to, at, size, error);
    }
    free(sorted);
    return status;
}

/* What writing a run takes, beside the events. */
typedef struct {
    uint32_t *new_users, *new_items;
    uint64_t *counts; /* [4, ranks]: users, their bytes, items, their bytes */
} run_plan;

static sr_status open_run_files(collector *c, sr_error *error)
{
    const bool shared = c->place->ranks > 1;
    SR_TRY(workplace_store(c->place, &c->run_events, "events", shared, error));
    SR_TRY(workplace_store(c->place, &c->run_users, "users", shared, error));
    SR_TRY(workplace_store(c->place, &c->run_items, "items", shared, error));
    SR_TRY(writer_begin(&c->event_writer, &c->run_events, 0, WRITE_BUFFER, error));
    SR_TRY(writer_begin(&c->user_writer, &c->run_users, 0, WRITE_BUFFER, error));
    SR_TRY(writer_begin(&c->item_writer, &c->run_items, 0, WRITE_BUFFER, error));
    c->spilled = true;
    return SR_OK;
}

/* Room for the bounds of one more run; the new ones are zero. */
static sr_status add_run(collector *c, run_bounds **bounds, sr_error *error)
{
    const size_t width = c->place->ranks + 1;
    SR_TRY(sr_reallocate((void **)&c->bounds, (c->runs + 1) * width, sizeof *c->bounds, "the list of runs", error));
    *bounds = c->bounds + c->runs++ * width;
    memset(*bounds, 0, width * sizeof **bounds);
    return SR_OK;
}

/* bounds[0] is known; those of the other ranks follow. */
static sr_status write_run_events(collector *c, const run_plan *plan, run_bounds *bounds, sr_error *error)
{
    const size_t ranks = c->place->ranks;
    for (size_t i = 0; i < c->count; ++i) {
        c->events[i].user = plan->new_users[c->events[i].user];
        c->events[i].item = plan->new_items[c->events[i].item];
    }
    event *sorted;
    uint64_t *ends;
    SR_TRY(sort_events(c, &sorted, &ends, error));
    for (size_t rank = 0; rank < ranks; ++rank) {
        const run_bounds *from = &bounds[rank];
        const uint64_t users = from->users + plan->counts[rank];
        bounds[rank + 1] = (run_bounds){
            users, from->user_bytes + plan->counts[ranks + rank], from->items + plan->counts[2 * ranks + rank],
            from->item_bytes + plan->counts[3 * ranks + rank], c->written_events + ends[users - c->written_users]};
    }
    const sr_status status = writer_put(&c->event_writer, sorted, c->count * sizeof *sorted, error);
    free(sorted);
    free(ends);
    return status;
}

static sr_status spill_with(collector *c, run_plan *plan, sr_error *error)
{
    const size_t ranks = c->place->ranks;
    run_bounds *bounds = NULL;
    SR_TRY(add_run(c, &bounds, error));
    bounds[0] = (run_bounds){c->written_users, writer_place(&c->user_writer), c->written_items, writer_place(&c->item_writer),
                             c->written_events};
    SR_TRY(SR_ALLOCATE(&plan->new_users, c->users.count, "a run", error));
    SR_TRY(SR_ALLOCATE(&plan->new_items, c->items.count, "a run", error));
    SR_TRY(SR_ALLOCATE_ZERO(&plan->counts, 4 * ranks, "a run", error));
    SR_TRY(write_names(c, &c->users, &c->user_writer, plan->new_users, plan->counts, plan->counts + ranks, error));
    SR_TRY(
        write_names(c, &c->items, &c->item_writer, plan->new_items, plan->counts + 2 * ranks, plan->counts + 3 * ranks, error));
    SR_TRY(write_run_events(c, plan, bounds, error));
    c->written_users += c->users.count;
    c->written_items += c->items.count;
    c->written_events += c->count;
    c->count = 0;
    SR_TRY(names_clear(&c->users, error));
    return names_clear(&c->items, error);
}

/* Writes what is in memory as a run. */
static sr_status spill(collector *c, sr_error *error)
{
    run_plan plan = {.counts = NULL};
    if (!c->spilled)
        SR_TRY(open_run_files(c, error));
    const sr_status status = spill_with(c, &plan, error);
    free(plan.new_users);
    free(plan.new_items);
    free(plan.counts);
    return status;
}

/* ---- interactions ---- */

/* A number for a line of the whole input, which ascends with the order. */
static int64_t line_of(uint64_t order, uint64_t line)
{
    return (int64_t)((order >> ORDER_PART_SHIFT << ORDER_PART_SHIFT) + line);
}

static bool passes(collector *c, const interaction *added)
{
    const entry_filter *filter = &c->filter;
    if (filter->has_min_rating && !((double)added->rating >= filter->min_rating))
        ++c->low_rating;
    else if ((filter->has_after && added->time < filter->after) || (filter->has_before && added->time >= filter->before))
        ++c->out_of_time;
    else if (filter->items && names_find(filter->items, added->item, added->item_length) == NAMES_NONE)
        ++c->not_listed;
    else
        return true;
    return false;
}

static sr_status make_room(collector *c, sr_error *error)
{
    const uint64_t used = c->count * EVENT_MEMORY + names_memory(&c->users) + names_memory(&c->items) +
                          ((uint64_t)c->users.count + c->items.count) * NAME_MEMORY;
    if (c->count > 0 && used > c->place->memory)
        SR_TRY(spill(c, error));
    return SR_GROW(&c->events, &c->room, c->count + CHECK_EVERY, "interactions", error);
}

sr_status collector_add(collector *c, const interaction *added, sr_error *error)
{
    const uint64_t order = c->next_order++;
    if (!passes(c, added))
        return SR_OK;
    if (c->count % CHECK_EVERY == 0)
        SR_TRY(make_room(c, error));
    event *kept = &c->events[c->count];
    *kept = (event){.time = c->one_line_a_user ? line_of(order, added->line) : added->time, .order = order};
    SR_TRY(names_number(&c->users, added->user, added->user_length, &kept->user, error));
    SR_TRY(names_number(&c->items, added->item, added->item_length, &kept->item, error));
    c->first_time = added->time < c->first_time ? added->time : c->first_time;
    c->last_time = added->time > c->last_time ? added->time : c->last_time;
    ++c->kept;
    ++c->count;
    return SR_OK;
}

static sr_status flush_runs(collector *c, sr_error *error)
{
    SR_TRY(writer_flush(&c->event_writer, error));
    SR_TRY(writer_flush(&c->user_writer, error));
    return writer_flush(&c->item_writer, error);
}

static sr_status sort_in_memory(collector *c, sr_error *error)
{
    event *sorted;
    uint64_t *ends;
    SR_TRY(sort_events(c, &sorted, &ends, error));
    free(ends);
    free(c->events);
    c->events = NULL;
    c->room = 0;
    store_adopt(&c->run_events, sorted, c->count * sizeof *sorted);
    store_adopt(&c->run_users, c->users.bytes, c->users.used);
    store_adopt(&c->run_items, c->items.bytes, c->items.used);
    c->users.bytes = c->items.bytes = NULL;
    c->written_events = c->count;
    c->written_users = c->users.count;
    c->written_items = c->items.count;
    names_free(&c->users);
    names_free(&c->items);
    return SR_OK;
}

sr_status collector_finish(collector *c, sr_error *error)
{
    if (!c->spilled && c->place->ranks == 1 && !c->filter.too_long)
        return sort_in_memory(c, error);
    SR_TRY(spill(c, error)); /* with several ranks, an empty run, too */
    SR_TRY(flush_runs(c, error));
    free(c->events);
    c->events = NULL;
    c->room = 0;
    (void)writer_end(&c->event_writer, SR_OK, error);
    (void)writer_end(&c->user_writer, SR_OK, error);
    (void)writer_end(&c->item_writer, SR_OK, error);
    names_free(&c->users);
    names_free(&c->items);
    return SR_OK;
}
