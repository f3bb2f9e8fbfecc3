/* What ranks need of each other to draw a batch. Called by step.c. */
#ifndef SRTRAIN_STEP_DRAWS_H
#define SRTRAIN_STEP_DRAWS_H

#include "srtrain/step.h"

/* This worker's part of a batch, in its arena. A rank that failed has taken part in what ranks do together; then not all know.
 * Collective where ranks gather targets (sr_sampler_gathers_targets()), else local. */
sr_status draws_batch(sr_worker *worker, int64_t epoch, int64_t index, sr_batch *batch, sr_totals *totals, sr_error *error);

#endif
