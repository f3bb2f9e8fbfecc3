/* Saving the state of a run: when, where, and whether all ranks agree on what is saved. */
#include "run/run_state.h"

#include "srtrain/clock.h"
#include "srtrain/file_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the same parameters everywhere ---- */

/* Names the ranks that differ from the parameters that most have. */
static sr_status name_strangers(const run *r, const uint64_t *checksums, sr_error *error)
{
    const int ranks = sr_parallel_size(r->parallel);
    int most = 0, common = 0;
    for (int i = 0; i < ranks; ++i) {
        int alike = 0;
        for (int k = 0; k < ranks; ++k)
            alike += checksums[k] == checksums[i];
        if (alike > most) {
            most = alike;
            common = i;
        }
    }
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < ranks && used < sizeof list; ++i)
        if (checksums[i] != checksums[common])
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", used ? ", " : "", i);
    return sr_fail(
        error, SR_ERROR_RUNTIME,
        "after step %lld the parameters are no longer the same on all ranks: those of %d of %d ranks are equal, rank "
        "%s differs (a defect of memory, network or MPI); the last checkpoint on disk is from before",
        (long long)r->progress.step, most, ranks, list);
}

sr_status run_compare_ranks(run *r, sr_error *error)
{
    uint64_t mine = sr_parameters_checksum(sr_model_parameters(r->model));
    /* Equal when the largest is also the smallest. */
    int64_t extremes[2] = {(int64_t)(mine >> 1), -(int64_t)(mine >> 1)};
    if (sr_parallel_size(r->parallel) == 1)
        return SR_OK;
    SR_TRY(sr_parallel_maximum_int64(r->parallel, extremes, 2, error));
    if (extremes[0] == -extremes[1])
        return SR_OK;
    void *all = NULL;
    size_t *offsets = NULL;
    SR_TRY(sr_parallel_gather_all(r->parallel, SR_OK, &mine, 1, sizeof mine, &all, &offsets, error));
    const sr_status status = name_strangers(r, all, error);
    free(all);
    free(offsets);
    return status;
}

/* ---- what is written ---- */

/* A checkpoint with the texts that it points to. */
typedef struct {
    sr_checkpoint checkpoint;
    char *configuration; /* released with free() */
    char fingerprint[64], version[64], directory[SR_PATH_SIZE];
} described_state;

/* Collective. */
static sr_status describe_state(run *r, described_state *state, sr_error *error)
{
    state->configuration = NULL;
    SR_TRY(sr_stepper_settle(&r->stepper, error));
    const sr_status status = sr_parallel_agree(r->parallel, sr_settings_text(r->settings, &state->configuration, error), error);
    if (status != SR_OK) {
        free(state->configuration);
        return status;
    }
    r->progress.seconds = run_trained_seconds(r);
    snprintf(state->fingerprint, sizeof state->fingerprint, "%s", sr_dataset_fingerprint(r->dataset));
    snprintf(state->version, sizeof state->version, "%s", r->options->program_version);
    snprintf(state->directory, sizeof state->directory, "%s", sr_dataset_directory(r->dataset));
    state->checkpoint = (sr_checkpoint){.progress = r->progress,
                                        .configuration = state->configuration,
                                        .program_version = state->version,
                                        .item_names_of = r->dataset,
                                        .data_fingerprint = state->fingerprint,
                                        .data_directory = state->directory,
                                        .users = (int64_t)sr_dataset_users(r->dataset),
                                        .items = (int64_t)sr_dataset_items(r->dataset)};
    return SR_OK;
}

/* By all ranks together. */
static sr_status write_state(run *r, const char *path, bool with_optimizer, sr_error *error)
{
    described_state state;
    sr_parallel_phase(r->parallel, SR_PHASE_CHECKPOINT, r->progress.step);
    SR_TRY(describe_state(r, &state, error));
    const sr_status status = sr_checkpoint_write(r->parallel, path, &state.checkpoint, sr_model_parameters(r->model),
                                                 with_optimizer ? &r->stepper.optimizer.state : NULL, error);
    free(state.configuration);
    return status;
}

/* By a thread of rank 0; *begun tells every rank whether that was possible. */
static sr_status begin_beside(run *r, const char *path, bool *begun, sr_error *error)
{
    described_state state;
    SR_TRY(describe_state(r, &state, error));
    *begun = sr_parallel_rank(r->parallel) == 0 &&
             sr_checkpoint_begin(&r->saving, path, &state.checkpoint, sr_model_parameters(r->model),
                                 &r->stepper.optimizer.state, (size_t)sr_parallel_node_size(r->parallel));
    free(state.configuration);
    return sr_parallel_broadcast(r->parallel, begun, sizeof *begun, error);
}

sr_status run_write_best(run *r, sr_error *error)
{
    SR_TRY(run_finish_saving(r, error));
    return write_state(r, r->paths.best, false, error);
}

/* ---- when, and what it costs ---- */

/* The checkpoint of r->last_checkpoint_step stands: old ones may go. */
static sr_status end_saving(run *r, double start, double written, sr_error *error)
{
    SR_TRY(sr_checkpoint_rotate(r->parallel, r->paths.checkpoints, r->settings->checkpoint.keep, error));
    const double held = r->costs.held + sr_seconds() - start, longer = held > written ? held : written;
    r->longest.checkpoint = longer > r->longest.checkpoint ? longer : r->longest.checkpoint;
    ++r->costs.count;
    r->costs.waited += held;
    r->costs.held = 0;
    char beside[64] = "";
    if (written > 0)
        snprintf(beside, sizeof beside, ", and was written in %.3f s beside it", written);
    sr_log_information(r->log, "the checkpoint of step %lld held training up for %.3f s%s", (long long)r->last_checkpoint_step,
                       held, beside);
    return SR_OK;
}

/* Bytes of the parameters and of the optimizer's state. */
static uint64_t state_bytes(const run *r)
{
    const size_t blocks = 1 + r->stepper.optimizer.state.count;
    return blocks * sr_model_parameters(r->model)->block_size * sizeof(sr_real);
}

sr_status run_finish_saving(run *r, sr_error *error)
{
    char path[SR_PATH_SIZE + 64];
    const double start = sr_seconds();
    double written = 0;
    if (!r->is_saving)
        return SR_OK;
    sr_parallel_phase(r->parallel, SR_PHASE_CHECKPOINT, r->last_checkpoint_step);
    sr_run_checkpoint_path(&r->paths, r->last_checkpoint_step, path, sizeof path);
    sr_file_work_begin_writing(path, 2 * state_bytes(r)); /* it is read again */
    sr_status status = r->saving ? sr_checkpoint_finish(r->saving, &written, error) : SR_OK;
    r->saving = NULL;
    r->is_saving = false;
    status = sr_parallel_agree(r->parallel, status, error);
    sr_file_work_end();
    SR_TRY(status);
    return end_saving(r, start, written, error);
}

void run_abandon_saving(run *r)
{
    double seconds;
    if (r->saving)
        (void)sr_checkpoint_finish(r->saving, &seconds, NULL); /* the run has failed for another reason */
    r->saving = NULL;
}

bool run_has_saved(const run *r)
{
    return r->saving && sr_checkpoint_is_written(r->saving);
}

/* A run that goes on from a checkpoint does not write the lines before it again: they are on the disk before it is. */
static sr_status settle_metrics(run *r, sr_error *error)
{
    return sr_parallel_agree(r->parallel, r->metrics ? sr_metrics_synchronise(r->metrics, error) : SR_OK, error);
}

sr_status run_save(run *r, bool beside, sr_error *error)
{
    char path[SR_PATH_SIZE + 64];
    SR_TRY(run_finish_saving(r, error));
    if (r->last_checkpoint_step == r->progress.step && !r->progress.finished)
        return SR_OK;
    const double start = sr_seconds();
    sr_run_checkpoint_path(&r->paths, r->progress.step, path, sizeof path);
    SR_TRY(run_compare_ranks(r, error));
    SR_TRY(settle_metrics(r, error));
    r->last_checkpoint = start;
    r->last_checkpoint_step = r->progress.step;
    if (beside && r->settings->checkpoint.writing == SR_WRITING_OVERLAPPED)
        SR_TRY(begin_beside(r, path, &r->is_saving, error));
    if (r->is_saving) {
        r->costs.held = sr_seconds() - start;
        return SR_OK;
    }
    SR_TRY(write_state(r, path, true, error));
    return end_saving(r, start, 0, error);
}

void run_report_saving(const run *r)
{
    const double all = sr_seconds() - r->started;
    if (r->costs.count > 0)
        sr_log_information(r->log, "%lld checkpoints held training up for %.2f s, %.1f%% of its time",
                           (long long)r->costs.count, r->costs.waited, 100 * r->costs.waited / all);
}

bool run_save_is_due(const run *r)
{
    const int64_t every = r->settings->checkpoint.every_steps;
    return every > 0 && r->progress.step % every == 0;
}

bool run_save_is_overdue(const run *r)
{
    const double minutes = r->settings->checkpoint.every_minutes;
    return minutes > 0 && sr_parallel_rank(r->parallel) == 0 && sr_seconds() - r->last_checkpoint >= 60 * minutes;
}
