/* Rows of a divided item table for files: from the ranks that own them, a piece at a time. */
#ifndef SRTRAIN_COMMANDS_EXPORTED_ROWS_H
#define SRTRAIN_COMMANDS_EXPORTED_ROWS_H

#include "srtrain/parallel.h"
#include "srtrain/row_blocks.h"

typedef struct {
    sr_parallel *parallel;
    const sr_parameters *parameters; /* with blocks of rows */
    size_t part;                     /* of the table: the array of each block */
} exported_rows;

/* Rows [first, first + count) of the table to `rows` [count, width] on rank 0. A tensor_rows_function
 * (storage/tensor_files.h) of an exported_rows. */
sr_status exported_rows_read(void *context, sr_status status, size_t first, size_t count, void *rows, sr_error *error);

#endif
