/* The configuration of a run: YAML and --set options in, typed settings out.
 *
 * One table of rows (src/config/schema.c) describes every key: section, name, type, range or choices, default, help. Parsing,
 * checking, `srtrain config`, `srtrain models` and docs/configuration.md all come from it, so that they cannot drift apart. */
#ifndef SRTRAIN_CONFIG_H
#define SRTRAIN_CONFIG_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SR_PATH_SIZE = 1024, SR_NAME_SIZE = 64, SR_TOP_K_MAXIMUM = 16 };

typedef enum { SR_SAMPLES_SLIDING, SR_SAMPLES_WINDOW } sr_samples;
typedef enum { SR_PREFETCH_AUTO, SR_PREFETCH_ALWAYS, SR_PREFETCH_NEVER } sr_prefetch;
typedef enum {
    SR_BACKBONE_SASREC,
    SR_BACKBONE_BERT4REC,
    SR_BACKBONE_SSEPT,
    SR_BACKBONE_TISASREC,
    SR_BACKBONE_STOSA,
    SR_BACKBONE_FMLPREC,
    SR_BACKBONE_GRU4REC,
    SR_BACKBONE_CASER,
    SR_BACKBONE_FEAREC
} sr_backbone;
typedef enum {
    SR_ACTIVATION_GELU,
    SR_ACTIVATION_RELU,
    SR_ACTIVATION_SWISH,
    SR_ACTIVATION_TANH,
    SR_ACTIVATION_SIGMOID,
    SR_ACTIVATION_ELU
} sr_activation;
typedef enum { SR_POSITIONS_LEARNED, SR_POSITIONS_NONE } sr_positions;
typedef enum { SR_PADDING_RIGHT, SR_PADDING_LEFT } sr_padding;
typedef enum { SR_MASKING_AT_LEAST_ONE, SR_MASKING_RELEASED } sr_masking;
typedef enum { SR_TIME_DROPOUT_TABLE, SR_TIME_DROPOUT_CELLS } sr_time_dropout;
typedef enum { SR_MEAN_FROZEN, SR_MEAN_UPDATED } sr_mean_update;
typedef enum { SR_REFINEMENT_SIMPLE, SR_REFINEMENT_VALUE, SR_REFINEMENT_ADDITIVE, SR_REFINEMENT_STOCHASTIC } sr_refinement_kind;
typedef enum { SR_SOURCE_PROBABILITIES, SR_SOURCE_SCORES } sr_refinement_source;
typedef enum { SR_VALUE_IDENTITY, SR_VALUE_LEARNED } sr_refinement_value;
typedef enum { SR_DISTANCE_SCALE_NORMAL, SR_DISTANCE_SCALE_ONE } sr_distance_scale;
typedef enum { SR_COMBINE_GATE, SR_COMBINE_FIXED, SR_COMBINE_ANNEALING } sr_combine;
typedef enum { SR_RICH_COMBINE_FIXED, SR_RICH_COMBINE_TRAINABLE } sr_rich_combine;
typedef enum { SR_RENORMALIZE_SOFTMAX, SR_RENORMALIZE_NONE, SR_RENORMALIZE_MASS } sr_renormalize;
typedef enum { SR_MASKED_CELLS_INCLUDED, SR_MASKED_CELLS_EXCLUDED } sr_masked_cells;
typedef enum { SR_PENALTY_ALL, SR_PENALTY_VISIBLE } sr_penalty;
typedef enum { SR_WINDOW_PADDED, SR_WINDOW_SEQUENCE } sr_frequency_window;
typedef enum { SR_FOURIER_AUTO, SR_FOURIER_FFTW, SR_FOURIER_PROJECTION } sr_fourier_engine;
typedef enum { SR_LOSS_CROSS_ENTROPY, SR_LOSS_BPR, SR_LOSS_BINARY_CROSS_ENTROPY, SR_LOSS_STOSA } sr_loss;
typedef enum { SR_OBJECTIVE_LAST, SR_OBJECTIVE_ALL } sr_objective;
typedef enum { SR_WEIGHT_DECAY_DECOUPLED, SR_WEIGHT_DECAY_L2 } sr_weight_decay_kind;
typedef enum { SR_SCHEDULE_CONSTANT, SR_SCHEDULE_LINEAR, SR_SCHEDULE_COSINE } sr_schedule;
typedef enum { SR_REDUCTION_SHARED, SR_REDUCTION_BLOCKING, SR_REDUCTION_OVERLAPPED } sr_reduction_mode;
typedef enum { SR_WRITING_OVERLAPPED, SR_WRITING_BLOCKING } sr_writing;
typedef enum { SR_ITEM_UPDATES_DEFERRED, SR_ITEM_UPDATES_EVERY_STEP } sr_item_updates;
typedef enum { SR_HISTORY_KEEP, SR_HISTORY_EXCLUDE, SR_HISTORY_ZERO } sr_history;
typedef enum { SR_PRECISION_FP32, SR_PRECISION_BF16, SR_PRECISIONS } sr_precision;

typedef struct {
    char path[SR_PATH_SIZE];
    sr_samples samples;
    sr_prefetch prefetch;
    bool verify; /* check the checksums of the data set before training */
} sr_data_settings;

/* AC-TSR's spatial calibrator. */
typedef struct {
    bool in_use; /* the section is named in the configuration */
    bool order, distance;
    sr_distance_scale distance_scale; /* how the scale of the distance term starts */
} sr_spatial_settings;

/* AC-TSR's adversarial calibrator. */
typedef struct {
    bool in_use;
    sr_combine combine;
    int64_t annealing_steps; /* combine annealing: a = exp(-step / annealing_steps) */
    bool two_level;
    sr_rich_combine rich_combine;
    sr_renormalize renormalize;
    sr_masked_cells masked_cells;
    sr_penalty penalty;
    double penalty_weight;
} sr_adversarial_settings;

/* AWRSR's refinement of attention weights by attention among them. */
typedef struct {
    bool in_use;
    sr_refinement_kind kind;
    sr_refinement_source source;
    int64_t rank; /* width of the space in which weights attend to weights; 0: max_length */
    bool per_head;
    sr_refinement_value value; /* kind value */
} sr_refinement_settings;

/* BSARec's frequency rescaler. */
typedef struct {
    bool in_use;
    double alpha;   /* share of its branch in the mixture with attention's */
    int64_t cutoff; /* two-sided frequencies that count as low: bins 0 .. cutoff / 2 */
    sr_frequency_window window;
    sr_fourier_engine engine;
} sr_frequency_settings;

/* How many bins are low, from 0 on; a short sequence may have fewer. */
static inline size_t sr_frequency_low_bins(const sr_frequency_settings *settings)
{
    return (size_t)settings->cutoff / 2 + 1;
}

typedef struct {
    sr_spatial_settings spatial;
    sr_refinement_settings refinement;
    sr_adversarial_settings adversarial;
    sr_frequency_settings frequency;
} sr_calibrator_settings;

typedef struct {
    sr_backbone backbone;
    int64_t layers, heads, hidden_size, inner_size, max_length;
    sr_activation activation;
    double hidden_dropout, attention_dropout;
    double layer_norm_epsilon;
    double initializer_range; /* standard deviation of the initial weights */
    double initializer_mean;
    sr_positions positions;
    sr_padding padding;
    double mask_ratio;                                 /* bert4rec: probability that an item of a training sequence is masked */
    sr_masking masking;                                /* bert4rec */
    int64_t user_hidden_size;                          /* ssept: the columns of hidden_size that belong to the user */
    double sse_user_probability, sse_item_probability; /* ssept: that an id is replaced by a random one in training */
    int64_t time_span;                                 /* tisasrec: the largest gap that is told apart */
    int64_t time_unit;                                 /* tisasrec: what a gap of 1 is, in units of the time stamps */
    sr_time_dropout time_dropout;                      /* tisasrec */
    double pvn_weight;                                 /* stosa: of the second term of its loss; key training.pvn_weight */
    sr_mean_update mean_update;                        /* stosa: whether a layer's mean goes on to the next */
    sr_fourier_engine filter_engine;                   /* fmlprec, fearec: how their filters are computed */
    double global_ratio;                               /* fearec: share of the bins that a layer sees */
    double spatial_ratio;                              /* fearec: share of attention beside auto-correlation */
    double topk_factor;                                /* fearec: int(topk_factor ln max_length) lags are kept */
    int64_t gru_hidden_size;                           /* gru4rec: width of the recurrent layers */
    int64_t vertical_filters, horizontal_filters;      /* caser: how many; horizontal ones of each height */
    double frobenius_penalty;                          /* caser: weight of the weights' norms; key training.frobenius_penalty */
    sr_calibrator_settings calibrators;
} sr_model_settings;

typedef struct {
    char metric[SR_NAME_SIZE]; /* hr@K, ndcg@K or mrr@K with K one of evaluation.top_k */
    int64_t patience;          /* validations without improvement before training stops; 0: never stop early */
} sr_early_stopping_settings;

/* InfoNCE beside the ranking loss (DuoRec). */
typedef struct {
    bool in_use; /* the section is named in the configuration */
    double weight, temperature;
    double spectral_weight; /* fearec: of the distance of spectra */
} sr_contrastive_settings;

typedef struct {
    int64_t epochs, batch_size;
    double learning_rate;
    double attack_learning_rate_ratio; /* learning rate of mask generators, relative to that of everything else */
    double adam_beta1, adam_beta2, adam_epsilon;
    double weight_decay;
    sr_weight_decay_kind weight_decay_kind;
    double clip_norm; /* 0: no clipping */
    sr_item_updates item_updates;
    sr_schedule schedule;
    int64_t warmup_steps;
    int64_t seed;
    sr_loss loss;
    sr_objective objective;
    sr_precision precision;
    double kept_logits_megabytes;
    int64_t threads; /* of a rank; 0: as many as it has cores to itself */
    sr_reduction_mode reduction;
    double reduction_bucket_megabytes;
    int64_t skip_nonfinite_steps;      /* in a row; 0: the first one ends training */
    int64_t compare_ranks_every_steps; /* 0: only with every checkpoint */
    sr_precision reduction_precision;  /* of the gradients that processes send each other */
    sr_contrastive_settings contrastive;
    sr_early_stopping_settings early_stopping;
} sr_training_settings;

typedef struct {
    int64_t top_k[SR_TOP_K_MAXIMUM];
    size_t top_k_count;
    sr_history history;
    int64_t every_epochs;
    int64_t batch_size;
} sr_evaluation_settings;

typedef struct {
    int64_t every_epochs, every_steps; /* 0: never by this count */
    double every_minutes;              /* 0: never by time */
    int64_t keep;                      /* how many step checkpoints stay on disk */
    sr_writing writing;
} sr_checkpoint_settings;

typedef struct {
    int64_t every_steps;
} sr_logging_settings;

typedef struct {
    char name[SR_NAME_SIZE]; /* of the run: the configuration file's name without ".yaml"; not a key */
    sr_data_settings data;
    sr_model_settings model;
    sr_training_settings training;
    sr_evaluation_settings evaluation;
    sr_checkpoint_settings checkpoint;
    sr_logging_settings logging;
} sr_settings;

/* FEARec: the bins [*first, *last) that layer `layer` sees, and how many lags a layer keeps. A configuration that has been
 * checked has at least one of each. */
void sr_fearec_band(const sr_model_settings *model, size_t layer, size_t *first, size_t *last);
size_t sr_fearec_lags(const sr_model_settings *model);

/* Every default, as the schema states it. */
void sr_settings_default(sr_settings *settings);

/* Reads the YAML file at `path` over the defaults, then applies `assignment_count` assignments "section.key=value" (nested
 * keys with more dots; values in YAML, so that lists work), then checks each value and their combinations. Errors:
 * SR_ERROR_USAGE, in the form "FILE:LINE:COLUMN: error: ..." with the source line and a caret where the YAML is at fault,
 * naming the key, what was found, what is allowed and, for an unknown key or choice, the nearest known one. Assignments are
 * named as "--set section.key=value". */
sr_status sr_settings_read(sr_settings *settings, const char *path, const char *const *assignments, size_t assignment_count,
                           sr_error *error);

/* The same from YAML text; `name` stands for the file in messages. */
sr_status sr_settings_parse(sr_settings *settings, const char *text, const char *name, const char *const *assignments,
                            size_t assignment_count, sr_error *error);

/* Writes the resolved configuration as YAML that sr_settings_read() reads back to the same settings, each key with its
 * help as a comment if `with_help`. */
sr_status sr_settings_write(const sr_settings *settings, FILE *file, bool with_help, sr_error *error);

/* The same into a string; release with free(). */
sr_status sr_settings_text(const sr_settings *settings, char **text, sr_error *error);

/* Calls `differs` for every key in which two configurations differ, with both values as in YAML; "(none)" is the value of a key
 * that has no meaning in one of them. Of a section that only one has, the section is the key. */
typedef void (*sr_difference_function)(void *context, const char *key, const char *left, const char *right);
void sr_settings_compare(const sr_settings *left, const sr_settings *right, sr_difference_function differs, void *context);

/* The table of every backbone, calibrator and option with type, range or choices, default and help: `srtrain models` as
 * plain text, docs/configuration.md as Markdown. */
sr_status sr_settings_describe(FILE *file, bool markdown, sr_error *error);

/* The page srtrain-config(5) of the manual, in roff; and lines for the completion of bash: _srtrain_choices[section.key]="..."
 * for every key, with its choices if it has any. */
sr_status sr_settings_manual(FILE *file, const char *version, sr_error *error);
void sr_settings_completion(FILE *file);

/* The name of a choice, as it stands in YAML: sr_settings_choice("training.loss", SR_LOSS_BPR) is "bpr". NULL if there is none.
 */
const char *sr_settings_choice(const char *key, int value);

#endif
