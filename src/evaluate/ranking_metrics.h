/* From a histogram of ranks to metrics. */
#ifndef SRTRAIN_EVALUATE_RANKING_METRICS_H
#define SRTRAIN_EVALUATE_RANKING_METRICS_H

#include "srtrain/evaluate.h"

/* histogram[r] counts the cases whose target has rank r, for r from 1 to the largest cut-off; histogram[0] counts those ranked
 * below that, or never. `seconds` stays 0. Local. */
void ranking_metrics_compute(const int64_t *histogram, const sr_evaluation_settings *settings, sr_ranking_metrics *metrics);

/* The same of ranks among candidates. Local. */
void ranking_metrics_compute_sampled(const int64_t *histogram, const sr_evaluation_settings *settings,
                                     const sr_candidates *candidates, sr_sampled_metrics *sampled);

#endif
