/* Bayesian personalised ranking (Rendle et al. 2009): the target is to score above a sampled item.
 *
 *   loss = softplus(s . e_negative - s . e_target) */
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    const pair_scores scores = score_pairs(model, tape, batch, states);
    return sr_bpr_loss(tape, scores.targets, scores.negatives, weight);
}

const loss bpr_loss = {
    .component = {.name = "bpr", .help = "Bayesian personalised ranking with one sampled negative"},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .compute = compute,
};
