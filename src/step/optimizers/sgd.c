/* Stochastic gradient descent with momentum, as PyTorch defines it. With learning rate l:
 *
 *   g = gradient + decay w                                      (weight_decay_kind l2)
 *   b = momentum b + g                                          b starts at 0
 *   w = w - l b,   or with Nesterov's   w = w - l (g + momentum b)
 *
 * Weight decay of kind decoupled leaves g alone; w loses l decay w beside that. PyTorch's dampening is 0. The learning rate
 * stands outside of the momentum, unlike in Sutskever et al. (2013): a schedule then acts on all of b at once. */
#include "step/optimizer_row.h"

typedef struct {
    double momentum;
    bool nesterov;
} sgd_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "momentum", sgd_settings, momentum, 0, 1, "0.9", "what is left of the momentum in a step; 0: none",
              .below = true),
    SR_BOOLEAN("training", "nesterov", sgd_settings, nesterov, "false",
               "whether the step looks ahead by the momentum, as PyTorch's does"),
};

extern const optimizer_row sgd_optimizer;

static const sgd_settings *settings_of(const sr_training_settings *settings)
{
    return optimizer_settings(settings, &sgd_optimizer.component);
}

static bool looks_ahead_by_nothing(const void *part)
{
    return settings_of(part)->nesterov && settings_of(part)->momentum == 0;
}

static const sr_rule rules[] = {
    SR_RULE("training.nesterov", "training.momentum", looks_ahead_by_nothing,
            "Nesterov's step looks ahead by the momentum, and there is none; use a momentum above 0, or nesterov false"),
};

_Static_assert(sizeof(sr_sgd_step) <= sizeof(sr_step_constants), "the constants of a step have room");

static void begin(const sr_step_of_set *step, sr_step_constants *constants)
{
    const sr_training_settings *settings = step->settings;
    const sgd_settings *own = settings_of(settings);
    const bool decoupled = settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED;
    sr_sgd_step *sgd = (void *)constants;
    *sgd = (sr_sgd_step){
        .step_size = (sr_real)step->learning_rate,
        .momentum = (sr_real)own->momentum,
        .of_gradient = own->nesterov ? 1 : 0,
        .of_momentum = own->nesterov ? (sr_real)own->momentum : 1,
        .decay = (sr_real)(decoupled ? step->learning_rate * settings->weight_decay : 0),
        .l2 = (sr_real)(decoupled ? 0 : settings->weight_decay),
        .gradient_scale = (sr_real)step->gradient_scale,
    };
}

static void update(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                   const sr_parameter *array, const double *sums)
{
    (void)array;
    (void)sums;
    kernels->sgd(slice->values, slice->gradients, slice->state[0], slice->count, (const void *)constants);
}

const optimizer_row sgd_optimizer = {
    .component = {.name = "sgd",
                  .help = "stochastic gradient descent with momentum",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(sgd_settings)},
    .blocks = {"momentum"},
    .decay = SR_WEIGHT_DECAY_L2,
    .in_every_step = "with sgd the momentum of a row goes on in every step",
    .begin = begin,
    .update = update,
};
