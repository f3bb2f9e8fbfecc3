/* Reading a data set: its structure is checked when it is opened, its contents by sr_dataset_verify(). */
#include "srtrain/dataset.h"

#include "srtrain/memory.h"
#include "storage/dataset_format.h"
#include "storage/hdf5_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, MOST_DATASETS = 5 };

/* One dataset's values: pointing into the mapped file, or read into memory where that is not possible. */
typedef struct {
    const char *name;
    const void *values;
    void *owned; /* NULL when mapped */
    size_t count, size;
    char digest[SR_DIGEST_SIZE];
} values_view;

/* One file of the data set. */
typedef struct {
    char path[PATH_ROOM];
    hid_t file; /* open while the file is being read, else -1 */
    void *map;
    size_t map_size;
    values_view views[MOST_DATASETS];
    size_t view_count;
} mapped_file;

typedef struct {
    mapped_file file;
    size_t first_user, users, interactions;
    const int64_t *offsets, *times;
    const int32_t *items, *train_end, *valid_end;
} shard;

struct sr_dataset {
    char directory[PATH_ROOM];
    mapped_file index;
    shard *shards;
    size_t shard_count, users, items, interactions, longest;
    bool has_times;
    char *split, *fingerprint;
    const char *user_names, *item_names;
    size_t user_name_size, item_name_size;
    const int64_t *popularity, *item_counts, *first_users;
};

/* ---- files ---- */

static sr_status open_file(mapped_file *file, sr_error *error)
{
    sr_hdf5_quiet();
    if (access(file->path, R_OK) != 0)
        return sr_fail(error, SR_ERROR_DATA, "cannot read %s: %s", file->path, strerror(errno));
    const hid_t properties = sr_hdf5_file_access();
    file->file = H5Fopen(file->path, H5F_ACC_RDONLY, properties);
    H5Pclose(properties);
    if (file->file < 0)
        return sr_hdf5_fail(error, SR_ERROR_DATA, "%s is not a readable HDF5 file: damaged, truncated or something else", file->path);
    const int descriptor = open(file->path, O_RDONLY);
    struct stat status;
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_size > 0) {
        file->map_size = (size_t)status.st_size;
        file->map = mmap(NULL, file->map_size, PROT_READ, MAP_SHARED, descriptor, 0);
        if (file->map == MAP_FAILED)
            file->map = NULL; /* then datasets are read into memory */
    }
    if (descriptor >= 0)
        close(descriptor);
    char *format = NULL;
    SR_TRY(sr_hdf5_read_text(file->file, file->path, "format", &format, error));
    const bool known = strcmp(format, DATASET_FORMAT) == 0;
    if (!known)
        sr_fail(error, SR_ERROR_DATA, "%s: the format is \"%s\", expected \"%s\"", file->path, format, DATASET_FORMAT);
    free(format);
    return known ? SR_OK : SR_ERROR_DATA;
}

static void end_reading(mapped_file *file)
{
    if (file->file > 0)
        H5Fclose(file->file);
    file->file = -1;
}

static void close_file(mapped_file *file)
{
    end_reading(file);
    for (size_t i = 0; i < file->view_count; ++i)
        free(file->views[i].owned);
    if (file->map)
        munmap(file->map, file->map_size);
    file->map = NULL;
}

/* ---- datasets ---- */

/* Finds the values of an open dataset: in the mapped file when they are stored there as they are needed in memory. */
static sr_status find_values(mapped_file *file, hid_t set, hid_t memory_type, values_view *view, sr_error *error)
{
    const hid_t stored = H5Dget_type(set);
    const haddr_t offset = H5Dget_offset(set);
    const size_t bytes = view->count * view->size;
    const bool as_stored = H5Tequal(stored, memory_type) > 0;
    const size_t alignment = H5Tget_class(stored) == H5T_STRING ? 1 : view->size;
    H5Tclose(stored);
    if (bytes == 0) {
        view->values = file->path; /* any pointer: nothing is read from it */
        return SR_OK;
    }
    if (offset != HADDR_UNDEF && as_stored && file->map && offset % alignment == 0) {
        if (offset > file->map_size || bytes > file->map_size - offset)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s reaches beyond the end of the file: it is truncated", file->path,
                           view->name);
        view->values = (const char *)file->map + offset;
        return SR_OK;
    }
    SR_TRY(SR_ALLOCATE((char **)&view->owned, bytes, "a dataset", error));
    view->values = view->owned;
    return H5Dread(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, view->owned) >= 0
               ? SR_OK
               : sr_hdf5_fail(error, SR_ERROR_DATA, "%s: dataset %s cannot be read", file->path, view->name);
}

/* The number of elements of a one-dimensional dataset, or SIZE_MAX. */
static size_t extent_of(hid_t set)
{
    const hid_t space = H5Dget_space(set);
    hsize_t extent = 0;
    const bool fits = H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &extent, NULL) == 1;
    H5Sclose(space);
    return fits ? (size_t)extent : SIZE_MAX;
}

/* Opens a dataset of `count` elements. `memory_type` < 0: fixed-length strings, whose length comes back in *size. */
static sr_status read_values(mapped_file *file, const char *name, hid_t memory_type, size_t *size, size_t count,
                             const void **values, sr_error *error)
{
    const hid_t set = H5Dopen2(file->file, name, H5P_DEFAULT);
    if (set < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is missing", file->path, name);
    values_view *view = &file->views[file->view_count];
    *view = (values_view){.name = name, .count = count};
    const hid_t stored = H5Dget_type(set), type = memory_type < 0 ? H5Tcopy(stored) : H5Tcopy(memory_type);
    const H5T_class_t wanted = memory_type < 0 ? H5T_STRING : H5T_INTEGER;
    view->size = H5Tget_size(type);
    sr_status status = SR_OK;
    char *digest = NULL;
    if (H5Tget_class(stored) != wanted || H5Tis_variable_str(stored) > 0)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not hold %s", file->path, name,
                         memory_type < 0 ? "fixed-length strings" : "integers");
    else if (extent_of(set) != count)
        status = sr_fail(error, SR_ERROR_DATA, "%s: dataset %s has %zu elements, expected %zu", file->path, name, extent_of(set),
                         count);
    if (status == SR_OK)
        status = find_values(file, set, type, view, error);
    file->view_count += status == SR_OK || view->owned;
    if (status == SR_OK)
        status = sr_hdf5_read_text(set, file->path, DATASET_CHECKSUM, &digest, error);
    if (status == SR_OK)
        snprintf(view->digest, sizeof view->digest, "%s", digest);
    free(digest);
    H5Tclose(type);
    H5Tclose(stored);
    H5Dclose(set);
    *values = view->values;
    *size = view->size;
    return status;
}

static sr_status read_integers64(mapped_file *file, const char *name, size_t count, const int64_t **values, sr_error *error)
{
    size_t size;
    const void *read;
    SR_TRY(read_values(file, name, H5T_NATIVE_INT64, &size, count, &read, error));
    *values = read;
    return SR_OK;
}

static sr_status read_integers32(mapped_file *file, const char *name, size_t count, const int32_t **values, sr_error *error)
{
    size_t size;
    const void *read;
    SR_TRY(read_values(file, name, H5T_NATIVE_INT32, &size, count, &read, error));
    *values = read;
    return SR_OK;
}

/* A count attribute in a range. */
static sr_status read_count(const mapped_file *file, const char *name, int64_t minimum, int64_t maximum, size_t *count,
                            sr_error *error)
{
    int64_t value;
    SR_TRY(sr_hdf5_read_integer(file->file, file->path, name, &value, error));
    if (value < minimum || value > maximum)
        return sr_fail(error, SR_ERROR_DATA, "%s: the attribute \"%s\" is %lld, allowed is from %lld to %lld", file->path, name,
                       (long long)value, (long long)minimum, (long long)maximum);
    *count = (size_t)value;
    return SR_OK;
}

/* ---- opening ---- */

static sr_status read_index(sr_dataset *dataset, sr_error *error)
{
    mapped_file *index = &dataset->index;
    size_t has_times = 0;
    snprintf(index->path, sizeof index->path, "%.4000s/%s", dataset->directory, DATASET_INDEX_FILE);
    if (access(index->path, F_OK) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s is not a data set: there is no %s (srprep convert makes one)", dataset->directory,
                       index->path);
    SR_TRY(open_file(index, error));
    SR_TRY(read_count(index, DATASET_USERS, 1, INT64_MAX / 16, &dataset->users, error));
    SR_TRY(read_count(index, DATASET_ITEMS, 1, INT32_MAX - 1, &dataset->items, error));
    SR_TRY(read_count(index, DATASET_INTERACTIONS, 1, INT64_MAX / 16, &dataset->interactions, error));
    SR_TRY(read_count(index, DATASET_SHARDS, 1, (int64_t)dataset->users, &dataset->shard_count, error));
    SR_TRY(read_count(index, DATASET_LONGEST, 1, (int64_t)dataset->interactions, &dataset->longest, error));
    SR_TRY(read_count(index, DATASET_HAS_TIMES, 0, 1, &has_times, error));
    dataset->has_times = has_times == 1;
    SR_TRY(sr_hdf5_read_text(index->file, index->path, DATASET_SPLIT, &dataset->split, error));
    SR_TRY(sr_hdf5_read_text(index->file, index->path, DATASET_FINGERPRINT, &dataset->fingerprint, error));
    SR_TRY(read_integers64(index, DATASET_POPULARITY, dataset->items + 1, &dataset->popularity, error));
    SR_TRY(read_integers64(index, DATASET_ITEM_COUNTS, dataset->items + 1, &dataset->item_counts, error));
    SR_TRY(read_integers64(index, DATASET_FIRST_USERS, dataset->shard_count + 1, &dataset->first_users, error));
    const void *names;
    SR_TRY(read_values(index, DATASET_USER_NAMES, -1, &dataset->user_name_size, dataset->users, &names, error));
    dataset->user_names = names;
    SR_TRY(read_values(index, DATASET_ITEM_NAMES, -1, &dataset->item_name_size, dataset->items, &names, error));
    dataset->item_names = names;
    return SR_OK;
}

static sr_status check_fingerprint(const sr_dataset *dataset, const mapped_file *file, sr_error *error)
{
    char *fingerprint;
    SR_TRY(sr_hdf5_read_text(file->file, file->path, DATASET_FINGERPRINT, &fingerprint, error));
    const bool fits = strcmp(fingerprint, dataset->fingerprint) == 0;
    if (!fits)
        sr_fail(error, SR_ERROR_DATA, "%s belongs to another data set: its fingerprint is %s, that of %s is %s", file->path,
                fingerprint, dataset->index.path, dataset->fingerprint);
    free(fingerprint);
    return fits ? SR_OK : SR_ERROR_DATA;
}

static sr_status read_shard(const sr_dataset *dataset, size_t number, shard *s, sr_error *error)
{
    mapped_file *file = &s->file;
    char name[32];
    size_t found;
    snprintf(name, sizeof name, DATASET_SHARD_FILE, number);
    snprintf(file->path, sizeof file->path, "%.4000s/%s", dataset->directory, name);
    SR_TRY(open_file(file, error));
    SR_TRY(check_fingerprint(dataset, file, error));
    SR_TRY(read_count(file, DATASET_SHARD_NUMBER, (int64_t)number, (int64_t)number, &found, error));
    SR_TRY(read_count(file, DATASET_FIRST_USER, dataset->first_users[number], dataset->first_users[number], &s->first_user, error));
    const int64_t users = dataset->first_users[number + 1] - dataset->first_users[number];
    SR_TRY(read_count(file, DATASET_USERS, users, users, &s->users, error));
    SR_TRY(read_count(file, DATASET_INTERACTIONS, 0, (int64_t)dataset->interactions, &s->interactions, error));
    SR_TRY(read_integers64(file, DATASET_OFFSETS, s->users + 1, &s->offsets, error));
    SR_TRY(read_integers32(file, DATASET_ITEM_IDS, s->interactions, &s->items, error));
    if (dataset->has_times)
        SR_TRY(read_integers64(file, DATASET_TIMES, s->interactions, &s->times, error));
    SR_TRY(read_integers32(file, DATASET_TRAIN_END, s->users, &s->train_end, error));
    return read_integers32(file, DATASET_VALID_END, s->users, &s->valid_end, error);
}

static sr_status check_first_users(const sr_dataset *dataset, sr_error *error)
{
    const int64_t *first = dataset->first_users;
    bool fits = first[0] == 0 && first[dataset->shard_count] == (int64_t)dataset->users;
    for (size_t i = 0; i < dataset->shard_count && fits; ++i)
        fits = first[i] < first[i + 1];
    return fits ? SR_OK
                : sr_fail(error, SR_ERROR_DATA, "%s: dataset %s does not divide the %zu users into %zu shards", dataset->index.path,
                          DATASET_FIRST_USERS, dataset->users, dataset->shard_count);
}

static sr_status read_everything(sr_dataset *dataset, sr_error *error)
{
    SR_TRY(read_index(dataset, error));
    end_reading(&dataset->index);
    SR_TRY(check_first_users(dataset, error));
    SR_TRY(SR_ALLOCATE_ZERO(&dataset->shards, dataset->shard_count, "the shards", error));
    size_t interactions = 0;
    for (size_t i = 0; i < dataset->shard_count; ++i) {
        dataset->shards[i].file.file = -1;
        SR_TRY(read_shard(dataset, i, &dataset->shards[i], error));
        end_reading(&dataset->shards[i].file);
        interactions += dataset->shards[i].interactions;
    }
    if (interactions != dataset->interactions)
        return sr_fail(error, SR_ERROR_DATA, "%s: the shards hold %zu interactions, the index says %zu", dataset->directory,
                       interactions, dataset->interactions);
    return SR_OK;
}

sr_status sr_dataset_open(sr_dataset **dataset, const char *directory, sr_error *error)
{
    sr_dataset *made;
    *dataset = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a data set", error));
    made->index.file = -1;
    snprintf(made->directory, sizeof made->directory, "%s", directory);
    const sr_status status = read_everything(made, error);
    if (status != SR_OK) {
        sr_dataset_close(made);
        return status;
    }
    *dataset = made;
    return SR_OK;
}

void sr_dataset_close(sr_dataset *dataset)
{
    if (!dataset)
        return;
    for (size_t i = 0; dataset->shards && i < dataset->shard_count; ++i)
        close_file(&dataset->shards[i].file);
    close_file(&dataset->index);
    free(dataset->shards);
    free(dataset->split);
    free(dataset->fingerprint);
    free(dataset);
}

/* ---- verifying ---- */

static sr_status verify_checksums(const mapped_file *file, sr_error *error)
{
    for (size_t i = 0; i < file->view_count; ++i) {
        const values_view *view = &file->views[i];
        char digest[SR_DIGEST_SIZE];
        sr_digest(view->values, view->count * view->size, digest);
        if (strcmp(digest, view->digest) != 0)
            return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s is damaged: its checksum is %s, expected %s", file->path,
                           view->name, digest, view->digest);
    }
    return SR_OK;
}

static sr_status verify_users(const sr_dataset *dataset, const shard *s, sr_error *error)
{
    if (s->offsets[0] != 0 || s->offsets[s->users] != (int64_t)s->interactions)
        return sr_fail(error, SR_ERROR_DATA, "%s: dataset %s runs from %lld to %lld, expected 0 to %zu", s->file.path,
                       DATASET_OFFSETS, (long long)s->offsets[0], (long long)s->offsets[s->users], s->interactions);
    for (size_t user = 0; user < s->users; ++user) {
        const int64_t length = s->offsets[user + 1] - s->offsets[user];
        if (s->offsets[user + 1] > (int64_t)s->interactions || length < 1 || length > (int64_t)dataset->longest)
            return sr_fail(error, SR_ERROR_DATA, "%s: %s[%zu] gives user %zu %lld interactions, allowed is from 1 to %zu",
                           s->file.path, DATASET_OFFSETS, user, s->first_user + user, (long long)length, dataset->longest);
        if (s->train_end[user] < 0 || s->train_end[user] > s->valid_end[user] || s->valid_end[user] > length)
            return sr_fail(error, SR_ERROR_DATA,
                           "%s: user %zu is split at %d and %d; they must be ascending and at most the length %lld", s->file.path,
                           s->first_user + user, s->train_end[user], s->valid_end[user], (long long)length);
    }
    return SR_OK;
}

static sr_status verify_shard(const sr_dataset *dataset, const shard *s, sr_error *error)
{
    SR_TRY(verify_checksums(&s->file, error));
    SR_TRY(verify_users(dataset, s, error));
    for (size_t i = 0; i < s->interactions; ++i)
        if (s->items[i] < 1 || (size_t)s->items[i] > dataset->items)
            return sr_fail(error, SR_ERROR_DATA, "%s: %s[%zu] is item %d, allowed is from 1 to %zu", s->file.path, DATASET_ITEM_IDS,
                           i, s->items[i], dataset->items);
    return SR_OK;
}

sr_status sr_dataset_verify(const sr_dataset *dataset, size_t part, size_t parts, sr_error *error)
{
    if (part == 0)
        SR_TRY(verify_checksums(&dataset->index, error));
    for (size_t i = 0; i < dataset->shard_count; ++i)
        if (i % parts == part)
            SR_TRY(verify_shard(dataset, &dataset->shards[i], error));
    return SR_OK;
}

/* ---- access ---- */

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

sr_sequence sr_dataset_sequence(const sr_dataset *dataset, size_t user)
{
    size_t low = 0, high = dataset->shard_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if ((size_t)dataset->first_users[middle] <= user)
            low = middle;
        else
            high = middle;
    }
    const shard *s = &dataset->shards[low];
    const size_t row = user - s->first_user;
    const int64_t begin = s->offsets[row];
    return (sr_sequence){.items = s->items + begin,
                         .times = s->times ? s->times + begin : NULL,
                         .length = (size_t)(s->offsets[row + 1] - begin),
                         .train_end = (size_t)s->train_end[row],
                         .valid_end = (size_t)s->valid_end[row]};
}

static const char *name_at(const char *names, size_t size, size_t index, size_t *length)
{
    const char *name = names + index * size;
    *length = strnlen(name, size);
    return name;
}

const char *sr_dataset_user_name(const sr_dataset *dataset, size_t user, size_t *length)
{
    return name_at(dataset->user_names, dataset->user_name_size, user, length);
}

const char *sr_dataset_item_name(const sr_dataset *dataset, size_t item, size_t *length)
{
    return name_at(dataset->item_names, dataset->item_name_size, item - 1, length);
}

const int64_t *sr_dataset_popularity(const sr_dataset *dataset)
{
    return dataset->popularity;
}

size_t sr_dataset_longest(const sr_dataset *dataset)
{
    return dataset->longest;
}
