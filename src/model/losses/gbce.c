/* Generalised binary cross entropy (gSASRec, Petrov and Macdonald 2023): the target's probability is taken to a power below 1,
 * which makes up for K sampled items standing for all n - 1 items that are not the target, n the items of the catalogue.
 *
 *   alpha = K / (n - 1),   beta = 1 - t (1 - alpha),   t = training.calibration
 *   loss = 1 / (K + 1) ( beta softplus(-s_target) + sum_k softplus(s_k) )
 *
 * An entry that does not exist for a target adds 0. With t = 0 it is half of binary_cross_entropy. */
#include "model/backbone.h"
#include "model/loss.h"

extern const loss gbce_loss;

typedef struct {
    double calibration;
} gbce_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "calibration", gbce_settings, calibration, 0, 1, "0.75",
              "t of loss gbce: 0 is binary cross entropy; 1 makes the probabilities of targets right in theory"),
};

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    const gbce_settings *own = component_settings(&model->settings, &gbce_loss.component);
    const sr_comparison with = compare_with_lists(model, tape, batch);
    const double alpha = (double)with.length / ((double)model->items - 1);
    const double beta = 1 - own->calibration * (1 - alpha), of_each = weight / (double)(with.length + 1);
    return sr_sampled_logistic(tape, scored_states(model, tape, states), &with, beta * of_each, of_each);
}

const loss gbce_loss = {
    .component = {.name = "gbce",
                  .help = "binary cross entropy with sampled negatives, calibrated for their number (gSASRec)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(gbce_settings)},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .lists = true,
    .standard_negatives = 256,
    .compute = compute,
    .catalogue_memory = list_factors_memory,
};
