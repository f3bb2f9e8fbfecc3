/* Bayesian personalised ranking (Rendle et al. 2009): the target is to score above a sampled item.
 *
 *   loss = softplus(s . e_negative - s . e_target) */
#include "model/backbone.h"
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    sr_tensor *table = sr_tape_parameter(tape, &model->parameters, model->item_embedding);
    sr_tensor *positive = sr_item_scores(tape, states, table, batch->target_items);
    sr_tensor *negative = sr_item_scores(tape, states, table, batch->negative_items);
    return sr_bpr_loss(tape, positive, negative, weight);
}

const loss bpr_loss = {
    .component = {.name = "bpr", .help = "Bayesian personalised ranking with one sampled negative"},
    .samples = true,
    .compute = compute,
};
