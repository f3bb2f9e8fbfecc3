/* What steps of Adam without a gradient come to, however many: the mathematics behind late rows.
 *
 * A parameter with moments m and v that gets no gradient in steps s = 1 .. n moves in each of them by
 *
 *   size_s beta1^s m / (sqrt(beta2^s v) correction_s + epsilon)
 *
 * and, with decoupled weight decay, is multiplied by 1 - decay_s before that. beta1^s makes the sum end: after `horizon` terms
 * the rest is below rounding. Within that horizon root_s = sqrt(beta2^s) correction_s varies by some percent. Then moments of
 * its distribution give the sum for any v at once. Early in training bias correction changes it by far more. Then the terms are
 * summed one by one. Nothing here knows rows: a gap is a number of the first step and a number of the last. */
#ifndef SRTRAIN_STEP_MISSED_STEPS_H
#define SRTRAIN_STEP_MISSED_STEPS_H

#include "srtrain/kernels.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { MISSED_STEPS_HORIZON = 2400 }; /* terms at most: beta1 up to 0.99 */

typedef struct missed_steps missed_steps;

/* Whether there is a horizon for this beta1. */
bool missed_steps_possible(double beta1);

/* Nothing has been taken. Release with missed_steps_free(). */
sr_status missed_steps_create(missed_steps **missed, double beta1, double beta2, double epsilon, sr_error *error);
void missed_steps_free(missed_steps *missed); /* NULL is allowed */

/* Room to take one more step, of which there are missed_steps_taken(). */
sr_status missed_steps_reserve(missed_steps *missed, sr_error *error);
size_t missed_steps_taken(const missed_steps *missed);

/* Bytes that so many steps take. */
size_t missed_steps_memory(size_t steps);

/* A step has been taken, with the values that sr_adam_step has for it; there is room for it. */
void missed_steps_take(missed_steps *missed, double step_size, double second_correction, double decay);

/* Nothing lies behind any more: the next step taken is the first one again. */
void missed_steps_forget(missed_steps *missed);

/* All steps from `first` (as many had been taken before) on. Returns 0 when gap->moments serve, and otherwise how many terms
 * were written to factors and roots [MISSED_STEPS_HORIZON]. */
size_t missed_steps_gap(const missed_steps *missed, size_t first, sr_adam_gap *gap, sr_real *factors, sr_real *roots);

#endif
