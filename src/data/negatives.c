#include "data/negatives.h"

#include "base/sizes.h"
#include "data/exclusion.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 1000 };

/* ---- what a negative must not be ---- */

typedef enum { EXCLUDES_NOTHING, EXCLUDES_TARGET, EXCLUDES_ITEMS } exclusion;

static bool redraws(const sr_negative_settings *settings)
{
    const sr_negative_hits hits = settings->history_hits != SR_HITS_KEEP ? settings->history_hits : settings->target_hits;
    return hits == SR_HITS_REDRAW || hits == SR_HITS_REDRAW_ALL;
}

static exclusion exclusion_of(const sr_negative_settings *settings)
{
    if (settings->history_hits != SR_HITS_KEEP)
        return EXCLUDES_ITEMS;
    if (settings->target_hits == SR_HITS_REDRAW && settings->sharing == SR_SHARING_EXAMPLE)
        return EXCLUDES_ITEMS; /* the targets of the example */
    return settings->target_hits == SR_HITS_KEEP ? EXCLUDES_NOTHING : EXCLUDES_TARGET;
}

/* What does not exist for a target once the list is drawn: with redraw_all an item of the history may stay. */
static exclusion masked_of(const sr_negative_settings *settings)
{
    return settings->history_hits == SR_HITS_REDRAW_ALL ? EXCLUDES_TARGET : exclusion_of(settings);
}

/* ---- the negatives while they are being made ---- */

typedef struct {
    const negatives_request *request;
    const sr_negative_settings *settings;
    const sr_batch *batch;
    sr_arena *arena;
    size_t *first_target; /* [examples + 1]: of each example */
    uint32_t *positions;  /* [targets]: within their examples */
    size_t lists, length, from_batch;
    size_t *list_begins;       /* [lists + 1]: targets */
    size_t *list_examples;     /* [lists]: the example of the first target */
    int32_t *items;            /* [lists, length] */
    sr_random_stream *streams; /* [length]: of each place of a list that no other example shares */
    excluded_items excluded;
    size_t excluded_of; /* the example whose items these are; SIZE_MAX: none */
    id_map different;   /* items of a list that many examples share: */
    uint32_t *first;    /* [length]: the first place of each different one */
    uint32_t *next;     /* [length]: which place follows each */
    size_t *hit_offsets;
    uint32_t *hits; /* [hit_room], of which hit_count are in use; not of the arena */
    size_t hit_count, hit_room;
} maker;

static bool is_shared(const maker *m)
{
    return sr_negatives_are_shared(m->settings);
}

static void *take(const maker *m, size_t count, size_t size)
{
    return sr_arena_take(m->arena, count * size);
}

static sr_status fail_memory(size_t count, sr_error *error)
{
    return sr_fail_memory(error, count * sizeof(int32_t), "the negatives of a batch");
}

/* ---- which targets share a list ---- */

/* Where each example's targets begin, in the order in which they are packed. */
static sr_status place_targets(maker *m, sr_error *error)
{
    const negatives_request *r = m->request;
    size_t target = 0;
    m->first_target = take(m, r->count + 1, sizeof *m->first_target);
    m->positions = take(m, m->batch->targets, sizeof *m->positions);
    if (!m->first_target || !m->positions)
        return fail_memory(m->batch->targets, error);
    for (size_t e = 0; e < r->count; ++e) {
        const sr_example *example = &r->examples[e].example;
        const size_t used = smaller(example->length, r->packing->max_length);
        m->first_target[e] = target;
        if (!r->packing->every_position)
            m->positions[target++] = 0;
        for (size_t i = example->length - used; r->packing->every_position && i < example->length; ++i)
            if (example->targets[i] != 0)
                m->positions[target++] = (uint32_t)i;
    }
    m->first_target[r->count] = target;
    assert(target == m->batch->targets);
    return SR_OK;
}

/* Of the lists that are shared, the number of the one that an example reads. */
static size_t shared_list(const maker *m, size_t example)
{
    return m->settings->sharing == SR_SHARING_SLICE ? m->request->examples[example].number / (size_t)m->settings->slice : 0;
}

static bool begins_list(const maker *m, size_t target, size_t example)
{
    if (target == 0 || m->settings->sharing == SR_SHARING_TARGET)
        return true;
    const size_t before = m->list_examples[m->lists - 1];
    return is_shared(m) ? shared_list(m, before) != shared_list(m, example) : before != example;
}

static sr_status divide_targets(maker *m, sr_error *error)
{
    const size_t targets = m->batch->targets;
    m->list_begins = take(m, targets + 1, sizeof *m->list_begins);
    m->list_examples = take(m, targets, sizeof *m->list_examples);
    if (!m->list_begins || !m->list_examples)
        return fail_memory(4 * targets, error);
    for (size_t e = 0; e < m->request->count; ++e)
        for (size_t target = m->first_target[e]; target < m->first_target[e + 1]; ++target)
            if (begins_list(m, target, e)) {
                m->list_begins[m->lists] = target;
                m->list_examples[m->lists++] = e;
            }
    m->list_begins[m->lists] = targets;
    return SR_OK;
}

/* ---- draws ---- */

static int32_t draw_item(const maker *m, sr_random_stream stream, uint64_t low, uint64_t high, size_t place)
{
    const item_shares *shares = m->request->shares;
    if (place < m->from_batch)
        return m->request->batch_targets[sr_random_below(stream, low, high, m->request->batch_target_count)];
    if (shares->sampling == SR_SAMPLING_POPULARITY)
        return 1 + (int32_t)alias_table_draw(&shares->alias, stream, low, high);
    return 1 + (int32_t)sr_random_below(stream, low, high, shares->items);
}

/* 0 where targets are items of the history, which are masked. */
static int32_t last_target(const maker *m, const sr_example *history)
{
    if (!history->targets)
        return 0;
    return history->targets[m->request->packing->every_position ? history->length - 1 : 0];
}

/* The items that must not be a negative of an example's targets. */
static void exclude_items_of(maker *m, size_t e)
{
    const sr_example *history = &m->request->examples[e].history;
    if (m->excluded_of == e)
        return;
    m->excluded_of = e;
    if (m->settings->history_hits == SR_HITS_KEEP) {
        excluded_items_set(&m->excluded, m->batch->target_items + m->first_target[e],
                           m->first_target[e + 1] - m->first_target[e], 0);
    } else if (m->settings->history_hits == SR_HITS_REDRAW_ALL) {
        /* A list of one target alone may have the targets of later positions, as ever. */
        const bool of_target = m->settings->sharing == SR_SHARING_TARGET;
        excluded_items_set(&m->excluded, history->items, history->length, of_target ? 0 : last_target(m, history));
    } else {
        const size_t used = smaller(history->length, m->request->packing->max_length);
        excluded_items_set(&m->excluded, history->items + history->length - used, used, last_target(m, history));
    }
}

/* Whether an item that was drawn is drawn again. After many attempts (a history that covers nearly the whole catalogue) it
 * stays, with redraw_all unless it is the target. `target` 0: the list has several. */
static bool is_drawn_again(maker *m, int32_t item, int32_t target, uint64_t attempt)
{
    const bool all = m->settings->history_hits == SR_HITS_REDRAW_ALL;
    if (item == target)
        return attempt + 1 < (all ? 2 : 1) * (uint64_t)ATTEMPTS;
    if (attempt + 1 >= ATTEMPTS + (uint64_t)all || exclusion_of(m->settings) != EXCLUDES_ITEMS)
        return false;
    return excluded_items_have(&m->excluded, item);
}

/* Fills a list that no other example shares. Returns whether something stayed in it that was to be drawn again. */
static bool draw_own(maker *m, size_t list)
{
    const size_t e = m->list_examples[list], first = m->list_begins[list];
    const bool again = redraws(m->settings), of_target = m->settings->sharing == SR_SHARING_TARGET;
    const uint64_t identity = m->request->examples[e].history.identity;
    const uint64_t high = (uint64_t)(of_target ? m->positions[first] : UINT32_MAX) << 32;
    const int32_t target = of_target ? m->batch->target_items[first] : 0;
    int32_t *items = m->items + list * m->length;
    bool stayed = false;
    if (again)
        exclude_items_of(m, e);
    for (size_t place = 0; place < m->length; ++place) {
        uint64_t attempt = 0;
        items[place] = draw_item(m, m->streams[place], identity, high, place);
        while (again && is_drawn_again(m, items[place], target, attempt))
            items[place] = draw_item(m, m->streams[place], identity, high | ++attempt, place);
        stayed |= attempt + 1 >= ATTEMPTS;
    }
    return stayed;
}

static void draw_shared(maker *m, size_t list)
{
    int32_t *items = m->items + list * m->length;
    const size_t number = shared_list(m, m->list_examples[list]);
    if (m->settings->count == 0) {
        memcpy(items, m->request->batch_targets, m->length * sizeof *items);
        return;
    }
    for (size_t place = 0; place < m->length; ++place)
        items[place] = draw_item(m, m->request->shared, number, (uint64_t)place << 32, place);
}

/* ---- hits ---- */

static sr_status add_hit(maker *m, size_t place, sr_error *error)
{
    SR_TRY(SR_GROW(&m->hits, &m->hit_room, m->hit_count + 1, "the negatives of a batch", error));
    m->hits[m->hit_count++] = (uint32_t)place;
    return SR_OK;
}

/* Where each item stands in a list that many examples share. */
static void index_places(maker *m, const int32_t *items)
{
    id_map_empty(&m->different, m->length);
    for (size_t place = m->length; place-- > 0;) {
        const size_t before = m->different.count, item = id_map_add(&m->different, items[place]);
        m->next[place] = item == before ? UINT32_MAX : m->first[item];
        m->first[item] = (uint32_t)place;
    }
}

static sr_status add_places_of(maker *m, int32_t item, sr_error *error)
{
    const size_t found = id_map_find(&m->different, item);
    for (uint32_t place = found == SIZE_MAX ? UINT32_MAX : m->first[found]; place != UINT32_MAX; place = m->next[place])
        SR_TRY(add_hit(m, place, error));
    return SR_OK;
}

static sr_status find_target(maker *m, const int32_t *items, int32_t target, sr_error *error)
{
    if (is_shared(m))
        return add_places_of(m, target, error);
    for (size_t place = 0; place < m->length; ++place)
        if (items[place] == target)
            SR_TRY(add_hit(m, place, error));
    return SR_OK;
}

static int compare_places(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static sr_status find_items(maker *m, const int32_t *items, size_t example, sr_error *error)
{
    const size_t begin = m->hit_count;
    exclude_items_of(m, example);
    if (!is_shared(m)) {
        for (size_t place = 0; place < m->length; ++place)
            if (excluded_items_have(&m->excluded, items[place]))
                SR_TRY(add_hit(m, place, error));
        return SR_OK;
    }
    excluded_items_fill(&m->excluded);
    for (size_t i = 0; i < m->excluded.set.count; ++i)
        SR_TRY(add_places_of(m, m->excluded.set.list[i], error));
    if (m->hit_count > begin)
        qsort(m->hits + begin, m->hit_count - begin, sizeof *m->hits, compare_places);
    return SR_OK;
}

/* The hits of a target that has the same example and list as the one before it. */
static sr_status repeat_hits(maker *m, size_t target, sr_error *error)
{
    const size_t begin = m->hit_offsets[target - 1], end = m->hit_offsets[target];
    for (size_t hit = begin; hit < end; ++hit)
        SR_TRY(add_hit(m, m->hits[hit], error));
    return SR_OK;
}

/* What does not exist for each target of a list; `look` is false where nothing can be found. */
static sr_status find_hits(maker *m, size_t list, bool look, sr_error *error)
{
    const exclusion masked = masked_of(m->settings);
    const int32_t *items = m->items + list * m->length;
    const size_t begin = m->list_begins[list], end = m->list_begins[list + 1];
    size_t e = m->list_examples[list], repeated = SIZE_MAX; /* the example whose hits the target before has */
    if (look && is_shared(m) && masked != EXCLUDES_NOTHING)
        index_places(m, items);
    for (size_t target = begin; target < end; ++target) {
        while (m->first_target[e + 1] <= target)
            ++e;
        if (look && masked == EXCLUDES_TARGET)
            SR_TRY(find_target(m, items, m->batch->target_items[target], error));
        else if (look && masked == EXCLUDES_ITEMS)
            SR_TRY(repeated == e ? repeat_hits(m, target, error) : find_items(m, items, e, error));
        repeated = e;
        m->hit_offsets[target + 1] = m->hit_count;
    }
    return SR_OK;
}

/* ---- shares ---- */

static double excluded_share_of(maker *m, int32_t target, double of_items)
{
    const exclusion excluded = exclusion_of(m->settings);
    if (excluded == EXCLUDES_NOTHING)
        return 0;
    const bool counted = excluded == EXCLUDES_ITEMS && id_map_find(&m->excluded.set, target) != SIZE_MAX;
    return of_items + (counted ? 0 : item_share(m->request->shares, target));
}

static double share_of_items(maker *m, size_t example)
{
    double sum = 0;
    if (exclusion_of(m->settings) != EXCLUDES_ITEMS)
        return 0;
    exclude_items_of(m, example);
    excluded_items_fill(&m->excluded);
    for (size_t i = 0; i < m->excluded.set.count; ++i)
        sum += item_share(m->request->shares, m->excluded.set.list[i]);
    return sum;
}

static sr_status add_shares(maker *m, sr_negatives *made, sr_error *error)
{
    const item_shares *shares = m->request->shares;
    const size_t targets = m->batch->targets, entries = m->lists * m->length;
    float *log_q = take(m, entries, sizeof *log_q), *target_log_q = take(m, targets, sizeof *target_log_q);
    double *excluded_share = take(m, targets, sizeof *excluded_share);
    if (!log_q || !target_log_q || !excluded_share)
        return fail_memory(entries + 3 * targets, error);
    for (size_t i = 0; i < entries; ++i)
        log_q[i] = (float)item_log_share(shares, m->items[i]);
    for (size_t e = 0; e < m->request->count; ++e) {
        const double of_items = share_of_items(m, e);
        for (size_t target = m->first_target[e]; target < m->first_target[e + 1]; ++target) {
            const int32_t item = m->batch->target_items[target];
            target_log_q[target] = (float)item_log_share(shares, item);
            excluded_share[target] = excluded_share_of(m, item, of_items);
        }
    }
    made->log_q = log_q;
    made->target_log_q = target_log_q;
    made->excluded_share = excluded_share;
    return SR_OK;
}

/* ---- together ---- */

/* The most items of an example that go into a set. */
static size_t most_excluded(const maker *m)
{
    const bool all = m->settings->history_hits == SR_HITS_REDRAW_ALL;
    size_t most = 0;
    for (size_t e = 0; e < m->request->count; ++e) {
        const size_t length = m->request->examples[e].history.length;
        most = larger(most, all ? length : smaller(length, m->request->packing->max_length));
    }
    return most + 1;
}

static sr_status take_room(maker *m, sr_error *error)
{
    const size_t entries = m->lists * m->length, targets = m->batch->targets;
    m->items = take(m, entries, sizeof *m->items);
    m->hit_offsets = take(m, targets + 1, sizeof *m->hit_offsets);
    m->streams = take(m, is_shared(m) ? 0 : m->length, sizeof *m->streams);
    m->first = take(m, is_shared(m) ? m->length : 0, sizeof *m->first);
    m->next = take(m, is_shared(m) ? m->length : 0, sizeof *m->next);
    if (!m->items || !m->hit_offsets || !m->streams || !m->first || !m->next)
        return fail_memory(entries + 2 * targets, error);
    m->hit_offsets[0] = 0;
    for (size_t place = 0; place < m->length && !is_shared(m); ++place)
        m->streams[place] = place == 0 ? m->request->own : sr_random_fork(m->request->own, place);
    if (is_shared(m))
        SR_TRY(id_map_take(&m->different, m->length, m->arena, error));
    return excluded_items_take(&m->excluded, most_excluded(m), m->arena, error);
}

static sr_status make_lists(maker *m, sr_error *error)
{
    const int32_t *given = m->request->given;
    for (size_t list = 0; list < m->lists; ++list) {
        bool look = given || !redraws(m->settings);
        if (given)
            memcpy(m->items + list * m->length, given + list * m->length, m->length * sizeof *given);
        else if (is_shared(m))
            draw_shared(m, list);
        else
            look |= draw_own(m, list);
        SR_TRY(find_hits(m, list, look, error));
    }
    return SR_OK;
}

/* Hits get their last place: as many as there are. */
static sr_status keep_hits(maker *m, sr_negatives *made, sr_error *error)
{
    if (m->hit_count == 0)
        return SR_OK;
    uint32_t *hits = take(m, m->hit_count, sizeof *hits);
    if (!hits)
        return fail_memory(m->hit_count, error);
    memcpy(hits, m->hits, m->hit_count * sizeof *hits);
    made->hits = hits;
    made->hit_offsets = m->hit_offsets;
    return SR_OK;
}

static sr_status make(maker *m, sr_negatives *made, sr_error *error)
{
    SR_TRY(place_targets(m, error));
    SR_TRY(divide_targets(m, error));
    SR_TRY(take_room(m, error));
    SR_TRY(make_lists(m, error));
    *made = (sr_negatives){.lists = m->lists, .length = m->length, .items = m->items, .first_target = m->list_begins};
    if (m->request->wants_shares)
        SR_TRY(add_shares(m, made, error));
    return keep_hits(m, made, error);
}

sr_status negatives_make(const negatives_request *request, const sr_batch *batch, sr_arena *arena, const sr_negatives **made,
                         sr_error *error)
{
    const sr_negative_settings *settings = request->settings;
    const size_t length = settings->count > 0 ? (size_t)settings->count : request->batch_target_count;
    maker m = {.request = request,
               .settings = settings,
               .batch = batch,
               .arena = arena,
               .length = length,
               .from_batch = places_from_batch(settings, length),
               .excluded_of = SIZE_MAX};
    sr_negatives *negatives = take(&m, 1, sizeof *negatives);
    if (!negatives)
        return fail_memory(sizeof *negatives, error);
    const sr_status status = make(&m, negatives, error);
    free(m.hits);
    *made = negatives;
    return status;
}
