/* Keys and rules of sampled negatives, which the losses that compare targets with lists share. Called by model_settings.c. */
#ifndef SRTRAIN_MODEL_NEGATIVE_KEYS_H
#define SRTRAIN_MODEL_NEGATIVE_KEYS_H

#include "srtrain/model_settings.h"

/* Adds them to a schema of settings that have the part of the model at offset `at`. */
void negatives_add_keys(sr_schema *schema, size_t at);

/* Defaults that depend on the loss and on other keys. */
void negatives_settle(sr_model_settings *settings, const sr_given *given);

/* What the loss of the settings samples: by the keys, or one item for each target where it takes no lists. */
sr_negative_settings negatives_of(const sr_model_settings *settings);

#endif
