/* Keys and rules of the options that transformers share (srtrain/encoder_settings.h). Called by model_settings.c. */
#ifndef SRTRAIN_MODEL_ENCODER_KEYS_H
#define SRTRAIN_MODEL_ENCODER_KEYS_H

#include "srtrain/model_settings.h"

/* Adds them to a schema of settings that have the part of the model at offset `at`. `scope` understands the capabilities and
 * properties of backbones (model/backbone.h). */
void encoder_add_keys(sr_schema *schema, size_t at, const sr_scope *scope);

/* Defaults that depend on other keys. */
void encoder_settle(sr_model_settings *settings, const sr_given *given);

#endif
