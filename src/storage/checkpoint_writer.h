/* What writing a checkpoint needs; checkpoint_write.c explains the steps. */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_WRITER_H
#define SRTRAIN_STORAGE_CHECKPOINT_WRITER_H

#include "storage/checkpoint_rows.h"

/* A shared array in the file. */
typedef struct {
    const char *name;
    size_t group, array;
    size_t first_block; /* of its checksums */
    uint64_t place, bytes;
} checkpoint_array_place;

/* How far a rank's part of the file has been walked. */
typedef struct {
    size_t next; /* shared array */
    checkpoint_array_place array;
    uint64_t at, stop; /* what is left of the array in the part: bytes of the file */
} checkpoint_cursor;

typedef struct {
    sr_parallel *parallel; /* NULL: one process writes alone, and no array lies in blocks of rows */
    const char *path, *temporary;
    checkpoint_header header;
    checkpoint_arrays arrays;
    uint64_t *places;     /* [groups, arrays]: where a shared array's values lie in the file */
    size_t *first_blocks; /* [groups, arrays] and the end: the first checksum of each array */
    checkpoint_checksum *checksums;
    checkpoint_cursor *cursors; /* [ranks] */
    checkpoint_rows rows;
    size_t rank, ranks;
    sr_error *error;
} checkpoint_writer;

/* Whether all ranks share an array: a large one, or one that lies in blocks of rows. Rank 0 writes the others. */
bool checkpoint_is_shared(const checkpoint_writer *w, size_t array);

/* The first shared array from number *index on, of all groups; *index moves behind it. False where there is none. */
bool checkpoint_next_shared(const checkpoint_writer *w, size_t *index, checkpoint_array_place *array);

/* Writes this rank's part of the shared arrays into the file that rank 0 has made, brings it to the disk, and fills in the
 * checksums of the blocks that begin in this part. Collective where arrays lie in blocks of rows: all ranks must call it, and a
 * rank that fails takes part until all have. The status is this rank's. */
sr_status checkpoint_fill(checkpoint_writer *w);

#endif
