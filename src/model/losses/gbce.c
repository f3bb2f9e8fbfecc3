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

static bool has_no_number(const void *part)
{
    return ((const sr_model_settings *)part)->negatives.count == 0;
}

static const sr_rule rules[] = {
    SR_RULE(
        "training.negatives", "training.loss", has_no_number,
        "this loss is calibrated for a number of negatives, while the targets of a batch are now more and now fewer; use at "
        "least 1, or loss sampled_softmax"),
};

/* alpha is at most 1. */
static sr_status check_items(const sr_model_settings *settings, size_t items, sr_error *error)
{
    const int64_t negatives = settings->negatives.count;
    if ((size_t)negatives < items)
        return SR_OK;
    return sr_fail(
        error, SR_ERROR_USAGE,
        "training.negatives is %lld, but the data set has %zu items, and loss gbce takes its negatives for a part of "
        "those that are not the target; use at most %zu, or loss cross_entropy, which takes all of them",
        (long long)negatives, items, items > 0 ? items - 1 : 0);
}

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
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
                  SR_RULES(rules),
                  .settings_size = sizeof(gbce_settings)},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .lists = true,
    .standard_negatives = 256,
    .check_items = check_items,
    .compute = compute,
    .catalogue_memory = list_factors_memory,
};
