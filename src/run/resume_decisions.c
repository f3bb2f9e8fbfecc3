#include "run/resume_decisions.h"

#include <stdio.h>
#include <string.h>

resumed resume_adapt_progress(sr_progress *progress, const sr_settings *before, const sr_settings *now)
{
    const sr_early_stopping_settings *was = &before->training.early_stopping, *is = &now->training.early_stopping;
    /* What is best by one metric says nothing about another, nor about the same one with another treatment of the history. */
    const bool other_metric = strcmp(was->metric, is->metric) != 0;
    const bool other_choice = other_metric || before->evaluation.history != now->evaluation.history;
    if (progress->epoch >= now->training.epochs)
        return progress->best_metric >= 0 && other_choice ? RESUMED_ENDED_BY_ANOTHER : RESUMED_ENDED;
    if (progress->finished == SR_FINISHED_EARLY && !other_metric && is->patience > 0 &&
        progress->validations_without_improvement >= is->patience)
        return RESUMED_STOPPED_EARLY;
    progress->finished = SR_UNFINISHED;
    if (progress->best_metric < 0 || !other_choice)
        return RESUMED_TRAINS;
    progress->best_metric = -1;
    progress->best_epoch = progress->best_step = progress->validations_without_improvement = 0;
    return RESUMED_CHOOSES_ANEW;
}

sr_status resume_check_epochs(const char *path, const sr_progress *progress, int64_t epochs, sr_error *error)
{
    if (progress->epoch < epochs || (progress->epoch == epochs && progress->batch == 0))
        return SR_OK;
    char batches[48] = "";
    if (progress->batch > 0)
        snprintf(batches, sizeof batches, " and %lld steps", (long long)progress->batch);
    return sr_fail(
        error, SR_ERROR_USAGE,
        "not going on from %s: nothing is to be done, %lld of %lld epochs%s are done. Nothing was changed. To train for "
        "so few, begin in another --output, without --resume PATH; to evaluate what there is, use srtrain evaluate; to "
        "train on, ask for more training.epochs",
        path, (long long)progress->epoch, (long long)epochs, batches);
}

sr_status resume_check_counters(const char *path, const sr_progress *progress, size_t batches, sr_error *error)
{
    if (progress->epoch >= 0 && progress->batch >= 0 && (size_t)progress->batch <= batches && progress->batch <= progress->step)
        return SR_OK;
    return sr_fail(
        error, SR_ERROR_DATA,
        "not going on from %s: it says that %lld epochs, %lld batches of the next one and %lld steps are done, and an "
        "epoch of this training has %zu batches. Another program has changed the file; take an earlier checkpoint",
        path, (long long)progress->epoch, (long long)progress->batch, (long long)progress->step, batches);
}

sr_status resume_check_directory(const char *checkpoints, int64_t newest, int64_t step, bool begins_there, sr_error *error)
{
    if (newest < 0 || (begins_there && newest <= step))
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE,
                   "%s already holds checkpoints up to step %lld, and this run would start at step %lld: choose another "
                   "--output, or --resume auto to go on from the newest of them, or remove them",
                   checkpoints, (long long)newest, (long long)step);
}

void resume_best_beside(const char *checkpoint, char *path, size_t size)
{
    const char *slash = strrchr(checkpoint, '/');
    snprintf(path, size, "%.*s%s../best.h5", (int)(slash ? slash - checkpoint : 0), checkpoint, slash ? "/" : "");
}
