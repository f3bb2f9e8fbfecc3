/* Opening a data set and reading from it. Opening checks that every piece is there and has the right size, which touches only a
 * few pages of each file; dataset_verify.c looks at the contents. */
#include "storage/dataset_format.h"
#include "storage/dataset_internal.h"

#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- index ---- */

static sr_status read_count(const sr_hdf5_file *file, const char *name, int64_t least, int64_t most, size_t *count,
                            sr_error *error)
{
    int64_t value;
    SR_TRY(sr_hdf5_read_integer(file, "/", name, &value, error));
    if (value < least || value > most)
        return sr_fail(error, SR_ERROR_DATA, "%s: attribute %s is %lld; it must lie in [%lld, %lld]", file->path, name,
                       (long long)value, (long long)least, (long long)most);
    *count = (size_t)value;
    return SR_OK;
}

static sr_status check_format(const sr_hdf5_file *file, sr_error *error)
{
    char *format;
    SR_TRY(sr_hdf5_read_text(file, "/", SR_ATTRIBUTE_FORMAT, &format, error));
    const bool known = strcmp(format, SR_DATASET_FORMAT) == 0;
    const sr_status status = known ? SR_OK
                                   : sr_fail(error, SR_ERROR_DATA, "%s: the format is \"%s\"; this program reads \"%s\"",
                                             file->path, format, SR_DATASET_FORMAT);
    free(format);
    return status;
}

static sr_status read_index_attributes(sr_dataset *dataset, sr_error *error)
{
    const sr_hdf5_file *file = &dataset->index.file;
    const int64_t most = INT64_MAX / 16;
    size_t has_times;
    SR_TRY(check_format(file, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_USERS, 1, most, &dataset->users, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_ITEMS, 1, INT32_MAX - 1, &dataset->items, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_INTERACTIONS, 1, most, &dataset->interactions, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_SHARDS, 1, (int64_t)dataset->users, &dataset->shard_count, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_LONGEST, 1, INT32_MAX, &dataset->longest, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_HAS_TIMES, 0, 1, &has_times, error));
    dataset->has_times = has_times == 1;
    SR_TRY(sr_hdf5_read_text(file, "/", SR_ATTRIBUTE_SPLIT, &dataset->split, error));
    return sr_hdf5_read_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, &dataset->fingerprint, error);
}

static sr_status open_index(sr_dataset *dataset, sr_error *error)
{
    sr_mapped_file *index = &dataset->index;
    const sr_mapped_array *popularity, *interactions, *first_user;
    SR_TRY(sr_mapped_file_open(index, dataset->directory, SR_DATASET_INDEX_FILE, error));
    SR_TRY(read_index_attributes(dataset, error));
    const int64_t items = (int64_t)dataset->items;
    SR_TRY(sr_mapped_file_array(index, SR_INDEX_USER_ID, SR_ELEMENT_TEXT, (int64_t)dataset->users, &dataset->user_ids, error));
    SR_TRY(sr_mapped_file_array(index, SR_INDEX_ITEM_ID, SR_ELEMENT_TEXT, items, &dataset->item_ids, error));
    SR_TRY(sr_mapped_file_array(index, SR_INDEX_POPULARITY, SR_ELEMENT_INT64, items + 1, &popularity, error));
    SR_TRY(sr_mapped_file_array(index, SR_INDEX_INTERACTIONS, SR_ELEMENT_INT64, items + 1, &interactions, error));
    SR_TRY(
        sr_mapped_file_array(index, SR_INDEX_FIRST_USER, SR_ELEMENT_INT64, (int64_t)dataset->shard_count, &first_user, error));
    dataset->popularity = popularity->data;
    dataset->item_interactions = interactions->data;
    dataset->first_user = first_user->data;
    return sr_mapped_file_detach(index, error);
}

/* ---- shards ---- */

static sr_status check_shard_attributes(const sr_dataset *dataset, const sr_hdf5_file *file, size_t index, sr_shard *shard,
                                        sr_error *error)
{
    const int64_t users = (int64_t)dataset->users;
    size_t stated_index = 0;
    char *fingerprint;
    SR_TRY(check_format(file, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_INDEX, 0, (int64_t)dataset->shard_count - 1, &stated_index, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_FIRST_USER, 0, users - 1, &shard->first_user, error));
    SR_TRY(read_count(file, SR_ATTRIBUTE_USERS, 1, users, &shard->users, error));
    if (stated_index != index)
        return sr_fail(error, SR_ERROR_DATA, "%s: this is shard %zu, not %zu", file->path, stated_index, index);
    const size_t expected_first = index == 0 ? 0 : shard[-1].first_user + shard[-1].users;
    if (shard->first_user != expected_first || dataset->first_user[index] != (int64_t)expected_first)
        return sr_fail(error, SR_ERROR_DATA, "%s: the first user is %zu; the shard before ends at %zu and %s says %lld",
                       file->path, shard->first_user, expected_first, SR_DATASET_INDEX_FILE,
                       (long long)dataset->first_user[index]);
    SR_TRY(sr_hdf5_read_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, &fingerprint, error));
    sr_status status = SR_OK;
    if (strcmp(fingerprint, dataset->fingerprint) != 0)
        status = sr_fail(error, SR_ERROR_DATA, "%s: belongs to another data set: its fingerprint is %s, that of %s is %s",
                         file->path, fingerprint, SR_DATASET_INDEX_FILE, dataset->fingerprint);
    free(fingerprint);
    return status;
}

static sr_status open_shard(const sr_dataset *dataset, size_t index, sr_shard *shard, sr_error *error)
{
    char name[64];
    const sr_mapped_array *offsets, *items, *times, *train_end, *valid_end;
    snprintf(name, sizeof name, SR_DATASET_SHARD_FILE, index);
    sr_mapped_file *file = &shard->file;
    SR_TRY(sr_mapped_file_open(file, dataset->directory, name, error));
    SR_TRY(check_shard_attributes(dataset, &file->file, index, shard, error));
    const int64_t users = (int64_t)shard->users;
    SR_TRY(sr_mapped_file_array(file, SR_SHARD_OFFSETS, SR_ELEMENT_INT64, users + 1, &offsets, error));
    SR_TRY(sr_mapped_file_array(file, SR_SHARD_ITEMS, SR_ELEMENT_INT32, SR_ANY_COUNT, &items, error));
    shard->offsets = offsets->data;
    shard->items = items->data;
    shard->interactions = items->count;
    if (shard->offsets[0] != 0 || shard->offsets[users] != (int64_t)items->count)
        return sr_fail(error, SR_ERROR_DATA,
                       "%s: dataset %s runs from %lld to %lld; from 0 to %zu, the size of %s, is expected", file->path,
                       SR_SHARD_OFFSETS, (long long)shard->offsets[0], (long long)shard->offsets[users], items->count,
                       SR_SHARD_ITEMS);
    if (dataset->has_times) {
        SR_TRY(sr_mapped_file_array(file, SR_SHARD_TIMES, SR_ELEMENT_INT64, (int64_t)items->count, &times, error));
        shard->times = times->data;
    }
    SR_TRY(sr_mapped_file_array(file, SR_SHARD_TRAIN_END, SR_ELEMENT_INT32, users, &train_end, error));
    SR_TRY(sr_mapped_file_array(file, SR_SHARD_VALID_END, SR_ELEMENT_INT32, users, &valid_end, error));
    shard->train_end = train_end->data;
    shard->valid_end = valid_end->data;
    return sr_mapped_file_detach(file, error);
}

static sr_status open_shards(sr_dataset *dataset, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&dataset->shards, dataset->shard_count, "the list of shards", error));
    size_t users = 0, interactions = 0;
    for (size_t i = 0; i < dataset->shard_count; ++i) {
        SR_TRY(open_shard(dataset, i, &dataset->shards[i], error));
        users += dataset->shards[i].users;
        interactions += dataset->shards[i].interactions;
    }
    if (users != dataset->users || interactions != dataset->interactions)
        return sr_fail(error, SR_ERROR_DATA, "%s: the shards hold %zu users and %zu interactions; %s says %zu and %zu",
                       dataset->directory, users, interactions, SR_DATASET_INDEX_FILE, dataset->users, dataset->interactions);
    return SR_OK;
}

sr_status sr_dataset_open(sr_dataset **result, const char *directory, sr_error *error)
{
    *result = NULL;
    struct stat information;
    if (stat(directory, &information) != 0 || !S_ISDIR(information.st_mode))
        return sr_fail(error, SR_ERROR_DATA, "%s: there is no such directory; a data set as srprep writes it is expected",
                       directory);
    sr_dataset *dataset;
    SR_TRY(SR_ALLOCATE_ZERO(&dataset, 1, "a data set", error));
    sr_status status = sr_copy_string(&dataset->directory, directory, error);
    if (status == SR_OK)
        status = open_index(dataset, error);
    if (status == SR_OK)
        status = open_shards(dataset, error);
    if (status != SR_OK) {
        sr_dataset_close(dataset);
        return status;
    }
    *result = dataset;
    return SR_OK;
}

void sr_dataset_close(sr_dataset *dataset)
{
    if (!dataset)
        return;
    for (size_t i = 0; dataset->shards && i < dataset->shard_count; ++i)
        sr_mapped_file_close(&dataset->shards[i].file);
    sr_mapped_file_close(&dataset->index);
    dataset_translation_free(dataset->translation);
    free(dataset->shards);
    free(dataset->split);
    free(dataset->fingerprint);
    free(dataset->directory);
    free(dataset);
}

/* ---- reading ---- */

size_t sr_dataset_users(const sr_dataset *dataset)
{
    return dataset->users;
}

size_t sr_dataset_items(const sr_dataset *dataset)
{
    return dataset->items;
}

size_t sr_dataset_interactions(const sr_dataset *dataset)
{
    return dataset->interactions;
}

size_t sr_dataset_shards(const sr_dataset *dataset)
{
    return dataset->shard_count;
}

bool sr_dataset_has_times(const sr_dataset *dataset)
{
    return dataset->has_times;
}

const char *sr_dataset_directory(const sr_dataset *dataset)
{
    return dataset->directory;
}

const char *sr_dataset_split(const sr_dataset *dataset)
{
    return dataset->split;
}

const char *sr_dataset_fingerprint(const sr_dataset *dataset)
{
    return dataset->fingerprint;
}

const int64_t *sr_dataset_popularity(const sr_dataset *dataset)
{
    return dataset->popularity;
}

const int64_t *sr_dataset_item_interactions(const sr_dataset *dataset)
{
    return dataset->item_interactions;
}

size_t sr_dataset_longest(const sr_dataset *dataset)
{
    return dataset->longest;
}

/* The shard that holds `user`: the last one whose first user is not behind it. */
static const sr_shard *shard_of(const sr_dataset *dataset, size_t user)
{
    size_t low = 0, high = dataset->shard_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (dataset->shards[middle].first_user <= user)
            low = middle;
        else
            high = middle;
    }
    return &dataset->shards[low];
}

sr_sequence sr_dataset_sequence(const sr_dataset *dataset, size_t user)
{
    const sr_shard *shard = shard_of(dataset, user);
    const size_t local = user - shard->first_user;
    const int64_t first = shard->offsets[local];
    return (sr_sequence){.items = shard->items + first,
                         .times = shard->times ? shard->times + first : NULL,
                         .length = (size_t)(shard->offsets[local + 1] - first),
                         .train_end = (size_t)shard->train_end[local],
                         .valid_end = (size_t)shard->valid_end[local]};
}

size_t sr_dataset_bytes(const sr_dataset *dataset)
{
    size_t bytes = dataset->index.map_bytes;
    for (size_t i = 0; i < dataset->shard_count; ++i)
        bytes += dataset->shards[i].file.map_bytes;
    return bytes;
}

void sr_dataset_expect_random_access(const sr_dataset *dataset)
{
    for (size_t i = 0; i < dataset->shard_count; ++i)
        sr_mapped_file_advise_random(&dataset->shards[i].file);
}

void sr_dataset_prefetch(const sr_dataset *dataset, const int32_t *items, size_t count)
{
    for (size_t i = 0; i < dataset->shard_count; ++i) {
        const sr_shard *shard = &dataset->shards[i];
        if (items < shard->items || items >= shard->items + shard->interactions)
            continue;
        sr_mapped_file_prefetch(&shard->file, items, count * sizeof *items);
        if (shard->times)
            sr_mapped_file_prefetch(&shard->file, shard->times + (items - shard->items), count * sizeof *shard->times);
    }
}

void sr_dataset_let_go(const sr_dataset *dataset)
{
    for (size_t i = 0; i < dataset->shard_count; ++i)
        sr_mapped_file_let_go(&dataset->shards[i].file);
    sr_mapped_file_let_go(&dataset->index);
}

static const char *name_in(const sr_mapped_array *names, size_t index, size_t *length)
{
    const char *name = (const char *)names->data + index * names->element_size;
    *length = strnlen(name, names->element_size);
    return name;
}

const char *sr_dataset_user_name(const sr_dataset *dataset, size_t user, size_t *length)
{
    return name_in(dataset->user_ids, user, length);
}

const char *sr_dataset_item_name(const sr_dataset *dataset, size_t item, size_t *length)
{
    return name_in(dataset->item_ids, item - 1, length);
}

size_t sr_dataset_item_name_width(const sr_dataset *dataset)
{
    return dataset->item_ids->element_size;
}

size_t sr_dataset_user_name_width(const sr_dataset *dataset)
{
    return dataset->user_ids->element_size;
}
