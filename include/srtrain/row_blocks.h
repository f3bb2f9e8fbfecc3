/* Blocks of rows: arrays of a model whose rows do not lie among its other parameters.
 *
 * Where a table is too large for every rank, a process has some rows of it. They lie in blocks, each with the same rows of all
 * parts of the table. A block has parameters of its own, so that an optimizer can keep state for it, and says which rows of the
 * whole table it has. sr_parameters lists the blocks of its process. So whoever takes steps, saves or loads walks this list,
 * and need not know why rows lie there, or who has the others.
 *
 * No row is in two blocks of a process. A row that several processes have is the same on all of them. */
#ifndef SRTRAIN_ROW_BLOCKS_H
#define SRTRAIN_ROW_BLOCKS_H

#include "srtrain/parameters.h"
#include "srtrain/row_numbers.h"

typedef struct sr_row_block {
    sr_parameters parameters; /* arrays [numbers.count, width], one for each part of the table, named as in checkpoints */
    sr_row_numbers numbers;   /* the row of the table that each row here is */
    size_t table_rows;        /* that the whole table has */
    size_t before;            /* index of the parameter of the model in front of which files have the table */
    bool dense;               /* any row may have a gradient: parameters.gradients has room for all */
    /* Which rows have a gradient in this step, by their places here; with `dense` every one. Gradients of the others do not
     * exist. Valid between handing back and the next fetch (model/item_table.h). */
    sr_touched_rows touched;
    const sr_state *state; /* of the optimizer of these rows; NULL while there is none */
    /* Called, where not NULL, before the values of `rows` are read: brings late rows up to date. By one thread at a time. */
    void (*settle)(void *context, const sr_touched_rows *rows);
    void *context;
} sr_row_block;

/* A block of these rows, without arrays. Release with sr_row_block_free(). */
void sr_row_block_initialise(sr_row_block *block, sr_row_numbers numbers, size_t table_rows);
void sr_row_block_free(sr_row_block *block);

/* Memory for the values of all blocks of `parameters` and, with `gradients`, for gradients of dense ones, all 0. */
sr_status sr_row_blocks_allocate(sr_parameters *parameters, bool gradients, sr_error *error);

/* Draws the initial values: those that the same rows of a whole table have. */
void sr_row_block_draw(sr_row_block *block, uint64_t seed);

/* The block that has row `row` of the table, and its place there; NULL: no block of this process has it. */
const sr_row_block *sr_row_blocks_find(const sr_parameters *parameters, size_t row, size_t *place);

/* Of rows first, .., last of the table, how many a block has: they stand one after the other from *place on. */
size_t sr_row_block_between(const sr_row_block *block, size_t first, size_t last, size_t *place);

/* The row at a place of a block: of array `array` of its values (`state` SIZE_MAX), or of this block of the optimizer's state.
 */
sr_real *sr_row_block_row(const sr_row_block *block, size_t array, size_t state, size_t place);

/* Elements [begin, begin + count) of array `array` of the whole table, its rows in the order of their numbers, from and to
 * blocks. `state` SIZE_MAX: of the values; else of this block of the optimizer's state. Rows that no block here has are left
 * alone. */
void sr_row_blocks_get(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count, sr_real *out);
void sr_row_blocks_set(const sr_parameters *parameters, size_t array, size_t state, size_t begin, size_t count,
                       const sr_real *in);

#endif
