/* How models are evaluated: the settings of the section evaluation. */
#ifndef SRTRAIN_EVALUATION_SETTINGS_H
#define SRTRAIN_EVALUATION_SETTINGS_H

#include "srtrain/config.h"

enum { SR_TOP_K_MAXIMUM = SR_LIST_MAXIMUM };

typedef enum { SR_HISTORY_KEEP, SR_HISTORY_EXCLUDE, SR_HISTORY_ZERO } sr_history;

typedef struct {
    int64_t top_k[SR_TOP_K_MAXIMUM];
    size_t top_k_count;
    sr_history history;
    int64_t every_epochs;
    int64_t batch_size;
} sr_evaluation_settings;

/* Adds the section and its keys to a schema of settings that have this part at offset `at`. */
void sr_evaluation_add_section(sr_schema *schema);
void sr_evaluation_add_keys(sr_schema *schema, size_t at);

#endif
