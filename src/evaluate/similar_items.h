/* Items that are like others, by the vectors that states are scored with. */
#ifndef SRTRAIN_EVALUATE_SIMILAR_ITEMS_H
#define SRTRAIN_EVALUATE_SIMILAR_ITEMS_H

#include "srtrain/evaluate.h"
#include "srtrain/item_names.h"

typedef struct {
    const sr_item_names *names;
    const int32_t *items; /* [count]: those that others are to be like; NULL: all items, count ignored */
    size_t count, top_k;
    const sr_kernels *kernels;
} similar_request;

/* The `top_k` items that are most like each of the request, without itself, by the cosine of their vectors; for Gaussians by
 * minus their squared 2-Wasserstein distance. `emit` is called on rank 0 as for recommendations, with the item's identifier in
 * the place of a user. All have the same request. Rows may be divided; each process holds the vectors of its own rows once
 * more, or of its part of all rows. Collective. */
sr_status similar_items(sr_parallel *parallel, sr_model *model, const similar_request *request, sr_recommendation_function emit,
                        void *context, sr_error *error);

#endif
