/* The list of losses: one row each. Numbers are places in it. */
#include "model/loss.h"

#include "model/backbone.h"

#include <assert.h>
#include <string.h>

extern const loss cross_entropy_loss, bpr_loss, binary_cross_entropy_loss, stosa_loss, sampled_softmax_loss, gbce_loss;

/* clang-format off */
const loss *const losses[] = {
    &cross_entropy_loss,
    &bpr_loss,
    &binary_cross_entropy_loss,
    &stosa_loss,
    &sampled_softmax_loss,
    &gbce_loss,
};
/* clang-format on */
const size_t loss_count = sizeof losses / sizeof *losses;

const loss *loss_of(const sr_model_settings *settings)
{
    return losses[settings->loss];
}

sr_scoring scoring_of(const sr_model_settings *settings)
{
    return (sr_scoring){.temperature = settings->temperature, .unit_rows = settings->similarity == SR_SIMILARITY_COSINE};
}

sr_tensor *scored_states(const sr_model *model, sr_tape *tape, sr_tensor *states)
{
    return scoring_of(&model->settings).unit_rows ? sr_unit_rows(tape, states) : states;
}

sr_tensor *target_states(sr_tape *tape, const sr_batch *batch, sr_tensor *representation)
{
    return sr_select_rows(tape, representation, batch->target_reads, batch->targets);
}

/* ---- lists ---- */

sr_comparison compare_with_lists(sr_model *model, sr_tape *tape, const sr_batch *batch)
{
    static const size_t no_target[] = {0};
    const sr_negatives none = {.length = 1, .first_target = no_target};
    const sr_negatives *negatives = batch->negatives ? batch->negatives : &none;
    assert(batch->negatives || batch->targets == 0);
    sr_comparison with = {.lists = negatives->lists,
                          .length = negatives->length,
                          .first_target = negatives->first_target,
                          .hit_offsets = negatives->hit_offsets,
                          .hits = negatives->hits,
                          .scoring = scoring_of(&model->settings)};
    item_table_compare(&model->item_table, tape, batch->target_items, batch->targets, negatives->items, &with);
    return with;
}

size_t list_factors_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept)
{
    (void)targets;
    (void)kept;
    return scoring_of(settings).unit_rows ? (items + 1) * sizeof(sr_real) : 0;
}

/* ---- one item for each target ---- */

bool has_own_negatives(const sr_batch *batch)
{
    const sr_negatives *negatives = batch->negatives;
    if (!negatives)
        return batch->targets == 0;
    if (negatives->length != 1 || negatives->lists != batch->targets || negatives->hit_offsets)
        return false;
    for (size_t list = 0; list < negatives->lists; ++list)
        if (negatives->first_target[list] != list)
            return false;
    return true;
}

const int32_t *single_negatives(const sr_batch *batch)
{
    assert(has_own_negatives(batch));
    return batch->negatives ? batch->negatives->items : NULL;
}

/* Scores of one item for each state. */
static sr_tensor *score_each(sr_model *model, sr_tape *tape, sr_tensor *states, const int32_t *ids)
{
    const sr_scoring scoring = scoring_of(&model->settings);
    sr_tensor *scores;
    if (scoring.unit_rows) {
        const size_t count = states ? states->rows : 0;
        int32_t *places = sr_tape_take(tape, count, sizeof *places);
        for (size_t i = 0; places && i < count; ++i)
            places[i] = (int32_t)i;
        sr_tensor *rows = item_table_read(&model->item_table, tape, model->item_table.scored, ids, count, false);
        scores = places ? sr_item_scores(tape, states, sr_unit_rows(tape, rows), places) : NULL;
    } else {
        scores = item_table_scores(&model->item_table, tape, states, ids);
    }
    return scoring.temperature == 1 ? scores : sr_weighted_add(tape, scores, 1 / scoring.temperature, scores, 0);
}

pair_scores score_pairs(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states)
{
    sr_tensor *scored = scored_states(model, tape, states);
    return (pair_scores){.targets = score_each(model, tape, scored, batch->target_items),
                         .negatives = score_each(model, tape, scored, single_negatives(batch))};
}

int sr_loss_number(const char *name)
{
    for (size_t i = 0; i < loss_count; ++i)
        if (strcmp(losses[i]->component.name, name) == 0)
            return (int)i;
    return -1;
}
