/* From a data set to training batches: which examples exist, in which order an epoch visits them, and who computes which.
 *
 * The order of an epoch is a pseudo-random permutation that is a function of (seed, epoch) alone and computed one index at a
 * time: it takes no memory, is the same on every rank, and any batch of any epoch can be drawn directly (which is what resuming
 * needs). */
#ifndef SRTRAIN_SAMPLER_H
#define SRTRAIN_SAMPLER_H

#include "srtrain/batch.h"
#include "srtrain/data_settings.h"
#include "srtrain/dataset.h"
#include "srtrain/negative_settings.h"

typedef struct sr_sampler sr_sampler;

/* What a training takes of a data set, and how its examples are drawn; sr_settings_sampling() makes one of a configuration. */
typedef struct {
    sr_samples samples;
    sr_prefetch prefetch;
    size_t batch_size; /* examples of a global batch */
    uint64_t seed;
    bool every_position;     /* an example is a user, whose positions all predict (training.objective all) */
    bool masked;             /* items are masked and predicted: */
    double mask_ratio;       /* probability that one is masked */
    bool masks_at_least_one; /* where none of an example was drawn, one is masked all the same */
    bool negatives;          /* targets are compared with sampled items: */
    sr_negative_settings sampled;
    bool reads_shares;     /* the loss asks for the shares of draws that items have */
    bool shares_table;     /* the caller brings the table of sr_sampler_table_bytes(), instead of each sampler its own */
    bool contrasts;        /* examples are compared with others of the same target */
    bool sums_over_batch;  /* something sums over the sequences of the whole batch, or chooses for all of them */
    double tokens_an_item; /* what scoring a state against one item of the catalogue costs; 0: it is compared with few */
    sr_packing packing;    /* of the batches; its `scoring` follows from that */
    const char *model;     /* its name, for messages */
} sr_sampling;

/* Whether a data set has the time stamps that `model` needs, if it does: SR_ERROR_USAGE if not. For training and evaluation.
 * Local. */
sr_status sr_check_times(const sr_dataset *dataset, bool needed, const char *model, sr_error *error);

/* Examples of the training parts of all sequences, by sampling->samples and sampling->every_position.
 *
 * Sliding, objective last: every non-empty prefix of the training part predicts the item after it, from its latest max_length
 * items.
 *
 * Window, objective last: the same for the prefixes of the training part's last max_length items only, the empty prefix
 * included.
 *
 * Objective all: one example a user, in which each of the latest max_length items predicts the next one.
 *
 * A masked model (BERT4Rec) takes the same prefixes, but not the empty one, or with objective all the whole training part; the
 * item after it plays no part. Of the latest max_length items each is masked with probability mask_ratio, always by the
 * mask token items + 1, and the last K = int(mask_ratio * max_length) of the masked ones (at least one) are scored; earlier
 * ones stay masked. With masks_at_least_one, one is masked where none was drawn; without, that is left so, and an item in
 * column 0 of the window is never scored. Masks are a function of (seed, epoch, example).
 *
 * Contrastive training: examples are also indexed by target, which takes 4 bytes an example and 8 an item on every rank.
 *
 * Keeps a pointer to `dataset`. SR_ERROR_DATA if there is not a single example, or targets are compared with sampled items
 * and there are fewer than two that can be sampled. SR_ERROR_USAGE from sr_check_times(). Local. */
sr_status sr_sampler_create(sr_sampler **sampler, const sr_dataset *dataset, const sr_sampling *sampling, sr_error *error);
void sr_sampler_free(sr_sampler *sampler);

/* Bytes of its index of examples. */
size_t sr_sampler_memory(const sr_sampler *sampler);

/* A table that draws of negatives need, with a number or two for each item: the same on every rank, so that the processes of a
 * node may have one together. Its bytes are a multiple of 8; 0: none is needed. */
size_t sr_sampler_table_bytes(const sr_sampler *sampler);

/* A rank's part of the work on a table whose bytes were 0 at first. Ranks may work on the same table at a time. Tables of
 * different ranks, added up as numbers of 64 bits, are the whole one. Local. */
void sr_sampler_add_to_table(const sr_sampler *sampler, void *table, size_t rank, size_t ranks);

/* Draws read this whole table from now on, which must outlive them. Local. */
void sr_sampler_use_table(sr_sampler *sampler, void *table);

/* Examples and global batches of one epoch; the last batch may be smaller. */
size_t sr_sampler_examples(const sr_sampler *sampler);
size_t sr_sampler_batches(const sr_sampler *sampler);

/* Of a global batch. */
typedef struct {
    size_t targets; /* terms of the loss; where sr_sampler_sums_targets(), those of the part */
    size_t examples;
} sr_totals;

/* Targets of a global batch, in the order of its examples and of positions in them. */
typedef struct {
    const int32_t *items;
    size_t count;
} sr_batch_targets;

/* Whose part of it is drawn. */
typedef struct {
    size_t rank, ranks;
    const sr_batch_targets *targets; /* of the global batch, where ranks have gathered them; NULL: whoever needs them looks */
} sr_part;

/* Whether ranks should gather the targets of a global batch before they draw their parts. That is so where negatives are drawn
 * from them, and no rank looks at the whole batch otherwise. */
bool sr_sampler_gathers_targets(const sr_sampler *sampler, size_t ranks);

/* The targets of part `rank` of `ranks` equal parts of a global batch, which follow one another. In the arena. Not for masked
 * models. Local. */
sr_status sr_sampler_targets(const sr_sampler *sampler, size_t epoch, size_t index, sr_part part, sr_arena *arena,
                             sr_batch_targets *targets, sr_error *error);

/* The part of global batch `index` of epoch `epoch` that a rank computes. Examples are divided so that each rank has nearly
 * equal work. Many ranks form groups of 16 to 64, so that a slice has some thousand examples. Each group divides a slice of the
 * batch of its own, unless the model sums over sequences of the whole batch. A rank's part may be empty. Memory comes from
 * `arena`. Local; all ranks divide alike.
 *
 * With contrastive training batch->again holds the same examples for a second pass, and batch->alike for each of them another
 * with the same target: uniform among those whose history of the latest max_length items differs, the example itself where
 * there is none; drawn anew in every epoch, a function of (seed, epoch, example). Random numbers of all three are keyed by the
 * example, not by what stands in for it.
 *
 * Sampled negatives are functions of (seed, epoch, example) where a target or an example has a list of its own. Lists that many
 * examples share are functions of (seed, number of the batch, slice); ranks that share one draw it each. Both may depend on the
 * targets of the global batch besides. */
sr_status sr_sampler_batch(const sr_sampler *sampler, size_t epoch, size_t index, sr_part part, sr_arena *arena,
                           sr_batch *batch, sr_totals *totals, sr_error *error);

/* Asks the operating system for what batch `index` will read, so that it is there when the batch is drawn: for data sets that
 * do not stay in memory (data.prefetch). Ranks of a group ask for an equal part each. Does nothing where data.prefetch says so,
 * and behind the last batch of an epoch. Local. */
void sr_sampler_prefetch(const sr_sampler *sampler, size_t epoch, size_t index, size_t rank, size_t ranks);

/* Whether a rank knows the number of loss terms of its own part of a batch only. The numbers are then summed over ranks. So it
 * is in masked models: ranks draw the masks of their own examples only (the number may be 0, with model.masking released). So
 * it is with objective all on so many ranks that none draws the whole batch. */
bool sr_sampler_sums_targets(const sr_sampler *sampler, size_t ranks);

/* How that batch is divided: loads [ranks] receives the work of each rank in tokens, by which it was divided (scoring counts as
 * a few tokens, see sr_example_work()). For measuring how even the division is. Memory comes from `arena`. Local. */
sr_status sr_sampler_loads(const sr_sampler *sampler, size_t epoch, size_t index, size_t ranks, sr_arena *arena, size_t *loads,
                           sr_error *error);

/* Deals `count` pieces of work to `ranks` so that the largest load is nearly as small as possible: longest piece first, each to
 * the least loaded rank. owners [count] receives ranks. Deterministic. */
sr_status sr_divide_work(const size_t *work, size_t count, size_t ranks, uint32_t *owners, sr_error *error);

#endif
