/* A loss that is content with a margin: a target shall score higher than a sampled item by at least that much.
 *
 *   loss = max(0, margin - s . e_target + s . e_negative) */
#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/loss.h"

extern const loss margin_loss;

typedef struct {
    double margin;
} margin_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "margin", margin_settings, margin, 0, 1000, "1",
              "by how much the score of a target shall be higher, with loss margin", .above = true),
};

static bool follows_a_flat_loss(const void *part)
{
    return calibrators_couple_batch(part);
}

static const sr_rule rules[] = {
    SR_RULE("training.loss", "calibrators.adversarial", follows_a_flat_loss,
            "this loss is 0 for every target that wins by the margin, and mask generators, which raise it, learn "
            "nothing from such a target; use another loss"),
};

/* The margin once for each of n targets, [n, 1]. */
static sr_tensor *margins(sr_tape *tape, double margin, size_t n)
{
    sr_real *values = sr_tape_take(tape, n, sizeof *values);
    for (size_t i = 0; values && i < n; ++i)
        values[i] = (sr_real)margin;
    return values ? sr_tape_constant(tape, values, n, 1) : NULL;
}

static sr_tensor *compute(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, double weight)
{
    sr_tensor *states = target_states(tape, batch, representation);
    const margin_settings *settings = component_settings(&model->settings, &margin_loss.component);
    const pair_scores scores = score_pairs(model, tape, batch, states);
    sr_tensor *rivals = sr_add(tape, scores.negatives, margins(tape, settings->margin, batch->targets));
    return sr_hinge_loss(tape, rivals, scores.targets, weight);
}

const loss margin_loss = {
    .component = {.name = "margin",
                  .help = "max(0, training.margin - score of the target + score of one sampled negative)",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(margin_settings)},
    .term = {"loss", "ranking loss"},
    .samples = true,
    .compute = compute,
};
