#include "assemble.h"

#include "srtrain/dataset.h"

#include <stdlib.h>

/* The arrays of a data set while it is put together. */
typedef struct {
    int64_t *offsets, *times;
    int32_t *items, *train_end, *valid_end, *item_numbers; /* item_numbers [raw items]: 0 until the item appears */
    const char **user_names, **item_names;
    size_t users, item_count;
} assembly;

static void free_assembly(assembly *a)
{
    free(a->offsets);
    free(a->times);
    free(a->items);
    free(a->train_end);
    free(a->valid_end);
    free(a->item_numbers);
    free(a->user_names);
    free(a->item_names);
}

static sr_status allocate(assembly *a, const interactions *all, sr_error *error)
{
    const char *what = "a data set";
    SR_TRY(SR_ALLOCATE(&a->offsets, (size_t)all->users.count + 1, what, error));
    SR_TRY(SR_ALLOCATE(&a->times, all->count, what, error));
    SR_TRY(SR_ALLOCATE(&a->items, all->count, what, error));
    SR_TRY(SR_ALLOCATE(&a->train_end, all->users.count, what, error));
    SR_TRY(SR_ALLOCATE(&a->valid_end, all->users.count, what, error));
    SR_TRY(SR_ALLOCATE_ZERO(&a->item_numbers, all->items.count, what, error));
    SR_TRY(SR_ALLOCATE(&a->user_names, all->users.count, what, error));
    return SR_ALLOCATE(&a->item_names, all->items.count, what, error);
}

static void end_user(assembly *a, const split_rule *rule, size_t end)
{
    const int64_t begin = a->offsets[a->users];
    split_sequence(rule, a->times + begin, end - (size_t)begin, &a->train_end[a->users], &a->valid_end[a->users]);
    a->offsets[++a->users] = (int64_t)end;
}

static void fill(assembly *a, const interactions *all, const split_rule *rule)
{
    a->offsets[0] = 0;
    for (size_t i = 0; i < all->count; ++i) {
        const interaction *one = &all->list[i];
        if (i > 0 && one->user != all->list[i - 1].user)
            end_user(a, rule, i);
        if (i == 0 || one->user != all->list[i - 1].user)
            a->user_names[a->users] = all->users.texts[one->user];
        if (a->item_numbers[one->item] == 0) {
            a->item_names[a->item_count] = all->items.texts[one->item];
            a->item_numbers[one->item] = (int32_t)++a->item_count;
        }
        a->items[i] = a->item_numbers[one->item];
        a->times[i] = one->time;
    }
    if (all->count)
        end_user(a, rule, all->count);
}

static int compare_lengths(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Destroys the offsets: they become sorted lengths. */
static void make_report(assembly *a, size_t interactions_count, assembly_report *report)
{
    *report = (assembly_report){.users = a->users, .items = a->item_count, .interactions = interactions_count};
    for (size_t user = 0; user < a->users; ++user)
        a->offsets[user] = a->offsets[user + 1] - a->offsets[user];
    qsort(a->offsets, a->users, sizeof *a->offsets, compare_lengths);
    report->shortest = (size_t)a->offsets[0];
    report->median = (size_t)a->offsets[a->users / 2];
    report->longest = (size_t)a->offsets[a->users - 1];
}

sr_status assemble(const interactions *all, const split_rule *rule, const char *split_text, const char *origin,
                   const char *directory, size_t shards, assembly_report *report, sr_error *error)
{
    assembly a = {0};
    sr_status status = allocate(&a, all, error);
    if (status == SR_OK) {
        fill(&a, all, rule);
        const sr_dataset_contents contents = {.users = a.users,
                                              .items = a.item_count,
                                              .interactions = all->count,
                                              .offsets = a.offsets,
                                              .item_ids = a.items,
                                              .times = all->has_times ? a.times : NULL,
                                              .train_end = a.train_end,
                                              .valid_end = a.valid_end,
                                              .user_names = a.user_names,
                                              .item_names = a.item_names,
                                              .split = split_text,
                                              .origin = origin};
        status = sr_dataset_write(directory, &contents, shards, error);
    }
    if (status == SR_OK)
        make_report(&a, all->count, report);
    free_assembly(&a);
    return status;
}
