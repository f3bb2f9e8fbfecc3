/* Verifying the contents of a data set: checksums, and whatever a wrong program could have written with the right checksums. */
#include "storage/dataset_fingerprint.h"
#include "storage/dataset_format.h"
#include "storage/dataset_internal.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

#ifdef SRTRAIN_SMALL_BUFFERS /* tests, whose data sets are small */
enum { ITEMS_COUNTED = 3 };
#else
enum { ITEMS_COUNTED = 1 << 25 }; /* at a time: 256 MiB */
#endif
enum { NAMES_AT_ONCE = 1 << 22 };

static sr_status verify_offsets(const sr_dataset *dataset, const sr_shard *shard, sr_error *error)
{
    for (size_t user = 0; user < shard->users; ++user) {
        const int64_t begin = shard->offsets[user], end = shard->offsets[user + 1];
        if (end < 0 || end > (int64_t)shard->interactions)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s, position %zu: %lld; it must lie in [0, %zu]",
                           shard->file.path, SR_SHARD_OFFSETS, user + 1, (long long)end, shard->interactions);
        if (end - begin < 1 || end - begin > (int64_t)dataset->longest)
            return sr_fail(error, SR_ERROR_DATA,
                           "%s: dataset %s, position %zu: the sequence of user %zu has length %lld; it must lie in [1, %zu]",
                           shard->file.path, SR_SHARD_OFFSETS, user + 1, shard->first_user + user, (long long)(end - begin),
                           dataset->longest);
    }
    return SR_OK;
}

static sr_status verify_items(const sr_dataset *dataset, const sr_shard *shard, sr_error *error)
{
    const int64_t most = (int64_t)dataset->items;
    for (size_t i = 0; i < shard->interactions; ++i)
        if (shard->items[i] < 1 || shard->items[i] > most)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s, position %zu: item id %d; ids must lie in [1, %zu]",
                           shard->file.path, SR_SHARD_ITEMS, i, (int)shard->items[i], dataset->items);
    return SR_OK;
}

static sr_status verify_times(const sr_shard *shard, sr_error *error)
{
    for (size_t user = 0; shard->times && user < shard->users; ++user)
        for (int64_t i = shard->offsets[user] + 1; i < shard->offsets[user + 1]; ++i)
            if (shard->times[i] < shard->times[i - 1])
                return sr_fail(
                    error, SR_ERROR_DATA,
                    "%s: dataset %s, position %lld: time %lld comes after %lld in the sequence of user %zu; times must not "
                    "decrease",
                    shard->file.path, SR_SHARD_TIMES, (long long)i, (long long)shard->times[i], (long long)shard->times[i - 1],
                    shard->first_user + user);
    return SR_OK;
}

static sr_status verify_split(const sr_shard *shard, sr_error *error)
{
    for (size_t user = 0; user < shard->users; ++user) {
        const int64_t length = shard->offsets[user + 1] - shard->offsets[user];
        const int32_t train_end = shard->train_end[user], valid_end = shard->valid_end[user];
        if (train_end < 0 || train_end > valid_end || valid_end > length)
            return sr_fail(
                error, SR_ERROR_DATA,
                "%s: datasets %s and %s, position %zu: %d and %d for user %zu with %lld interactions; 0 <= train_end <= "
                "valid_end <= length must hold",
                shard->file.path, SR_SHARD_TRAIN_END, SR_SHARD_VALID_END, user, (int)train_end, (int)valid_end,
                shard->first_user + user, (long long)length);
    }
    return SR_OK;
}

static sr_status verify_shard(const sr_dataset *dataset, const sr_shard *shard, sr_error *error)
{
    SR_TRY(sr_mapped_file_verify(&shard->file, error));
    SR_TRY(verify_offsets(dataset, shard, error));
    SR_TRY(verify_items(dataset, shard, error));
    SR_TRY(verify_times(shard, error));
    return verify_split(shard, error);
}

/* ---- what only the whole data set shows ---- */

/* Adds to `counts` how often items [begin, end) occur in a shard. */
static void count_shard(const sr_shard *shard, size_t begin, size_t end, bool training_only, int64_t *counts)
{
    for (size_t user = 0; user < shard->users; ++user) {
        const int64_t first = shard->offsets[user];
        const int64_t behind = training_only ? first + shard->train_end[user] : shard->offsets[user + 1];
        for (int64_t i = first; i < behind; ++i) {
            const size_t item = (size_t)shard->items[i];
            if (item >= begin && item < end)
                ++counts[item - begin];
        }
    }
}

/* Compares counts of items over all shards with a dataset of the index, for a range of items at a time. `training_only` counts
 * the training parts alone. */
static sr_status verify_counts(const sr_dataset *dataset, const char *name, const int64_t *stated, bool training_only,
                               sr_error *error)
{
    const size_t all = dataset->items + 1, range = all < ITEMS_COUNTED ? all : (size_t)ITEMS_COUNTED;
    int64_t *counts;
    SR_TRY(SR_ALLOCATE(&counts, range, "counts of items", error));
    sr_status status = SR_OK;
    for (size_t begin = 0; begin < all && status == SR_OK; begin += range) {
        const size_t end = all - begin < range ? all : begin + range;
        memset(counts, 0, range * sizeof *counts);
        for (size_t i = 0; i < dataset->shard_count; ++i) {
            count_shard(&dataset->shards[i], begin, end, training_only, counts);
            sr_mapped_file_let_go(&dataset->shards[i].file);
        }
        for (size_t item = begin; item < end && status == SR_OK; ++item)
            if (counts[item - begin] != stated[item])
                status = sr_fail(error, SR_ERROR_DATA,
                                 "%s: dataset %s, position %zu: %lld; the shards have this item %lld times%s",
                                 dataset->index.path, name, item, (long long)stated[item], (long long)counts[item - begin],
                                 training_only ? " in their training parts" : "");
        sr_mapped_file_let_go(&dataset->index);
    }
    free(counts);
    return status;
}

static void hash_shards(const sr_dataset *dataset, sr_fingerprint *fingerprint)
{
    const size_t count = dataset->shard_count;
    const sr_shard *shards = dataset->shards;
    for (size_t i = 0; i < count; ++i)
        sr_fingerprint_lengths(fingerprint, shards[i].offsets, shards[i].users);
    for (size_t i = 0; i < count; ++i)
        sr_fingerprint_bytes(fingerprint, shards[i].items, shards[i].interactions * sizeof *shards[i].items);
    for (size_t i = 0; i < count && dataset->has_times; ++i)
        sr_fingerprint_bytes(fingerprint, shards[i].times, shards[i].interactions * sizeof *shards[i].times);
    for (size_t i = 0; i < count; ++i)
        sr_fingerprint_bytes(fingerprint, shards[i].train_end, shards[i].users * sizeof *shards[i].train_end);
    for (size_t i = 0; i < count; ++i)
        sr_fingerprint_bytes(fingerprint, shards[i].valid_end, shards[i].users * sizeof *shards[i].valid_end);
}

static sr_status verify_fingerprint(const sr_dataset *dataset, sr_error *error)
{
    sr_fingerprint *fingerprint;
    SR_TRY(
        sr_fingerprint_begin(&fingerprint, dataset->users, dataset->items, dataset->interactions, dataset->has_times, error));
    size_t length;
    for (size_t user = 0; user < dataset->users; ++user) {
        const char *name = sr_dataset_user_name(dataset, user, &length);
        sr_fingerprint_name(fingerprint, name, length);
        if (user % NAMES_AT_ONCE == 0)
            sr_mapped_file_let_go(&dataset->index);
    }
    for (size_t item = 1; item <= dataset->items; ++item) {
        const char *name = sr_dataset_item_name(dataset, item, &length);
        sr_fingerprint_name(fingerprint, name, length);
        if (item % NAMES_AT_ONCE == 0)
            sr_mapped_file_let_go(&dataset->index);
    }
    sr_mapped_file_let_go(&dataset->index);
    hash_shards(dataset, fingerprint);
    char text[SR_CHECKSUM_SIZE];
    sr_fingerprint_end(fingerprint, text);
    if (strcmp(text, dataset->fingerprint) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the fingerprint of the contents is %s, but %s says %s", dataset->directory,
                       text, SR_DATASET_INDEX_FILE, dataset->fingerprint);
    return SR_OK;
}

static sr_status verify_whole(const sr_dataset *dataset, sr_error *error)
{
    size_t longest = 0;
    for (size_t user = 0; user < dataset->users; ++user) {
        const size_t length = sr_dataset_sequence(dataset, user).length;
        longest = length > longest ? length : longest;
    }
    if (longest != dataset->longest)
        return sr_fail(error, SR_ERROR_DATA, "%s: attribute %s is %zu; the longest sequence has %zu interactions",
                       dataset->index.path, SR_ATTRIBUTE_LONGEST, dataset->longest, longest);
    SR_TRY(verify_counts(dataset, SR_INDEX_POPULARITY, dataset->popularity, true, error));
    SR_TRY(verify_counts(dataset, SR_INDEX_INTERACTIONS, dataset->item_interactions, false, error));
    return verify_fingerprint(dataset, error);
}

sr_status sr_dataset_verify(const sr_dataset *dataset, size_t part, size_t parts, sr_error *error)
{
    const size_t pieces = dataset->shard_count + dataset->index.array_count;
    for (size_t piece = part; piece < pieces; piece += parts) {
        if (piece < dataset->shard_count)
            SR_TRY(verify_shard(dataset, &dataset->shards[piece], error));
        else
            SR_TRY(sr_mapped_array_verify(&dataset->index.arrays[piece - dataset->shard_count], dataset->index.path, error));
    }
    return parts == 1 ? verify_whole(dataset, error) : SR_OK;
}
