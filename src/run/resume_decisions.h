/* What a run that goes on decides, from what it has found: no file is read here and no rank asked. All local. */
#ifndef SRTRAIN_RUN_RESUME_DECISIONS_H
#define SRTRAIN_RUN_RESUME_DECISIONS_H

#include "srtrain/checkpoint.h"
#include "srtrain/settings.h"

/* How training goes on. */
typedef enum {
    RESUMED_TRAINS,          /* from where it was */
    RESUMED_CHOOSES_ANEW,    /* likewise, and the next validation counts as the best: another metric or history is asked for */
    RESUMED_STOPPED_EARLY,   /* not: early stopping has ended it, and patience is no larger now */
    RESUMED_ENDED,           /* not: all epochs are done */
    RESUMED_ENDED_BY_ANOTHER /* likewise; its best parameters stay those by the metric or history of before */
} resumed;

/* Brings the progress of a training with the settings `before` to those of `now`: what has ended may have been given more to
 * do. */
resumed resume_adapt_progress(sr_progress *progress, const sr_settings *before, const sr_settings *now);

/* A run that has trained for more epochs than are asked for cannot be made shorter, and its results are not those of a shorter
 * one: SR_ERROR_USAGE. `path` is the checkpoint, for the message. */
sr_status resume_check_epochs(const char *path, const sr_progress *progress, int64_t epochs, sr_error *error);

/* A file whose counters no training of `batches` batches an epoch can have reached was not written by one: SR_ERROR_DATA. */
sr_status resume_check_counters(const char *path, const sr_progress *progress, size_t batches, sr_error *error);

/* A run that does not go on from the newest checkpoint of its directory must not write among those, as they would be taken for
 * its own: SR_ERROR_USAGE. `newest` is the step of that one (-1: there is none), `step` where the run starts; `begins_there`:
 * with a checkpoint of another directory or of this one that the user has named. */
sr_status resume_check_directory(const char *checkpoints, int64_t newest, int64_t step, bool begins_there, sr_error *error);

/* The path of the best.h5 that belongs to a checkpoint. */
void resume_best_beside(const char *checkpoint, char *path, size_t size);

#endif
