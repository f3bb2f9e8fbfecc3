/* What an optimizer is: one file in optimizers/ and one row in the list of optimizers.c. */
#ifndef SRTRAIN_STEP_OPTIMIZER_ROW_H
#define SRTRAIN_STEP_OPTIMIZER_ROW_H

#include "config/component.h"
#include "srtrain/optimizer.h"
#include "step/missed_steps.h"

/* Elements of the parameters with their gradients and their state, in the order of the row's blocks. */
typedef struct {
    sr_real *values;
    const sr_real *gradients;
    sr_real *state[SR_STATE_BLOCKS_MAXIMUM];
    size_t count;
} sr_state_slice;

/* What a step has for all parameters of a set. */
typedef struct {
    const sr_training_settings *settings;
    int64_t step;          /* from 0 */
    double learning_rate;  /* of the set */
    double gradient_scale; /* from clipping by the global norm; 1 for none */
} sr_step_of_set;

/* What a row makes of that, once for all elements: a struct of its own. */
enum { OPTIMIZER_CONSTANTS_SIZE = 128 };
typedef struct {
    max_align_t values[OPTIMIZER_CONSTANTS_SIZE / sizeof(max_align_t)];
} sr_step_constants;

/* Rows of tables that take steps without a gradient late, all that they have missed at once (optimizer.h). */
typedef struct {
    /* Whether there is a way to do so with these settings. */
    bool (*possible)(const sr_training_settings *settings);
    sr_status (*create)(missed_steps **missed, const sr_training_settings *settings, sr_error *error);
    /* Notes a step that others have taken; there is room for it. */
    void (*take)(missed_steps *missed, const sr_training_settings *settings, int64_t step, double learning_rate);
    /* Row `row` of every table takes what it has missed. */
    void (*settle)(sr_optimizer *optimizer, const sr_kernels *kernels, size_t row);
} sr_late_rows;

/* What is summed over the whole of an array between the two passes of a step. */
enum { OPTIMIZER_SUMS = 2 };

typedef struct optimizer_row {
    component component;     /* its keys lie in the section training; rules get the sr_training_settings */
    const component *family; /* keys and settings that it shares with others; NULL: none */
    const char *blocks[SR_STATE_BLOCKS_MAXIMUM + 1]; /* the names of its state, which starts at 0; ends with NULL */
    sr_weight_decay_kind decay;                      /* the default of training.weight_decay_kind */
    /* How rows without a gradient take their steps late. NULL: they never do, and training.item_updates deferred is refused
     * for the reason `in_every_step`, a part of a sentence. */
    const sr_late_rows *late;
    const char *in_every_step;
    void (*begin)(const sr_step_of_set *step, sr_step_constants *constants);
    /* The first pass over elements of an array, for what the second must know of the whole of it: adds to sums. NULL: one pass
     * is enough. */
    void (*measure)(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                    double sums[OPTIMIZER_SUMS]);
    /* The step of elements of the parameter `array`, whose sums are known; of any elements, and both NULL, where there is no
     * first pass. */
    void (*update)(const sr_kernels *kernels, const sr_step_constants *constants, const sr_state_slice *slice,
                   const sr_parameter *array, const double *sums);
} optimizer_row;

/* The optimizers, in the order of their numbers. */
extern const optimizer_row *const optimizers[];
extern const size_t optimizer_count;

/* The row of settings->optimizer. */
const optimizer_row *optimizer_of(const sr_training_settings *settings);

/* The part of the settings that belongs to a row or to a family. */
const void *optimizer_settings(const sr_training_settings *settings, const component *row);

/* Whether the settings of all rows and families fit into sr_training_settings; a test asks. */
bool optimizers_fit(void);

/* The elements of row `row` of a table. */
sr_element_range optimizer_table_row(const sr_parameters *parameters, size_t table, size_t row);

/* Adds the keys and rules of all rows to a schema whose sr_training_settings lie at `at`. */
void optimizers_add_keys(sr_schema *schema, size_t at);

/* Choices of the key training.optimizer. */
sr_choice optimizer_choice(size_t index);

#endif
