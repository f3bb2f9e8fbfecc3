#include "filters.h"

#include <stdlib.h>
#include <string.h>

void filter_ratings(interactions *all, double minimum, filter_report *report)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; ++i)
        if ((double)all->list[i].rating >= minimum)
            all->list[kept++] = all->list[i];
    report->low_rating = all->count - kept;
    all->count = kept;
}

static int compare_numbers(uint64_t left, uint64_t right)
{
    return (left > right) - (left < right);
}

static int by_user_time_order(const void *left, const void *right)
{
    const interaction *a = left, *b = right;
    if (a->user != b->user)
        return compare_numbers(a->user, b->user);
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return compare_numbers(a->order, b->order);
}

void sort_interactions(interactions *all)
{
    qsort(all->list, all->count, sizeof *all->list, by_user_time_order);
}

/* ---- duplicates ---- */

/* A place in the sorted list, for finding equal (user, item). */
typedef struct {
    uint32_t user, item;
    size_t place;
} occurrence;

static int by_user_item_place(const void *left, const void *right)
{
    const occurrence *a = left, *b = right;
    if (a->user != b->user)
        return compare_numbers(a->user, b->user);
    if (a->item != b->item)
        return compare_numbers(a->item, b->item);
    return compare_numbers(a->place, b->place);
}

sr_status remove_duplicates(interactions *all, deduplication which, filter_report *report, sr_error *error)
{
    if (which == DEDUPLICATE_NONE)
        return SR_OK;
    occurrence *occurrences;
    char *dropped;
    SR_TRY(SR_ALLOCATE(&occurrences, all->count, "finding duplicates", error));
    const sr_status status = SR_ALLOCATE_ZERO(&dropped, all->count, "finding duplicates", error);
    if (status != SR_OK) {
        free(occurrences);
        return status;
    }
    for (size_t i = 0; i < all->count; ++i)
        occurrences[i] = (occurrence){all->list[i].user, all->list[i].item, i};
    qsort(occurrences, all->count, sizeof *occurrences, by_user_item_place);
    for (size_t i = 1; i < all->count; ++i)
        if (occurrences[i].user == occurrences[i - 1].user && occurrences[i].item == occurrences[i - 1].item)
            dropped[occurrences[which == DEDUPLICATE_FIRST ? i : i - 1].place] = 1;
    size_t kept = 0;
    for (size_t i = 0; i < all->count; ++i)
        if (!dropped[i])
            all->list[kept++] = all->list[i];
    report->duplicates = all->count - kept;
    all->count = kept;
    free(occurrences);
    free(dropped);
    return SR_OK;
}

/* ---- k-core ---- */

/* One pass; returns how many interactions it dropped. */
static size_t core_pass(interactions *all, size_t min_user, size_t min_item, uint32_t *user_counts, uint32_t *item_counts)
{
    memset(user_counts, 0, all->users.count * sizeof *user_counts);
    memset(item_counts, 0, all->items.count * sizeof *item_counts);
    for (size_t i = 0; i < all->count; ++i) {
        ++user_counts[all->list[i].user];
        ++item_counts[all->list[i].item];
    }
    size_t kept = 0;
    for (size_t i = 0; i < all->count; ++i)
        if (user_counts[all->list[i].user] >= min_user && item_counts[all->list[i].item] >= min_item)
            all->list[kept++] = all->list[i];
    const size_t dropped = all->count - kept;
    all->count = kept;
    return dropped;
}

sr_status repeat_core(interactions *all, size_t min_user, size_t min_item, filter_report *report, sr_error *error)
{
    if (min_user == 0 && min_item == 0)
        return SR_OK;
    uint32_t *user_counts, *item_counts;
    SR_TRY(SR_ALLOCATE(&user_counts, all->users.count, "counting users", error));
    const sr_status status = SR_ALLOCATE(&item_counts, all->items.count, "counting items", error);
    if (status != SR_OK) {
        free(user_counts);
        return status;
    }
    size_t dropped;
    do {
        dropped = core_pass(all, min_user, min_item, user_counts, item_counts);
        report->core += dropped;
        ++report->core_rounds;
    } while (dropped > 0);
    free(user_counts);
    free(item_counts);
    return SR_OK;
}

size_t count_ties(const interactions *all)
{
    size_t ties = 0;
    for (size_t i = 1; i < all->count; ++i)
        ties += all->list[i].user == all->list[i - 1].user && all->list[i].time == all->list[i - 1].time;
    return ties;
}
