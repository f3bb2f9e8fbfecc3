/* Adam with bias correction, decoupled or L2 weight decay, clipping by the global norm, warm-up and decay of the learning rate.
 * Local: whoever calls it has the summed gradients of the part that is asked for. */
#ifndef SRTRAIN_OPTIMIZER_H
#define SRTRAIN_OPTIMIZER_H

#include "srtrain/training_settings.h"
#include "srtrain/kernels.h"
#include "srtrain/parameters.h"

#include <stdbool.h>

typedef struct {
    sr_parameters *parameters; /* not owned */
    sr_real *first_moment;     /* [block_size], same layout as the parameters */
    sr_real *second_moment;
    bool placed; /* the moments belong to somebody else */
    /* Of parameters of the set SR_PARAMETERS_ATTACK, in units of the learning rate of all others; 1 at first. */
    double attack_learning_rate_ratio;
    /* Deferred rows: */
    sr_table_list tables;
    int64_t *updated;            /* [rows]: how many of the steps that are remembered each row of the tables has taken */
    struct missed_steps *missed; /* the steps that some row may have missed; NULL when no row is deferred */
    bool never_decays;           /* a row without moments stays as it is */
} sr_optimizer;

/* Moments are zero and no row is deferred. Release with sr_optimizer_free(). */
sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, sr_error *error);
void sr_optimizer_free(sr_optimizer *optimizer);

/* The same with moments in memory [block_size] of the caller, which is zero. */
void sr_optimizer_place(sr_optimizer *optimizer, sr_parameters *parameters, sr_real *first_moment, sr_real *second_moment);

/* The learning rate of step `step` (from 0) of `total_steps`: linear warm-up over training.warmup_steps, then training.schedule
 * down to 0 at total_steps. */
double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps);

/* The sum of squares of part `part` of `parts` of the gradient, where `touched` (NULL: everywhere) says that there may be one:
 * the square of its norm for (0, 1). Not finite when any element is not. */
double sr_gradient_squares(const sr_parameters *parameters, const sr_kernels *kernels, const sr_touched_rows *touched,
                           size_t part, size_t parts);

/* ---- deferred rows ----
 *
 * A row without a gradient moves all the same: its moments fade, and carry it on while they do. Such rows of some tables may
 * take steps late, all that they have missed at once, before they are read again. Values and moments are then what they would
 * be otherwise, within rounding; while steps are missing they are those of some earlier step.
 */

/* Lets rows of `tables` be late from now on. They are not where a step moves every row for good (weight decay of kind l2),
 * where epsilon is 0, or with beta1 above 0.99: sr_optimizer_defers() then stays false. */
sr_status sr_optimizer_defer(sr_optimizer *optimizer, const sr_table_list *tables, const sr_training_settings *settings,
                             sr_error *error);
bool sr_optimizer_defers(const sr_optimizer *optimizer);

/* Bytes that it takes to defer `rows` rows for up to `steps` steps; 0 where they are not deferred. */
size_t sr_optimizer_deferral_memory(const sr_training_settings *settings, size_t rows, size_t steps);

/* Room to note one more step; to be called before each. */
sr_status sr_optimizer_reserve(sr_optimizer *optimizer, sr_error *error);

/* Brings touched rows (every row, if `touched` says so) to the present; part `part` of `parts` of them. What a row becomes does
 * not depend on the parts. */
void sr_optimizer_catch_up(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_touched_rows *touched, size_t part,
                           size_t parts);

/* Remembers a step that sr_optimizer_step() has taken in all its parts, for the rows that were not touched; when all were, or
 * `touched` is NULL and every row is up to date, nothing needs to be remembered. */
void sr_optimizer_note(sr_optimizer *optimizer, const sr_training_settings *settings, int64_t step, double learning_rate,
                       const sr_touched_rows *touched);

/* Forgets all steps: after sr_optimizer_catch_up() of every row, in all its parts. */
void sr_optimizer_forget(sr_optimizer *optimizer);

/* ---- a step ---- */

/* Step number `step` (from 0) with the gradients in the parameter block, whose norm is `gradient_norm`. Parameters of the set
 * SR_PARAMETERS_ATTACK move, and decay, at learning_rate * attack_learning_rate_ratio, all others at learning_rate.
 * Neighbours of one set take their step together. Part `part` of `parts` of the block alone, so that workers can share the
 * work: (0, 1) is all of it. Where rows are deferred, `touched` (else NULL) says which of them take the step; they are up to
 * date.
 */
void sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_training_settings *settings, int64_t step,
                       double learning_rate, double gradient_norm, const sr_touched_rows *touched, size_t part, size_t parts);

#endif
