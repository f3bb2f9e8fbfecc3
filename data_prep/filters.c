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

static int by_time_order(const void *left, const void *right)
{
    const interaction *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return compare_numbers(a->order, b->order);
}

/* Sorts one user's interactions, most of which are in order already. */
static void sort_user(interaction *list, size_t count)
{
    for (size_t i = 1; i < count; ++i)
        if (by_time_order(&list[i - 1], &list[i]) > 0) {
            qsort(list, count, sizeof *list, by_time_order);
            return;
        }
}

sr_status sort_interactions(interactions *all, sr_error *error)
{
    const size_t users = all->users.count;
    size_t *ends;
    interaction *sorted;
    SR_TRY(SR_ALLOCATE_ZERO(&ends, users + 1, "sorting", error));
    const sr_status status = SR_ALLOCATE(&sorted, all->count, "sorting", error);
    if (status != SR_OK) {
        free(ends);
        return status;
    }
    /* Counting by user: ends[user + 1] is first the number of the user's interactions, then where they begin, then where they
     * end. */
    for (size_t i = 0; i < all->count; ++i)
        ++ends[all->list[i].user + 1];
    size_t begin = 0;
    for (size_t user = 0; user < users; ++user) {
        const size_t count = ends[user + 1];
        ends[user + 1] = begin;
        begin += count;
    }
    for (size_t i = 0; i < all->count; ++i)
        sorted[ends[all->list[i].user + 1]++] = all->list[i];
    for (size_t user = 0; user < users; ++user)
        sort_user(sorted + ends[user], ends[user + 1] - ends[user]);
    free(ends);
    free(all->list);
    all->list = sorted;
    all->room = all->count;
    return SR_OK;
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

/* ---- order of users ---- */

/* One user's place in the sorted list, and the first of the user's interactions in the input. */
typedef struct {
    uint64_t first_order;
    size_t begin, count;
} user_run;

static int by_first_order(const void *left, const void *right)
{
    const user_run *a = left, *b = right;
    return compare_numbers(a->first_order, b->first_order);
}

static size_t find_runs(const interactions *all, user_run *runs)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; ++i) {
        const uint64_t order = all->list[i].order;
        if (i == 0 || all->list[i].user != all->list[i - 1].user)
            runs[count++] = (user_run){order, i, 0};
        user_run *run = &runs[count - 1];
        ++run->count;
        run->first_order = order < run->first_order ? order : run->first_order;
    }
    return count;
}

static sr_status rearrange(interactions *all, const user_run *runs, size_t run_count, sr_error *error)
{
    interaction *list;
    SR_TRY(SR_ALLOCATE(&list, all->count, "the order of users", error));
    size_t filled = 0;
    for (size_t i = 0; i < run_count; ++i) {
        memcpy(list + filled, all->list + runs[i].begin, runs[i].count * sizeof *list);
        filled += runs[i].count;
    }
    free(all->list);
    all->list = list;
    all->room = all->count;
    return SR_OK;
}

sr_status order_users(interactions *all, sr_error *error)
{
    user_run *runs;
    SR_TRY(SR_ALLOCATE(&runs, all->users.count, "the order of users", error));
    const size_t count = find_runs(all, runs);
    bool in_order = true;
    for (size_t i = 1; i < count; ++i)
        in_order = in_order && runs[i - 1].first_order < runs[i].first_order;
    sr_status status = SR_OK;
    if (!in_order) {
        qsort(runs, count, sizeof *runs, by_first_order);
        status = rearrange(all, runs, count, error);
    }
    free(runs);
    return status;
}

size_t count_ties(const interactions *all)
{
    size_t ties = 0;
    for (size_t i = 1; i < all->count; ++i)
        ties += all->list[i].user == all->list[i - 1].user && all->list[i].time == all->list[i - 1].time;
    return ties;
}
