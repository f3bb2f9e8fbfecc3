/* An optimizer that goes by the signs of gradients alone (Bernstein et al. 2018). With learning rate l and decay d:
 *
 *   w = w - l d w - l sign(g),   where |g| > least_gradient
 *
 * It has no state. */
#include "step/optimizer_row.h"

#include <math.h>

typedef struct {
    double least_gradient;
} sign_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "least_gradient", sign_settings, least_gradient, 0, 1, "0",
              "a gradient that is not larger does not move its parameter"),
};

extern const optimizer_row sign_optimizer;

static bool adds_decay_to_gradient(const void *part)
{
    return ((const sr_training_settings *)part)->weight_decay_kind == SR_WEIGHT_DECAY_L2;
}

static const sr_rule rules[] = {
    SR_RULE("training.weight_decay_kind", "training.optimizer", adds_decay_to_gradient,
            "a sign does not tell how much of a gradient is weight decay; use decoupled, or leave the key out"),
};

typedef struct {
    double step_size, decay, least;
} sign_constants;

static void begin(const sr_step_of_set *step, sr_step_constants *constants)
{
    const sign_settings *own = optimizer_settings(step->settings, &sign_optimizer.component);
    *(sign_constants *)constants = (sign_constants){.step_size = step->learning_rate,
                                                    .decay = step->learning_rate * step->settings->weight_decay,
                                                    .least = own->least_gradient};
}

static void update(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                   const sr_parameter *array, const double *sums)
{
    const sign_constants *own = (const void *)constants;
    (void)kernels;
    (void)array;
    (void)sums;
    for (size_t i = 0; i < slice->count; ++i) {
        const double gradient = (double)slice->gradients[i];
        const double sign = fabs(gradient) > own->least ? copysign(1, gradient) : 0;
        slice->values[i] -= (sr_real)(own->decay * (double)slice->values[i] + own->step_size * sign);
    }
}

const optimizer_row sign_optimizer = {
    .component = {.name = "sign",
                  .help = "every parameter moves by the learning rate against the sign of its gradient",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(sign_settings)},
    .decay = SR_WEIGHT_DECAY_DECOUPLED,
    .in_every_step = "with sign a row without a gradient is at rest, but for weight decay",
    .begin = begin,
    .update = update,
};
