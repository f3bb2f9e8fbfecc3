/* Examples and the packed batch that is made of them. */
#ifndef SRTRAIN_BATCH_H
#define SRTRAIN_BATCH_H

#include "srtrain/layout.h"
#include "srtrain/memory.h"
#include "srtrain/status.h"

/* One history and what it is to predict. The arrays belong to the caller and must outlive the batch's making only. */
typedef struct {
    const int32_t *items; /* [length], oldest first; only the latest max_length of them are used */
    const int64_t *times; /* [length], for models that need them, else NULL */
    int64_t next_time;    /* for models that need it: when the event is that follows the last item */
    size_t length;        /* 0 without a mask token: an empty history, see sr_batch_pack() */
    int32_t user;         /* 1..users, for models that need it; else 0 */
    int32_t mask_token;   /* an item that is put behind the history, one column more, and whose state is read; 0: none */
    uint64_t identity;    /* what its random numbers are keyed by: the same example has the same identity on any rank */
    /* objective last: targets[0] follows the last item. objective all: targets[i] follows items[i], 0 where there is none.
     * Training of masked models, whatever the objective: targets[i] belongs to items[i], which may be masked; 0 where none is
     * scored. NULL: nothing is predicted, the representation after the last item is read (evaluation). */
    const int32_t *targets;
    const int32_t *negatives; /* one sampled negative for each target: a list of its own; or NULL */
    bool own_sequence;        /* when empty, it does not share the sequence of other empty histories */
} sr_example;

/* Sampled negatives of a batch: lists of items, each of which serves consecutive targets. A list may name an item several
 * times. Which list serves which targets follows from training.negative_sharing. */
typedef struct {
    size_t lists, length;         /* length K is that of every list */
    const int32_t *items;         /* [lists, length] */
    const size_t *first_target;   /* [lists + 1]: list l serves targets [first_target[l], first_target[l + 1]) */
    const size_t *hit_offsets;    /* [targets + 1]: where the hits of each target begin; NULL: nobody has one */
    const uint32_t *hits;         /* places in the target's list, ascending, whose items do not exist for this target */
    const float *log_q;           /* [lists, length]: ln of the share of draws that the item has; NULL unless a loss needs it */
    const float *target_log_q;    /* [targets]: that of the target; -infinity for one that is never drawn */
    const double *excluded_share; /* [targets]: the sum of shares over the items that do not exist for this target, each once */
} sr_negatives;

/* Examples packed without padding, and the rows of the last layer that are read. Everything lives in the arena it was built in.
 */
typedef struct sr_batch {
    sr_layout layout;
    const int32_t *items;          /* [T] */
    const int32_t *users;          /* [T]: the user of each token's sequence; NULL unless the model needs users */
    const int64_t *times;          /* [T]: 0 for padding; NULL unless the model needs times */
    const int64_t *next_times;     /* [T]: of the event that follows; 0 for padding; NULL unless the model needs them */
    sr_rows reads;                 /* tokens that somebody reads, R */
    size_t targets;                /* n terms of the loss */
    const size_t *target_reads;    /* [n]: each target's row of the R representations */
    const int32_t *target_items;   /* [n] */
    const sr_negatives *negatives; /* NULL when the loss needs none, or the examples had none */
    size_t examples;
    /* [examples]: the row of the R representations that belongs to the example's end: its mask token or else its last item.
     * NULL in the training of masked models, where only targets are read. */
    const size_t *example_reads;
    /* Contrastive training: the same examples once more, and others with the same targets in the same order; both without
     * targets, and every example with a sequence and so a dropout mask of its own. Else NULL. */
    const struct sr_batch *again, *alike;
} sr_batch;

/* The identity of the sequence that stands for every empty history. */
#define SR_IDENTITY_EMPTY ((uint64_t)1 << 62)

/* How examples are packed: what whoever reads the batch needs (sr_model_packing()). */
typedef struct {
    size_t max_length;   /* the latest so many items of a history are used */
    bool pads_left;      /* histories end in the last column of the window; else they start in column 0 */
    bool every_position; /* items have targets of their own; else the history as a whole has one */
    bool reads_end;      /* the state after the history is read, whether it has a target or not */
    bool users, times;   /* of examples are read */
    bool next_times;     /* with times: the time of the event that follows each item is read, too */
    bool whole_window;   /* padding is computed, up to the width of the window */
    bool causal;         /* a token sees no later token */
    size_t scoring;      /* tokens that take as long as scoring a state against the catalogue; 0: that takes hardly any time */
} sr_packing;

/* Packs examples.
 *
 * Window: max_length columns, and one more when examples carry a mask token, which stands in the column after the last item
 * also when the latest max_length items fill the others. Histories start in column 0 or end in the last one.
 *
 * Padding: only whoever needs the whole window gets it: each sequence is then padded to the width of the window, behind the
 * items or in front of them.
 *
 * Empty histories: a window of padding tokens, all visible to each other, read at its last slot: that is what the published
 * models compute for them (their additive mask cancels out when it hides every key). Where nothing tells them apart
 * (sr_shares_empty_histories()) all of a batch share one such sequence, and with it the dropout mask, unless an
 * example asks for its own. */
sr_status sr_batch_pack(sr_batch *batch, sr_arena *arena, const sr_packing *packing, const sr_example *examples, size_t count,
                        sr_error *error);

/* Whether all empty histories of a batch are one sequence: not where users or the whole window matter. */
bool sr_shares_empty_histories(const sr_packing *packing);

/* The cost of an example in a training step, in tokens; for dividing a batch among ranks by work. The sequence that empty
 * histories share is not counted, nor is the scoring of its state. */
size_t sr_example_work(const sr_example *example, const sr_packing *packing);

#endif
