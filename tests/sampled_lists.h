/* Sampled negatives as their definition says, slowly: what tests compare those of a batch with. */
#ifndef SRTRAIN_TESTS_SAMPLED_LISTS_H
#define SRTRAIN_TESTS_SAMPLED_LISTS_H

#include "sampler_world.h"

enum { MOST_EXCLUDED = 64, MOST_LENGTH = 64 };

/* A target of a batch, and what its negatives follow from. */
typedef struct {
    const sr_sampling *sampling;
    const sr_dataset *dataset;
    size_t epoch, index, batches;
    const sr_batch_targets *batch; /* targets of the global batch */
    const double *target_shares;   /* [items + 1]: of the targets of an epoch */
    uint64_t identity;             /* of its example */
    size_t number, position;       /* of its example in the global batch, its own in the example */
    int32_t item;
    int32_t history[MOST_EXCLUDED], window[MOST_EXCLUDED], of_example[MOST_EXCLUDED]; /* of_example: all its targets */
    size_t history_length, window_length, example_targets;
} listed_target;

/* The list of a target, what of it does not exist, and the logarithms of shares. */
typedef struct {
    int32_t items[MOST_LENGTH];
    uint32_t hits[MOST_LENGTH];
    size_t hit_count;
    double log_q[MOST_LENGTH], target_log_q, excluded_share;
} listed_negatives;

void list_negatives(const listed_target *target, listed_negatives *listed);

/* The share of draws of an item. */
double listed_share(const listed_target *target, int32_t item);

#endif
