/* What a calibrator is: stages of the attention pipeline, one file in calibrators/ and one row in the list of calibrators.c.
 *
 *   scores -> [score stages] -> softmax -> [probability stages] -> dropout -> [weight stages] -> context
 *   -> output, residual and norm -> [mixing stages]        (with model.norm pre: output -> [mixing stages] -> residual)
 *
 * A calibrator declares its parameters and composes operations of the tape; it may act at several places. Several in use act in
 * the order of the list. */
#ifndef SRTRAIN_MODEL_CALIBRATOR_H
#define SRTRAIN_MODEL_CALIBRATOR_H

#include "model/attention.h"
#include "model/backbone.h"

/* What a calibrator does with the padding of the window. */
typedef enum {
    PADDING_UNUSED,  /* padding need not exist */
    PADDING_QUERIES, /* it is computed, and attends to items */
    PADDING_KEYS     /* it is attended to as well */
} padding_use;

typedef struct calibrator {
    /* It has at least one key. The first lies in the calibrator's own section, "calibrators.NAME". */
    component component;
    bool couples_batch; /* see sr_model_needs */
    /* NULL: PADDING_UNUSED always. */
    padding_use (*padding)(const sr_model_settings *settings, bool training);
    bool scores_every_query; /* it reads the scores of every token, in the last layer too */
    /* Whether it reads what padding attends to, in the last layer too, which otherwise has no such rows. NULL: never. */
    bool (*reads_rows_of_padding)(const sr_model_settings *settings, bool training);
    /* Declares its parameters of one layer and keeps their indices in the model. */
    sr_status (*declare_parameters)(sr_model *model, size_t layer, sr_error *error);
    /* Changes block->scores. NULL: it has no such stage. */
    void (*calibrate_scores)(attention_block *block);
    /* From block->scores and block->probabilities, cells of score_map, to probabilities of the block's queries, cells of map.
     * Only one calibrator in use may have this stage, as a second one would find cells of map: no model is made with two. NULL:
     * it has no such stage. */
    void (*calibrate_probabilities)(attention_block *block);
    /* Changes block->weights. NULL: it has no such stage. */
    void (*calibrate_weights)(attention_block *block);
    /* Mixes the branch *y that attention makes (sublayer.h), and the attacked one if `attacked` is not NULL, with another one
     * made of the block's input; residual are its rows [Q, d]. NULL: it has no such stage. */
    void (*mix)(attention_block *block, sr_tensor *residual, sr_tensor **y, sr_tensor **attacked);
    /* Parameters that follow a loss of their own, SR_PARAMETERS_ATTACK: minus the ranking loss of the attacked branch, plus a
     * penalty of the masks. All that follows, or NULL: it has none. First what the two parts are called. */
    sr_term_name attacked_term, penalty_term;
    /* The learning rate of these parameters, in units of that of all others. */
    double (*attack_learning_rate_ratio)(const sr_model_settings *settings);
    double (*penalty_weight)(const sr_model_settings *settings);
    /* The penalty of the global batch, whose sums of squares are `squares` [layers]. */
    double (*penalty)(const double *squares, size_t layers);
    /* A tensor [1, 1] with the gradient of this rank's part of that loss, whatever its value. */
    sr_tensor *(*attacked_loss)(sr_model *model, sr_tape *tape, const sr_encoding *encoding, sr_tensor *attacked_ranking,
                                const double *squares);
    /* What its filter multiplies a bin of the transform with, [hidden_size], and the factors behind it, [hidden_size]. NULL: it
     * has no filter. */
    void (*response)(const sr_model *model, size_t layer, size_t bin, double *moduli, double *factors);
    /* The bins that it needs of a model's transforms, from 0 on. NULL: all, or it does not transform. */
    size_t (*bins)(const sr_model_settings *settings);
    /* What a user should know who begins with weights that were trained elsewhere. NULL, or a result of NULL: nothing. */
    const char *(*import_warning)(const sr_model_settings *settings);
} calibrator;

/* The calibrators, in the order of their numbers, in which they act. */
extern const calibrator *const calibrators[];
extern const size_t calibrator_count;

/* Whether the calibrator with this number is in use. */
static inline bool calibrates(const sr_model_settings *settings, size_t number)
{
    return settings->calibrators[number];
}

/* SR_ERROR_USAGE, with their names, when two calibrators in use have the stage that only one may have. */
sr_status calibrators_check(const sr_model_settings *settings, sr_error *error);

/* The most that any calibrator in use does with padding. */
padding_use calibrators_padding(const sr_model_settings *settings, bool training);

/* Whether any calibrator in use needs the scores of every token. */
bool calibrators_score_every_query(const sr_model_settings *settings);

/* Whether any calibrator in use reads what padding attends to in the last layer. */
bool calibrators_read_rows_of_padding(const sr_model_settings *settings, bool training);

/* The calibrator in use whose parameters follow a loss of their own, or NULL. */
const calibrator *calibrators_attacker(const sr_model_settings *settings);

/* Whether the loss of any calibrator in use couples the examples of a batch. */
bool calibrators_couple_batch(const sr_model_settings *settings);

#endif
