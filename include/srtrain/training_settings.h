/* How a training is carried out: the settings of the sections training, checkpoint and logging. What is learned is not among
 * them: it belongs to the model (model_settings.h). */
#ifndef SRTRAIN_TRAINING_SETTINGS_H
#define SRTRAIN_TRAINING_SETTINGS_H

#include "srtrain/arithmetic.h"
#include "srtrain/config.h"

#include <stddef.h>

/* Optimizers have settings of their own, which their files alone know; room for those of all. */
enum { SR_OPTIMIZERS_SIZE = 256 };

typedef enum { SR_WEIGHT_DECAY_DECOUPLED, SR_WEIGHT_DECAY_L2 } sr_weight_decay_kind;
typedef enum { SR_BATCH_SCALING_NONE, SR_BATCH_SCALING_SQUARE_ROOT, SR_BATCH_SCALING_LINEAR } sr_batch_scaling;
typedef enum { SR_SCHEDULE_CONSTANT, SR_SCHEDULE_LINEAR, SR_SCHEDULE_COSINE } sr_schedule;
typedef enum { SR_REDUCTION_SHARED, SR_REDUCTION_BLOCKING } sr_reduction_mode;
typedef enum { SR_WRITING_OVERLAPPED, SR_WRITING_BLOCKING } sr_writing;
typedef enum { SR_ITEM_UPDATES_DEFERRED, SR_ITEM_UPDATES_EVERY_STEP } sr_item_updates;
typedef enum { SR_NEW_ROWS_DRAWN, SR_NEW_ROWS_MEAN } sr_new_rows;
typedef enum { SR_ROW_OPTIMIZER_EXACT, SR_ROW_OPTIMIZER_LAZY } sr_row_optimizer;

typedef struct {
    char metric[SR_NAME_SIZE]; /* hr@K, ndcg@K or mrr@K with K one of evaluation.top_k */
    int64_t patience;          /* validations without improvement before training stops; 0: never stop early */
} sr_early_stopping_settings;

typedef struct {
    int64_t epochs, batch_size;
    int64_t micro_batch;  /* examples that a worker computes at a time; 0: its whole part */
    int optimizer;        /* its number in the list of optimizers, see sr_optimizer_number() */
    double learning_rate; /* of a global batch of base_batch_size, see sr_full_learning_rate() */
    sr_batch_scaling batch_scaling;
    int64_t base_batch_size; /* 0 with SR_BATCH_SCALING_NONE alone */
    double weight_decay;
    sr_weight_decay_kind weight_decay_kind;
    double clip_norm; /* 0: no clipping */
    sr_item_updates item_updates;
    sr_row_optimizer row_optimizer;
    sr_precision row_precision; /* of rows of a divided item table, and of their gradients, between processes */
    sr_new_rows new_rows;       /* how rows start that the checkpoint of --from does not have */
    sr_schedule schedule;
    int64_t warmup_steps;
    double warmup_epochs; /* the same in epochs; one of the two is 0 */
    int64_t seed;
    sr_precision precision;
    double kept_logits_megabytes;
    int64_t threads; /* of a rank; 0: as many as it has cores to itself */
    sr_reduction_mode reduction;
    int64_t skip_nonfinite_steps;      /* in a row; 0: the first one ends training */
    int64_t compare_ranks_every_steps; /* 0: only with every checkpoint */
    sr_precision reduction_precision;  /* of the gradients that processes send each other */
    sr_early_stopping_settings early_stopping;
    max_align_t optimizers[SR_OPTIMIZERS_SIZE / sizeof(max_align_t)];
} sr_training_settings;

typedef struct {
    int64_t every_epochs, every_steps; /* 0: never by this count */
    double every_minutes;              /* 0: never by time */
    int64_t keep;                      /* how many step checkpoints stay on disk */
    sr_writing writing;
    double slowest_megabytes_per_second; /* of files, before they count as standing still */
} sr_checkpoint_settings;

typedef struct {
    int64_t every_steps;
    bool tensorboard;
} sr_logging_settings;

/* The learning rate after warm-up for a global batch of B = batch_size examples, where learning_rate was chosen for B_0 =
 * base_batch_size:
 *
 *   none           learning_rate
 *   square_root    learning_rate sqrt(B / B_0): for optimizers that divide by the size of gradients, as Adam (Malladi et al.,
 *                  "On the SDEs and scaling rules for adaptive gradient algorithms", 2022) and LAMB (You et al. 2020)
 *   linear         learning_rate B / B_0: for sgd (Goyal et al., "Accurate, large minibatch SGD", 2017) */
double sr_full_learning_rate(const sr_training_settings *settings);

/* How many parts of a global batch each of `workers` workers computes one after the other; at least 1. */
size_t sr_micro_batches(const sr_training_settings *settings, size_t workers);

/* The number of an optimizer by its name in YAML; -1 if there is none. */
int sr_optimizer_number(const char *name);

/* Defaults that depend on other keys: optimizer and weight_decay_kind on each other. */
void sr_training_settle(sr_training_settings *settings, const sr_given *given);

/* Add sections and keys to a schema of settings that have these parts at offsets `at`. */
void sr_training_add_section(sr_schema *schema);
void sr_training_add_keys(sr_schema *schema, size_t at);
void sr_early_stopping_add_section(sr_schema *schema);
void sr_run_add_sections(sr_schema *schema);
void sr_run_add_keys(sr_schema *schema, size_t checkpoint_at, size_t logging_at);

#endif
