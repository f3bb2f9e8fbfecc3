/* What a loss is: one file in losses/ and one row in the list of losses.c. */
#ifndef SRTRAIN_MODEL_LOSS_H
#define SRTRAIN_MODEL_LOSS_H

#include "model/component.h"
#include "srtrain/operations.h"

typedef struct loss {
    component component;
    sr_term_name term; /* {"loss", ..}: what reports call it */
    bool samples;      /* a target is compared with a sampled item, not with the whole catalogue */
    bool distances;    /* it compares Gaussians by their distances, not vectors by dot products */
    /* The loss of states [n, width] and the batch's n targets as [1, 1]: the sum over targets times `weight`. */
    sr_tensor *(*compute)(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight);
    /* Bytes of the tape that grow with the catalogue: of `targets` targets and `items` items, where logits of at most `kept`
     * bytes stay from forward to backward. NULL: none. */
    size_t (*catalogue_memory)(size_t targets, size_t items, size_t kept);
} loss;

/* The losses, in the order of their numbers. */
extern const loss *const losses[];
extern const size_t loss_count;

/* The row of settings->loss. */
const loss *loss_of(const sr_model_settings *settings);

/* For losses that compare each target with one item of its own: these items, [n]; NULL where there are none. */
const int32_t *single_negatives(const sr_batch *batch);

/* For such losses that compare scores: dot products of states [n, width] with the batch's targets and with those items, [n, 1]
 * each. NULL after a failure of the tape. */
typedef struct {
    sr_tensor *targets, *negatives;
} pair_scores;
pair_scores score_pairs(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states);

#endif
