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
    char candidates[SR_NAME_SIZE]; /* of sampled metrics, see sr_candidates_parse() */
    bool list_metrics;
    int64_t recent_days; /* of the second popularity baseline; 0: there is none */
    int64_t day;         /* units of the time stamps in a day; 0: as their size tells */
} sr_evaluation_settings;

/* What the target of a test case is also ranked among. */
typedef enum { SR_CANDIDATES_NONE, SR_CANDIDATES_UNIFORM, SR_CANDIDATES_POPULARITY } sr_candidate_kind;

typedef struct {
    sr_candidate_kind kind;
    size_t count;
} sr_candidates;

enum { SR_CANDIDATES_MAXIMUM = 10000 };

/* "none", "uniform:N" or "popularity:N" with N up to the maximum; false for another text. An empty one is none. Local. */
bool sr_candidates_parse(const char *text, sr_candidates *candidates);

/* Adds the section and its keys to a schema of settings that have this part at offset `at`. */
void sr_evaluation_add_section(sr_schema *schema);
void sr_evaluation_add_keys(sr_schema *schema, size_t at);

#endif
