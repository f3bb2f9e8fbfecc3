/* What a step does with rows of the item table beside computing: it brings those that it reads up to date, and says which of
 * them have a gradient and are updated. Here every rank has all rows, among the model's other parameters: the reduction and the
 * optimizer treat them with these. */
#ifndef SRTRAIN_STEP_ITEM_ROWS_H
#define SRTRAIN_STEP_ITEM_ROWS_H

#include "srtrain/step.h"

/* Lets rows be late, where the settings ask for it and the model allows it. */
sr_status item_rows_allow_late(sr_stepper *stepper, sr_error *error);

/* What a worker needs to find the rows that its batches name. Release with item_rows_free(). */
sr_status item_rows_create(sr_worker *worker, sr_error *error);
void item_rows_free(sr_worker *worker);

/* Settles the rows that the step reads, and so updates. A rank that failed, with `status`, takes part; then all fail. Of all
 * members. */
sr_status item_rows_prepare(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error);

/* The rows that this step gives a gradient; NULL: any. */
const sr_touched_rows *item_rows_touched(const sr_worker *worker);

/* Remembers a step that all workers have taken, for rows that it did not touch. */
void item_rows_note(sr_stepper *stepper, int64_t step, double learning_rate);

/* Settles every row. */
void item_rows_settle(sr_stepper *stepper);

#endif
