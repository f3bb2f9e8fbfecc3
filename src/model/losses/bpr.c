/* Bayesian personalised ranking (Rendle et al. 2009): the target is to score above a sampled item.
 *
 *   loss = softplus(s . e_negative - s . e_target) */
#include "model/backbone.h"
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    sr_tensor *positive = item_table_scores(&model->item_table, tape, states, batch->target_items);
    sr_tensor *negative = item_table_scores(&model->item_table, tape, states, batch->negative_items);
    return sr_bpr_loss(tape, positive, negative, weight);
}

const loss bpr_loss = {
    .component = {.name = "bpr", .help = "Bayesian personalised ranking with one sampled negative"},
    .samples = true,
    .compute = compute,
};
