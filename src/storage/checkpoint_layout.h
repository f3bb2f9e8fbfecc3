/* What a checkpoint file holds and how it is checked; docs/formats.md explains it. Shared by writing, reading and verifying. */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_LAYOUT_H
#define SRTRAIN_STORAGE_CHECKPOINT_LAYOUT_H

#include "srtrain/checkpoint.h"
#include "srtrain/row_blocks.h"
#include "storage/hdf5_helpers.h"

#include <hdf5.h>
#include <xxhash.h>

#define CHECKPOINT_FORMAT "srtrain-checkpoint-1"
#define CHECKPOINT_COMPLETE "complete"               /* attribute of the root, written last */
#define CHECKPOINT_ITEM_NAMES "item_names"           /* dataset: the identifiers of items, from item 1 on */
#define CHECKPOINT_USER_NAMES "user_names"           /* dataset: those of users, where the model has vectors of them */
#define CHECKPOINT_CONFIGURATION "configuration"     /* dataset: a text, which may be too long for an attribute */
#define CHECKPOINT_PROGRESS "progress"               /* group whose attributes are the counters */
#define CHECKPOINT_HEADER_CHECKSUM "header_xxh3_128" /* attribute of the root, over all of the header */
#define CHECKPOINT_PARAMETERS "parameters"
#define CHECKPOINT_OPTIMIZER "optimizer" /* group with one group for each block of the state */

#ifdef SRTRAIN_SMALL_BUFFERS /* tests, whose arrays are small */
enum { CHECKPOINT_BLOCK = 32 };
#else
enum { CHECKPOINT_BLOCK = 1 << 20 }; /* elements (4 MiB) that have one checksum; the last block of an array is shorter */
#endif

enum {
    CHECKPOINT_GROUPS_MAXIMUM = 1 + SR_STATE_BLOCKS_MAXIMUM,
    CHECKPOINT_GROUP_NAME_SIZE = sizeof CHECKPOINT_OPTIMIZER + SR_STATE_NAME_SIZE,
    CHECKPOINT_PATH_SIZE = 4096
};

/* XXH3-128 in canonical form, as the attribute SR_CHECKSUM_ATTRIBUTE [blocks, 16] of an array holds it. */
typedef XXH128_canonical_t checkpoint_checksum;

/* ---- arrays ---- */

/* The groups of arrays, in the order of their checksums: the parameters, and the blocks of the optimizer's state. A file has
 * whole arrays, whose rows stand in the order of their numbers. In memory the arrays of an item table may lie in blocks of rows
 * (row_blocks.h). */
typedef struct {
    const sr_parameters *parameters;
    sr_parameters all;      /* names and shapes of all arrays, in the order of files; without values */
    size_t first_row_array; /* arrays [first_row_array, first_row_array + row_arrays) of these lie in blocks of rows */
    size_t row_arrays;
    bool owns_list;
    char names[CHECKPOINT_GROUPS_MAXIMUM][CHECKPOINT_GROUP_NAME_SIZE];
    sr_real *values[CHECKPOINT_GROUPS_MAXIMUM]; /* laid out as `parameters` says */
    size_t groups;                              /* how many of them the file holds, or the reader wants */
    sr_real *room; /* [CHECKPOINT_BLOCK], where arrays lie in blocks of rows, or rows move: for the elements of one piece */
} checkpoint_arrays;

/* Parameters alone if `state` is NULL. Release with checkpoint_arrays_free(), also after a failure. */
sr_status checkpoint_arrays_make(checkpoint_arrays *arrays, const sr_parameters *parameters, const sr_state *state,
                                 sr_error *error);
void checkpoint_arrays_free(checkpoint_arrays *arrays);

/* Lets the arrays of a file have other numbers of rows than those in memory: by the owner of their rows, rows[owner] in the
 * place of what they are declared with. */
sr_status checkpoint_arrays_set_rows(checkpoint_arrays *arrays, const size_t rows[SR_ROW_OWNERS], sr_error *error);

/* Whether an array lies in blocks of rows. */
bool checkpoint_lies_in_rows(const checkpoint_arrays *arrays, size_t array);

/* Where an array that does not begins. */
sr_real *checkpoint_place_of(const checkpoint_arrays *arrays, size_t group, size_t array);

/* Elements of an array: one block of a checksum, or less. */
typedef struct {
    size_t group, array, begin, count; /* count 0: before the first */
    size_t index;                      /* of the block of the checksum */
} checkpoint_piece;

/* The next block in the order of checksums; false behind the last one. Begins with a piece of zeros. */
bool checkpoint_next_piece(const checkpoint_arrays *arrays, checkpoint_piece *piece);

/* The elements of a piece: where they are or, if they lie in blocks of rows, in the room, which they have been brought to. */
const sr_real *checkpoint_values(const checkpoint_arrays *arrays, const checkpoint_piece *piece);

/* The number of blocks of `elements` elements, and of all arrays. */
size_t checkpoint_blocks_of(size_t elements);
size_t checkpoint_block_count(const checkpoint_arrays *arrays);

/* The checksum of elements. */
void checkpoint_hash_values(const sr_real *values, size_t count, checkpoint_checksum *checksum);

/* The array and the first element of block `index`, for messages. */
void checkpoint_block_name(const checkpoint_arrays *arrays, size_t index, char *text, size_t size);

/* Reads the checksums of the open dataset `array`, which must be `count` many. `path` and `name` are for messages. */
sr_status checkpoint_read_checksums(hid_t array, const char *path, const char *name, size_t count,
                                    checkpoint_checksum *checksums, sr_error *error);

/* ---- whose state a file holds (checkpoint_state.c) ---- */

typedef struct {
    char list[SR_STATE_BLOCKS_MAXIMUM][SR_STATE_NAME_SIZE];
    size_t count;
} checkpoint_state_names;

/* The blocks of the state in a file that holds one, by name. SR_ERROR_DATA when they are more than any optimizer has. Local. */
sr_status checkpoint_list_state(const sr_hdf5_file *file, checkpoint_state_names *names, sr_error *error);

/* SR_ERROR_DATA unless they are those of `state`. Local. */
sr_status checkpoint_check_state(const sr_hdf5_file *file, const sr_state *state, sr_error *error);

/* ---- the header: everything but the arrays ---- */

typedef struct {
    sr_checkpoint contents;
    int64_t has_optimizer;
} checkpoint_header;

/* Writes format, header and its checksum, but not the configuration (which the checksum covers) and not the mark of completion.
 * Local. */
sr_status checkpoint_header_write(const sr_hdf5_file *file, const checkpoint_header *header, sr_error *error);

/* Reads the header from an open file, and computes the checksum that it should have; compares nothing. After a failure, too,
 * header->contents must be freed. Local. */
sr_status checkpoint_header_read(const sr_hdf5_file *file, checkpoint_header *header, char checksum[SR_CHECKSUM_SIZE],
                                 sr_error *error);

/* Opens `path` for reading by this process alone and checks seal, format, mark and header. On success the caller closes *file
 * with sr_hdf5_close() and frees header->contents. Local. */
sr_status checkpoint_open(const char *path, sr_hdf5_file *file, checkpoint_header *header, sr_error *error);

/* ---- whole files ---- */

/* sr_checkpoint_write() by this process alone, without MPI: the same bytes. Local. */
sr_status checkpoint_write_alone(const char *path, const sr_checkpoint *checkpoint, const sr_parameters *parameters,
                                 const sr_state *state, sr_error *error);

/* sr_checkpoint_verify() by this process alone. Local. */
sr_status checkpoint_verify_alone(const char *path, bool for_training, sr_error *error);

#endif
