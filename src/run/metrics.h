/* metrics.jsonl: one JSON object a line, written by rank 0. */
#ifndef SRTRAIN_RUN_METRICS_H
#define SRTRAIN_RUN_METRICS_H

#include "srtrain/evaluate.h"
#include "srtrain/objective.h"
#include "srtrain/status.h"

#include "run/phases.h"

#include <cjson/cJSON.h>
#include <stdint.h>

typedef struct sr_metrics_file sr_metrics_file;

/* Opens `path` for appending. Lines that an earlier run wrote for steps after `last_step`, for validations of epochs after
 * `last_epoch`, and those of the final test, are removed first: they will be written again. Release with sr_metrics_close(). */
sr_status sr_metrics_open(sr_metrics_file **file, const char *path, int64_t last_step, int64_t last_epoch, sr_error *error);
void sr_metrics_close(sr_metrics_file *file); /* NULL is allowed */

/* All lines so far go to the disk: before a checkpoint, which a run goes on from, and at the end. */
sr_status sr_metrics_synchronise(sr_metrics_file *file, sr_error *error);

/* Numbers of one training step. */
typedef struct {
    int64_t step, epoch;
    const sr_terms *terms; /* of the global batch, */
    double targets;        /* which has so many targets */
    double gradient_norm, learning_rate, examples_per_second, seconds, reduction_share;
} sr_train_line;

sr_status sr_metrics_write_train(sr_metrics_file *file, const sr_train_line *line, sr_error *error);

/* A line of kind "valid" or "test"; train_loss is the mean of the epoch so far, left out when negative. `baseline` marks the
 * metrics of popularity. */
sr_status sr_metrics_write_ranking(sr_metrics_file *file, const char *kind, const char *baseline, int64_t step, int64_t epoch,
                                   double train_loss, const sr_ranking_metrics *metrics, sr_error *error);

/* A line of kind "phases": what each phase of `steps` steps took over `ranks` ranks, in seconds. */
sr_status sr_metrics_write_phases(sr_metrics_file *file, int64_t step, int64_t steps, int ranks, const phase_times *phases,
                                  size_t count, sr_error *error);

/* The fields of ranking metrics added to a JSON object: cases, hr@K, ndcg@K, mrr@K and their standard errors. Without cases
 * there are no metrics, and the standard error of a single case is null. False when memory runs out. */
bool sr_ranking_metrics_to_json(cJSON *object, const sr_ranking_metrics *metrics);

#endif
