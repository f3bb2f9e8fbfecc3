/* What the files of the sampler share: examples and batches (sampler.c), and sampled negatives (sampler_negatives.c). */
#ifndef SRTRAIN_DATA_SAMPLER_STATE_H
#define SRTRAIN_DATA_SAMPLER_STATE_H

#include "data/example_index.h"
#include "data/negatives.h"
#include "data/same_target.h"
#include "srtrain/sampler.h"

struct sr_sampler {
    const sr_dataset *dataset;
    sr_sampling is; /* how examples are drawn */
    example_index index;
    size_t examples;
    bool prefetches;
    same_target_index same_target; /* contrastive training only */
    item_shares shares;            /* of sampled negatives */
    void *own_table;               /* or NULL */
};

/* ---- examples ---- */

/* The number of a user's examples; `context` is a sampler, as in the other functions of that kind. */
size_t sampler_examples_of(const void *context, size_t user);

/* Of prefixes: what the examples of a user predict. */
const int32_t *sampler_targets_of_user(const void *context, size_t user, size_t *count);

/* An example by its number, and what it predicts. */
sr_example sampler_example(const void *context, size_t number);
const int32_t *sampler_targets_of_example(const sr_sampler *sampler, const sr_example *example, size_t *count);

/* Of an epoch's draws of one kind, or a batch's. */
sr_random_stream sampler_stream(const sr_sampler *sampler, sr_random_purpose purpose, size_t index);

/* The end of a global batch in the order of its epoch, and how many groups of ranks divide it. */
size_t sampler_batch_end(const sr_sampler *sampler, size_t index);
size_t sampler_groups(const sr_sampler *sampler, size_t ranks);

/* ---- sampled negatives ---- */

/* What draws need, when a sampler is made. */
sr_status sampler_prepare_negatives(sr_sampler *sampler, sr_error *error);

/* What a rank draws for its part of a batch beside examples. */
typedef struct {
    size_t epoch, index;
    negatives_example *examples; /* NULL where the loss samples nothing */
    size_t count;
} sampled_part;

/* Gives a batch that was packed of these examples its negatives. */
sr_status sampler_add_negatives(const sr_sampler *sampler, const sampled_part *sampled, const sr_part *part, sr_arena *arena,
                                sr_batch *batch, sr_error *error);

#endif
