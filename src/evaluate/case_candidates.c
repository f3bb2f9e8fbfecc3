#include "evaluate/case_candidates.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* The stream of SR_RANDOM_EVALUATION, and how draws are told apart below that of a case. */
enum { CANDIDATES = 3, DRAWS = 0, KEYS = 1 };

enum { PATIENCE = 20 }; /* draws for each candidate, before all items are looked at */

sr_status candidate_source_create(candidate_source *source, const sr_dataset *dataset, const sr_candidates *wanted,
                                  sr_error *error)
{
    const size_t items = sr_dataset_items(dataset);
    const int64_t *popularity = sr_dataset_popularity(dataset);
    double all = 0;
    *source = (candidate_source){.dataset = dataset, .wanted = *wanted, .most = smaller(wanted->count, items)};
    if (wanted->kind != SR_CANDIDATES_POPULARITY)
        return SR_OK;
    source->alias.columns = items;
    SR_TRY(SR_ALLOCATE(&source->alias.thresholds, items, "candidates by popularity", error));
    SR_TRY(SR_ALLOCATE(&source->alias.aliases, items, "candidates by popularity", error));
    for (size_t item = 1; item <= items; ++item)
        all += (double)popularity[item];
    for (size_t i = 0; i < items; ++i)
        source->alias.thresholds[i] = all > 0 ? (double)popularity[i + 1] * (double)items / all : 1;
    alias_table_build(&source->alias);
    return SR_OK;
}

void candidate_source_free(candidate_source *source)
{
    free(source->alias.thresholds);
    free(source->alias.aliases);
    *source = (candidate_source){.dataset = NULL};
}

/* ---- what qualifies ---- */

static int compare_items(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return a < b ? -1 : a > b;
}

/* The target is the last of the items that do not qualify. */
static bool qualifies(const sr_sequence *sequence, size_t at, int32_t item)
{
    for (size_t i = 0; i <= at; ++i)
        if (sequence->items[i] == item)
            return false;
    return true;
}

/* Puts an item among `count` ascending ones, unless it is there already. */
static bool insert(int32_t *items, size_t count, int32_t item)
{
    size_t place = count;
    while (place > 0 && items[place - 1] > item)
        --place;
    if (place > 0 && items[place - 1] == item)
        return false;
    for (size_t i = count; i > place; --i)
        items[i] = items[i - 1];
    items[place] = item;
    return true;
}

/* ---- drawing ---- */

static size_t draw_some(const candidate_source *source, sr_random_stream stream, const sr_sequence *sequence, size_t at,
                        int32_t *items)
{
    const bool by_popularity = source->wanted.kind == SR_CANDIDATES_POPULARITY;
    const size_t wanted = source->most, all = sr_dataset_items(source->dataset);
    size_t count = 0;
    for (uint64_t draw = 0; count < wanted && draw < (uint64_t)PATIENCE * wanted; ++draw) {
        const size_t place = by_popularity ? alias_table_draw(&source->alias, stream, draw, 0)
                                           : sr_random_below(stream, draw, 0, all);
        const int32_t item = (int32_t)place + 1;
        if (qualifies(sequence, at, item))
            count += insert(items, count, item);
    }
    return count;
}

/* An item that qualifies and its key: those of the smallest keys are a draw without replacement with these weights (Efraimidis
 * and Spirakis 2006). */
typedef struct {
    double key;
    int32_t item;
} keyed_item;

static int compare_keys(const void *left, const void *right)
{
    const keyed_item *a = left, *b = right;
    if (a->key < b->key || a->key > b->key)
        return a->key < b->key ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

static sr_status draw_of_all(const candidate_source *source, sr_random_stream stream, const sr_sequence *sequence, size_t at,
                             int32_t *items, size_t *count, sr_error *error)
{
    const bool by_popularity = source->wanted.kind == SR_CANDIDATES_POPULARITY;
    const size_t all = sr_dataset_items(source->dataset);
    const int64_t *popularity = sr_dataset_popularity(source->dataset);
    keyed_item *keyed;
    size_t found = 0;
    SR_TRY(SR_ALLOCATE(&keyed, all, "candidates", error));
    for (size_t item = 1; item <= all; ++item) {
        const double weight = by_popularity ? (double)popularity[item] : 1;
        if (weight > 0 && qualifies(sequence, at, (int32_t)item))
            keyed[found++] = (keyed_item){-log1p(-sr_random_uniform(stream, item, 0)) / weight, (int32_t)item};
    }
    qsort(keyed, found, sizeof *keyed, compare_keys);
    *count = smaller(found, source->most);
    for (size_t i = 0; i < *count; ++i)
        items[i] = keyed[i].item;
    qsort(items, *count, sizeof *items, compare_items);
    free(keyed);
    return SR_OK;
}

sr_status candidates_draw(const candidate_source *source, uint64_t number, size_t user, size_t at, int32_t *items,
                          size_t *count, sr_error *error)
{
    const sr_random_stream stream = sr_random_fork(sr_random_open(0, SR_RANDOM_EVALUATION, CANDIDATES), number);
    const sr_sequence sequence = sr_dataset_sequence(source->dataset, user);
    *count = draw_some(source, sr_random_fork(stream, DRAWS), &sequence, at, items);
    /* Too few qualify for draws that meet them by chance. */
    if (*count < source->most)
        return draw_of_all(source, sr_random_fork(stream, KEYS), &sequence, at, items, count, error);
    return SR_OK;
}
