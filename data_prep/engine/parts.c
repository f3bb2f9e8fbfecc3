#include "engine/parts.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- one user ---- */

/* By what whole sequences are put in order: the moment of the last interaction, or the place of the first. */
static int64_t moment_of(const part_plan *parts, const event *events, size_t count)
{
    if (parts->has_times)
        return events[count - 1].time;
    uint64_t first = events[0].order;
    for (size_t i = 1; i < count; ++i)
        first = events[i].order < first ? events[i].order : first;
    return (int64_t)place_in_input(parts->part_starts, first);
}

static uint32_t count_before(const event *events, size_t count, int64_t limit)
{
    uint32_t before = 0;
    while (before < count && events[before].time < limit)
        ++before;
    return before;
}

/* The interactions of a user that come from a file of this kind or of one before it. */
static uint32_t count_given(const part_plan *parts, const event *events, size_t count, given_part last)
{
    uint32_t before = 0;
    while (before < count && parts->users->given[events[before].order >> ORDER_PART_SHIFT] <= last)
        ++before;
    return before;
}

static void find_ends(const part_plan *parts, const event *events, size_t count, uint32_t *train_end, uint32_t *valid_end)
{
    const split_rule *rule = &parts->rule;
    switch (rule->kind) {
    case SPLIT_TIME:
    case SPLIT_TIME_QUANTILE:
        *train_end = count_before(events, count, rule->times[0]);
        *valid_end = count_before(events, count, rule->times[1]);
        break;
    case SPLIT_SESSIONS:
    case SPLIT_SESSIONS_TIME: {
        const int64_t moment = moment_of(parts, events, count);
        *train_end = moment < rule->times[0] ? (uint32_t)count : 0;
        *valid_end = moment < rule->times[1] ? (uint32_t)count : 0;
        break;
    }
    case SPLIT_GIVEN:
        *train_end = count_given(parts, events, count, GIVEN_TRAIN);
        *valid_end = count_given(parts, events, count, GIVEN_VALID);
        break;
    default:
        split_length(rule, count, train_end, valid_end);
        break;
    }
}

/* The last interactions, as many as there may be. */
static event *last_of(const part_plan *parts, event *events, size_t *count)
{
    const uint64_t most = parts->users->max_length;
    const size_t skipped = most > 0 && *count > most ? *count - (size_t)most : 0;
    *count -= skipped;
    return events + skipped;
}

static bool is_trained(const part_plan *parts, uint32_t item)
{
    return parts->trained[item / 64] >> (item % 64) & 1;
}

static void drop_cold_items(part_plan *parts, event *events, size_t *count, uint32_t train_end, uint32_t *valid_end)
{
    size_t kept = train_end, valid = train_end;
    for (size_t i = train_end; i < *count; ++i) {
        if (!is_trained(parts, events[i].item))
            continue;
        valid += i < *valid_end;
        events[kept++] = events[i];
    }
    parts->dropped.items += *count - kept;
    *count = kept;
    *valid_end = (uint32_t)valid;
}

void parts_of_user(part_plan *parts, event *events, size_t *count, event **kept, uint32_t *train_end, uint32_t *valid_end)
{
    const split_kind kind = parts->rule.kind;
    const bool is_whole = kind == SPLIT_SESSIONS || kind == SPLIT_SESSIONS_TIME; /* no user of a held-out session is cold */
    *kept = last_of(parts, events, count);
    find_ends(parts, *kept, *count, train_end, valid_end);
    if ((parts->cold == COLD_DROP || parts->cold == COLD_USERS) && *train_end == 0 && !is_whole) {
        parts->dropped.users += *count;
        *count = 0;
    }
    if (parts->trained)
        drop_cold_items(parts, *kept, count, *train_end, valid_end);
}

/* ---- quantiles ---- */

enum { BUCKETS = 4096 };

/* Looking for the value that stands at a place of all values in order, by counting those in ever smaller ranges. */
typedef struct {
    const part_plan *parts;
    int64_t lowest, highest; /* of all values, and of the range that is counted */
    int64_t count;           /* of values */
    uint64_t width;          /* of a bucket */
    int64_t counts[BUCKETS];
} selection;

typedef void value_function(selection *s, int64_t value);

static void note_value(selection *s, int64_t value)
{
    s->lowest = value < s->lowest ? value : s->lowest;
    s->highest = value > s->highest ? value : s->highest;
    ++s->count;
}

static void count_value(selection *s, int64_t value)
{
    if (value >= s->lowest && value <= s->highest)
        ++s->counts[((uint64_t)value - (uint64_t)s->lowest) / s->width];
}

/* What a walk over users does with the values of each. */
typedef struct {
    selection *s;
    value_function *function;
} value_walk;

static sr_status walk_user(void *context, event *events, size_t *count, sr_error *error)
{
    const value_walk *walk = context;
    const part_plan *parts = walk->s->parts;
    size_t kept_count = *count;
    (void)error;
    const event *kept = last_of(parts, events, &kept_count);
    if (parts->rule.kind == SPLIT_SESSIONS)
        walk->function(walk->s, moment_of(parts, kept, kept_count));
    for (size_t i = 0; i < kept_count && parts->rule.kind == SPLIT_TIME_QUANTILE; ++i)
        walk->function(walk->s, kept[i].time);
    return SR_OK;
}

static sr_status walk_values(selection *s, workplace *place, gathered *g, value_function *function, sr_error *error)
{
    value_walk walk = {s, function};
    return sr_parallel_agree(place->parallel, for_each_user(place, g, walk_user, &walk, false, error), error);
}

/* The smallest and the largest value of all ranks, and how many there are. */
static sr_status find_range(selection *s, workplace *place, gathered *g, sr_error *error)
{
    s->lowest = INT64_MAX;
    s->highest = -INT64_MAX;
    s->count = 0;
    SR_TRY(walk_values(s, place, g, note_value, error));
    int64_t most[] = {s->lowest == INT64_MIN ? INT64_MAX : -s->lowest, s->highest};
    SR_TRY(sr_parallel_maximum_int64(place->parallel, most, 2, error));
    s->lowest = -most[0];
    s->highest = most[1];
    return sr_parallel_sum_int64(place->parallel, &s->count, 1, error);
}

/* The value at `place_in_order` (from 0) of all values in ascending order; `s` has the range of all. */
static sr_status select_value(const selection *all, workplace *place, gathered *g, int64_t place_in_order, int64_t *value,
                              sr_error *error)
{
    selection s = *all;
    while (s.lowest < s.highest) {
        s.width = ((uint64_t)s.highest - (uint64_t)s.lowest) / BUCKETS + 1;
        memset(s.counts, 0, sizeof s.counts);
        SR_TRY(walk_values(&s, place, g, count_value, error));
        SR_TRY(sr_parallel_sum_int64(place->parallel, s.counts, BUCKETS, error));
        size_t bucket = 0;
        for (; bucket + 1 < BUCKETS && place_in_order >= s.counts[bucket]; ++bucket)
            place_in_order -= s.counts[bucket];
        const uint64_t begin = (uint64_t)s.lowest + bucket * s.width, left = (uint64_t)s.highest - begin;
        s.highest = (int64_t)(begin + (left < s.width - 1 ? left : s.width - 1));
        s.lowest = (int64_t)begin;
    }
    *value = s.lowest;
    return SR_OK;
}

/* Behind the last value there is a moment as well. */
static sr_status settle_quantiles(part_plan *parts, workplace *place, gathered *g, sr_error *error)
{
    selection *all;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &all, 1, "quantiles", error));
    all->parts = parts;
    sr_status status = find_range(all, place, g, error);
    double share = 0;
    for (size_t i = 0; i < 2 && status == SR_OK && all->count > 0; ++i) {
        share += parts->rule.ratio[i];
        const int64_t number = (int64_t)(share * (double)all->count + 1e-9);
        if (number < all->count)
            status = select_value(all, place, g, number, &parts->rule.times[i], error);
        else
            parts->rule.times[i] = all->highest < INT64_MAX ? all->highest + 1 : INT64_MAX;
    }
    free(all);
    return status;
}

/* ---- items of training ---- */

static sr_status mark_user(void *context, event *events, size_t *count, sr_error *error)
{
    part_plan *parts = context;
    size_t kept_count = *count;
    uint32_t train_end, valid_end;
    (void)error;
    const event *kept = last_of(parts, events, &kept_count);
    find_ends(parts, kept, kept_count, &train_end, &valid_end);
    for (size_t i = 0; i < train_end; ++i)
        parts->trained[kept[i].item / 64] |= UINT64_C(1) << (kept[i].item % 64);
    return SR_OK;
}

/* An item that one rank has marked is marked on all. Bits are summed as numbers, some at a time. */
static sr_status share_marks(part_plan *parts, workplace *place, uint64_t words, sr_error *error)
{
    enum { WORDS = 1024 };
    int64_t *counts;
    if (place->ranks == 1)
        return SR_OK;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &counts, (size_t)WORDS * 64, "items of training", error));
    sr_status status = SR_OK;
    for (uint64_t first = 0; first < words && status == SR_OK; first += WORDS) {
        const size_t here = words - first < WORDS ? (size_t)(words - first) : (size_t)WORDS;
        for (size_t i = 0; i < here * 64; ++i)
            counts[i] = (int64_t)(parts->trained[first + i / 64] >> (i % 64) & 1);
        status = sr_parallel_sum_int64(place->parallel, counts, here * 64, error);
        for (size_t i = 0; i < here * 64 && status == SR_OK; ++i)
            if (counts[i])
                parts->trained[first + i / 64] |= UINT64_C(1) << (i % 64);
    }
    free(counts);
    return status;
}

sr_status parts_settle(part_plan *parts, workplace *place, gathered *g, sr_error *error)
{
    if (parts->rule.kind == SPLIT_TIME_QUANTILE || parts->rule.kind == SPLIT_SESSIONS)
        SR_TRY(settle_quantiles(parts, place, g, error));
    if (parts->cold != COLD_DROP && parts->cold != COLD_ITEMS)
        return SR_OK;
    const uint64_t words = g->all_items / 64 + 1;
    sr_status status = SR_ALLOCATE_ZERO(&parts->trained, (size_t)words, "items of training", error);
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    status = for_each_user(place, g, mark_user, parts, false, error);
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    return share_marks(parts, place, words, error);
}

void parts_free(part_plan *parts)
{
    free(parts->trained);
    parts->trained = NULL;
}
