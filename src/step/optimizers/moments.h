/* What Adam and its kin share: running means of gradients and of their squares, and the keys of these. */
#ifndef SRTRAIN_STEP_OPTIMIZERS_MOMENTS_H
#define SRTRAIN_STEP_OPTIMIZERS_MOMENTS_H

#include "step/optimizer_row.h"

/* Places in the list of blocks. */
enum { FIRST_MOMENT, SECOND_MOMENT };
#define MOMENT_BLOCKS                                                      \
    {                                                                      \
        [FIRST_MOMENT] = "first_moment", [SECOND_MOMENT] = "second_moment" \
    }

typedef struct {
    double beta1, beta2, epsilon;
} moments_settings;

/* The family. */
extern const component moments_family;

const moments_settings *moments_of(const sr_training_settings *settings);

/* 1 - beta1^t and 1 / sqrt(1 - beta2^t), by which means over few steps are corrected; t is step + 1. */
double moments_first_correction(const sr_training_settings *settings, int64_t step);
double moments_second_correction(const sr_training_settings *settings, int64_t step);

/* A step of Adam: weight decay is decoupled by `decay` at this learning rate, or added to the gradient as `l2`. */
void moments_begin_adam(const sr_step_of_set *step, double decay, double l2, sr_step_constants *constants);
void moments_update_adam(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                         const sr_parameter *array, const double *sums);

/* Rows that take steps of Adam late (missed_steps.h). */
extern const sr_late_rows moments_late_rows;

#endif
