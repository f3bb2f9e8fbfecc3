/* A data set of other items than a model's: numbers are those of the model, by identifier. */
#include "srtrain/item_names.h"

#include "base/names.h"
#include "base/shown.h"
#include "srtrain/memory.h"
#include "storage/dataset_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* What the data set points to from now on. */
struct dataset_translation {
    sr_mapped_array item_ids;
    int64_t *popularity, *item_interactions; /* [items + 1] */
    translated_shard *shards;
    size_t shard_count;
};

void dataset_translation_free(dataset_translation *translation)
{
    if (!translation)
        return;
    for (size_t i = 0; translation->shards && i < translation->shard_count; ++i) {
        translated_shard *shard = &translation->shards[i];
        free(shard->offsets);
        free(shard->items);
        free(shard->times);
        free(shard->train_end);
        free(shard->valid_end);
    }
    free(translation->shards);
    free(translation->popularity);
    free(translation->item_interactions);
    free(translation);
}

/* ---- numbers ---- */

/* numbers [items + 1]: that of each item of the data set in the model, or 0. */
static sr_status find_numbers(const sr_dataset *dataset, const sr_item_names *names, int32_t *numbers, sr_error *error)
{
    name_table own = {.bytes = NULL};
    uint32_t number;
    size_t length;
    sr_status status = names_create(&own, error);
    for (size_t item = 1; item <= dataset->items && status == SR_OK; ++item) {
        const char *name = sr_dataset_item_name(dataset, item, &length);
        status = names_number(&own, name, length, &number, error);
        if (status == SR_OK && number + 1 != item)
            status = sr_fail(error, SR_ERROR_DATA, "%s: items %u and %zu have the same identifier \"%.*s\"", dataset->directory,
                             number + 1, item, (int)length, name);
    }
    for (size_t item = 1; item <= sr_item_names_count(names) && status == SR_OK; ++item) {
        const char *name = sr_item_name(names, item, &length);
        number = names_find(&own, name, length);
        if (number != NAMES_NONE)
            numbers[number + 1] = (int32_t)item;
    }
    names_free(&own);
    return status;
}

static void report_unknown(const sr_dataset *dataset, const int32_t *numbers, sr_translation *found)
{
    enum { ENTRIES = 4, SIZE = 44 };
    size_t used = 0;
    *found = (sr_translation){.items = dataset->items, .interactions = dataset->interactions};
    for (size_t item = 1; item <= dataset->items; ++item) {
        if (numbers[item])
            continue;
        if (found->unknown_items < ENTRIES) {
            char shown[SIZE];
            size_t length;
            const char *name = sr_dataset_item_name(dataset, item, &length);
            shown_text(name, length, shown, sizeof shown);
            used += (size_t)snprintf(found->shown + used, sizeof found->shown - used, "%s\"%s\"", used ? ", " : "", shown);
        } else if (found->unknown_items == ENTRIES) {
            snprintf(found->shown + used, sizeof found->shown - used, ", ...");
        }
        ++found->unknown_items;
    }
}

/* ---- sequences ---- */

static sr_status allocate_shard(translated_shard *made, const sr_shard *shard, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&made->offsets, shard->users + 1, "translated sequences", error));
    SR_TRY(SR_ALLOCATE(&made->items, shard->interactions, "translated sequences", error));
    if (shard->times)
        SR_TRY(SR_ALLOCATE(&made->times, shard->interactions, "translated sequences", error));
    SR_TRY(SR_ALLOCATE(&made->train_end, shard->users, "translated sequences", error));
    return SR_ALLOCATE(&made->valid_end, shard->users, "translated sequences", error);
}

static void translate_user(translated_shard *made, const sr_shard *shard, size_t user, const int32_t *numbers,
                           sr_translation *found)
{
    const int64_t begin = shard->offsets[user], length = shard->offsets[user + 1] - begin;
    int64_t used = made->offsets[user];
    made->train_end[user] = made->valid_end[user] = 0;
    for (int64_t i = 0; i < length; ++i) {
        const int32_t number = numbers[shard->items[begin + i]];
        if (number == 0) {
            ++found->unknown_interactions;
            found->unknown_held_out += i >= shard->train_end[user];
            continue;
        }
        made->items[used] = number;
        if (made->times)
            made->times[used] = shard->times[begin + i];
        ++used;
        made->train_end[user] += i < shard->train_end[user];
        made->valid_end[user] += i < shard->valid_end[user];
    }
    made->offsets[user + 1] = used;
}

static sr_status translate_shards(sr_dataset *dataset, dataset_translation *made, const int32_t *numbers, sr_translation *found,
                                  sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&made->shards, dataset->shard_count, "translated sequences", error));
    made->shard_count = dataset->shard_count;
    for (size_t i = 0; i < dataset->shard_count; ++i) {
        SR_TRY(allocate_shard(&made->shards[i], &dataset->shards[i], error));
        for (size_t user = 0; user < dataset->shards[i].users; ++user)
            translate_user(&made->shards[i], &dataset->shards[i], user, numbers, found);
    }
    return SR_OK;
}

static sr_status translate_counts(const sr_dataset *dataset, dataset_translation *made, const int32_t *numbers, size_t items,
                                  sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&made->popularity, items + 1, "counts of items", error));
    SR_TRY(SR_ALLOCATE_ZERO(&made->item_interactions, items + 1, "counts of items", error));
    for (size_t item = 1; item <= dataset->items; ++item)
        if (numbers[item]) {
            made->popularity[numbers[item]] = dataset->popularity[item];
            made->item_interactions[numbers[item]] = dataset->item_interactions[item];
        }
    return SR_OK;
}

/* ---- the data set ---- */

static void use(sr_dataset *dataset, dataset_translation *made, const sr_item_names *names, const sr_translation *found)
{
    size_t length;
    made->item_ids = (sr_mapped_array){.data = sr_item_name(names, 1, &length),
                                       .count = sr_item_names_count(names),
                                       .element_size = sr_item_names_width(names)};
    dataset->translation = made;
    dataset->items = sr_item_names_count(names);
    dataset->interactions -= found->unknown_interactions;
    dataset->item_ids = &made->item_ids;
    dataset->popularity = made->popularity;
    dataset->item_interactions = made->item_interactions;
    dataset->longest = 0;
    for (size_t i = 0; i < dataset->shard_count; ++i) {
        sr_shard *shard = &dataset->shards[i];
        const translated_shard *translated = &made->shards[i];
        shard->offsets = translated->offsets;
        shard->items = translated->items;
        shard->times = translated->times;
        shard->train_end = translated->train_end;
        shard->valid_end = translated->valid_end;
        shard->interactions = (size_t)translated->offsets[shard->users];
        for (size_t user = 0; user < shard->users; ++user) {
            const size_t own = (size_t)(translated->offsets[user + 1] - translated->offsets[user]);
            dataset->longest = own > dataset->longest ? own : dataset->longest;
        }
    }
}

sr_status sr_dataset_translate(sr_dataset *dataset, const sr_item_names *names, sr_translation *found, sr_error *error)
{
    int32_t *numbers;
    dataset_translation *made = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&numbers, dataset->items + 1, "numbers of items", error));
    sr_status status = SR_ALLOCATE_ZERO(&made, 1, "a translated data set", error);
    if (status == SR_OK)
        status = find_numbers(dataset, names, numbers, error);
    if (status == SR_OK) {
        report_unknown(dataset, numbers, found);
        status = translate_shards(dataset, made, numbers, found, error);
    }
    if (status == SR_OK)
        status = translate_counts(dataset, made, numbers, sr_item_names_count(names), error);
    if (status == SR_OK && found->unknown_items == found->items)
        status = sr_fail(error, SR_ERROR_DATA, "%s has none of the items of %s: its items are %s", dataset->directory,
                         sr_item_names_origin(names), found->shown);
    if (status == SR_OK)
        use(dataset, made, names, found);
    else
        dataset_translation_free(made);
    free(numbers);
    return status;
}
