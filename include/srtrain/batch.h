/* Examples and the packed batch that a model reads. */
#ifndef SRTRAIN_BATCH_H
#define SRTRAIN_BATCH_H

#include "srtrain/config.h"
#include "srtrain/memory.h"
#include "srtrain/ragged.h"
#include "srtrain/status.h"

/* One history and what it is to predict. The arrays belong to the caller and must outlive the batch's making only. */
typedef struct {
    const int32_t *items; /* [length], oldest first; only the latest max_length of them are used */
    size_t length;        /* 0: an empty history, see sr_batch_build() */
    uint64_t identity;    /* what its random numbers are keyed by: the same example has the same identity on any rank */
    /* objective last: targets[0] follows the last item. objective all: targets[i] follows items[i], 0 where there is none.
     * NULL: nothing is predicted, the representation after the last item is read (evaluation). */
    const int32_t *targets;
    const int32_t *negatives; /* one sampled negative for each target, or NULL */
} sr_example;

/* Examples packed without padding, and the rows of the last layer that are read. Everything lives in the arena it was built in.
 */
typedef struct {
    sr_layout layout;
    const int32_t *items;          /* [T] */
    sr_queries reads;              /* rows that somebody reads, R */
    size_t targets;                /* n terms of the loss */
    const size_t *target_reads;    /* [n]: each target's row of the R representations */
    const int32_t *target_items;   /* [n] */
    const int32_t *negative_items; /* [n], or NULL when the examples had none */
    size_t examples;
    const size_t *example_reads; /* [examples]: the row of the R representations that belongs to the example's last item */
} sr_batch;

/* The identity of the sequence that stands for every empty history. */
#define SR_IDENTITY_EMPTY ((uint64_t)1 << 62)

/* Packs examples. All empty histories of a batch share one sequence of max_length padding tokens, all visible to each other,
 * read at its last slot: that is what the published models compute for them (their additive mask cancels out when it hides
 * every key), except that with dropout the empty histories of one batch share their mask. */
sr_status sr_batch_build(sr_batch *batch, sr_arena *arena, const sr_model_settings *model, sr_objective objective,
                         const sr_example *examples, size_t count, sr_error *error);

/* The cost of an example in a step, in tokens; for dividing a batch among ranks by work. */
size_t sr_example_work(const sr_example *example, const sr_model_settings *model);

#endif
