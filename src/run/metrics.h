/* metrics.jsonl: one JSON object a line, written by rank 0. */
#ifndef SRTRAIN_RUN_METRICS_H
#define SRTRAIN_RUN_METRICS_H

#include "srtrain/evaluate.h"
#include "srtrain/objective.h"
#include "srtrain/status.h"

#include <cjson/cJSON.h>
#include <stdint.h>

typedef struct sr_metrics_file sr_metrics_file;

/* Opens `path` for appending. Lines that an earlier run wrote for steps after `last_step`, for validations of epochs after
 * `last_epoch`, and those of the final test, are removed first: they will be written again. In the directory `events`, unless
 * it is NULL, an event file for TensorBoard gets what the lines have, these and all that follow. Release with
 * sr_metrics_close().
 */
sr_status sr_metrics_open(sr_metrics_file **file, const char *path, const char *events, int64_t last_step, int64_t last_epoch,
                          sr_error *error);
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

/* What came of ranking. */
typedef struct {
    const char *kind;     /* "valid" or "test" */
    const char *baseline; /* "popularity" or "recent_popularity"; NULL: the model itself */
    int64_t step, epoch;
    double train_loss; /* the mean of the epoch so far; negative: it is left out */
    const sr_ranking_metrics *metrics;
    const sr_recent_popularity *recent; /* what the days of that baseline were; NULL for others */
} sr_ranking_line;

/* How many rows of a kind a training has taken over from another one. */
typedef struct {
    int64_t kept, fresh, dropped;
} sr_from_counts;

/* A line of kind "from": what a training begins with. `users` may be NULL. */
sr_status sr_metrics_write_from(sr_metrics_file *file, const char *checkpoint, int64_t earlier_steps, int64_t optimizer_steps,
                                const sr_from_counts *items, const sr_from_counts *users, sr_error *error);

sr_status sr_metrics_write_ranking(sr_metrics_file *file, const sr_ranking_line *line, sr_error *error);

/* The fields of ranking metrics added to a JSON object: cases, hr@K, ndcg@K, mrr@K and their standard errors. Without cases
 * there are no metrics, and the standard error of a single case is null. False when memory runs out. */
bool sr_ranking_metrics_to_json(cJSON *object, const sr_ranking_metrics *metrics);

/* Adds `days`, `after`, `last` (time stamps) and `interactions`. False when memory runs out. */
bool sr_recent_popularity_to_json(cJSON *object, const sr_recent_popularity *recent);

#endif
