/* What a conversion came to, as text and as JSON. */
#ifndef SRTRAIN_DATA_PREP_SUMMARY_H
#define SRTRAIN_DATA_PREP_SUMMARY_H

#include "engine/engine.h"
#include "readers/report.h"
#include "readers/times.h"

/* What the options asked for, as far as the summary names it. */
typedef struct {
    const parse_report *parsed;
    const char *const *paths; /* of the input files */
    const entry_filter *entry;
    const user_rules *rules;
    const char *gap; /* --session-gap; NULL: none */
    cold_rule cold;
    const engine_counts *counts;
    const char *directory, *origin;
    bool has_times;
    time_format times; /* with time stamps */
} summary;

/* Prints to standard output, and writes to the file `json` unless that is NULL. Opens the data set. Local. */
sr_status summary_write(const summary *s, const char *json, sr_error *error);

#endif
