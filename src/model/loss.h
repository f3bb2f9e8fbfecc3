/* What a loss is: one file in losses/ and one row in the list of losses.c. */
#ifndef SRTRAIN_MODEL_LOSS_H
#define SRTRAIN_MODEL_LOSS_H

#include "model/component.h"
#include "srtrain/operations.h"

typedef struct loss {
    component component;
    sr_term_name term; /* {"loss", ..}: what reports call it */
    bool samples;      /* a target is compared with sampled items, not with the whole catalogue */
    bool lists;        /* these are lists of any length, which targets may share; else each target has one item of its own */
    size_t standard_negatives; /* of a list, where training.negatives does not say it; 0: one, as ever */
    bool distances;            /* it compares Gaussians by their distances, not vectors by scores */
    /* Whether it corrects for how often items are drawn: sr_negatives then say it. NULL: never. */
    bool (*corrects)(const sr_model_settings *settings);
    /* Whether it can be had with a catalogue of `items` items: SR_ERROR_USAGE if not. NULL: with any. */
    sr_status (*check_items)(const sr_model_settings *settings, size_t items, sr_error *error);
    /* The loss of the batch's targets as [1, 1]: the sum over targets times `weight`. Each has a state among the rows of the
     * representation (sr_batch.target_reads), which several may share. */
    sr_tensor *(*compute)(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight);
    /* Bytes of the tape that grow with the catalogue: of `targets` targets and `items` items, where logits of at most `kept`
     * bytes stay from forward to backward. NULL: none. */
    size_t (*catalogue_memory)(const sr_model_settings *settings, size_t targets, size_t items, size_t kept);
} loss;

/* The losses, in the order of their numbers. */
extern const loss *const losses[];
extern const size_t loss_count;

/* The row of settings->loss. */
const loss *loss_of(const sr_model_settings *settings);

/* How a state scores an item: model.similarity and training.temperature. The second of these prepares states for it. */
sr_scoring scoring_of(const sr_model_settings *settings);
sr_tensor *scored_states(const sr_model *model, sr_tape *tape, sr_tensor *states);

/* The state of each target of the batch, [n, width]: rows of the representation. */
sr_tensor *target_states(sr_tape *tape, const sr_batch *batch, sr_tensor *representation);

/* ---- for losses that compare a target with lists of items ---- */

/* The batch's targets and lists. A failure of the tape is left for whoever compares. A batch without targets may have no lists:
 * then length is 1. */
sr_comparison compare_with_lists(sr_model *model, sr_tape *tape, const sr_batch *batch);

/* Catalogue memory of such a loss. */
size_t list_factors_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept);

/* ---- for losses that compare a target with one item of its own ---- */

/* Whether each target of the batch has a list of its own, of one item, which exists for it. */
bool has_own_negatives(const sr_batch *batch);

/* These items, [n]; NULL where the batch has no targets and no lists. */
const int32_t *single_negatives(const sr_batch *batch);

/* Scores of states [n, width] for the batch's targets and for those items, [n, 1] each. NULL after a failure of the tape. */
typedef struct {
    sr_tensor *targets, *negatives;
} pair_scores;
pair_scores score_pairs(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states);

#endif
