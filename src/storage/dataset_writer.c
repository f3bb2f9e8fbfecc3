/* Writing a data set: checks the contents, cuts them into shards, writes every file into a temporary directory and renames it.
 */
#include "srtrain/dataset.h"

#include "srtrain/memory.h"
#include "storage/dataset_fingerprint.h"
#include "storage/dataset_format.h"
#include "storage/output_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- checking ---- */

static sr_status check_counts(const sr_dataset_contents *contents, sr_error *error)
{
    if (contents->users == 0 || contents->items == 0 || contents->interactions == 0)
        return sr_fail(error, SR_ERROR_DATA, "the data set is empty: %zu users, %zu items, %zu interactions", contents->users,
                       contents->items, contents->interactions);
    if (contents->items >= INT32_MAX)
        return sr_fail(error, SR_ERROR_DATA, "%zu items; at most %d are possible", contents->items, INT32_MAX - 1);
    const int64_t last = contents->offsets[contents->users];
    if (contents->offsets[0] != 0 || last != (int64_t)contents->interactions)
        return sr_fail(error, SR_ERROR_DATA,
                       "the offsets run from %lld to %lld; from 0 to %zu, the number of interactions, is expected",
                       (long long)contents->offsets[0], (long long)last, contents->interactions);
    return SR_OK;
}

static sr_status check_users(const sr_dataset_contents *contents, sr_error *error)
{
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t length = contents->offsets[user + 1] - contents->offsets[user];
        const int32_t train_end = contents->train_end[user], valid_end = contents->valid_end[user];
        if (length < 1 || length > INT32_MAX)
            return sr_fail(error, SR_ERROR_DATA, "user %zu has %lld interactions; 1 to %d are possible", user,
                           (long long)length, INT32_MAX);
        if (train_end < 0 || train_end > valid_end || valid_end > length)
            return sr_fail(
                error, SR_ERROR_DATA,
                "user %zu with %lld interactions has train_end %d and valid_end %d; 0 <= train_end <= valid_end <= length must "
                "hold",
                user, (long long)length, (int)train_end, (int)valid_end);
    }
    return SR_OK;
}

static sr_status check_contents(const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    SR_TRY(check_counts(contents, error));
    if (shards < 1 || shards > contents->users)
        return sr_fail(error, SR_ERROR_USAGE, "%zu shards for %zu users; 1 to %zu are possible", shards, contents->users,
                       contents->users);
    SR_TRY(check_users(contents, error));
    for (size_t i = 0; i < contents->interactions; ++i)
        if (contents->item_ids[i] < 1 || (size_t)contents->item_ids[i] > contents->items)
            return sr_fail(error, SR_ERROR_DATA, "interaction %zu has item id %d; ids must lie in [1, %zu]", i,
                           (int)contents->item_ids[i], contents->items);
    return SR_OK;
}

static sr_status fingerprint_of(const sr_dataset_contents *contents, char text[SR_CHECKSUM_SIZE], sr_error *error)
{
    sr_fingerprint *fingerprint;
    SR_TRY(sr_fingerprint_begin(&fingerprint, contents->users, contents->items, contents->interactions, contents->times != NULL,
                                error));
    for (size_t i = 0; i < contents->users; ++i)
        sr_fingerprint_name(fingerprint, contents->user_names[i], strlen(contents->user_names[i]));
    for (size_t i = 0; i < contents->items; ++i)
        sr_fingerprint_name(fingerprint, contents->item_names[i], strlen(contents->item_names[i]));
    sr_fingerprint_lengths(fingerprint, contents->offsets, contents->users);
    sr_fingerprint_bytes(fingerprint, contents->item_ids, contents->interactions * sizeof *contents->item_ids);
    if (contents->times)
        sr_fingerprint_bytes(fingerprint, contents->times, contents->interactions * sizeof *contents->times);
    sr_fingerprint_bytes(fingerprint, contents->train_end, contents->users * sizeof *contents->train_end);
    sr_fingerprint_bytes(fingerprint, contents->valid_end, contents->users * sizeof *contents->valid_end);
    sr_fingerprint_end(fingerprint, text);
    return SR_OK;
}

/* ---- the index ---- */

/* Names as null-padded strings of the length of the longest one. */
static sr_status write_names(const sr_hdf5_file *file, const char *dataset, const char *const *names, size_t count,
                             sr_error *error)
{
    size_t width = 1;
    for (size_t i = 0; i < count; ++i) {
        const size_t length = strlen(names[i]);
        width = length > width ? length : width;
    }
    char *field;
    SR_TRY(sr_allocate_zero((void **)&field, count, width, "identifiers", error));
    for (size_t i = 0; i < count; ++i)
        memcpy(field + i * width, names[i], strlen(names[i]));
    const hid_t type = H5Tcopy(H5T_C_S1);
    sr_status status;
    if (type < 0 || H5Tset_size(type, width) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", dataset);
    else
        status = sr_hdf5_write_array(file, dataset, type, count, field, error);
    if (type >= 0)
        H5Tclose(type);
    free(field);
    return status;
}

static sr_status write_item_counts(const sr_hdf5_file *file, const sr_dataset_contents *contents, sr_error *error)
{
    int64_t *all, *training;
    const size_t count = contents->items + 1;
    SR_TRY(SR_ALLOCATE_ZERO(&all, 2 * count, "counts of items", error));
    training = all + count;
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t first = contents->offsets[user], end = contents->offsets[user + 1];
        const int64_t train_end = first + contents->train_end[user];
        for (int64_t i = first; i < end; ++i) {
            ++all[contents->item_ids[i]];
            training[contents->item_ids[i]] += i < train_end;
        }
    }
    sr_status status = sr_hdf5_write_array(file, SR_INDEX_POPULARITY, H5T_STD_I64LE, count, training, error);
    if (status == SR_OK)
        status = sr_hdf5_write_array(file, SR_INDEX_INTERACTIONS, H5T_STD_I64LE, count, all, error);
    free(all);
    return status;
}

static sr_status write_index_attributes(const sr_hdf5_file *file, const sr_dataset_contents *contents, size_t shards,
                                        const char *fingerprint, sr_error *error)
{
    int64_t longest = 0;
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t length = contents->offsets[user + 1] - contents->offsets[user];
        longest = length > longest ? length : longest;
    }
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FORMAT, SR_DATASET_FORMAT, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_USERS, (int64_t)contents->users, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_ITEMS, (int64_t)contents->items, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_INTERACTIONS, (int64_t)contents->interactions, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_SHARDS, (int64_t)shards, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_HAS_TIMES, contents->times != NULL, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_LONGEST, longest, error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_SPLIT, contents->split, error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, fingerprint, error));
    return sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_ORIGIN, contents->origin, error);
}

static sr_status write_index_contents(const sr_hdf5_file *file, const sr_dataset_contents *contents, const int64_t *first_users,
                                      size_t shards, const char *fingerprint, sr_error *error)
{
    SR_TRY(write_index_attributes(file, contents, shards, fingerprint, error));
    SR_TRY(sr_hdf5_create_group(file, "/users", error));
    SR_TRY(sr_hdf5_create_group(file, "/items", error));
    SR_TRY(sr_hdf5_create_group(file, "/shards", error));
    SR_TRY(write_names(file, SR_INDEX_USER_ID, contents->user_names, contents->users, error));
    SR_TRY(write_names(file, SR_INDEX_ITEM_ID, contents->item_names, contents->items, error));
    SR_TRY(write_item_counts(file, contents, error));
    return sr_hdf5_write_array(file, SR_INDEX_FIRST_USER, H5T_STD_I64LE, shards, first_users, error);
}

/* ---- shards ---- */

typedef struct {
    size_t index, first_user, users;
} shard_range;

static sr_status write_shard_contents(const sr_hdf5_file *file, const sr_dataset_contents *contents, shard_range range,
                                      const char *fingerprint, sr_error *error)
{
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FORMAT, SR_DATASET_FORMAT, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_INDEX, (int64_t)range.index, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_FIRST_USER, (int64_t)range.first_user, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_USERS, (int64_t)range.users, error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, fingerprint, error));
    const int64_t *offsets = contents->offsets + range.first_user;
    const int64_t first = offsets[0];
    const size_t count = (size_t)(offsets[range.users] - first);
    int64_t *relative;
    SR_TRY(SR_ALLOCATE(&relative, range.users + 1, "the offsets of a shard", error));
    for (size_t i = 0; i <= range.users; ++i)
        relative[i] = offsets[i] - first;
    const sr_status status = sr_hdf5_write_array(file, SR_SHARD_OFFSETS, H5T_STD_I64LE, range.users + 1, relative, error);
    free(relative);
    SR_TRY(status);
    SR_TRY(sr_hdf5_write_array(file, SR_SHARD_ITEMS, H5T_STD_I32LE, count, contents->item_ids + first, error));
    if (contents->times)
        SR_TRY(sr_hdf5_write_array(file, SR_SHARD_TIMES, H5T_STD_I64LE, count, contents->times + first, error));
    SR_TRY(sr_hdf5_write_array(file, SR_SHARD_TRAIN_END, H5T_STD_I32LE, range.users, contents->train_end + range.first_user,
                               error));
    return sr_hdf5_write_array(file, SR_SHARD_VALID_END, H5T_STD_I32LE, range.users, contents->valid_end + range.first_user,
                               error);
}

/* Cuts where the interactions reach each shard's share, with at least one user for every shard. */
static void cut_shards(const sr_dataset_contents *contents, size_t shards, int64_t *first_users)
{
    size_t user = 0;
    for (size_t shard = 0; shard < shards; ++shard) {
        first_users[shard] = (int64_t)user;
        const double share = (double)contents->interactions * (double)(shard + 1) / (double)shards;
        const size_t last = contents->users - (shards - shard - 1); /* later shards need one user each */
        ++user;
        while (user < last && (double)contents->offsets[user + 1] <= share)
            ++user;
    }
}

/* ---- files ---- */

static sr_status finish_file(sr_hdf5_file *file, sr_status status, sr_error *error)
{
    if (status == SR_OK)
        return sr_hdf5_close_durably(file, error);
    (void)sr_hdf5_close(file, NULL);
    return status;
}

static sr_status write_files(const char *directory, const sr_dataset_contents *contents, const int64_t *first_users,
                             size_t shards, sr_error *error)
{
    char fingerprint[SR_CHECKSUM_SIZE], path[4096], name[64];
    sr_hdf5_file file;
    if (strlen(directory) + sizeof name >= sizeof path)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s: the name is too long", directory);
    SR_TRY(fingerprint_of(contents, fingerprint, error));
    for (size_t i = 0; i < shards; ++i) {
        const size_t first = (size_t)first_users[i], end = i + 1 < shards ? (size_t)first_users[i + 1] : contents->users;
        snprintf(name, sizeof name, SR_DATASET_SHARD_FILE, i);
        snprintf(path, sizeof path, "%s/%s", directory, name);
        SR_TRY(sr_hdf5_create(&file, path, error));
        const sr_status status = write_shard_contents(&file, contents, (shard_range){i, first, end - first}, fingerprint,
                                                      error);
        SR_TRY(finish_file(&file, status, error));
    }
    snprintf(path, sizeof path, "%s/%s", directory, SR_DATASET_INDEX_FILE);
    SR_TRY(sr_hdf5_create(&file, path, error));
    return finish_file(&file, write_index_contents(&file, contents, first_users, shards, fingerprint, error), error);
}

sr_status sr_dataset_write(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    SR_TRY(check_contents(contents, shards, error));
    int64_t *first_users;
    sr_output_directory output;
    SR_TRY(SR_ALLOCATE(&first_users, shards, "the list of shards", error));
    cut_shards(contents, shards, first_users);
    sr_status status = sr_output_directory_begin(&output, directory, error);
    if (status == SR_OK) {
        status = write_files(output.temporary, contents, first_users, shards, error);
        if (status == SR_OK)
            status = sr_output_directory_commit(&output, error);
        else
            sr_output_directory_discard(&output);
    }
    free(first_users);
    return status;
}
