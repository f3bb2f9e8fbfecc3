/* Cross entropy over the whole catalogue: softmax of the scores of every item, padding included.
 *
 *   loss = ln sum_v exp(s_v) - s_target */
#include "model/backbone.h"
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    const sr_scoring scoring = scoring_of(&model->settings);
    return item_table_cross_entropy(&model->item_table, tape, scored_states(model, tape, states), batch->target_items, &scoring,
                                    weight);
}

static size_t catalogue_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept)
{
    return item_table_cross_entropy_memory(targets, items, kept) +
           (scoring_of(settings).unit_rows ? sr_unit_classes_memory(items + 1, (size_t)settings->hidden_size) : 0);
}

const loss cross_entropy_loss = {
    .component = {.name = "cross_entropy", .help = "softmax over the whole catalogue"},
    .term = {"loss", "ranking loss"},
    .compute = compute,
    .catalogue_memory = catalogue_memory,
};
