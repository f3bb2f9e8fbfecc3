/* Adam with bias correction, decoupled or L2 weight decay, clipping by the global norm, warm-up and decay of the learning rate.
 * Local: every rank holds the same summed gradients and takes the same step. */
#ifndef SRTRAIN_OPTIMIZER_H
#define SRTRAIN_OPTIMIZER_H

#include "srtrain/config.h"
#include "srtrain/kernels.h"
#include "srtrain/parameters.h"

typedef struct {
    sr_parameters *parameters; /* not owned */
    sr_real *first_moment;     /* [block_size], same layout as the parameters */
    sr_real *second_moment;
} sr_optimizer;

/* Moments are zero. Release with sr_optimizer_free(). */
sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, sr_error *error);
void sr_optimizer_free(sr_optimizer *optimizer);

/* The learning rate of step `step` (from 0) of `total_steps`: linear warm-up over training.warmup_steps, then training.schedule
 * down to 0 at total_steps. */
double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps);

/* The sum of squares of part `part` of `parts` of the gradient: the square of its norm for (0, 1). Not finite when any element
 * is not. */
double sr_gradient_squares(const sr_parameters *parameters, const sr_kernels *kernels, size_t part, size_t parts);

/* Step number `step` (from 0) with the gradients in the parameter block, whose norm is `gradient_norm`. Parameters of the set
 * SR_PARAMETERS_ATTACK move, and decay, at learning_rate * training.attack_learning_rate_ratio, all others at learning_rate.
 * Neighbours of one set take their step together. Part `part` of `parts` of the elements alone, so that threads can share the
 * work: (0, 1) is all of it. */
void sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_training_settings *settings, int64_t step,
                       double learning_rate, double gradient_norm, size_t part, size_t parts);

#endif
