/* A table for tests of checkpoints whose rows are divided among ranks. */
#ifndef SRTRAIN_TESTS_DIVIDED_ROWS_H
#define SRTRAIN_TESTS_DIVIDED_ROWS_H

#include "srtrain/row_blocks.h"

enum { DIVIDED_BLOCKS = 2 }; /* of a rank, as of one with so many threads */

typedef struct {
    sr_row_block blocks[DIVIDED_BLOCKS];
    sr_row_block *list[DIVIDED_BLOCKS];
    sr_state states[DIVIDED_BLOCKS]; /* AdamW's */
} divided_rows;

/* Gives `parameters` an array [shape] of which this rank has every ranks * DIVIDED_BLOCKS-th row, in front of its others. It
 * has no memory yet: sr_parameters_allocate() or sr_row_blocks_allocate() gives it some. Release with divided_rows_free(),
 * after which the parameters have no such array. */
void divided_rows_make(divided_rows *rows, sr_parameters *parameters, const char *name, const size_t shape[2], size_t rank,
                       size_t ranks);
void divided_rows_free(divided_rows *rows, sr_parameters *parameters);

#endif
