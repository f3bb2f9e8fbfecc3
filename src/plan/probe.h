/* A worker's part of a step, computed by one process alone: for what it takes of memory and of time. */
#ifndef SRTRAIN_PLAN_PROBE_H
#define SRTRAIN_PLAN_PROBE_H

#include "srtrain/model.h"
#include "srtrain/plan.h"

/* The real model, or one with a smaller catalogue and fewer users, whose numbers stand for all others. */
typedef struct {
    const sr_plan_request *request;
    sr_model *model;
    size_t items, users; /* that the model knows */
    sr_arena *arena;     /* of the batch */
    sr_tape *tape;
} probe;

/* At most `items` and `users` of the data set's. Release with probe_free(). */
sr_status probe_create(probe *p, const sr_plan_request *request, size_t items, size_t users, sr_error *error);
void probe_free(probe *p);

/* Which part of which batch: that of worker `worker` of `workers` in batch `index` of the first epoch. */
typedef struct {
    size_t index, worker, workers;
} batch_part;

/* What a part came to. */
typedef struct {
    size_t tape;     /* bytes, without tiles of the catalogue */
    size_t targets;  /* rows that are scored against it */
    size_t scorings; /* how often: by each term that is a mean over targets */
} part_memory;

/* Batch, passes, losses and gradients, which are set to zero before. `memory` may be NULL. */
sr_status probe_step(probe *p, const batch_part *part, part_memory *memory, sr_error *error);

/* Encodes `count` histories as evaluation does; *tape receives the bytes. */
sr_status probe_histories(probe *p, size_t count, size_t *tape, sr_error *error);

#endif
