/* What a checkpoint file holds and how it is checked; docs/formats.md explains it. Shared by writing and reading. */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_LAYOUT_H
#define SRTRAIN_STORAGE_CHECKPOINT_LAYOUT_H

#include "srtrain/checkpoint.h"

#include <stdio.h>

#define CHECKPOINT_FORMAT "srtrain-checkpoint-1"
#define CHECKPOINT_COMPLETE "complete"           /* attribute of the root, written last */
#define CHECKPOINT_HEADER "header"               /* text: everything but numbers of parameters, "key: value" lines and the configuration */
#define CHECKPOINT_HEADER_CHECKSUM "header_xxh3_64"
#define CHECKPOINT_CHECKSUMS "xxh3_64"           /* attribute of each array: one checksum for each block of CHECKPOINT_BLOCK elements */
#define CHECKPOINT_PARAMETERS "parameters"
#define CHECKPOINT_OPTIMIZER "optimizer"
#define CHECKPOINT_FIRST_MOMENT "optimizer/first_moment"
#define CHECKPOINT_SECOND_MOMENT "optimizer/second_moment"

enum { CHECKPOINT_BLOCK = 1 << 20, CHECKPOINT_GROUPS = 3 }; /* elements of a block (4 MiB) */

/* The groups of arrays in a file, in the order of their checksums: parameters, first moment, second moment. values[g] is a block laid out as
 * `parameters` says, or NULL when the file does not hold the group (or the reader does not want it). */
typedef struct {
    const sr_parameters *parameters;
    const char *names[CHECKPOINT_GROUPS];
    sr_real *values[CHECKPOINT_GROUPS];
} checkpoint_arrays;

checkpoint_arrays checkpoint_arrays_of(const sr_parameters *parameters, sr_real *values, sr_real *first_moment,
                                       sr_real *second_moment);

/* The number of blocks of an array: CHECKPOINT_BLOCK elements each, the last one shorter. */
size_t checkpoint_blocks_of(const sr_parameter *parameter);

/* The number of blocks of the first `groups` groups. */
size_t checkpoint_block_count(const sr_parameters *parameters, size_t groups);

/* Fills checksums [checkpoint_block_count()] of the first `groups` groups for the blocks that rank `rank` of `ranks` hashes; the others are left 0, so that
 * a sum over ranks completes the table. */
void checkpoint_hash(const checkpoint_arrays *arrays, size_t groups, size_t rank, size_t ranks, int64_t *checksums);

/* The array and offset of block `index`, for messages. */
void checkpoint_block_name(const checkpoint_arrays *arrays, size_t index, char *text, size_t size);

/* The header as text; release with free(). */
sr_status checkpoint_header_text(const sr_checkpoint *checkpoint, bool has_optimizer, char **text, sr_error *error);

/* Back from text. `path` is for messages. */
sr_status checkpoint_header_parse(const char *path, const char *text, sr_checkpoint *checkpoint, bool *has_optimizer, sr_error *error);

/* "step-0000000042.h5" gives 42; other names -1. */
int64_t checkpoint_step_of_name(const char *name);

/* Reads the checksums of an open array, which must be `count` many. `path` and `name` are for messages. `array` is an HDF5 identifier. */
sr_status checkpoint_read_checksums(int64_t array, const char *path, const char *name, size_t count, int64_t *checksums, sr_error *error);

/* Opens `path` for reading by this process alone and checks mark and header. *file is closed by the caller with H5Fclose(). */
sr_status checkpoint_open(const char *path, int64_t *file, sr_checkpoint *checkpoint, bool *has_optimizer, sr_error *error);

#endif
