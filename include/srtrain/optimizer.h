/* The optimizer of training.optimizer (src/step/optimizers/): its state, and the step that it takes; clipping by the global
 * norm, warm-up and decay of the learning rate. Local: whoever calls it has the summed gradients of the part that is asked for.
 */
#ifndef SRTRAIN_OPTIMIZER_H
#define SRTRAIN_OPTIMIZER_H

#include "srtrain/training_settings.h"
#include "srtrain/kernels.h"
#include "srtrain/parameters.h"

#include <stdbool.h>

typedef struct {
    sr_parameters *parameters;            /* not owned */
    const sr_training_settings *settings; /* not owned */
    const struct optimizer_row *row;      /* of settings->optimizer */
    sr_state state;                       /* the blocks that the row names */
    bool placed;                          /* they belong to somebody else */
    /* Of parameters of the set SR_PARAMETERS_ATTACK, in units of the learning rate of all others; 1 at first. */
    double attack_learning_rate_ratio;
    sr_table_list tables;        /* of which a step goes through rows with a gradient alone */
    int64_t *taken;              /* [rows]: how many of the steps that are remembered each row of the tables has taken */
    bool taken_is_placed;        /* it belongs to somebody else */
    struct missed_steps *missed; /* the steps that some row may have missed; NULL when no row may be late */
    size_t most_missed;          /* SR_MISSED_STEPS_MOST, and less in tests */
} sr_optimizer;

/* How many blocks of numbers, laid out as the parameters, the optimizer of these settings keeps. */
size_t sr_optimizer_blocks(const sr_training_settings *settings);

/* State is zero and no row may be late. Keeps pointers to parameters and settings. Release with sr_optimizer_free(). */
sr_status sr_optimizer_create(sr_optimizer *optimizer, sr_parameters *parameters, const sr_training_settings *settings,
                              sr_error *error);
void sr_optimizer_free(sr_optimizer *optimizer);

/* The same with state in memory [sr_optimizer_blocks()][block_size] of the caller, which is zero. */
void sr_optimizer_place(sr_optimizer *optimizer, sr_parameters *parameters, const sr_training_settings *settings,
                        sr_real *blocks);

/* The learning rate of step `step` (from 0) of `total_steps`: sr_full_learning_rate() after a linear warm-up over
 * training.warmup_steps or warmup_epochs, then training.schedule down to 0 at total_steps, which are those of training.epochs.
 */
double sr_learning_rate(const sr_training_settings *settings, int64_t step, int64_t total_steps);

/* The sum of squares of part `part` of `parts` of the gradient, where `touched` (NULL: everywhere) says that there may be one:
 * the square of its norm for (0, 1). Not finite when any element is not. */
double sr_gradient_squares(const sr_parameters *parameters, const sr_kernels *kernels, const sr_touched_rows *touched,
                           size_t part, size_t parts);

/* ---- late rows ----
 *
 * With Adam a row without a gradient moves all the same: its moments fade, and carry it on while they do. Such rows of some
 * tables may take steps late, all that they have missed at once, before they are read again. Values and state are then what
 * they would be otherwise, within rounding; while steps are missing they are those of some earlier step.
 */

/* Whether rows may be late: not where the optimizer has no way for it, where a step moves every row for good (weight decay of
 * kind l2), where epsilon is 0, or with beta1 above 0.99. */
bool sr_optimizer_can_be_late(const sr_training_settings *settings);

/* Whether a worker can take the steps of some rows of a table without the others, as with a divided table, and if not, why:
 * the optimizer measures whole arrays, or rows without a gradient would have to be late (training.row_optimizer exact) and may
 * not. With `every` each step gives all rows a gradient. */
typedef enum { SR_ROWS_CAN_STEP, SR_ROWS_ARE_MEASURED, SR_ROWS_CANNOT_BE_LATE } sr_row_stepping;
sr_row_stepping sr_optimizer_row_stepping(const sr_training_settings *settings, bool every);

/* The reason in words; empty where they can. */
const char *sr_row_stepping_reason(sr_row_stepping stepping);

/* From now on steps go through rows of `tables` that have a gradient, and no others. With training.row_optimizer exact the
 * others are late from then on; with lazy they miss nothing. Where the settings do not allow it, sr_optimizer_picks_rows()
 * stays false. `taken` is memory [rows] of the caller for the steps that rows have taken, all 0; NULL: the optimizer's own. */
sr_status sr_optimizer_pick_rows(sr_optimizer *optimizer, const sr_table_list *tables, int64_t *taken, sr_error *error);
bool sr_optimizer_picks_rows(const sr_optimizer *optimizer);

/* Bytes that it takes to let `rows` rows be up to `steps` steps late, or SR_MISSED_STEPS_MOST if these are less; 0 where they
 * may not be. */
size_t sr_optimizer_late_memory(const sr_training_settings *settings, size_t rows, size_t steps);

/* So many steps are remembered at most, which bounds their memory: about 100 bytes each. */
enum { SR_MISSED_STEPS_MOST = 65536 };

/* Whether that many are remembered: then every row catches up, and all steps are forgotten, before sr_optimizer_reserve(). */
bool sr_optimizer_remembers_most(const sr_optimizer *optimizer);

/* Room to note one more step; to be called before each. */
sr_status sr_optimizer_reserve(sr_optimizer *optimizer, sr_error *error);

/* Brings touched rows (every row, if `touched` says so) to the present; part `part` of `parts` of them. What a row becomes does
 * not depend on the parts. */
void sr_optimizer_settle_rows(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_touched_rows *touched, size_t part,
                              size_t parts);

/* Remembers a step that sr_optimizer_step() has taken in all its parts, for the rows that were not touched. When all were
 * touched, it forgets all steps instead: sr_optimizer_forget_rows() must have been called, too. `touched` may be NULL where no
 * row may be late: then nothing is remembered. */
void sr_optimizer_note(sr_optimizer *optimizer, int64_t step, double learning_rate, const sr_touched_rows *touched);

/* Forgets all steps: after sr_optimizer_settle_rows() of every row, and sr_optimizer_forget_rows(), in all their parts. The
 * second forgets which steps rows have taken, part `part` of `parts` of them: those that the same part settles. */
void sr_optimizer_forget(sr_optimizer *optimizer);
void sr_optimizer_forget_rows(sr_optimizer *optimizer, size_t part, size_t parts);

/* ---- a step ---- */

/* Adds up values over all parts that take a step at the same time, in place, the same bits for each of them. Waits for them, so
 * that what they have written can be read afterwards. */
typedef sr_status (*sr_sum_over_parts)(void *context, double *values, size_t count, sr_error *error);

/* What a step is taken with. */
typedef struct {
    int64_t step; /* its number, from 0 */
    double learning_rate, gradient_norm;
    const sr_touched_rows *touched; /* where rows may be late, else NULL: which of them take the step; they are up to date */
    size_t part, parts;             /* part `part` of `parts` of the block alone takes it: (0, 1) is all of it */
    sr_sum_over_parts sum;          /* for optimizers that measure whole arrays. NULL: this part is all that they measure */
    void *context;                  /* of sum() */
} sr_update;

/* A step with the gradients in the parameter block. Parameters of the set SR_PARAMETERS_ATTACK move, and decay, at
 * learning_rate * attack_learning_rate_ratio, all others at learning_rate. All parts of an update take it at the same time,
 * each in a thread or process of its own, where update->sum is given. Fails only where that does. */
sr_status sr_optimizer_step(sr_optimizer *optimizer, const sr_kernels *kernels, const sr_update *update, sr_error *error);

#endif
