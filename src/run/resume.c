/* Where a run goes on: which checkpoint, and whether the run's directory may be written to then.
 *
 * With --resume PATH the run begins at PATH once. It notes that in its directory, so that the same command, given again, goes
 * on from the newest checkpoint that it has written since, as without --resume. */
#include "run/resume_decisions.h"
#include "run/run_state.h"

#include "srtrain/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    sr_log *log;
    int64_t count;
} refusals;

static void report_refused(void *context, const char *path, const char *reason)
{
    refusals *refused = context;
    ++refused->count;
    sr_log_warning(refused->log, "checkpoint %s is not used: %s", path, reason);
}

/* The newest valid checkpoint of the run's directory; NULL if it holds none. Where all that it holds are damaged, somebody must
 * decide: training anew would write over what may be all that is left. */
static sr_status find_newest(run *r, char **path, sr_error *error)
{
    refusals refused = {.log = r->log};
    sr_status status = sr_checkpoint_newest(r->parallel, r->paths.checkpoints, path, report_refused, &refused, error);
    if (status == SR_OK && !*path && refused.count > 0)
        status = sr_fail(error, SR_ERROR_DATA,
                         "none of the %lld checkpoints in %s can be used: remove them to train from the beginning, or choose "
                         "another --output",
                         (long long)refused.count, r->paths.checkpoints);
    return sr_parallel_agree(r->parallel, status, error);
}

/* Whether this run's directory began at options->resume_path: rank 0 looks, all learn it. */
static sr_status has_begun_there(run *r, bool *begun, sr_error *error)
{
    sr_status status = SR_OK;
    *begun = false;
    if (sr_parallel_rank(r->parallel) == 0)
        status = sr_run_began_at(&r->paths, r->options->resume_path, begun, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    *begun = *begun && sr_run_newest_step(&r->paths) >= 0;
    return sr_parallel_broadcast(r->parallel, begun, sizeof *begun, error);
}

/* The checkpoint that the user has named. */
static sr_status named_checkpoint(run *r, char **path, sr_error *error)
{
    const char *name = r->options->resume_path;
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0 && access(name, F_OK) != 0)
        status = sr_fail(error, SR_ERROR_DATA, "--resume %s: %s; allowed are auto, never and the path of a checkpoint", name,
                         strerror(errno));
    if (status == SR_OK)
        status = sr_copy_string(path, name, error);
    status = sr_parallel_agree(r->parallel, status, error);
    if (status != SR_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}

/* The checkpoint to go on from, or NULL: *path is released with free(). `first` says that the run begins there. */
static sr_status find_checkpoint(run *r, char **path, bool *first, sr_error *error)
{
    *path = NULL;
    *first = false;
    if (r->options->resume == SR_RESUME_NEVER)
        return SR_OK;
    if (r->options->resume == SR_RESUME_PATH) {
        bool begun;
        SR_TRY(has_begun_there(r, &begun, error));
        *first = !begun;
        if (!begun)
            return named_checkpoint(r, path, error);
    }
    return find_newest(r, path, error);
}

static void adapt_progress(run *r, const sr_settings *before)
{
    const sr_early_stopping_settings *was = &before->training.early_stopping, *is = &r->settings->training.early_stopping;
    const char *old_history = sr_settings_choice("evaluation.history", (int)before->evaluation.history);
    const char *history = sr_settings_choice("evaluation.history", (int)r->settings->evaluation.history);
    const resumed how = resume_adapt_progress(&r->progress, before, r->settings);
    if (how == RESUMED_ENDED_BY_ANOTHER)
        sr_log_warning(r->log,
                       "training has ended: its best parameters stay those chosen by %s (history %s), though %s (history %s) "
                       "would choose now",
                       was->metric, old_history, is->metric, history);
    if (how == RESUMED_STOPPED_EARLY)
        sr_log_information(r->log, "training had ended there: %s had not improved for %lld validations (best epoch %lld)",
                           is->metric, (long long)r->progress.validations_without_improvement,
                           (long long)r->progress.best_epoch);
    if (how == RESUMED_CHOOSES_ANEW)
        sr_log_information(
            r->log,
            "the best parameters so far were chosen by %s (history %s), now they are by %s (history %s): the next "
            "validation counts as the best",
            was->metric, old_history, is->metric, history);
}

/* Parameters, and the state of the optimizer. Before the first step that is 0, whatever the optimizer was to be when the file
 * was written: an imported model may be trained with any. */
static sr_status read_state(run *r, const char *path, const sr_progress *progress, sr_error *error)
{
    return sr_checkpoint_read_shared_state(r->parallel, r->stepper.node, path, sr_model_parameters(r->model),
                                           sr_progress_model_steps(progress) > 0 ? &r->stepper.optimizer.state : NULL, error);
}

static sr_status load_checkpoint(run *r, const char *path, sr_error *error)
{
    sr_checkpoint checkpoint = {0};
    sr_settings before;
    if (r->begins_at_path) /* what was found has been looked at */
        SR_TRY(sr_checkpoint_verify(r->parallel, path, true, error));
    SR_TRY(sr_checkpoint_read_header(r->parallel, path, &checkpoint, error));
    sr_status status = sr_run_check_fits(path, &checkpoint, r->settings, r->dataset, r->log, &before, error);
    if (status == SR_OK)
        status = resume_check_epochs(path, &checkpoint.progress, r->settings->training.epochs, error);
    if (status == SR_OK)
        status = resume_check_counters(path, &checkpoint.progress, sr_sampler_batches(r->sampler), error);
    status = sr_parallel_agree(r->parallel, status, error);
    if (status == SR_OK)
        status = read_state(r, path, &checkpoint.progress, error);
    if (status == SR_OK) {
        r->progress = checkpoint.progress;
        r->progress.seed = (uint64_t)r->settings->training.seed; /* the same, unless no step has been trained yet */
        sr_log_information(r->log, "going on from %s: epoch %lld, step %lld", path, (long long)r->progress.epoch + 1,
                           (long long)r->progress.step);
        adapt_progress(r, &before);
    }
    sr_checkpoint_free(&checkpoint);
    return status;
}

/* A directory that holds another run must not be taken for one that --from began. */
static sr_status check_beginning(const run *r, sr_error *error)
{
    bool began;
    SR_TRY(sr_run_began_at(&r->paths, r->options->from, &began, error));
    return began ? SR_OK
                 : sr_fail(error, SR_ERROR_USAGE,
                           "%s holds checkpoints of a run that did not begin with --from %s: choose another --output to begin "
                           "with it, or leave --from out to go on with what is there",
                           r->paths.checkpoints, r->options->from);
}

static sr_status check_directory(const run *r, bool first, sr_error *error)
{
    const bool looks = r->options->resume == SR_RESUME_NEVER || first;
    return resume_check_directory(r->paths.checkpoints, looks ? sr_run_newest_step(&r->paths) : -1, r->progress.step, first,
                                  error);
}

sr_status run_resume(run *r, sr_error *error)
{
    char *path = NULL;
    SR_TRY(find_checkpoint(r, &path, &r->begins_at_path, error));
    const bool is_root = sr_parallel_rank(r->parallel) == 0;
    sr_status status = SR_OK;
    if (path && r->options->from)
        status = sr_parallel_agree(r->parallel, is_root ? check_beginning(r, error) : SR_OK, error);
    if (status == SR_OK && path)
        status = load_checkpoint(r, path, error);
    else if (status == SR_OK && r->options->from)
        status = run_take(r, error);
    else if (status == SR_OK)
        status = run_fill_item_vectors(r, NULL, error);
    r->stepper.earlier_steps = r->progress.earlier_steps;
    r->stepper.optimizer_steps = r->progress.optimizer_steps;
    if (status == SR_OK)
        status = sr_parallel_agree(r->parallel, is_root ? check_directory(r, r->begins_at_path, error) : SR_OK, error);
    /* What was refused on the way must not count as one of those that rotation keeps. */
    if (status == SR_OK && path && !r->begins_at_path)
        status = sr_checkpoint_set_aside(r->parallel, r->paths.checkpoints, r->progress.step, error);
    free(path);
    return status;
}

/* ---- the best parameters so far ---- */

/* Whether `path` holds the best parameters that progress tells of. */
static sr_status holds_best(run *r, const char *path, bool *holds, sr_error *error)
{
    sr_checkpoint checkpoint;
    sr_error reason;
    *holds = sr_parallel_rank(r->parallel) == 0 && access(path, R_OK) == 0;
    SR_TRY(sr_parallel_broadcast(r->parallel, holds, sizeof *holds, error));
    if (!*holds)
        return SR_OK;
    *holds = sr_checkpoint_verify(r->parallel, path, false, &reason) == SR_OK &&
             sr_checkpoint_read_header(r->parallel, path, &checkpoint, &reason) == SR_OK;
    if (!*holds) {
        sr_log_warning(r->log, "%s is not used: %s", path, reason.message);
        return SR_OK;
    }
    *holds = checkpoint.progress.step == r->progress.best_step && checkpoint.progress.best_metric == r->progress.best_metric;
    sr_checkpoint_free(&checkpoint);
    return SR_OK;
}

sr_status run_adopt_best(run *r, sr_error *error)
{
    bool holds = false;
    char other[SR_PATH_SIZE + 32] = "";
    if (r->progress.best_metric < 0)
        return SR_OK;
    SR_TRY(holds_best(r, r->paths.best, &holds, error));
    if (holds)
        return SR_OK;
    if (r->begins_at_path) {
        resume_best_beside(r->options->resume_path, other, sizeof other);
        SR_TRY(holds_best(r, other, &holds, error));
    }
    if (holds)
        return sr_parallel_agree(
            r->parallel, sr_parallel_rank(r->parallel) == 0 ? sr_run_copy_file(other, r->paths.best, error) : SR_OK, error);
    /* A run that was killed between its best.h5 and its checkpoint trains the difference once more, and finds it again. */
    sr_log_information(r->log, "the best parameters so far (step %lld) are not at hand: the next validation counts as the best",
                       (long long)r->progress.best_step);
    r->progress.best_metric = -1;
    r->progress.best_epoch = r->progress.best_step = 0;
    return SR_OK;
}
