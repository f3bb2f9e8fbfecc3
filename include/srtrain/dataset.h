/* A data set on disk: what srprep writes and srtrain reads. docs/formats.md describes the files.
 *
 * A data set is a directory with one index file (index.h5: identifiers, popularity, counts) and shards
 * (shard-00000.h5, ...), each with the sequences of a contiguous range of users. All datasets are stored contiguously and
 * without filters, so that the reader maps them into memory: ranks on one node share the pages, nothing is read before it
 * is needed, and a data set larger than memory works.
 *
 * Items count from 1; 0 is padding. Users count from 0 in this interface (their external identifiers are strings). */
#ifndef SRTRAIN_DATASET_H
#define SRTRAIN_DATASET_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sr_dataset sr_dataset;

/* One user's sequence, oldest interaction first. The pointers belong to the data set.
 * items[0, train_end) is for training, [train_end, valid_end) for validation, [valid_end, length) for test. */
typedef struct {
    const int32_t *items; /* [length], each in [1, item_count] */
    const int64_t *times; /* [length] or NULL when the data set has no time stamps; in the units of the raw data */
    size_t length;
    size_t train_end;
    size_t valid_end;
} sr_sequence;

/* Opens a data set and checks its structure (not yet the checksums). Local: every rank may call it by itself.
 * Errors: SR_ERROR_DATA with the file and dataset, what was found and what is expected. */
sr_status sr_dataset_open(sr_dataset **dataset, const char *directory, sr_error *error);
void sr_dataset_close(sr_dataset *dataset); /* NULL is allowed */

/* Verifies checksums, item ids, offsets and splits of part `part` of `parts` (whole shards and index datasets are dealt
 * out round-robin), so that ranks can share the work; (0, 1) verifies everything. SR_ERROR_DATA names file, dataset and
 * finding. */
sr_status sr_dataset_verify(const sr_dataset *dataset, size_t part, size_t parts, sr_error *error);

size_t sr_dataset_users(const sr_dataset *dataset);
size_t sr_dataset_items(const sr_dataset *dataset); /* without padding: ids are 1..items */
size_t sr_dataset_interactions(const sr_dataset *dataset);
size_t sr_dataset_shards(const sr_dataset *dataset);
bool sr_dataset_has_times(const sr_dataset *dataset);
const char *sr_dataset_directory(const sr_dataset *dataset);
const char *sr_dataset_split(const sr_dataset *dataset); /* "leave-one-out", ... */

/* 32 hexadecimal digits that identify the contents: equal for equal data, whatever the number of shards. */
const char *sr_dataset_fingerprint(const sr_dataset *dataset);

/* The sequence of user `user` in [0, users). */
sr_sequence sr_dataset_sequence(const sr_dataset *dataset, size_t user);

/* Bytes of all files of the data set. */
size_t sr_dataset_bytes(const sr_dataset *dataset);

/* Advice for the operating system, for data sets that do not stay in memory: sequences are read in random order, so that
 * reading ahead is in vain; and `count` items from `items` on, which belong to a sequence, will be read soon, with their times.
 */
void sr_dataset_expect_random_access(const sr_dataset *dataset);
void sr_dataset_prefetch(const sr_dataset *dataset, const int32_t *items, size_t count);

/* Takes the pages of all that has been looked at out of this process's memory; pointers stay valid. For programs that go
 * through a data set once and promise to need little memory. */
void sr_dataset_let_go(const sr_dataset *dataset);

/* The identifier of a user in [0, users) or an item in [1, items] in the raw data. Not null-terminated when it fills the
 * field: *length bytes belong to the data set. */
const char *sr_dataset_user_name(const sr_dataset *dataset, size_t user, size_t *length);
const char *sr_dataset_item_name(const sr_dataset *dataset, size_t item, size_t *length);

/* Bytes of the field of an identifier: none is longer. */
size_t sr_dataset_user_name_width(const sr_dataset *dataset);
size_t sr_dataset_item_name_width(const sr_dataset *dataset);

/* How often each item occurs in the training part of the sequences: [items + 1], entry 0 is 0. Belongs to the data set. */
const int64_t *sr_dataset_popularity(const sr_dataset *dataset);

/* The same over all parts. */
const int64_t *sr_dataset_item_interactions(const sr_dataset *dataset);

/* The largest sequence length. */
size_t sr_dataset_longest(const sr_dataset *dataset);

/* ---- writing (srprep) ---- */

/* Everything about a data set in memory, ready to be written; all pointers belong to the caller. */
typedef struct {
    size_t users, items, interactions;
    const int64_t *offsets;        /* [users + 1] into item_ids */
    const int32_t *item_ids;       /* [interactions] */
    const int64_t *times;          /* [interactions] or NULL */
    const int32_t *train_end;      /* [users] relative to the user's first interaction */
    const int32_t *valid_end;      /* [users] */
    const char *const *user_names; /* [users] */
    const char *const *item_names; /* [items]: entry i belongs to item i + 1 */
    const char *split;             /* "leave-one-out", ... */
    const char *origin;            /* how it was made: the command's options as a JSON object */
} sr_dataset_contents;

/* Writes the data set into `directory`, which is created and must not already hold a data set. Everything is first written
 * under a temporary name beside it and renamed at the end, so that no half-written data set is ever found there. Shards are cut
 * by interactions, not by users; `shards` is at most the number of users. */
sr_status sr_dataset_write(const char *directory, const sr_dataset_contents *contents, size_t shards, sr_error *error);

/* The columns of a data set that need not fit into memory, and the type of their elements. */
typedef enum {
    SR_COLUMN_LENGTH,    /* int32 [users]: interactions of each user */
    SR_COLUMN_TRAIN_END, /* int32 [users] */
    SR_COLUMN_VALID_END, /* int32 [users] */
    SR_COLUMN_USER_NAME, /* user_width bytes [users], padded with zero bytes */
    SR_COLUMN_ITEM_NAME, /* item_width bytes [items] */
    SR_COLUMN_ITEM,      /* int32 [interactions] */
    SR_COLUMN_TIME       /* int64 [interactions] */
} sr_dataset_column;

/* A data set that is read in pieces while it is written. */
typedef struct {
    size_t users, items, interactions;
    size_t user_width, item_width; /* bytes of the longest identifiers, at least 1 */
    bool has_times;
    const char *split, *origin; /* as in sr_dataset_contents */
    uint64_t memory; /* bytes that counts of items may take; with less than 8 an item they take several passes. 0: no bound */
    /* Elements [first, first + count) of a column into `values`. */
    sr_status (*read)(void *context, sr_dataset_column column, size_t first, size_t count, void *values, sr_error *error);
    void *context;
} sr_dataset_source;

/* Where a shard begins. */
typedef struct {
    uint64_t first_user, first_interaction;
} sr_dataset_cut;

/* What all files of a data set have to agree on. */
typedef struct {
    size_t shards;
    sr_dataset_cut *cuts; /* [shards + 1]; release with free() */
    size_t longest;
    char fingerprint[33];
} sr_dataset_plan;

/* Checks a source, cuts it into shards and computes its fingerprint; the plan must be zero-filled. Local; another rank that has
 * the same bytes of a plan may write shards, too. */
sr_status sr_dataset_make_plan(sr_dataset_plan *plan, const sr_dataset_source *source, size_t shards, sr_error *error);

/* Write one file each into `directory`, which exists, and flush it to disk. The index takes 8 bytes of memory for each item, or
 * `memory` of the source. Local. */
sr_status sr_dataset_write_shard(const sr_dataset_plan *plan, const sr_dataset_source *source, const char *directory,
                                 size_t shard, sr_error *error);
sr_status sr_dataset_write_index(const sr_dataset_plan *plan, const sr_dataset_source *source, const char *directory,
                                 sr_error *error);

#endif
