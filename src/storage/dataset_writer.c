/* Writing the files of a data set that is read in pieces, each by itself. */
#include "srtrain/memory.h"
#include "storage/dataset_format.h"
#include "storage/dataset_pieces.h"
#include "storage/seal_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        status = dataset_for_pieces(source, column, first, end, append_piece, &stream, error);
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
        status = dataset_for_pieces(source, SR_COLUMN_LENGTH, cut[0].first_user, cut[1].first_user, append_offsets, &offsets,
                                    error);
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
    if (type < 0 || H5Tset_size(type, dataset_element_size(source, column)) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        status = sr_hdf5_fail(error, SR_ERROR_RUNTIME, file->path, "write dataset", name);
    else
        status = copy_column(file, name, type, source, column, 0, count, error);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

/* How often each item of a range occurs; pieces of items come in the order of users. */
typedef struct {
    const sr_dataset_source *source;
    bool training_only;
    user_piece users;
    size_t user; /* within the piece of users */
    int32_t place;
    size_t begin, end; /* items, from 0 for padding */
    int64_t *counts;   /* [end - begin] */
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
            SR_TRY(user_piece_next(&c->users, c->source, error));
            c->user = 0;
        }
        const bool counts = !c->training_only || c->place < c->users.train_end[c->user];
        ++c->place;
        const size_t item = (size_t)items[i];
        if (counts && item >= c->begin && item < c->end)
            ++c->counts[item - c->begin];
    }
    return SR_OK;
}

/* One pass over all interactions. */
static sr_status count_range(item_counting *c, sr_error *error)
{
    memset(c->counts, 0, (c->end - c->begin) * sizeof *c->counts);
    c->user = 0;
    c->place = 0;
    sr_status status = user_piece_allocate(&c->users, error);
    if (status == SR_OK)
        status = user_piece_next(&c->users, c->source, error);
    if (status == SR_OK)
        status = dataset_for_pieces(c->source, SR_COLUMN_ITEM, 0, c->source->interactions, count_piece, c, error);
    user_piece_free(&c->users);
    return status;
}

static sr_status write_counts(const sr_hdf5_file *file, const char *name, item_counting *c, size_t range, sr_error *error)
{
    const size_t all = c->source->items + 1;
    sr_hdf5_stream stream;
    sr_status status = sr_hdf5_stream_begin(&stream, file, name, H5T_STD_I64LE, all, error);
    for (size_t begin = 0; begin < all && status == SR_OK; begin += range) {
        c->begin = begin;
        c->end = all - begin < range ? all : begin + range;
        status = count_range(c, error);
        if (status == SR_OK)
            status = sr_hdf5_stream_append(&stream, c->counts, c->end - c->begin, error);
    }
    return sr_hdf5_stream_end(&stream, status, error);
}

static sr_status write_item_counts(const sr_hdf5_file *file, const sr_dataset_source *source, sr_error *error)
{
    item_counting c = {.source = source, .training_only = true};
    const size_t all = source->items + 1, room = (size_t)(source->memory / sizeof *c.counts);
    const size_t range = source->memory == 0 || room > all ? all : (room > 0 ? room : 1);
    SR_TRY(SR_ALLOCATE(&c.counts, range, "counts of items", error));
    sr_status status = write_counts(file, SR_INDEX_POPULARITY, &c, range, error);
    c.training_only = false;
    if (status == SR_OK)
        status = write_counts(file, SR_INDEX_INTERACTIONS, &c, range, error);
    free(c.counts);
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
