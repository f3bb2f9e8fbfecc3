/* Binary cross entropy with K sampled items (Kang and McAuley 2018, equation 7, with K = 1).
 *
 *   loss = 2 / (K + 1) ( softplus(-s_target) + sum_k softplus(s_k) )
 *
 * An entry that does not exist for a target adds 0. */
#include "model/loss.h"

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
    if (has_own_negatives(batch)) {
        const pair_scores scores = score_pairs(model, tape, batch, states);
        return sr_binary_cross_entropy(tape, scores.targets, scores.negatives, weight);
    }
    const sr_comparison with = compare_with_lists(model, tape, batch);
    const double of_each = 2 * weight / (double)(with.length + 1);
    return sr_sampled_logistic(tape, scored_states(model, tape, states), &with, of_each, of_each);
}

const loss binary_cross_entropy_loss = {
    .component = {.name = "binary_cross_entropy", .help = "binary cross entropy with sampled negatives"},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .lists = true,
    .compute = compute,
    .catalogue_memory = list_factors_memory,
};
