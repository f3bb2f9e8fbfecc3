/* Scores of the catalogue for a block of histories: a column for each item, in tiles whose order is not that of items
 * (srtrain/item_table.h). */
#ifndef SRTRAIN_EVALUATE_SCORER_H
#define SRTRAIN_EVALUATE_SCORER_H

#include "srtrain/dataset.h"
#include "srtrain/evaluation_settings.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"

enum { SCORE_BLOCK_BYTES = 16 << 20 }; /* scores held at a time (at least one row) */

/* A history to be scored. */
typedef struct {
    const int32_t *items; /* [length] */
    const int64_t *times; /* [length] or NULL when the data set has none */
    size_t length;
    size_t user; /* index in the data set; SIZE_MAX: a new user, whom no model of users can serve */
} scored_history;

/* The first `length` interactions of a user. */
scored_history scored_history_of(const sr_dataset *dataset, size_t user, size_t length);

typedef struct {
    sr_model *model;           /* NULL: scores are `popularity` */
    const int64_t *popularity; /* [items + 1] */
    const sr_kernels *kernels;
    size_t columns;             /* of scores: items + 1 over all tiles */
    const sr_score_tile *tiles; /* which items columns belong to */
    size_t tile_count;
    sr_score_tile in_order; /* without a model: the one tile, of all items */
    size_t rows;            /* histories whose scores fit into the block */
    sr_arena *arena;
    sr_tape *tape;
    sr_catalogue *catalogue;        /* NULL without a model */
    sr_real *scores;                /* [rows, columns] */
    const sr_real *representations; /* [encoded, width]: of the histories encoded last */
    size_t width;
} scorer;

/* Scores of the items of `dataset`, which may be NULL beside a model when histories come from elsewhere. Release with
 * scorer_free(). Exactly one of `model` and `popularity` is not NULL. SR_ERROR_USAGE when the model needs time stamps and the
 * data set has none. */
sr_status scorer_create(scorer *s, sr_model *model, const int64_t *popularity, const sr_dataset *dataset,
                        const sr_kernels *kernels, sr_error *error);
void scorer_free(scorer *s);

/* Packs histories for evaluation by `model`; the batch lives in the arena. */
sr_status scored_batch_build(sr_batch *batch, sr_arena *arena, const sr_model *model, const scored_history *histories,
                             size_t count, sr_error *error);

/* Encodes histories; scorer_score() then fills s->scores with those of `count` <= s->rows of them, from `first` on. */
sr_status scorer_encode(scorer *s, const scored_history *histories, size_t count, sr_error *error);
void scorer_score(scorer *s, size_t first, size_t count);

/* The column of an item; SIZE_MAX where no tile has it. */
size_t scorer_column(const scorer *s, int32_t item);

/* What `history` asks for: changes the scores [columns] of items that the user has, and of the padding item. */
void scorer_apply_history(const scorer *s, sr_real *scores, sr_history history, const int32_t *items, size_t length);

#endif
