/* Binary cross entropy with one sampled item (Kang and McAuley 2018, equation 7).
 *
 *   loss = softplus(-s . e_target) + softplus(s . e_negative) */
#include "model/backbone.h"
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    sr_tensor *positive = item_table_scores(&model->item_table, tape, states, batch->target_items);
    sr_tensor *negative = item_table_scores(&model->item_table, tape, states, batch->negative_items);
    return sr_binary_cross_entropy(tape, positive, negative, weight);
}

const loss binary_cross_entropy_loss = {
    .component = {.name = "binary_cross_entropy", .help = "binary cross entropy with one sampled negative"},
    .samples = true,
    .compute = compute,
};
