/* Binary cross entropy with one sampled item (Kang and McAuley 2018, equation 7).
 *
 *   loss = softplus(-s . e_target) + softplus(s . e_negative) */
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    const pair_scores scores = score_pairs(model, tape, batch, states);
    return sr_binary_cross_entropy(tape, scores.targets, scores.negatives, weight);
}

const loss binary_cross_entropy_loss = {
    .component = {.name = "binary_cross_entropy", .help = "binary cross entropy with one sampled negative"},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .compute = compute,
};
