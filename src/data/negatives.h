/* Sampled negatives of a part of a batch: which targets share a list, what is in it, and what of it does not exist for a
 * target. Called by sampler.c. */
#ifndef SRTRAIN_DATA_NEGATIVES_H
#define SRTRAIN_DATA_NEGATIVES_H

#include "data/item_shares.h"
#include "srtrain/batch.h"

/* An example whose targets get negatives. */
typedef struct {
    sr_example history; /* before anything was masked */
    sr_example example; /* as it is packed; the same unless the model is masked */
    size_t number;      /* its place in the global batch */
} negatives_example;

typedef struct {
    const sr_negative_settings *settings;
    const item_shares *shares;
    bool wants_shares; /* logarithms of shares, and what is excluded, are asked for */
    /* Draws of lists that a target or an example has alone, and of lists that many examples share. */
    sr_random_stream own, shared;
    const sr_packing *packing;
    const negatives_example *examples; /* of this part, in the order of the global batch */
    size_t count;
    const int32_t *batch_targets; /* [batch_target_count]: of the global batch, where items are drawn from it */
    size_t batch_target_count;
    const int32_t *given; /* [lists, length]: in the place of draws (tests), or NULL */
} negatives_request;

/* The negatives of a batch that `examples` were packed into. Each list is a function of the streams, of `number` or the
 * example's identity, and of the targets of the global batch: the same on any rank. Lists that two parts share are drawn in
 * both. Memory comes from `arena`. Local. */
sr_status negatives_make(const negatives_request *request, const sr_batch *batch, sr_arena *arena, const sr_negatives **made,
                         sr_error *error);

#endif
