/* From interactions to a data set within bounded memory, on any number of ranks; docs/data.md says how. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_ENGINE_H
#define SRTRAIN_DATA_PREP_ENGINE_ENGINE_H

#include "engine/columns.h"
#include "engine/parts.h"
#include "engine/sessions.h"

/* What is asked for. */
typedef struct {
    user_rules rules;
    bool has_gap;
    int64_t gap; /* between sessions, in units of the time stamps */
    split_rule split;
    cold_rule cold;
    const char *split_text, *origin, *directory;
    size_t shards;
    bool has_times;
    const uint64_t *part_starts; /* interactions, dropped ones included, in front of each part of the input */
    uint64_t read;               /* of all parts */
} engine_plan;

/* What became of the interactions, over all ranks. */
typedef struct {
    uint64_t low_rating, out_of_time, not_listed;
    uint64_t sessions; /* after cutting */
    user_counts users;
    cold_counts cold;
    uint64_t ties;         /* interactions with the time stamp of the user's one before */
    uint64_t interactions; /* what is left */
} engine_counts;

/* Filters, sorts and writes what the collector has taken in, which is finished here and may be freed. With nothing left
 * SR_ERROR_DATA. Collective. */
sr_status engine_run(workplace *place, collector *from, const engine_plan *plan, engine_counts *counts, sr_error *error);

#endif
