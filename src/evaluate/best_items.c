#include "evaluate/best_items.h"

#include "base/heap.h"

#include <math.h>
#include <stdlib.h>

/* The place of an item in a list that is not full: worse than any, and no item. */
static const sr_scored_number nothing = {-INFINITY, INT32_MAX};

static int compare_entries(const void *left, const void *right)
{
    return sr_is_better(*(const sr_scored_number *)left, *(const sr_scored_number *)right) ? -1 : 1;
}

/* The worst of those that are kept is the first to go. */
static bool goes_before(const void *context, const void *left, const void *right)
{
    (void)context;
    return sr_is_better(*(const sr_scored_number *)right, *(const sr_scored_number *)left);
}

void best_items_clear(sr_scored_number *best, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        best[i] = nothing;
}

bool best_items_take(const sr_row_numbers *items, const sr_real *scores, size_t top_k, sr_scored_number *best)
{
    const heap kept = {best, top_k, sizeof *best, goes_before, NULL};
    for (size_t place = sr_row_number(items, 0) == 0 ? 1 : 0; place < items->count; ++place) {
        const float score = (float)scores[place];
        if (score < best[0].score || score == -INFINITY)
            continue;
        if (isnan(score))
            return false;
        const sr_scored_number found = {score, sr_row_number(items, place)};
        if (!sr_is_better(found, best[0]))
            continue;
        best[0] = found;
        heap_settle(&kept, 0);
    }
    return true;
}

void best_items_sort(sr_scored_number *best, size_t top_k)
{
    qsort(best, top_k, sizeof *best, compare_entries);
}

bool best_items_is(sr_scored_number entry)
{
    return entry.number != nothing.number;
}
