/* Ranking with scores that a model does not give. */
#ifndef SRTRAIN_EVALUATE_RANKER_H
#define SRTRAIN_EVALUATE_RANKER_H

#include "srtrain/evaluate.h"

/* Ranks every test case as sr_evaluate_model() does, with a count of each item [items + 1] as its score for everybody.
 * Collective. */
sr_status ranker_evaluate_counts(sr_parallel *parallel, const int64_t *counts, const sr_evaluation *evaluation,
                                 sr_ranking_metrics *metrics, sr_error *error);

/* Bytes that sr_evaluate_recent_popularity() holds on each node, for so many items. Local. */
size_t recent_popularity_memory(const sr_evaluation_settings *settings, const sr_dataset *dataset, size_t items);

#endif
