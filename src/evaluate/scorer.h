/* From histories to states, and from states to scores of items: those that this process scores, in tiles whose order is not
 * that of items (srtrain/item_table.h). */
#ifndef SRTRAIN_EVALUATE_SCORER_H
#define SRTRAIN_EVALUATE_SCORER_H

#include "srtrain/dataset.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"

/* A history to be scored. */
typedef struct {
    const int32_t *items; /* [length] */
    const int64_t *times; /* [length] or NULL when the data set has none */
    int64_t next_time;    /* when the event is that is asked for, for models that need it */
    size_t length;
    size_t user; /* index in the data set; SIZE_MAX: a new user, whom no model of users can serve */
    /* Items that are scored for this history by themselves, [candidate_count], different ones. */
    const int32_t *candidates;
    size_t candidate_count;
} scored_history;

/* The first `length` interactions of a user; the one that follows, if there is one, is asked for. */
scored_history scored_history_of(const sr_dataset *dataset, size_t user, size_t length);

typedef struct {
    sr_model *model;           /* NULL: scores are `popularity` */
    const int64_t *popularity; /* [items + 1] */
    const sr_kernels *kernels;
    bool divided;               /* the tiles of all ranks together have all items, and those of this process do not */
    sr_ranks ranks;             /* who encodes together, where items are divided */
    const sr_score_tile *tiles; /* the items that are scored here */
    size_t tile_count;
    size_t columns;         /* of all tiles */
    sr_score_tile in_order; /* without a model: the one tile, of all items */
    sr_arena *arena;
    sr_tape *tape;
    sr_catalogue *catalogue;        /* NULL without a model */
    const sr_real *representations; /* [encoded, width]: of the histories encoded last */
    size_t width;                   /* 0 without a model */
} scorer;

/* What scores come from: exactly one of `model` and `popularity` is not NULL. */
typedef struct {
    sr_model *model;
    const int64_t *popularity;
} score_source;

/* Scores of the items of `dataset`, which may be NULL beside a model when histories come from elsewhere. `member` is a process,
 * or a thread that scores as one of several. Release with scorer_free(). SR_ERROR_USAGE when the model needs time stamps and
 * the data set has none. Local. */
sr_status scorer_create(scorer *s, const score_source *source, const sr_dataset *dataset, sr_parallel *member,
                        const sr_kernels *kernels, sr_error *error);
void scorer_free(scorer *s);

/* Packs histories for evaluation by `model`; the batch lives in the arena. Local. */
sr_status scored_batch_build(sr_batch *batch, sr_arena *arena, const sr_model *model, const scored_history *histories,
                             size_t count, sr_error *error);

/* Encodes `count` histories; 0 are none. Where items are divided every rank calls it equally often, also one that has failed
 * already, with `status`. The failure of one rank may be one of this rank alone, or of all: the caller agrees on it. */
sr_status scorer_encode(scorer *s, const scored_history *histories, size_t count, sr_status status, sr_error *error);

/* The states [count, width] that are scored from now on. Local. */
sr_status scorer_take_states(scorer *s, const sr_real *states, size_t count, sr_error *error);

/* scores [part->states, part->items]. Local. */
void scorer_score(const scorer *s, const sr_score_part *part, sr_real *scores);

/* Where an item is scored: its tile and its place there. False where no tile has it. Local. */
bool scorer_find(const scorer *s, int32_t item, size_t *tile, size_t *place);

#endif
