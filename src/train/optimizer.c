/* Adam (Kingma and Ba 2015) and the learning rate. */
#include "srtrain/optimizer.h"

#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>

sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, sr_error *error)
{
    *optimizer = (sr_optimizer){.parameters = parameters};
    SR_TRY(SR_ALLOCATE_ZERO(&optimizer->first_moment, parameters->block_size, "Adam's first moment", error));
    return SR_ALLOCATE_ZERO(&optimizer->second_moment, parameters->block_size, "Adam's second moment", error);
}

void sr_optimizer_free(sr_optimizer *optimizer)
{
    free(optimizer->first_moment);
    free(optimizer->second_moment);
    *optimizer = (sr_optimizer){0};
}

double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps)
{
    const double full = settings->learning_rate;
    if (step < settings->warmup_steps)
        return full * (double)(step + 1) / (double)settings->warmup_steps;
    const int64_t decay_steps = total_steps - settings->warmup_steps;
    const double done = decay_steps > 0 ? (double)(step - settings->warmup_steps) / (double)decay_steps : 0;
    switch (settings->schedule) {
    case SR_SCHEDULE_LINEAR:
        return full * (1 - done);
    case SR_SCHEDULE_COSINE:
        return full * 0.5 * (1 + cos(3.14159265358979323846 * done));
    case SR_SCHEDULE_CONSTANT:
        break;
    }
    return full;
}

double sr_gradient_squares(const sr_parameters *parameters, const sr_kernels *kernels, size_t part, size_t parts)
{
    const size_t begin = parameters->block_size * part / parts, end = parameters->block_size * (part + 1) / parts;
    return kernels->sum_of_squares(parameters->gradients + begin, end - begin);
}

/* One step of Adam over part `part` of elements [first, last) of the block. */
static void step_range(sr_optimizer *optimizer, const sr_kernels *kernels, size_t first, size_t last, size_t part, size_t parts,
                       const sr_adam_step *adam)
{
    const size_t start = first + (last - first) * part / parts, end = first + (last - first) * (part + 1) / parts;
    kernels->adam(optimizer->parameters->values + start, optimizer->parameters->gradients + start,
                  optimizer->first_moment + start, optimizer->second_moment + start, end - start, adam);
}

void sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_training_settings *settings, int64_t step,
                       double learning_rate, double gradient_norm, size_t part, size_t parts)
{
    const sr_parameters *parameters = optimizer->parameters;
    const double beta1 = settings->adam_beta1, beta2 = settings->adam_beta2, count = (double)(step + 1);
    const bool decoupled = settings->weight_decay_kind == SR_WEIGHT_DECAY_DECOUPLED;
    const double clip = settings->clip_norm;
    sr_adam_step adam = {
        .beta1 = (sr_real)beta1,
        .beta2 = (sr_real)beta2,
        .second_correction = (sr_real)(1 / sqrt(1 - pow(beta2, count))),
        .epsilon = (sr_real)settings->adam_epsilon,
        .l2 = (sr_real)(decoupled ? 0 : settings->weight_decay),
        .gradient_scale = (sr_real)(clip > 0 && gradient_norm > clip ? clip / gradient_norm : 1),
    };
    for (size_t first = 0, next; first < parameters->count; first = next) {
        const sr_parameter *list = parameters->list;
        next = first + 1;
        while (next < parameters->count && list[next].set == list[first].set)
            ++next;
        const bool attack = list[first].set == SR_PARAMETERS_ATTACK;
        const double rate = attack ? learning_rate * settings->attack_learning_rate_ratio : learning_rate;
        adam.step_size = (sr_real)(rate / (1 - pow(beta1, count)));
        adam.decay = (sr_real)(decoupled ? rate * settings->weight_decay : 0);
        step_range(optimizer, kernels, list[first].offset,
                   next < parameters->count ? list[next].offset : parameters->block_size, part, parts, &adam);
    }
}
