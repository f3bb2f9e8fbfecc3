/* Adam (Kingma and Ba 2015), with weight decay of either kind; and many of its steps at once, for rows without a gradient. */
#include "step/optimizers/moments.h"

#include <math.h>

static const sr_key keys[] = {
    SR_NUMBER("training", "adam_beta1", moments_settings, beta1, 0, 0.9999999, "0.9", "decay of the first moment"),
    SR_NUMBER("training", "adam_beta2", moments_settings, beta2, 0, 0.9999999, "0.999", "decay of the second moment"),
    SR_NUMBER("training", "adam_epsilon", moments_settings, epsilon, 0, 1, "1.0e-08", "added to the root of the second moment",
              .above = true),
};

const component moments_family = {
    .name = "moments", .help = "Adam and its kin", SR_KEYS(keys), .settings_size = sizeof(moments_settings)};

const moments_settings *moments_of(const sr_training_settings *settings)
{
    return optimizer_settings(settings, &moments_family);
}

double moments_first_correction(const sr_training_settings *settings, int64_t step)
{
    return 1 - pow(moments_of(settings)->beta1, (double)(step + 1));
}

double moments_second_correction(const sr_training_settings *settings, int64_t step)
{
    return 1 / sqrt(1 - pow(moments_of(settings)->beta2, (double)(step + 1)));
}

/* ---- a step ---- */

_Static_assert(sizeof(sr_adam_step) <= sizeof(sr_step_constants), "the constants of a step of Adam have room");

void moments_begin_adam(const sr_step_of_set *step, double decay, double l2, sr_step_constants *constants)
{
    const moments_settings *own = moments_of(step->settings);
    sr_adam_step *adam = (void *)constants;
    *adam = (sr_adam_step){
        .step_size = (sr_real)(step->learning_rate / moments_first_correction(step->settings, step->step)),
        .beta1 = (sr_real)own->beta1,
        .beta2 = (sr_real)own->beta2,
        .second_correction = (sr_real)moments_second_correction(step->settings, step->step),
        .epsilon = (sr_real)own->epsilon,
        .decay = (sr_real)decay,
        .l2 = (sr_real)l2,
        .gradient_scale = (sr_real)step->gradient_scale,
    };
}

void moments_update_adam(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                         const sr_parameter *array, const double *sums)
{
    (void)array;
    (void)sums;
    kernels->adam(slice->values, slice->gradients, slice->state[FIRST_MOMENT], slice->state[SECOND_MOMENT], slice->count,
                  (const void *)constants);
}

/* ---- rows that are late ---- */

static bool can_be_late(const sr_training_settings *settings)
{
    const bool fades = settings->weight_decay == 0 || settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED;
    return fades && moments_of(settings)->epsilon > 0 && missed_steps_possible(moments_of(settings)->beta1);
}

static sr_status create_missed(missed_steps **missed, const sr_training_settings *settings, sr_error *error)
{
    const moments_settings *own = moments_of(settings);
    return missed_steps_create(missed, own->beta1, own->beta2, own->epsilon, error);
}

static void take_step(missed_steps *missed, const sr_training_settings *settings, int64_t step, double learning_rate)
{
    const double decay = settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED ? learning_rate * settings->weight_decay : 0;
    missed_steps_take(missed, learning_rate / moments_first_correction(settings, step),
                      moments_second_correction(settings, step), decay);
}

static bool is_zero(const sr_real *values, size_t n)
{
    unsigned any = 0;
    for (size_t i = 0; i < n; ++i)
        any |= values[i] != 0;
    return !any;
}

static void settle_row(sr_optimizer *optimizer, const sr_kernels *kernels, size_t row)
{
    sr_real factors[MISSED_STEPS_HORIZON], roots[MISSED_STEPS_HORIZON];
    sr_adam_gap gap;
    size_t terms = SIZE_MAX;
    const bool never_decays = optimizer->settings->weight_decay == 0;
    for (size_t t = 0; t < optimizer->tables.count; ++t) {
        const sr_element_range range = optimizer_table_row(optimizer->parameters, optimizer->tables.index[t], row);
        const size_t width = range.end - range.begin;
        sr_real *values = optimizer->parameters->values + range.begin,
                *first = optimizer->state.blocks[FIRST_MOMENT].values + range.begin,
                *second = optimizer->state.blocks[SECOND_MOMENT].values + range.begin;
        /* Most rows of a large catalogue have never had a gradient: without decay there is nothing to do for them. */
        if (never_decays && is_zero(first, width) && is_zero(second, width))
            continue;
        if (terms == SIZE_MAX)
            terms = missed_steps_gap(optimizer->missed, (size_t)optimizer->taken[row], &gap, factors, roots);
        if (terms == 0 || is_zero(first, width))
            kernels->adam_gap(values, first, second, width, &gap);
        else
            kernels->adam_gap_sum(values, first, second, width, &gap, factors, roots, terms);
    }
}

const sr_late_rows moments_late_rows = {
    .possible = can_be_late, .create = create_missed, .take = take_step, .settle = settle_row};
