/* Writing a data set. */
#include "srtrain/dataset.h"

#include "srtrain/memory.h"
#include "storage/dataset_format.h"
#include "storage/hdf5_helpers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH_ROOM = 4096 };

/* ---- one file ---- */

typedef struct {
    hid_t file;
    char path[PATH_ROOM];
} output;

static sr_status open_output(output *out, const char *directory, const char *name, sr_error *error)
{
    sr_hdf5_quiet();
    snprintf(out->path, sizeof out->path, "%s/%s", directory, name);
    const hid_t access = sr_hdf5_file_access(), creation = H5Pcreate(H5P_FILE_CREATE);
    (void)H5Pset_obj_track_times(creation, false);
    out->file = H5Fcreate(out->path, H5F_ACC_EXCL, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return out->file >= 0 ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, "cannot create %s", out->path);
}

static sr_status close_output(output *out, sr_status status, sr_error *error)
{
    const herr_t closed = H5Fclose(out->file);
    if (status == SR_OK && closed < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, "cannot write %s", out->path);
    return status == SR_OK ? sr_synchronise(out->path, error) : status;
}

/* A one-dimensional contiguous dataset with its checksum. `type` is native; `size` is that of one element. */
static sr_status write_dataset(output *out, const char *name, hid_t type, size_t size, size_t count, const void *values,
                               sr_error *error)
{
    const hsize_t extent = count;
    const hid_t creation = sr_hdf5_contiguous(), space = H5Screate_simple(1, &extent, NULL);
    const hid_t set = H5Dcreate2(out->file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    char digest[SR_DIGEST_SIZE];
    sr_digest(values, size * count, digest);
    const bool written = set >= 0 && (count == 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) &&
                         sr_hdf5_write_text(set, DATASET_CHECKSUM, digest);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    H5Pclose(creation);
    return written ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, "cannot write dataset %s of %s", name, out->path);
}

static sr_status write_integers64(output *out, const char *name, const int64_t *values, size_t count, sr_error *error)
{
    return write_dataset(out, name, H5T_NATIVE_INT64, sizeof *values, count, values, error);
}

static sr_status write_integers32(output *out, const char *name, const int32_t *values, size_t count, sr_error *error)
{
    return write_dataset(out, name, H5T_NATIVE_INT32, sizeof *values, count, values, error);
}

/* Identifiers as fixed-length strings, padded with null bytes. */
static sr_status write_names(output *out, const char *name, const char *const *names, size_t count, sr_error *error)
{
    size_t longest = 1;
    for (size_t i = 0; i < count; ++i) {
        const size_t length = strlen(names[i]);
        longest = length > longest ? length : longest;
    }
    char *block;
    SR_TRY(SR_ALLOCATE_ZERO(&block, count * longest, "identifiers", error));
    for (size_t i = 0; i < count; ++i)
        memcpy(block + i * longest, names[i], strlen(names[i]));
    const hid_t type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, longest);
    (void)H5Tset_strpad(type, H5T_STR_NULLPAD);
    const sr_status status = write_dataset(out, name, type, longest, count, block, error);
    H5Tclose(type);
    free(block);
    return status;
}

/* ---- contents ---- */

/* Identifies what was written, whatever the number of shards. */
static void compute_fingerprint(const sr_dataset_contents *contents, char digest[SR_DIGEST_SIZE])
{
    XXH3_state_t *state = XXH3_createState();
    const uint64_t counts[] = {contents->users, contents->items, contents->interactions, contents->times != NULL};
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, counts, sizeof counts);
    XXH3_128bits_update(state, contents->offsets, (contents->users + 1) * sizeof *contents->offsets);
    XXH3_128bits_update(state, contents->item_ids, contents->interactions * sizeof *contents->item_ids);
    if (contents->times)
        XXH3_128bits_update(state, contents->times, contents->interactions * sizeof *contents->times);
    XXH3_128bits_update(state, contents->train_end, contents->users * sizeof *contents->train_end);
    XXH3_128bits_update(state, contents->valid_end, contents->users * sizeof *contents->valid_end);
    for (size_t i = 0; i < contents->users; ++i)
        XXH3_128bits_update(state, contents->user_names[i], strlen(contents->user_names[i]) + 1);
    for (size_t i = 0; i < contents->items; ++i)
        XXH3_128bits_update(state, contents->item_names[i], strlen(contents->item_names[i]) + 1);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(digest + 2 * i, 3, "%02x", canonical.digest[i]);
}

/* How often each item occurs: in training parts, and in all. Both [items + 1]. */
static sr_status count_items(const sr_dataset_contents *contents, int64_t **popularity, int64_t **counts, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(popularity, contents->items + 1, "item counts", error));
    SR_TRY(SR_ALLOCATE_ZERO(counts, contents->items + 1, "item counts", error));
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t begin = contents->offsets[user], length = contents->offsets[user + 1] - begin;
        for (int64_t i = 0; i < length; ++i) {
            ++(*counts)[contents->item_ids[begin + i]];
            (*popularity)[contents->item_ids[begin + i]] += i < contents->train_end[user];
        }
    }
    return SR_OK;
}

static size_t longest_sequence(const sr_dataset_contents *contents)
{
    int64_t longest = 0;
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t length = contents->offsets[user + 1] - contents->offsets[user];
        longest = length > longest ? length : longest;
    }
    return (size_t)longest;
}

static sr_status write_index_attributes(output *out, const sr_dataset_contents *contents, size_t shards, const char *fingerprint,
                                        sr_error *error)
{
    const hid_t file = out->file;
    const bool written = sr_hdf5_write_text(file, "format", DATASET_FORMAT) &&
                         sr_hdf5_write_integer(file, DATASET_USERS, (int64_t)contents->users) &&
                         sr_hdf5_write_integer(file, DATASET_ITEMS, (int64_t)contents->items) &&
                         sr_hdf5_write_integer(file, DATASET_INTERACTIONS, (int64_t)contents->interactions) &&
                         sr_hdf5_write_integer(file, DATASET_SHARDS, (int64_t)shards) &&
                         sr_hdf5_write_integer(file, DATASET_LONGEST, (int64_t)longest_sequence(contents)) &&
                         sr_hdf5_write_integer(file, DATASET_HAS_TIMES, contents->times != NULL) &&
                         sr_hdf5_write_text(file, DATASET_SPLIT, contents->split) &&
                         sr_hdf5_write_text(file, DATASET_ORIGIN, contents->origin) &&
                         sr_hdf5_write_text(file, DATASET_FINGERPRINT, fingerprint);
    return written ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, "cannot write the attributes of %s", out->path);
}

static sr_status write_index(const char *directory, const sr_dataset_contents *contents, const int64_t *first_users, size_t shards,
                             const char *fingerprint, sr_error *error)
{
    output out;
    int64_t *popularity = NULL, *counts = NULL;
    SR_TRY(open_output(&out, directory, DATASET_INDEX_FILE, error));
    sr_status status = write_index_attributes(&out, contents, shards, fingerprint, error);
    if (status == SR_OK)
        status = count_items(contents, &popularity, &counts, error);
    if (status == SR_OK)
        status = write_integers64(&out, DATASET_POPULARITY, popularity, contents->items + 1, error);
    if (status == SR_OK)
        status = write_integers64(&out, DATASET_ITEM_COUNTS, counts, contents->items + 1, error);
    if (status == SR_OK)
        status = write_integers64(&out, DATASET_FIRST_USERS, first_users, shards + 1, error);
    if (status == SR_OK)
        status = write_names(&out, DATASET_USER_NAMES, contents->user_names, contents->users, error);
    if (status == SR_OK)
        status = write_names(&out, DATASET_ITEM_NAMES, contents->item_names, contents->items, error);
    free(popularity);
    free(counts);
    return close_output(&out, status, error);
}

static sr_status write_shard_datasets(output *out, const sr_dataset_contents *contents, size_t first, size_t users,
                                      sr_error *error)
{
    const int64_t begin = contents->offsets[first], end = contents->offsets[first + users];
    int64_t *offsets;
    SR_TRY(SR_ALLOCATE(&offsets, users + 1, "the offsets of a shard", error));
    for (size_t i = 0; i <= users; ++i)
        offsets[i] = contents->offsets[first + i] - begin;
    sr_status status = write_integers64(out, DATASET_OFFSETS, offsets, users + 1, error);
    free(offsets);
    if (status == SR_OK)
        status = write_integers32(out, DATASET_ITEM_IDS, contents->item_ids + begin, (size_t)(end - begin), error);
    if (status == SR_OK && contents->times)
        status = write_integers64(out, DATASET_TIMES, contents->times + begin, (size_t)(end - begin), error);
    if (status == SR_OK)
        status = write_integers32(out, DATASET_TRAIN_END, contents->train_end + first, users, error);
    return status == SR_OK ? write_integers32(out, DATASET_VALID_END, contents->valid_end + first, users, error) : status;
}

static sr_status write_shard(const char *directory, const sr_dataset_contents *contents, size_t number, size_t first, size_t users,
                             const char *fingerprint, sr_error *error)
{
    output out;
    char name[32];
    snprintf(name, sizeof name, DATASET_SHARD_FILE, number);
    SR_TRY(open_output(&out, directory, name, error));
    const int64_t interactions = contents->offsets[first + users] - contents->offsets[first];
    const bool written = sr_hdf5_write_text(out.file, "format", DATASET_FORMAT) &&
                         sr_hdf5_write_integer(out.file, DATASET_SHARD_NUMBER, (int64_t)number) &&
                         sr_hdf5_write_integer(out.file, DATASET_FIRST_USER, (int64_t)first) &&
                         sr_hdf5_write_integer(out.file, DATASET_USERS, (int64_t)users) &&
                         sr_hdf5_write_integer(out.file, DATASET_INTERACTIONS, interactions) &&
                         sr_hdf5_write_text(out.file, DATASET_FINGERPRINT, fingerprint);
    sr_status status = written ? SR_OK : sr_hdf5_fail(error, SR_ERROR_RUNTIME, "cannot write the attributes of %s", out.path);
    if (status == SR_OK)
        status = write_shard_datasets(&out, contents, first, users, error);
    return close_output(&out, status, error);
}

/* Cuts users into contiguous ranges of nearly equal numbers of interactions, each with at least one user: first_users [shards + 1]. */
static void cut_shards(const sr_dataset_contents *contents, size_t shards, int64_t *first_users)
{
    size_t user = 0;
    for (size_t shard = 0; shard < shards; ++shard) {
        first_users[shard] = (int64_t)user;
        const double wanted = (double)contents->interactions * (double)(shard + 1) / (double)shards;
        const size_t last = contents->users - (shards - shard - 1); /* leave one user for each later shard */
        ++user;
        while (user < last && (double)contents->offsets[user] < wanted)
            ++user;
    }
    first_users[shards] = (int64_t)contents->users;
}

static sr_status write_files(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    char fingerprint[SR_DIGEST_SIZE];
    int64_t *first_users;
    compute_fingerprint(contents, fingerprint);
    SR_TRY(SR_ALLOCATE(&first_users, shards + 1, "the shards", error));
    cut_shards(contents, shards, first_users);
    sr_status status = SR_OK;
    for (size_t shard = 0; shard < shards && status == SR_OK; ++shard)
        status = write_shard(directory, contents, shard, (size_t)first_users[shard],
                             (size_t)(first_users[shard + 1] - first_users[shard]), fingerprint, error);
    if (status == SR_OK)
        status = write_index(directory, contents, first_users, shards, fingerprint, error);
    free(first_users);
    return status;
}

/* ---- the directory ---- */

static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[PATH_ROOM + 512];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(name);
    }
    if (directory)
        closedir(directory);
    (void)rmdir(path);
}

static sr_status make_parents(const char *path, sr_error *error)
{
    char partial[PATH_ROOM];
    snprintf(partial, sizeof partial, "%s", path);
    for (char *at = partial + 1; *at; ++at) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            return sr_fail(error, SR_ERROR_RUNTIME, "cannot create directory %s: %s", partial, strerror(errno));
        *at = '/';
    }
    return SR_OK;
}

static sr_status check_contents(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    char index[PATH_ROOM];
    snprintf(index, sizeof index, "%s/%s", directory, DATASET_INDEX_FILE);
    if (access(index, F_OK) == 0)
        return sr_fail(error, SR_ERROR_USAGE, "%s already holds a data set; remove it or choose another --output", directory);
    if (contents->users == 0 || contents->items == 0 || contents->interactions == 0)
        return sr_fail(error, SR_ERROR_DATA, "nothing is left to write: %zu users, %zu items, %zu interactions", contents->users,
                       contents->items, contents->interactions);
    if (shards < 1 || shards > contents->users)
        return sr_fail(error, SR_ERROR_USAGE, "%zu shards: allowed is from 1 to the number of users, %zu", shards, contents->users);
    return SR_OK;
}

sr_status sr_dataset_write(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    char temporary[PATH_ROOM], trimmed[PATH_ROOM - 32];
    SR_TRY(check_contents(directory, contents, shards, error));
    snprintf(trimmed, sizeof trimmed, "%s", directory);
    for (size_t length = strlen(trimmed); length > 1 && trimmed[length - 1] == '/'; --length)
        trimmed[length - 1] = '\0';
    SR_TRY(make_parents(trimmed, error));
    snprintf(temporary, sizeof temporary, "%s.tmp-%ld", trimmed, (long)getpid());
    if (mkdir(temporary, 0777) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot create directory %s: %s", temporary, strerror(errno));
    sr_status status = write_files(temporary, contents, shards, error);
    if (status == SR_OK)
        status = sr_synchronise(temporary, error);
    /* rename() replaces an empty directory, and nothing else. */
    if (status == SR_OK && rename(temporary, trimmed) != 0)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot rename %s to %s: %s", temporary, trimmed, strerror(errno));
    if (status != SR_OK)
        remove_directory(temporary);
    return status;
}
