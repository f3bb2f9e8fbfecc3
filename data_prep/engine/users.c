#include "engine/users.h"

#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- going through users ---- */

typedef struct {
    event *list;
    size_t count, room;
} event_list;

static sr_status append(event_list *list, const event *one, sr_error *error)
{
    SR_TRY(SR_GROW(&list->list, &list->room, list->count + 1, "a user's interactions", error));
    list->list[list->count++] = *one;
    return SR_OK;
}

static sr_status end_user(event_list *list, user_function function, void *context, store_writer *to, uint64_t *kept,
                          sr_error *error)
{
    size_t count = list->count;
    SR_TRY(function(context, list->list, &count, error));
    list->count = 0;
    *kept += count;
    return to ? writer_put(to, list->list, count * sizeof *list->list, error) : SR_OK;
}

static sr_status walk(gathered *g, store_reader *from, event_list *list, user_function function, void *context,
                      store_writer *to, uint64_t *kept, sr_error *error)
{
    for (uint64_t i = 0; i < g->event_count; ++i) {
        const char *bytes;
        event one;
        SR_TRY(reader_take(from, sizeof one, &bytes, error));
        memcpy(&one, bytes, sizeof one);
        if (list->count > 0 && one.user != list->list[0].user)
            SR_TRY(end_user(list, function, context, to, kept, error));
        SR_TRY(append(list, &one, error));
    }
    return list->count > 0 ? end_user(list, function, context, to, kept, error) : SR_OK;
}

/* What is written never overtakes what is read: a user's events are taken off the store before any of them goes back. */
sr_status for_each_user(const workplace *place, gathered *g, user_function function, void *context, bool rewrite,
                        sr_error *error)
{
    event_list list = {.list = NULL};
    store_reader from;
    store_writer to = {.buffer = NULL};
    uint64_t kept = 0;
    size_t buffer;
    SR_TRY(workplace_buffer(place, 4, &buffer, error));
    sr_status status = reader_begin(&from, &g->events, 0, g->event_count * sizeof(event), buffer, error);
    if (status == SR_OK && rewrite)
        status = writer_begin(&to, &g->events, 0, buffer, error);
    if (status == SR_OK)
        status = walk(g, &from, &list, function, context, rewrite ? &to : NULL, &kept, error);
    status = writer_end(&to, status, error);
    reader_end(&from);
    free(list.list);
    if (rewrite)
        g->event_count = kept;
    return status;
}

/* ---- counts of items ---- */

/* Adds events to the counts of items [begin, end), which stop at the largest number. */
static void count_items(uint32_t *counts, uint64_t begin, uint64_t end, const event *events, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (events[i].item >= begin && events[i].item < end)
            counts[events[i].item - begin] += counts[events[i].item - begin] < UINT32_MAX;
}

/* ---- duplicates ---- */

/* Counts as they are before the core, and what finding duplicates takes. */
typedef struct {
    const gathered *g;
    const user_rules *rules;
    uint32_t *item_counts; /* [counted]: of the first items, or NULL without a core */
    uint64_t counted;
    uint64_t *places; /* item and place of each of a user's events */
    char *gone;
    size_t room;
    event *arranged;
    size_t arranged_room;
    uint64_t duplicates;
} first_pass;

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static sr_status make_room(first_pass *pass, size_t count, sr_error *error)
{
    if (count <= pass->room)
        return SR_OK;
    free(pass->places);
    free(pass->gone);
    pass->gone = NULL;
    pass->room = 2 * count;
    SR_TRY(SR_ALLOCATE(&pass->places, pass->room, "finding duplicates", error));
    return SR_ALLOCATE(&pass->gone, pass->room, "finding duplicates", error);
}

/* Of the same item several times in a row the first one stays. */
static void remove_repeats(first_pass *pass, event *events, size_t *count)
{
    size_t kept = 1;
    for (size_t i = 1; i < *count; ++i)
        if (events[i].item != events[kept - 1].item)
            events[kept++] = events[i];
    pass->duplicates += *count - kept;
    *count = kept;
}

static sr_status remove_duplicates(first_pass *pass, event *events, size_t *count, sr_error *error)
{
    const size_t all = *count;
    if (pass->rules->duplicates == DEDUPLICATE_CONSECUTIVE) {
        remove_repeats(pass, events, count);
        return SR_OK;
    }
    SR_TRY(make_room(pass, all, error));
    for (size_t i = 0; i < all; ++i)
        pass->places[i] = (uint64_t)events[i].item << 32 | i;
    memset(pass->gone, 0, all);
    qsort(pass->places, all, sizeof *pass->places, compare_numbers);
    for (size_t i = 1; i < all; ++i)
        if (pass->places[i] >> 32 == pass->places[i - 1] >> 32)
            pass->gone[(uint32_t)pass->places[pass->rules->duplicates == DEDUPLICATE_FIRST ? i : i - 1]] = 1;
    size_t kept = 0;
    for (size_t i = 0; i < all; ++i)
        if (!pass->gone[i])
            events[kept++] = events[i];
    pass->duplicates += all - kept;
    *count = kept;
    return SR_OK;
}

/* ---- users ---- */

sr_status fail_with_user(const gathered *g, uint32_t user, const char *where, const char *what, sr_error *error)
{
    store_reader names;
    SR_TRY(reader_begin(&names, &g->users, 0, g->users.size, 1 << 16, error));
    sr_status status = SR_OK;
    for (uint32_t i = 0; i <= user && status == SR_OK; ++i) {
        const char *bytes = NULL;
        status = reader_take(&names, NAME_HEADER, &bytes, error);
        const size_t length = status == SR_OK ? name_at(bytes).length : 0;
        if (status == SR_OK)
            status = reader_take(&names, length, &bytes, error);
        if (status == SR_OK && i == user)
            status = sr_fail(error, SR_ERROR_DATA, "%suser \"%.*s\" %s", where, (int)length, bytes, what);
    }
    reader_end(&names);
    return status;
}

static uint8_t given_of(const user_rules *rules, const event *one)
{
    return rules->given ? rules->given[one->order >> ORDER_PART_SHIFT] : (uint8_t)GIVEN_TRAIN;
}

/* Where a user's second line begins, or `count`. Files that are given for several parts may each have one. */
static size_t find_second_line(const user_rules *rules, const event *events, size_t count)
{
    size_t second = 1;
    while (second < count && (events[second].time == events[second - 1].time ||
                              given_of(rules, &events[second]) != given_of(rules, &events[second - 1])))
        ++second;
    return second;
}

static sr_status fail_second_line(const first_pass *pass, const event *events, size_t second, sr_error *error)
{
    char where[1024] = "";
    const uint64_t number = (uint64_t)events[second].time, part = number >> ORDER_PART_SHIFT;
    if (pass->rules->part_paths)
        snprintf(where, sizeof where, "%s:%llu: ", pass->rules->part_paths[part],
                 (unsigned long long)(pass->rules->part_lines[part] + (number - (part << ORDER_PART_SHIFT))));
    return fail_with_user(pass->g, events->user, where,
                          "has had a line before, expected one line a user; with --no-user each line is a user", error);
}

/* Puts what comes from files for training first, then validation, then test; each stays in its order. */
static sr_status arrange_given(first_pass *pass, event *events, size_t count, sr_error *error)
{
    size_t placed = 0;
    SR_TRY(SR_GROW(&pass->arranged, &pass->arranged_room, count, "arranging a user's interactions", error));
    for (int part = GIVEN_TRAIN; part < GIVEN_PARTS; ++part)
        for (size_t i = 0; i < count; ++i)
            if (given_of(pass->rules, &events[i]) == part)
                pass->arranged[placed++] = events[i];
    memcpy(events, pass->arranged, count * sizeof *events);
    for (size_t i = 1; i < count && pass->rules->has_times; ++i)
        if (events[i].time < events[i - 1].time)
            return fail_with_user(
                pass->g, events->user, "",
                "has an interaction in the files of --test or --valid that is earlier than one in those before "
                "them; time stamps of a sequence cannot decrease: --time-unit none leaves them out, and then "
                "the order of the files is the order",
                error);
    return SR_OK;
}

static sr_status first_look(void *context, event *events, size_t *count, sr_error *error)
{
    first_pass *pass = context;
    const size_t second = pass->rules->one_line_a_user ? find_second_line(pass->rules, events, *count) : *count;
    if (second < *count)
        return fail_second_line(pass, events, second, error);
    if (*count >= INT32_MAX)
        return fail_with_user(pass->g, events[0].user, "", "has more than 2147483646 interactions", error);
    if (pass->rules->given)
        SR_TRY(arrange_given(pass, events, *count, error));
    if (pass->rules->duplicates != DEDUPLICATE_NONE)
        SR_TRY(remove_duplicates(pass, events, count, error));
    count_items(pass->item_counts, 0, pass->counted, events, *count);
    return SR_OK;
}

/* ---- the core, and counts that are too large ---- */

/* Counts are taken of a range of items at a time, those of the first range while events are looked at for other reasons. What
 * is kept of them is a bit for each item. */
typedef struct {
    workplace *place;
    gathered *g;
    const user_rules *rules;
    bool is_cap;                /* a round for the largest counts, instead of the smallest */
    uint64_t range, begin, end; /* items [begin, end) are counted */
    uint32_t *counts;           /* [range]: on this rank, then on all */
    uint64_t *stays;            /* a bit for each item: whether its interactions at the start of the round are enough, or few */
    int64_t dropped;            /* in this round, on this rank */
} core;

static bool item_stays(const core *c, uint32_t item)
{
    return c->stays[item / 64] >> (item % 64) & 1;
}

static sr_status core_of_user(void *context, event *events, size_t *count, sr_error *error)
{
    (void)error;
    core *c = context;
    const uint64_t most = c->rules->max_user;
    const bool user_stays = c->is_cap ? most == 0 || *count <= most : *count >= c->rules->min_user;
    size_t kept = 0;
    for (size_t i = 0; i < *count; ++i)
        if (user_stays && item_stays(c, events[i].item))
            events[kept++] = events[i];
    count_items(c->counts, c->begin, c->end, events, kept);
    c->dropped += (int64_t)(*count - kept);
    *count = kept;
    return SR_OK;
}

static sr_status count_of_user(void *context, event *events, size_t *count, sr_error *error)
{
    (void)error;
    const core *c = context;
    count_items(c->counts, c->begin, c->end, events, *count);
    return SR_OK;
}

static void begin_range(core *c, uint64_t begin)
{
    c->begin = begin;
    c->end = c->g->all_items - begin < c->range ? c->g->all_items : begin + c->range;
    memset(c->counts, 0, c->range * sizeof *c->counts);
}

static bool count_stays(const core *c, uint32_t count)
{
    const uint64_t most = c->rules->max_item;
    return c->is_cap ? most == 0 || count <= most : count >= c->rules->min_item;
}

/* Sets the bits of all items. The counts of the first range are there. Collective. */
static sr_status find_staying(core *c, sr_error *error)
{
    for (;;) {
        SR_TRY(workplace_sum(c->place, c->counts, (size_t)(c->end - c->begin), error));
        for (uint64_t item = c->begin; item < c->end; ++item) {
            const uint64_t bit = UINT64_C(1) << (item % 64);
            if (count_stays(c, c->counts[item - c->begin]))
                c->stays[item / 64] |= bit;
            else
                c->stays[item / 64] &= ~bit;
        }
        if (c->end == c->g->all_items)
            return SR_OK;
        begin_range(c, c->end);
        const sr_status status = for_each_user(c->place, c->g, count_of_user, c, false, error);
        SR_TRY(sr_parallel_agree(c->place->parallel, status, error));
    }
}

/* A round, after which the counts of the first range are those of what is left. Collective. */
static sr_status do_round(core *c, sr_error *error)
{
    SR_TRY(find_staying(c, error));
    begin_range(c, 0);
    c->dropped = 0;
    const sr_status status = for_each_user(c->place, c->g, core_of_user, c, true, error);
    SR_TRY(sr_parallel_agree(c->place->parallel, status, error));
    return sr_parallel_sum_int64(c->place->parallel, &c->dropped, 1, error);
}

static sr_status do_rounds(core *c, user_counts *counts, sr_error *error)
{
    const user_rules *rules = c->rules;
    if (rules->max_user > 0 || rules->max_item > 0) {
        c->is_cap = true;
        SR_TRY(do_round(c, error));
        counts->capped = (uint64_t)c->dropped;
        c->is_cap = false;
    }
    for (bool more = rules->min_user > 0 || rules->min_item > 0; more; more = c->dropped > 0) {
        SR_TRY(do_round(c, error));
        counts->core += (uint64_t)c->dropped;
        ++counts->core_rounds;
    }
    return SR_OK;
}

/* Collective. */
static sr_status allocate_core(core *c, sr_error *error)
{
    SR_TRY(workplace_range(c->place, sizeof *c->counts, c->g->all_items, &c->range, error));
    sr_status status = SR_ALLOCATE(&c->counts, (size_t)c->range, "counts of items", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&c->stays, (size_t)(c->g->all_items / 64 + 1), "counts of items", error);
    if (status == SR_OK)
        begin_range(c, 0);
    return sr_parallel_agree(c->place->parallel, status, error);
}

sr_status reduce_users(workplace *place, gathered *g, const user_rules *rules, user_counts *counts, sr_error *error)
{
    const bool has_core = rules->min_user > 0 || rules->min_item > 0 || rules->max_user > 0 || rules->max_item > 0;
    core c = {.place = place, .g = g, .rules = rules};
    sr_status status = has_core ? allocate_core(&c, error) : SR_OK;
    first_pass pass = {.g = g, .rules = rules, .item_counts = c.counts, .counted = c.end};
    if (status == SR_OK)
        status = for_each_user(place, g, first_look, &pass, rules->duplicates != DEDUPLICATE_NONE || rules->given, error);
    free(pass.places);
    free(pass.gone);
    free(pass.arranged);
    int64_t duplicates = (int64_t)pass.duplicates;
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_sum_int64(place->parallel, &duplicates, 1, error);
    counts->duplicates = (uint64_t)duplicates;
    if (status == SR_OK && has_core)
        status = do_rounds(&c, counts, error);
    free(c.counts);
    free(c.stays);
    return status;
}
