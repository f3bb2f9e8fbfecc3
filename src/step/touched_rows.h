/* Which rows of the item tables the batches of all ranks read, and so give a gradient. */
#ifndef SRTRAIN_STEP_TOUCHED_ROWS_H
#define SRTRAIN_STEP_TOUCHED_ROWS_H

#include "srtrain/item_table.h"
#include "srtrain/parallel.h"
#include "srtrain/parameters.h"

typedef struct touched_rows touched_rows;

/* For tables of `parameters`; `tables` must not be empty. Release with touched_rows_free(). */
sr_status touched_rows_create(touched_rows **touched, const sr_parameters *parameters, const sr_table_list *tables,
                              sr_error *error);
void touched_rows_free(touched_rows *touched); /* NULL is allowed */

/* Bytes that it holds for tables of `rows` rows. */
size_t touched_rows_memory(size_t rows);

/* The largest number of rows that are told apart. If more are touched, all count as touched: one pass over the whole table is
 * faster then. */
size_t touched_rows_most(const sr_parameters *parameters, const sr_table_list *tables);
size_t touched_rows_most_of(size_t rows);

/* The rows that this rank's batch names, and those of the batches that go with it, together with those of all ranks; the same
 * on all of them. A rank that failed, with `status`, takes part; then all fail. Collective, for members too. */
sr_status touched_rows_find(touched_rows *touched, sr_parallel *parallel, sr_status status, const sr_batch *batch,
                            sr_error *error);

/* Bytes of rows' numbers that this worker has sent to other ranks so far. */
double touched_rows_sent(const touched_rows *touched);

/* Those found last, none before the first time; every row after a failure. They stay valid until the next time. */
const sr_touched_rows *touched_rows_found(const touched_rows *touched);

#endif
