/* AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay. With gradient g, learning rate l and t from 1:
 *
 *   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
 *   w = w - l decay w - l m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) */
#include "step/optimizers/moments.h"

static bool adds_decay_to_gradient(const void *part)
{
    return ((const sr_training_settings *)part)->weight_decay_kind == SR_WEIGHT_DECAY_L2;
}

static const sr_rule rules[] = {
    SR_RULE("training.weight_decay_kind", "training.optimizer", adds_decay_to_gradient,
            "AdamW is Adam with decoupled weight decay; use optimizer adam for weight decay in the gradient"),
};

static void begin(const sr_step_of_set *step, sr_step_constants *constants)
{
    moments_begin_adam(step, step->learning_rate * step->settings->weight_decay, 0, constants);
}

extern const optimizer_row adamw_optimizer;
const optimizer_row adamw_optimizer = {
    .component = {.name = "adamw", .help = "Adam with bias correction and decoupled weight decay", SR_RULES(rules)},
    .family = &moments_family,
    .blocks = MOMENT_BLOCKS,
    .decay = SR_WEIGHT_DECAY_DECOUPLED,
    .late = &moments_late_rows,
    .begin = begin,
    .update = moments_update_adam,
};
