/* Adam (Kingma and Ba 2015), in which weight decay is a part of the gradient. With learning rate l and t from 1:
 *
 *   g = gradient + decay w
 *   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
 *   w = w - l m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) */
#include "step/optimizers/moments.h"

static bool decouples_decay(const void *part)
{
    return ((const sr_training_settings *)part)->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED;
}

static const sr_rule rules[] = {
    SR_RULE("training.weight_decay_kind", "training.optimizer", decouples_decay,
            "Adam adds weight decay to the gradient; use optimizer adamw for weight decay that is decoupled from it"),
};

static void begin(const sr_step_of_set *step, sr_step_constants *constants)
{
    moments_begin_adam(step, 0, step->settings->weight_decay, constants);
}

extern const optimizer_row adam_optimizer;
const optimizer_row adam_optimizer = {
    .component = {.name = "adam", .help = "Adam with bias correction, and weight decay in the gradient", SR_RULES(rules)},
    .family = &moments_family,
    .blocks = MOMENT_BLOCKS,
    .decay = SR_WEIGHT_DECAY_L2,
    .late = &moments_late_rows,
    .begin = begin,
    .update = moments_update_adam,
};
