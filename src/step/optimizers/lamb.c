/* LAMB (You et al. 2020), for large global batches on many nodes: each array moves in proportion to its own size, so that a
 * high learning rate suits all of them. With gradient g, learning rate l and t from 1:
 *
 *   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
 *   r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w
 *   w = w - l ratio r,   ratio = min(|w| / |r|, trust_ratio_limit)
 *
 * The norms are those of one whole array (a matrix or a table). The ratio is 1 where one of them is 0, and for arrays of one
 * dimension: biases and the gains of norms, which the authors' code leaves out likewise. Workers that share the state out
 * (those of a rank, or of a node) each measure their part of an array; the sums of squares meet before anything moves.
 * Gradients are those of the global batch, so that nodes have nothing to tell each other. */
#include "step/optimizers/moments.h"

#include <math.h>

typedef struct {
    double limit;
} lamb_settings;

static const sr_key keys[] = {
    SR_NUMBER("training", "trust_ratio_limit", lamb_settings, limit, 0, 1e9, "10",
              "the largest ratio of an array's norm to that of its step", .above = true),
};

extern const optimizer_row lamb_optimizer;

static bool adds_decay_to_gradient(const void *part)
{
    return ((const sr_training_settings *)part)->weight_decay_kind == SR_WEIGHT_DECAY_L2;
}

static const sr_rule rules[] = {
    SR_RULE("training.weight_decay_kind", "training.optimizer", adds_decay_to_gradient,
            "LAMB adds weight decay to the step, whose size it then sets, and never to the gradient; use decoupled, or leave "
            "the key out"),
};

typedef struct {
    sr_lamb_step step;
    double learning_rate, limit;
} lamb_constants;

_Static_assert(sizeof(lamb_constants) <= sizeof(sr_step_constants), "the constants of a step have room");

static void begin(const sr_step_of_set *step, sr_step_constants *constants)
{
    const sr_training_settings *settings = step->settings;
    const moments_settings *moments = moments_of(settings);
    const lamb_settings *own = optimizer_settings(settings, &lamb_optimizer.component);
    lamb_constants *lamb = (void *)constants;
    *lamb = (lamb_constants){
        .step = {.beta1 = (sr_real)moments->beta1,
                 .beta2 = (sr_real)moments->beta2,
                 .first_correction = (sr_real)(1 / moments_first_correction(settings, step->step)),
                 .second_correction = (sr_real)moments_second_correction(settings, step->step),
                 .epsilon = (sr_real)moments->epsilon,
                 .weight_decay = (sr_real)settings->weight_decay,
                 .gradient_scale = (sr_real)step->gradient_scale},
        .learning_rate = step->learning_rate,
        .limit = own->limit,
    };
}

static void measure(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                    double sums[OPTIMIZER_SUMS])
{
    const lamb_constants *lamb = (const void *)constants;
    kernels->lamb_measure(slice->values, slice->gradients, slice->state[FIRST_MOMENT], slice->state[SECOND_MOMENT],
                          slice->count, &lamb->step, sums);
}

static double trust_ratio(const lamb_constants *lamb, const sr_parameter *array, const double sums[OPTIMIZER_SUMS])
{
    if (array->rank < 2 || !(sums[0] > 0) || !(sums[1] > 0))
        return 1;
    return fmin(sqrt(sums[0] / sums[1]), lamb->limit);
}

static void update(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                   const sr_parameter *array, const double *sums)
{
    const lamb_constants *lamb = (const void *)constants;
    kernels->lamb_move(slice->values, slice->state[FIRST_MOMENT], slice->state[SECOND_MOMENT], slice->count, &lamb->step,
                       (sr_real)(lamb->learning_rate * trust_ratio(lamb, array, sums)));
}

const optimizer_row lamb_optimizer = {
    .component = {.name = "lamb",
                  .help = "Adam whose step is scaled, array by array, to the size of the array: for large global batches",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(lamb_settings)},
    .family = &moments_family,
    .blocks = MOMENT_BLOCKS,
    .decay = SR_WEIGHT_DECAY_DECOUPLED,
    .in_every_step = "with lamb the step of a row depends on the whole table",
    .begin = begin,
    .measure = measure,
    .update = update,
};
