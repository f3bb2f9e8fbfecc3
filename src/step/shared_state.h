/* One copy of parameters and of the optimizer's state for all processes of a node (training.reduction: shared).
 *
 * Where processes of a node cannot share them, or nothing is to be shared, each keeps its own: stepper->node stays NULL. */
#ifndef SRTRAIN_STEP_SHARED_STATE_H
#define SRTRAIN_STEP_SHARED_STATE_H

#include "srtrain/step.h"

/* Places the model's parameters and gradients and the optimizer's state in memory of the node, all 0. Where that was asked
 * for and is not possible, stepper->why_not says why. Collective; a failure is one of all ranks. */
sr_status shared_state_create(sr_stepper *stepper, sr_error *error);

/* This worker's part of what is done once for each copy of the state: the workers of the process, or of the node, divide it. */
void shared_state_part(const sr_worker *worker, size_t *part, size_t *parts);

/* Takes the memory back: the model has no parameters any more. Collective over the processes of a node. */
void shared_state_free(sr_stepper *stepper);

#endif
