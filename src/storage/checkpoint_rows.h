/* Rows of an item table on their way between files, which have them in the order of their numbers, and the blocks of rows of
 * all ranks (row_blocks.h), whoever has which.
 *
 * A file is treated in rounds: in each of them every rank holds one piece of it. The ranks meet, each tells the holder of each
 * piece which of its rows it has, and then the rows travel one way or the other. A rank needs room for one piece, and for what
 * it has of the pieces of all ranks: that is as much again where neighbouring rows have different owners. */
#ifndef SRTRAIN_STORAGE_CHECKPOINT_ROWS_H
#define SRTRAIN_STORAGE_CHECKPOINT_ROWS_H

#include "srtrain/row_moves.h"
#include "storage/checkpoint_layout.h"

/* Rows in the order of ranks: those of rank r are rows [rows[r], rows[r + 1]), and their elements likewise. */
typedef struct {
    size_t *rows, *elements; /* [ranks + 1] */
    int32_t *numbers;
    sr_real *values;
    size_t number_room, value_room;
} row_parcels;

typedef struct {
    sr_parallel *parallel;
    const checkpoint_arrays *arrays;
    const sr_row_moves *moves; /* where rows of the file become others here; NULL: they are the same. For reading alone */
    size_t rank, ranks;
    checkpoint_piece *pieces; /* [ranks]: what each rank holds in a round, of arrays that lie in rows; count 0: nothing */
    size_t *counts;           /* [2 * ranks], in meetings */
    row_parcels here;         /* rows that this rank has of the piece of each rank */
    row_parcels there;        /* rows of this rank's own piece that each rank has */
} checkpoint_rows;

/* Makes room for meetings; where no array lies in rows, nothing. Keeps the pointers. Local. Release with
 * checkpoint_rows_free(), also after a failure. */
sr_status checkpoint_rows_make(checkpoint_rows *rows, sr_parallel *parallel, const checkpoint_arrays *arrays, sr_error *error);
void checkpoint_rows_free(checkpoint_rows *rows);

/* Rows that a piece has elements of: first, .., last. */
typedef struct {
    size_t first, last;
} row_span;
row_span checkpoint_rows_span(const checkpoint_piece *piece, size_t width);

/* Which elements of a row belong to a piece: elements [first, first + count) of the row are [at, at + count) of the piece. */
typedef struct {
    size_t first, at, count;
} row_part;
row_part checkpoint_rows_part(const checkpoint_piece *piece, size_t width, size_t row);

/* The moves of rows that a piece has elements of: *count of them, one after the other. */
const sr_row_move *checkpoint_rows_moves(const sr_row_moves *moves, const checkpoint_piece *piece, size_t width, size_t *count);

/* Begins a round: `pieces` are the same on all ranks. A rank that passes a `status` other than SR_OK takes part; then all fail
 * together. SR_ERROR_USAGE on all where no rank has a row of a piece. Collective. */
sr_status checkpoint_rows_meet(checkpoint_rows *rows, sr_status status, sr_error *error);

/* The elements of this rank's piece from those who have them into the room of the arrays. Collective, after a meeting. */
sr_status checkpoint_rows_collect(checkpoint_rows *rows, sr_error *error);

/* The reverse: from the room to all who have such rows. Collective, after a meeting. */
sr_status checkpoint_rows_spread(checkpoint_rows *rows, sr_error *error);

#endif
