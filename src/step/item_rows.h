/* What a step does with rows of the item table beside computing. There are two kinds of them:
 *
 * - Rows among the model's parameters. Every rank has all rows. The reduction and the optimizer treat them with all parameters.
 *   Rows that a step reads may be late: they are brought up to date before, and the rows that have a gradient are named.
 * - Rows in blocks (row_blocks.h). Gradients come to where the rows are. Each block has an optimizer of its own, and a worker
 *   that takes its steps: the workers of a process divide the blocks that it has. */
#ifndef SRTRAIN_STEP_ITEM_ROWS_H
#define SRTRAIN_STEP_ITEM_ROWS_H

#include "srtrain/row_blocks.h"
#include "srtrain/step.h"

/* Rows of parameters of which it is to be known which steps they have taken; 0: of none. */
size_t item_rows_remembered(const sr_stepper *stepper);

/* Chooses the rows of parameters that steps go through, where the settings ask for it and the model allows it. `taken` is
 * memory for what is remembered of them, which processes of a node share; NULL: this process's own. */
sr_status item_rows_pick(sr_stepper *stepper, int64_t *taken, sr_error *error);

/* Memory of blocks, and an optimizer for each. SR_ERROR_USAGE where the optimizer cannot step their rows. Release with
 * item_rows_free_blocks(). */
sr_status item_rows_create_blocks(sr_stepper *stepper, sr_error *error);
void item_rows_free_blocks(sr_stepper *stepper);

/* Draws the initial values of a worker's blocks. */
void item_rows_draw(const sr_worker *worker);

/* What a worker needs to find the rows that its batches name. Release with item_rows_free(). */
sr_status item_rows_create(sr_worker *worker, sr_error *error);
void item_rows_free(sr_worker *worker);

/* Forgets the gradients of the last step in a worker's blocks. */
void item_rows_clear(const sr_worker *worker);

/* Settles the rows that the step reads, and so updates. A rank that failed, with `status`, takes part; then all fail. Of all
 * members. Rows in blocks are settled when they are fetched. */
sr_status item_rows_prepare(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error);

/* The rows of parameters that this step gives a gradient; NULL: any. */
const sr_touched_rows *item_rows_touched(const sr_worker *worker);

/* The sum of squares of gradients in a worker's blocks. */
double item_rows_squares(const sr_worker *worker);

/* The step of a worker's blocks; of `update` its number, rate and norm count. */
sr_status item_rows_update(const sr_worker *worker, const sr_update *update, sr_error *error);

/* Forgets which steps rows of parameters have taken, where this one touched every row: this worker's part of them. */
void item_rows_forget_part(const sr_worker *worker);

/* Remembers a step that all workers have taken, for rows of parameters that it did not touch. */
void item_rows_note(sr_stepper *stepper, int64_t step, double learning_rate);

/* Lets rows miss at most so many steps, instead of SR_MISSED_STEPS_MOST, before all of them catch up: for tests. The same on
 * all ranks. */
void item_rows_remember_at_most(sr_stepper *stepper, size_t steps);

/* Settles every row. Collective over processes that share rows. */
sr_status item_rows_settle(sr_stepper *stepper, sr_error *error);

#endif
