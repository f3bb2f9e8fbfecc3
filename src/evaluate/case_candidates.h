/* Items that the target of a test case is ranked among, where metrics of sampled candidates are asked for: different items
 * that are neither the target nor in the history.
 *
 * They follow from the number of the case alone, so that they are the same for every model and for any number of ranks. */
#ifndef SRTRAIN_EVALUATE_CASE_CANDIDATES_H
#define SRTRAIN_EVALUATE_CASE_CANDIDATES_H

#include "data/alias_table.h"
#include "srtrain/dataset.h"
#include "srtrain/evaluation_settings.h"

/* What candidates are drawn by. */
typedef struct {
    const sr_dataset *dataset;
    sr_candidates wanted;
    size_t most;       /* as many as wanted, or as there are items */
    alias_table alias; /* by popularity: column i is item i + 1 */
} candidate_source;

/* Local. Release with candidate_source_free(), also after a failure. */
sr_status candidate_source_create(candidate_source *source, const sr_dataset *dataset, const sr_candidates *wanted,
                                  sr_error *error);
void candidate_source_free(candidate_source *source);

/* The candidates of case `number`, whose target is interaction `at` of a user: into items [most], ascending; returns
 * how many there are, fewer only where no more items qualify (by popularity: that have been seen in training). */
sr_status candidates_draw(const candidate_source *source, uint64_t number, size_t user, size_t at, int32_t *items,
                          size_t *count, sr_error *error);

#endif
