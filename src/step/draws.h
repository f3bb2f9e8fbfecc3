/* What ranks need of each other to draw a batch. Called by step.c. */
#ifndef SRTRAIN_STEP_DRAWS_H
#define SRTRAIN_STEP_DRAWS_H

#include "srtrain/step.h"

/* A global batch, and which of a worker's `parts` parts of it: they are those of as many ranks, one behind the other. */
typedef struct {
    int64_t epoch, index;
    size_t part, parts;
} drawn_batch;

/* That part of a batch, in the worker's arena. A rank that failed has taken part in what ranks do together; then not all know.
 * Collective where ranks gather targets (sr_sampler_gathers_targets()), else local. */
sr_status draws_batch(sr_worker *worker, const drawn_batch *which, sr_batch *batch, sr_totals *totals, sr_error *error);

#endif
