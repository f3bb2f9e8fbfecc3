/* times.jsonl: where the time of a run went, one JSON object a line, for an epoch or what there was of it in this start of the
 * program. Lines of earlier starts stay, also of steps that are trained again: that time was spent. Written by rank 0. */
#ifndef SRTRAIN_RUN_TIMES_H
#define SRTRAIN_RUN_TIMES_H

#include "srtrain/parallel.h"
#include "srtrain/step.h"

typedef struct run_times run_times;

/* Parts of a run that are no steps. */
typedef enum { TIMES_VALIDATION, TIMES_CHECKPOINTS, TIMES_TEST, TIMES_PARTS } times_part;

/* Where a line ends. */
typedef struct {
    int64_t epoch, step;           /* so many are done */
    const sr_step_times *of_steps; /* of this rank, in this start so far */
    double planned_memory;         /* bytes of a rank */
} times_mark;

/* Time begins to be counted after `step` steps. Rank 0 opens `path` for appending; where no step has been trained, nothing of
 * an earlier run stays. Collective. Release with run_times_close(). */
sr_status run_times_open(run_times **times, sr_parallel *parallel, const char *path, int64_t step, sr_error *error);
void run_times_close(run_times *times); /* NULL is allowed; local */

/* So many seconds were spent on a part. Local. */
void run_times_add(run_times *times, times_part part, double seconds);

/* Writes a line of the time since the line before, unless nothing was done. Collective. */
sr_status run_times_write(run_times *times, sr_parallel *parallel, const times_mark *mark, sr_error *error);

#endif
