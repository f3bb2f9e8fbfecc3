/* Bayesian personalised ranking (Rendle et al. 2009): the target is to score above each of K sampled items.
 *
 *   loss = 1/K sum_k softplus(s_k - s_target) */
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
    if (has_own_negatives(batch)) {
        const pair_scores scores = score_pairs(model, tape, batch, states);
        return sr_bpr_loss(tape, scores.targets, scores.negatives, weight);
    }
    const sr_comparison with = compare_with_lists(model, tape, batch);
    return sr_sampled_pairs(tape, scored_states(model, tape, states), &with, weight / (double)with.length);
}

const loss bpr_loss = {
    .component = {.name = "bpr", .help = "Bayesian personalised ranking with sampled negatives"},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .lists = true,
    .compute = compute,
    .catalogue_memory = list_factors_memory,
};
