/* Whether a model of times can tell the times of a data set apart. */
#ifndef SRTRAIN_RUN_TIME_GAPS_H
#define SRTRAIN_RUN_TIME_GAPS_H

#include "srtrain/model_settings.h"
#include "srtrain/dataset.h"
#include "srtrain/log.h"
#include "srtrain/parallel.h"

/* Looks at the gaps between neighbouring interactions of the training parts (of a million users at most), and warns where
 * a model that reads times, with the span and the unit of `model`, takes most of them for the same: because they are longer
 * than its span, or shorter than its unit. Nothing for other models. Collective; `log` is NULL on all ranks but 0. */
sr_status time_gaps_check(sr_parallel *parallel, const sr_dataset *dataset, const sr_model_settings *model, sr_log *log,
                          sr_error *error);

#endif
