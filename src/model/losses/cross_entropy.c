/* Cross entropy over the whole catalogue: softmax of the dot products of a state with every item, padding included.
 *
 *   loss = ln sum_v exp(s . e_v) - s . e_target */
#include "model/backbone.h"
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    return item_table_cross_entropy(&model->item_table, tape, states, batch->target_items, weight);
}

static size_t catalogue_memory(size_t targets, size_t items, size_t kept)
{
    return item_table_cross_entropy_memory(targets, items, kept);
}

const loss cross_entropy_loss = {
    .component = {.name = "cross_entropy", .help = "softmax over the whole catalogue"},
    .term = {"loss", "ranking loss"},
    .compute = compute,
    .catalogue_memory = catalogue_memory,
};
