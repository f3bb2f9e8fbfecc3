/* Writing a data set that is read in pieces: checks it, cuts it into shards, and writes one file after the other.
 * sr_dataset_write() does all of it for a data set in memory. */
#include "srtrain/dataset.h"

#include "srtrain/memory.h"
#include "storage/seal_hdf5.h"
#include "storage/dataset_fingerprint.h"
#include "storage/dataset_format.h"
#include "storage/output_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 18 };

/* ---- going through a column ---- */

static size_t size_of_element(const sr_dataset_source *source, sr_dataset_column column)
{
    return column == SR_COLUMN_USER_NAME   ? source->user_width
           : column == SR_COLUMN_ITEM_NAME ? source->item_width
           : column == SR_COLUMN_TIME      ? sizeof(int64_t)
                                           : sizeof(int32_t);
}

typedef sr_status (*piece_function)(void *context, const void *values, size_t first, size_t count, sr_error *error);

/* Calls the function for one piece of elements [first, end) after the other. */
static sr_status for_pieces(const sr_dataset_source *source, sr_dataset_column column, size_t first, size_t end,
                            piece_function function, void *context, sr_error *error)
{
    const size_t size = size_of_element(source, column), piece = size < PIECE_BYTES ? PIECE_BYTES / size : 1;
    void *values;
    SR_TRY(sr_allocate(&values, piece, size, "a piece of a data set", error));
    sr_status status = SR_OK;
    for (size_t done = first; done < end && status == SR_OK; done += piece) {
        const size_t here = end - done < piece ? end - done : piece;
        status = source->read(source->context, column, done, here, values, error);
        if (status == SR_OK)
            status = function(context, values, done, here, error);
    }
    free(values);
    return status;
}

/* Columns of users side by side: one piece after the other. */
typedef struct {
    int32_t *length, *train_end, *valid_end; /* [count] */
    size_t first, count;
} user_piece;

enum { USER_PIECE = 1 << 15 };

static void free_user_piece(user_piece *piece)
{
    free(piece->length);
    free(piece->train_end);
    free(piece->valid_end);
}

static sr_status allocate_user_piece(user_piece *piece, sr_error *error)
{
    const char *what = "a piece of a data set";
    *piece = (user_piece){.count = 0};
    SR_TRY(SR_ALLOCATE(&piece->length, (size_t)USER_PIECE, what, error));
    SR_TRY(SR_ALLOCATE(&piece->train_end, (size_t)USER_PIECE, what, error));
    return SR_ALLOCATE(&piece->valid_end, (size_t)USER_PIECE, what, error);
}

/* The piece behind the last one; its count is 0 at the end. */
static sr_status next_user_piece(user_piece *piece, const sr_dataset_source *source, sr_error *error)
{
    piece->first += piece->count;
    const size_t left = source->users - piece->first;
    piece->count = left < USER_PIECE ? left : (size_t)USER_PIECE;
    if (piece->count == 0)
        return SR_OK;
    SR_TRY(source->read(source->context, SR_COLUMN_LENGTH, piece->first, piece->count, piece->length, error));
    SR_TRY(source->read(source->context, SR_COLUMN_TRAIN_END, piece->first, piece->count, piece->train_end, error));
    return source->read(source->context, SR_COLUMN_VALID_END, piece->first, piece->count, piece->valid_end, error);
}

/* ---- the plan ---- */

static sr_status check_counts(const sr_dataset_source *source, size_t shards, sr_error *error)
{
    if (source->users == 0 || source->items == 0 || source->interactions == 0)
        return sr_fail(error, SR_ERROR_DATA, "the data set is empty: %zu users, %zu items, %zu interactions", source->users,
                       source->items, source->interactions);
    if (source->items >= INT32_MAX)
        return sr_fail(error, SR_ERROR_DATA, "%zu items; at most %d are possible", source->items, INT32_MAX - 1);
    if (shards < 1 || shards > source->users)
        return sr_fail(error, SR_ERROR_USAGE, "%zu shards for %zu users; 1 to %zu are possible", shards, source->users,
                       source->users);
    return SR_OK;
}

static sr_status check_user(size_t user, int32_t length, int32_t train_end, int32_t valid_end, sr_error *error)
{
    if (length < 1)
        return sr_fail(error, SR_ERROR_DATA, "user %zu has %d interactions; 1 to %d are possible", user, (int)length,
                       INT32_MAX);
    if (train_end < 0 || train_end > valid_end || valid_end > length)
        return sr_fail(
            error, SR_ERROR_DATA,
            "user %zu with %d interactions has train_end %d and valid_end %d; 0 <= train_end <= valid_end <= length must hold",
            user, (int)length, (int)train_end, (int)valid_end);
    return SR_OK;
}

/* Cuts where the interactions reach each shard's share, with at least one user for every shard. */
typedef struct {
    sr_dataset_plan *plan;
    size_t shard; /* the one that is being filled */
    uint64_t interactions;
} cutting;

static void cut_before(cutting *c, const sr_dataset_source *source, size_t user, int32_t length)
{
    const size_t shards = c->plan->shards, last = source->users - (shards - c->shard - 1);
    const double share = (double)source->interactions * (double)(c->shard + 1) / (double)shards;
    /* Later shards need one user each. */
    const bool full = user >= last || (double)(c->interactions + (uint64_t)length) > share;
    if (c->shard + 1 < shards && user > c->plan->cuts[c->shard].first_user && full)
        c->plan->cuts[++c->shard] = (sr_dataset_cut){user, c->interactions};
}

static sr_status cut_shards(sr_dataset_plan *plan, const sr_dataset_source *source, user_piece *piece, sr_error *error)
{
    cutting c = {.plan = plan};
    SR_TRY(next_user_piece(piece, source, error));
    while (piece->count > 0) {
        for (size_t i = 0; i < piece->count; ++i) {
            const size_t user = piece->first + i;
            const int32_t length = piece->length[i];
            SR_TRY(check_user(user, length, piece->train_end[i], piece->valid_end[i], error));
            cut_before(&c, source, user, length);
            c.interactions += (uint64_t)length;
            plan->longest = (size_t)length > plan->longest ? (size_t)length : plan->longest;
        }
        SR_TRY(next_user_piece(piece, source, error));
    }
    plan->cuts[plan->shards] = (sr_dataset_cut){source->users, source->interactions};
    if (c.interactions != source->interactions)
        return sr_fail(error, SR_ERROR_DATA, "the lengths sum to %llu; %zu, the number of interactions, is expected",
                       (unsigned long long)c.interactions, source->interactions);
    return SR_OK;
}

/* ---- the fingerprint ---- */

typedef struct {
    sr_fingerprint *fingerprint;
    size_t element_size, items;
} hashing;

static sr_status hash_names(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    const char *at = values;
    for (size_t i = 0; i < count; ++i, at += h->element_size)
        sr_fingerprint_name(h->fingerprint, at, strnlen(at, h->element_size));
    return SR_OK;
}

static sr_status hash_lengths(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    const int32_t *lengths = values;
    int64_t wide[512];
    for (size_t done = 0; done < count;) {
        size_t here = 0;
        while (here < 512 && done < count)
            wide[here++] = lengths[done++];
        sr_fingerprint_bytes(h->fingerprint, wide, here * sizeof *wide);
    }
    return SR_OK;
}

static sr_status hash_bytes(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    (void)error;
    const hashing *h = context;
    sr_fingerprint_bytes(h->fingerprint, values, count * h->element_size);
    return SR_OK;
}

static sr_status hash_items(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    const hashing *h = context;
    const int32_t *items = values;
    for (size_t i = 0; i < count; ++i)
        if (items[i] < 1 || (size_t)items[i] > h->items)
            return sr_fail(error, SR_ERROR_DATA, "interaction %zu has item id %d; ids must lie in [1, %zu]", first + i,
                           (int)items[i], h->items);
    return hash_bytes(context, values, first, count, error);
}

static sr_status hash_columns(const sr_dataset_source *source, hashing *h, sr_error *error)
{
    const struct {
        sr_dataset_column column;
        size_t count;
        piece_function function;
    } parts[] = {{SR_COLUMN_USER_NAME, source->users, hash_names},
                 {SR_COLUMN_ITEM_NAME, source->items, hash_names},
                 {SR_COLUMN_LENGTH, source->users, hash_lengths},
                 {SR_COLUMN_ITEM, source->interactions, hash_items},
                 {SR_COLUMN_TIME, source->has_times ? source->interactions : 0, hash_bytes},
                 {SR_COLUMN_TRAIN_END, source->users, hash_bytes},
                 {SR_COLUMN_VALID_END, source->users, hash_bytes}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
        h->element_size = size_of_element(source, parts[i].column);
        SR_TRY(for_pieces(source, parts[i].column, 0, parts[i].count, parts[i].function, h, error));
    }
    return SR_OK;
}

static sr_status compute_fingerprint(sr_dataset_plan *plan, const sr_dataset_source *source, sr_error *error)
{
    hashing h = {.items = source->items};
    _Static_assert(sizeof plan->fingerprint == SR_CHECKSUM_SIZE, "a fingerprint is a checksum");
    SR_TRY(sr_fingerprint_begin(&h.fingerprint, source->users, source->items, source->interactions, source->has_times, error));
    const sr_status status = hash_columns(source, &h, error);
    sr_fingerprint_end(h.fingerprint, status == SR_OK ? plan->fingerprint : NULL);
    return status;
}

sr_status sr_dataset_make_plan(sr_dataset_plan *plan, const sr_dataset_source *source, size_t shards, sr_error *error)
{
    SR_TRY(check_counts(source, shards, error));
    plan->shards = shards;
    SR_TRY(SR_ALLOCATE_ZERO(&plan->cuts, shards + 1, "the list of shards", error));
    user_piece piece;
    sr_status status = allocate_user_piece(&piece, error);
    if (status == SR_OK)
        status = cut_shards(plan, source, &piece, error);
    free_user_piece(&piece);
    return status == SR_OK ? compute_fingerprint(plan, source, error) : status;
}

/* ---- datasets of a file ---- */

static sr_status append_piece(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    return sr_hdf5_stream_append(context, values, count, error);
}

static sr_status copy_column(const sr_hdf5_file *file, const char *name, hid_t type, const sr_dataset_source *source,
                             sr_dataset_column column, uint64_t first, uint64_t end, sr_error *error)
{
    sr_hdf5_stream stream;
    sr_status status = sr_hdf5_stream_begin(&stream, file, name, type, end - first, error);
    if (status == SR_OK)
        status = for_pieces(source, column, first, end, append_piece, &stream, error);
    return sr_hdf5_stream_end(&stream, status, error);
}

/* Lengths become the places where sequences end. */
typedef struct {
    sr_hdf5_stream stream;
    int64_t end;
} offset_stream;

static sr_status append_offsets(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    offset_stream *offsets = context;
    const int32_t *lengths = values;
    int64_t ends[2048];
    for (size_t done = 0; done < count;) {
        size_t here = 0;
        while (here < 2048 && done < count)
            ends[here++] = offsets->end += lengths[done++];
        SR_TRY(sr_hdf5_stream_append(&offsets->stream, ends, here, error));
    }
    return SR_OK;
}

static sr_status write_offsets(const sr_hdf5_file *file, const sr_dataset_source *source, const sr_dataset_cut *cut,
                               sr_error *error)
{
    offset_stream offsets = {.end = 0};
    const size_t users = (size_t)(cut[1].first_user - cut[0].first_user);
    sr_status status = sr_hdf5_stream_begin(&offsets.stream, file, SR_SHARD_OFFSETS, H5T_STD_I64LE, users + 1, error);
    if (status == SR_OK)
        status = sr_hdf5_stream_append(&offsets.stream, &offsets.end, 1, error);
    if (status == SR_OK)
        status = for_pieces(source, SR_COLUMN_LENGTH, cut[0].first_user, cut[1].first_user, append_offsets, &offsets, error);
    return sr_hdf5_stream_end(&offsets.stream, status, error);
}

/* ---- shards ---- */

static sr_status write_shard_contents(const sr_hdf5_file *file, const sr_dataset_plan *plan, const sr_dataset_source *source,
                                      size_t shard, sr_error *error)
{
    const sr_dataset_cut *from = &plan->cuts[shard], *to = from + 1;
    const uint64_t first_user = from->first_user, end_user = to->first_user;
    const uint64_t first = from->first_interaction, end = to->first_interaction;
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FORMAT, SR_DATASET_FORMAT, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_INDEX, (int64_t)shard, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_FIRST_USER, (int64_t)first_user, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_USERS, (int64_t)(end_user - first_user), error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, plan->fingerprint, error));
    SR_TRY(write_offsets(file, source, from, error));
    SR_TRY(copy_column(file, SR_SHARD_ITEMS, H5T_STD_I32LE, source, SR_COLUMN_ITEM, first, end, error));
    if (source->has_times)
        SR_TRY(copy_column(file, SR_SHARD_TIMES, H5T_STD_I64LE, source, SR_COLUMN_TIME, first, end, error));
    SR_TRY(copy_column(file, SR_SHARD_TRAIN_END, H5T_STD_I32LE, source, SR_COLUMN_TRAIN_END, first_user, end_user, error));
    return copy_column(file, SR_SHARD_VALID_END, H5T_STD_I32LE, source, SR_COLUMN_VALID_END, first_user, end_user, error);
}

/* ---- the index ---- */

/* Names as null-padded strings of the length of the longest one. */
static sr_status write_names(const sr_hdf5_file *file, const char *name, const sr_dataset_source *source,
                             sr_dataset_column column, size_t count, sr_error *error)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    sr_status status;
    if (type < 0 || H5Tset_size(type, size_of_element(source, column)) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    else
        status = copy_column(file, name, type, source, column, 0, count, error);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

/* How often each item occurs; pieces of items come in the order of users. */
typedef struct {
    const sr_dataset_source *source;
    user_piece users;
    size_t user; /* within the piece of users */
    int32_t place;
    int64_t *all, *training; /* [items + 1] */
} item_counting;

static sr_status count_piece(void *context, const void *values, size_t first, size_t count, sr_error *error)
{
    (void)first;
    item_counting *c = context;
    const int32_t *items = values;
    for (size_t i = 0; i < count; ++i) {
        if (c->place == c->users.length[c->user]) {
            c->place = 0;
            ++c->user;
        }
        if (c->user == c->users.count) {
            SR_TRY(next_user_piece(&c->users, c->source, error));
            c->user = 0;
        }
        ++c->all[items[i]];
        c->training[items[i]] += c->place++ < c->users.train_end[c->user];
    }
    return SR_OK;
}

static sr_status count_items(const sr_dataset_source *source, int64_t *all, int64_t *training, sr_error *error)
{
    item_counting c = {.source = source, .all = all, .training = training};
    sr_status status = allocate_user_piece(&c.users, error);
    if (status == SR_OK)
        status = next_user_piece(&c.users, source, error);
    if (status == SR_OK)
        status = for_pieces(source, SR_COLUMN_ITEM, 0, source->interactions, count_piece, &c, error);
    free_user_piece(&c.users);
    return status;
}

static sr_status write_item_counts(const sr_hdf5_file *file, const sr_dataset_source *source, sr_error *error)
{
    int64_t *all;
    const size_t count = source->items + 1;
    SR_TRY(SR_ALLOCATE_ZERO(&all, 2 * count, "counts of items", error));
    sr_status status = count_items(source, all, all + count, error);
    if (status == SR_OK)
        status = sr_hdf5_write_array(file, SR_INDEX_POPULARITY, H5T_STD_I64LE, count, all + count, error);
    if (status == SR_OK)
        status = sr_hdf5_write_array(file, SR_INDEX_INTERACTIONS, H5T_STD_I64LE, count, all, error);
    free(all);
    return status;
}

static sr_status write_index_attributes(const sr_hdf5_file *file, const sr_dataset_plan *plan, const sr_dataset_source *source,
                                        sr_error *error)
{
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FORMAT, SR_DATASET_FORMAT, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_USERS, (int64_t)source->users, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_ITEMS, (int64_t)source->items, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_INTERACTIONS, (int64_t)source->interactions, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_SHARDS, (int64_t)plan->shards, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_HAS_TIMES, source->has_times, error));
    SR_TRY(sr_hdf5_write_integer(file, "/", SR_ATTRIBUTE_LONGEST, (int64_t)plan->longest, error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_SPLIT, source->split, error));
    SR_TRY(sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_FINGERPRINT, plan->fingerprint, error));
    return sr_hdf5_write_text(file, "/", SR_ATTRIBUTE_ORIGIN, source->origin, error);
}

static sr_status write_first_users(const sr_hdf5_file *file, const sr_dataset_plan *plan, sr_error *error)
{
    int64_t *first_users;
    SR_TRY(SR_ALLOCATE(&first_users, plan->shards, "the list of shards", error));
    for (size_t i = 0; i < plan->shards; ++i)
        first_users[i] = (int64_t)plan->cuts[i].first_user;
    const sr_status status = sr_hdf5_write_array(file, SR_INDEX_FIRST_USER, H5T_STD_I64LE, plan->shards, first_users, error);
    free(first_users);
    return status;
}

static sr_status write_index_contents(const sr_hdf5_file *file, const sr_dataset_plan *plan, const sr_dataset_source *source,
                                      sr_error *error)
{
    SR_TRY(write_index_attributes(file, plan, source, error));
    SR_TRY(sr_hdf5_create_group(file, "/users", error));
    SR_TRY(sr_hdf5_create_group(file, "/items", error));
    SR_TRY(sr_hdf5_create_group(file, "/shards", error));
    SR_TRY(write_names(file, SR_INDEX_USER_ID, source, SR_COLUMN_USER_NAME, source->users, error));
    SR_TRY(write_names(file, SR_INDEX_ITEM_ID, source, SR_COLUMN_ITEM_NAME, source->items, error));
    SR_TRY(write_item_counts(file, source, error));
    return write_first_users(file, plan, error);
}

/* ---- files ---- */

static sr_status finish_file(sr_hdf5_file *file, sr_status status, sr_error *error)
{
    if (status == SR_OK)
        status = sr_hdf5_write_integer(file, "/", SR_SEALED_ATTRIBUTE, 1, error);
    const sr_status closed = sr_hdf5_close(file, status == SR_OK ? error : NULL);
    SR_TRY(status);
    SR_TRY(closed);
    return seal_append_to_hdf5(file->path, error);
}

static sr_status make_path(const char *directory, const char *name, char path[4096], sr_error *error)
{
    const int length = snprintf(path, 4096, "%s/%s", directory, name);
    return length > 0 && length < 4096 ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "%s: the name is too long", directory);
}

sr_status sr_dataset_write_shard(const sr_dataset_plan *plan, const sr_dataset_source *source, const char *directory,
                                 size_t shard, sr_error *error)
{
    char path[4096], name[64];
    sr_hdf5_file file;
    snprintf(name, sizeof name, SR_DATASET_SHARD_FILE, shard);
    SR_TRY(make_path(directory, name, path, error));
    SR_TRY(sr_hdf5_create(&file, path, error));
    return finish_file(&file, write_shard_contents(&file, plan, source, shard, error), error);
}

sr_status sr_dataset_write_index(const sr_dataset_plan *plan, const sr_dataset_source *source, const char *directory,
                                 sr_error *error)
{
    char path[4096];
    sr_hdf5_file file;
    SR_TRY(make_path(directory, SR_DATASET_INDEX_FILE, path, error));
    SR_TRY(sr_hdf5_create(&file, path, error));
    return finish_file(&file, write_index_contents(&file, plan, source, error), error);
}

/* ---- a data set in memory ---- */

static void copy_names(const char *const *names, size_t count, size_t width, char *to)
{
    memset(to, 0, count * width);
    for (size_t i = 0; i < count; ++i)
        memcpy(to + i * width, names[i], strlen(names[i]));
}

/* Contents, and the widths of their identifiers. */
typedef struct {
    const sr_dataset_contents *contents;
    size_t user_width, item_width;
} memory_source;

static sr_status read_from_memory(void *context, sr_dataset_column column, size_t first, size_t count, void *values,
                                  sr_error *error)
{
    const memory_source *memory = context;
    const sr_dataset_contents *contents = memory->contents;
    int32_t *lengths = values;
    (void)error;
    switch (column) {
    case SR_COLUMN_LENGTH:
        for (size_t i = 0; i < count; ++i)
            lengths[i] = (int32_t)(contents->offsets[first + i + 1] - contents->offsets[first + i]);
        break;
    case SR_COLUMN_TRAIN_END:
        memcpy(values, contents->train_end + first, count * sizeof *contents->train_end);
        break;
    case SR_COLUMN_VALID_END:
        memcpy(values, contents->valid_end + first, count * sizeof *contents->valid_end);
        break;
    case SR_COLUMN_USER_NAME:
        copy_names(contents->user_names + first, count, memory->user_width, values);
        break;
    case SR_COLUMN_ITEM_NAME:
        copy_names(contents->item_names + first, count, memory->item_width, values);
        break;
    case SR_COLUMN_ITEM:
        memcpy(values, contents->item_ids + first, count * sizeof *contents->item_ids);
        break;
    case SR_COLUMN_TIME:
        memcpy(values, contents->times + first, count * sizeof *contents->times);
        break;
    }
    return SR_OK;
}

static sr_status check_offsets(const sr_dataset_contents *contents, sr_error *error)
{
    if (contents->users == 0 || contents->interactions == 0)
        return SR_OK; /* the plan says so */
    const int64_t last = contents->offsets[contents->users];
    if (contents->offsets[0] != 0 || last != (int64_t)contents->interactions)
        return sr_fail(error, SR_ERROR_DATA,
                       "the offsets run from %lld to %lld; from 0 to %zu, the number of interactions, is expected",
                       (long long)contents->offsets[0], (long long)last, contents->interactions);
    for (size_t user = 0; user < contents->users; ++user) {
        const int64_t length = contents->offsets[user + 1] - contents->offsets[user];
        if (length < 1 || length > INT32_MAX)
            return sr_fail(error, SR_ERROR_DATA, "user %zu has %lld interactions; 1 to %d are possible", user,
                           (long long)length, INT32_MAX);
    }
    return SR_OK;
}

static size_t width_of(const char *const *names, size_t count)
{
    size_t width = 1;
    for (size_t i = 0; i < count; ++i) {
        const size_t length = strlen(names[i]);
        width = length > width ? length : width;
    }
    return width;
}

static sr_status write_files(const char *directory, const sr_dataset_plan *plan, const sr_dataset_source *source,
                             sr_error *error)
{
    for (size_t shard = 0; shard < plan->shards; ++shard)
        SR_TRY(sr_dataset_write_shard(plan, source, directory, shard, error));
    return sr_dataset_write_index(plan, source, directory, error);
}

sr_status sr_dataset_write(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error)
{
    SR_TRY(check_offsets(contents, error));
    memory_source memory = {contents, width_of(contents->user_names, contents->users),
                            width_of(contents->item_names, contents->items)};
    const sr_dataset_source source = {.users = contents->users,
                                      .items = contents->items,
                                      .interactions = contents->interactions,
                                      .user_width = memory.user_width,
                                      .item_width = memory.item_width,
                                      .has_times = contents->times != NULL,
                                      .split = contents->split,
                                      .origin = contents->origin,
                                      .read = read_from_memory,
                                      .context = &memory};
    sr_dataset_plan plan = {.cuts = NULL};
    sr_output_directory output;
    sr_status status = sr_dataset_make_plan(&plan, &source, shards, error);
    if (status == SR_OK)
        status = sr_output_directory_begin(&output, directory, error);
    if (status == SR_OK) {
        status = write_files(output.temporary, &plan, &source, error);
        if (status == SR_OK)
            status = sr_output_directory_commit(&output, error);
        else
            sr_output_directory_discard(&output);
    }
    free(plan.cuts);
    return status;
}
