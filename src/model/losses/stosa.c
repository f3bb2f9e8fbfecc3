/* STOSA's loss (Fan et al. 2022): ranking by distances, with d the squared 2-Wasserstein distance of Gaussians.
 *
 *   softplus(d(state, target) - d(state, negative)) + pvn_weight max(0, d(state, target) - d(target, negative))
 *
 * The state of a position is [mean, covariance]; items' Gaussians are N(E_mean, elu(E_cov) + 1). */
#include "model/backbone.h"
#include "model/loss.h"

extern const loss stosa_loss;

typedef struct {
    double pvn_weight; /* of the second term */
} stosa_loss_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "pvn_weight", stosa_loss_settings, pvn_weight, 0, 1e6, "0.005",
              "weight of the second term of loss stosa"),
};

static bool compares_vectors(const void *part)
{
    return !backbone_of(part)->distances;
}

static const sr_rule rules[] = {
    SR_RULE("training.loss", "model.backbone", compares_vectors,
            "the loss stosa compares Gaussians, which no other backbone has; use backbone stosa or another loss"),
};

/* [mean, root of the covariance] of items, whose squared Euclidean distances are the squared 2-Wasserstein distances. */
static sr_tensor *item_points(sr_model *model, sr_tape *tape, const int32_t *ids, size_t count)
{
    sr_tensor *means = item_table_read(&model->item_table, tape, ITEM_VECTORS, ids, count, false);
    sr_tensor *covariances = item_table_read(&model->item_table, tape, ITEM_COVARIANCES, ids, count, false);
    return sr_concatenate_columns(tape, means, sr_square_root(tape, sr_elu_plus_one(tape, covariances)));
}

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
    const size_t width = (size_t)model->settings.hidden_size;
    const stosa_loss_settings *own = component_settings(&model->settings, &stosa_loss.component);
    sr_tensor *roots = sr_square_root(tape, sr_select_columns(tape, states, width, width));
    sr_tensor *points = sr_concatenate_columns(tape, sr_select_columns(tape, states, 0, width), roots);
    sr_tensor *targets = item_points(model, tape, batch->target_items, batch->targets);
    sr_tensor *negatives = item_points(model, tape, single_negatives(batch), batch->targets);
    sr_tensor *to_target = sr_row_distances(tape, points, targets);
    sr_tensor *to_negative = sr_row_distances(tape, points, negatives);
    sr_tensor *between = sr_row_distances(tape, targets, negatives);
    /* bpr of distances: the smaller one wins. */
    return sr_weighted_add(tape, sr_bpr_loss(tape, to_negative, to_target, weight), 1,
                           sr_hinge_loss(tape, to_target, between, weight), own->pvn_weight);
}

const loss stosa_loss = {
    .component = {.name = "stosa",
                  .help = "bpr of distances d with one sampled negative, plus pvn_weight max(0, d(state, target) - d(target, "
                          "negative)), d squared 2-Wasserstein distances; the loss of backbone stosa, which has no other",
                  SR_KEYS(keys),
                  .settings_size = sizeof(stosa_loss_settings),
                  SR_RULES(rules)},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .distances = true,
    .compute = compute,
};
