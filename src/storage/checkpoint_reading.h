/* What reading the arrays of a checkpoint needs, as they are (checkpoint_read.c) and with rows that move (checkpoint_take.c).
 */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_READING_H
#define SRTRAIN_STORAGE_CHECKPOINT_READING_H

#include "srtrain/row_moves.h"
#include "storage/checkpoint_rows.h"

/* What is read, the checksums of all blocks, and where arrays lie in the file that are read in pieces: those that lie in blocks
 * of rows here, and those whose rows move. */
typedef struct {
    sr_parallel *parallel;
    const char *path;
    const sr_taking *taking; /* NULL: no row moves */
    checkpoint_arrays arrays;
    checkpoint_checksum *checksums;
    uint64_t *places; /* [groups, arrays] */
    double *sums;     /* [arrays, widest]: of the values of rows that a mean is taken of; NULL: of none */
    size_t widest;    /* columns of an array whose rows move */
    checkpoint_rows rows;
} checkpoint_reading;

/* Reads and checks a piece into the room. Local. */
sr_status checkpoint_reading_piece(const checkpoint_reading *r, int descriptor, const checkpoint_piece *piece, sr_error *error);

/* ---- rows that move (checkpoint_take.c); nothing where none do ---- */

/* Whether the rows of an array move. */
bool checkpoint_take_moves(const checkpoint_reading *r, size_t array);

/* Gives arrays the shapes of the file, and room for sums. Local. */
sr_status checkpoint_take_prepare(checkpoint_reading *r, sr_error *error);

/* Moves rows of arrays that do not lie in blocks of rows, and fills those that are fresh. For rank 0; local. */
sr_status checkpoint_take_arrays(checkpoint_reading *r, sr_error *error);

/* Adds the values in the room to the sums of their array, where a mean is taken of them. Local. */
void checkpoint_take_add(checkpoint_reading *r, const checkpoint_piece *piece);

/* Fills fresh rows in blocks of rows, when all pieces have been read. Collective. */
sr_status checkpoint_take_fill_blocks(checkpoint_reading *r, sr_error *error);

#endif
