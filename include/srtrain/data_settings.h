/* What is trained on: the settings of the section data. */
#ifndef SRTRAIN_DATA_SETTINGS_H
#define SRTRAIN_DATA_SETTINGS_H

#include "srtrain/config.h"

typedef enum { SR_SAMPLES_SLIDING, SR_SAMPLES_WINDOW } sr_samples;
typedef enum { SR_PREFETCH_AUTO, SR_PREFETCH_ALWAYS, SR_PREFETCH_NEVER } sr_prefetch;

typedef struct {
    char path[SR_PATH_SIZE];
    char item_vectors[SR_PATH_SIZE]; /* file of vectors that rows of the item table start with; or "none" */
    sr_samples samples;
    sr_prefetch prefetch;
    bool verify; /* check the checksums of the data set before training */
} sr_data_settings;

/* Whether there is a file of vectors. */
bool sr_data_names_vectors(const sr_data_settings *settings);

/* Adds the section and its keys to a schema of settings that have this part at offset `at`. */
void sr_data_add_section(sr_schema *schema);
void sr_data_add_keys(sr_schema *schema, size_t at);

#endif
