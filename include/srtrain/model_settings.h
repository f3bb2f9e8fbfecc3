/* What a model is and what it is trained for: the settings of the sections model and calibrators, and of those keys of the
 * section training that say what is learned.
 *
 * Backbones, calibrators and losses have settings of their own in structs that their files alone know; they lie in
 * `components`. A settings struct owns nothing and may be copied. */
#ifndef SRTRAIN_MODEL_SETTINGS_H
#define SRTRAIN_MODEL_SETTINGS_H

#include "srtrain/arithmetic.h"
#include "srtrain/config.h"
#include "srtrain/encoder_settings.h"
#include "srtrain/negative_settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SR_CALIBRATORS_MAXIMUM = 16, SR_COMPONENTS_SIZE = 1024 };

typedef enum { SR_POSITIONS_LEARNED, SR_POSITIONS_NONE } sr_positions;
typedef enum { SR_PADDING_RIGHT, SR_PADDING_LEFT } sr_padding;
typedef enum { SR_ITEM_TABLE_AUTO, SR_ITEM_TABLE_REPLICATED, SR_ITEM_TABLE_DIVIDED } sr_item_table_choice;
typedef enum { SR_SIMILARITY_DOT, SR_SIMILARITY_COSINE } sr_similarity;
typedef enum { SR_OBJECTIVE_LAST, SR_OBJECTIVE_ALL } sr_objective;

/* InfoNCE beside the ranking loss (DuoRec). */
typedef struct {
    bool in_use; /* the section is named in the configuration */
    double weight, temperature;
} sr_contrastive_settings;

typedef struct {
    int backbone; /* its number in the list of backbones, see sr_backbone_number() */
    int64_t layers, heads, hidden_size, inner_size, max_length;
    sr_activation activation;
    double hidden_dropout, attention_dropout;
    double layer_norm_epsilon;
    double initializer_range; /* standard deviation of the initial weights */
    double initializer_mean;
    sr_positions positions;
    sr_padding padding;
    int64_t time_unit;               /* of models that know times: what a gap of 1 is, in units of the time stamps */
    sr_item_table_choice item_table; /* who has its rows */
    sr_similarity similarity;        /* of a state and an item */
    sr_encoder_settings encoder;
    /* Keys of the section training: */
    int loss; /* its number in the list of losses, see sr_loss_number() */
    sr_objective objective;
    double temperature;             /* scores are divided by it in the loss */
    sr_negative_settings negatives; /* of losses that take lists of them, see sr_model_needs */
    sr_contrastive_settings contrastive;
    bool calibrators[SR_CALIBRATORS_MAXIMUM]; /* by their numbers in the list of calibrators: whether their section is named */
    max_align_t components[SR_COMPONENTS_SIZE / sizeof(max_align_t)];
} sr_model_settings;

/* The number of a backbone, of a loss, of a calibrator by its name in YAML; -1 if there is none. */
int sr_backbone_number(const char *name);
int sr_loss_number(const char *name);
int sr_calibrator_number(const char *name);

/* Adds what this part of the settings, which lies at offset `at`, has to a schema: sections, then keys and rules of the
 * model, its backbones and its calibrators, then those of what is trained for. Both have keys in the sections of training. */
void sr_model_add_sections(sr_schema *schema, size_t at);
void sr_model_add_keys(sr_schema *schema, size_t at);
void sr_objective_add_section(sr_schema *schema, size_t at);
void sr_objective_add_keys(sr_schema *schema, size_t at);

/* Defaults of the model that depend on other keys. */
void sr_model_settle(sr_model_settings *settings, const sr_given *given);

#endif
