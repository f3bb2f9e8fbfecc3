/* From sorted interactions to a data set on disk: dense ids, sequences, split. */
#ifndef SRTRAIN_DATA_PREP_ASSEMBLE_H
#define SRTRAIN_DATA_PREP_ASSEMBLE_H

#include "interactions.h"
#include "split.h"

/* Counts of what was written. */
typedef struct {
    size_t users, items, interactions, shortest, median, longest;
} assembly_report;

/* Numbers items from 1 in order of first appearance along the sorted interactions, splits each user's sequence and writes the
 * data set. `split_text` and `origin` are recorded in it. */
sr_status assemble(const interactions *all, const split_rule *rule, const char *split_text, const char *origin,
                   const char *directory, size_t shards, assembly_report *report, sr_error *error);

#endif
