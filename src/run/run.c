/* A run: set-up, epochs of steps, and the end. */
#include "run/run_state.h"

#include "srtrain/clock.h"
#include "srtrain/file_work.h"
#include "run/crash.h"
#include "run/environment.h"
#include "run/signals.h"
#include "run/time_gaps.h"
#include "run/wisdom.h"

#include <stdio.h>
#include <stdlib.h>

double run_trained_seconds(const run *r)
{
    return r->progress_before + sr_seconds() - r->started;
}

/* ---- set-up ---- */

/* Its table, if it needs one, is made by all ranks together. */
static sr_status create_sampler(run *r, sr_error *error)
{
    sr_sampling sampling = sr_settings_sampling(r->settings);
    sampling.shares_table = true;
    return sr_sampler_create(&r->sampler, r->dataset, &sampling, error);
}

/* Every rank looks at its part of the data set, and waits for the others. */
static sr_status read_data(run *r, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(r->parallel), ranks = (size_t)sr_parallel_size(r->parallel);
    enum { PASSES = 4 }; /* over all of it, at most */
    sr_status status = sr_dataset_open(&r->dataset, r->settings->data.path, error);
    if (status == SR_OK)
        sr_file_work_add(PASSES * sr_dataset_bytes(r->dataset));
    if (status == SR_OK && r->settings->data.verify)
        status = sr_dataset_verify(r->dataset, rank, ranks, error);
    if (status == SR_OK && ranks > sr_dataset_users(r->dataset))
        status = sr_fail(error, SR_ERROR_USAGE,
                         "%zu ranks are more than the %zu users of %s: start at most as many ranks as there are users", ranks,
                         sr_dataset_users(r->dataset), r->settings->data.path);
    if (status == SR_OK)
        status = sr_model_check_items(&r->settings->model, sr_dataset_items(r->dataset), error);
    if (status == SR_OK)
        status = create_sampler(r, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    char text[128];
    snprintf(text, sizeof text, "a data set with fingerprint %s", sr_dataset_fingerprint(r->dataset));
    SR_TRY(sr_parallel_compare(r->parallel, text, "every rank reads the data set where it runs, and all need the same", error));
    return sr_share_sampler_table(&r->sampler_table, r->parallel, r->sampler, error);
}

static sr_status open_data(run *r, sr_error *error)
{
    sr_file_work_begin_reading(r->settings->data.path, 0);
    const sr_status status = read_data(r, error);
    sr_file_work_end();
    return status;
}

/* Whether the run fits, before memory is taken and anything is written. */
static sr_status look_ahead(run *r, sr_error *error)
{
    bool shares;
    SR_TRY(sr_node_is_possible(r->parallel, &shares, error));
    const sr_plan_request request = {.settings = r->settings,
                                     .dataset = r->dataset,
                                     .sampler = r->sampler,
                                     .kernels = r->kernels,
                                     .ranks = (size_t)sr_parallel_size(r->parallel),
                                     .threads = sr_parallel_threads(r->parallel),
                                     .shares = shares && sr_training_shares(&r->settings->training),
                                     .program = r->program,
                                     .network = {.latency = SR_PLAN_NETWORK_LATENCY,
                                                 .bandwidth = SR_PLAN_NETWORK_BANDWIDTH,
                                                 .ranks_of_node = (size_t)sr_parallel_node_size(r->parallel)}};
    return sr_preflight_run(r->parallel, &request, r->paths.directory, &r->preflight, error);
}

static sr_status build_model(run *r, sr_error *error)
{
    const int64_t total_steps = (int64_t)sr_sampler_batches(r->sampler) * r->settings->training.epochs;
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(r->parallel),
                                       .ranks = (size_t)sr_parallel_size(r->parallel),
                                       .threads = sr_parallel_threads(r->parallel),
                                       .popularity = sr_dataset_popularity(r->dataset)};
    const size_t items = sr_dataset_items(r->dataset), users = sr_dataset_users(r->dataset);
    sr_status status = r->divides_items
                           ? sr_model_declare_divided(&r->model, &r->settings->model, items, users, &division, error)
                           : sr_model_declare(&r->model, &r->settings->model, items, users, error);
    if (r->divides_items) /* placing rows has gone through the counts of all items */
        sr_dataset_let_go(r->dataset);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    SR_TRY(sr_stepper_create(&r->stepper, r->parallel, r->settings, r->kernels, r->sampler, r->model, total_steps, error));
    r->progress = (sr_progress){.seed = (uint64_t)r->settings->training.seed, .best_metric = -1};
    return SR_OK;
}

/* Rank 0 becomes the owner of the run's directory, before anything in it is read. */
static sr_status lock_directory(run *r, sr_error *error)
{
    const directory_lock_options options = {
        .directory = r->paths.directory, .log = r->log, .must_end = sr_signals_stop_requested};
    const bool is_root = sr_parallel_rank(r->parallel) == 0;
    return sr_parallel_agree(r->parallel, is_root ? directory_lock_take(&r->lock, &options, error) : SR_OK, error);
}

/* Rank 0 makes the directory and opens its files. */
static sr_status prepare_files(run *r, sr_error *error)
{
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0) {
        status = sr_run_prepare_directory(&r->paths, r->settings, error);
        if (status == SR_OK)
            status = sr_log_attach_file(r->log, r->paths.log, error);
        if (status == SR_OK && (r->begins_at_path || r->takes))
            status = sr_run_note_beginning(&r->paths, r->takes ? r->options->from : r->options->resume_path, error);
    }
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    const run_environment environment = {.program_version = r->options->program_version,
                                         .program_commit = r->options->program_commit,
                                         .cpu = r->options->cpu,
                                         .item_table = r->divides_items ? "divided" : "replicated",
                                         .item_table_reason = r->preflight.plan.why};
    return run_environment_write(r->parallel, &environment, r->paths.environment, error);
}

static sr_status open_metrics(run *r, sr_error *error)
{
    const int64_t last_step = r->takes ? -1 : r->progress.step; /* which has the line of run_note_taken() */
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0)
        status = sr_metrics_open(&r->metrics, r->paths.metrics, r->settings->logging.tensorboard ? r->paths.events : NULL,
                                 last_step, r->progress.epoch, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    if (r->takes)
        SR_TRY(run_note_taken(r, error));
    return run_times_open(&r->times, r->parallel, r->paths.times, r->progress.step, error);
}

/* ---- epochs ---- */

static bool stops_early(const run *r)
{
    const int64_t patience = r->settings->training.early_stopping.patience;
    return patience > 0 && r->progress.validations_without_improvement >= patience;
}

/* Whether this epoch, the `epoch`th, ends with a validation. */
static bool validates(const run *r, int64_t epoch)
{
    const int64_t every = r->settings->evaluation.every_epochs;
    return every > 0 && (epoch % every == 0 || epoch == r->settings->training.epochs);
}

/* Whether the run ends here for now, as --until-epoch says. */
static bool has_come_far_enough(const run *r)
{
    return r->options->until_epoch > 0 && r->progress.epoch >= r->options->until_epoch && !r->progress.finished;
}

/* SR_STOPPED when the validation was: then the epoch's last step is where training goes on, with the validation. Also when the
 * run has come far enough. */
static sr_status end_epoch(run *r, sr_error *error)
{
    ++r->progress.epoch;
    r->progress.batch = 0;
    if (validates(r, r->progress.epoch)) {
        const sr_status status = run_validate(r, error);
        if (status == SR_STOPPED) {
            --r->progress.epoch;
            r->progress.batch = (int64_t)sr_sampler_batches(r->sampler);
        }
        SR_TRY(status);
    }
    r->progress.epoch_loss_sum = r->progress.epoch_loss_count = 0;
    if (stops_early(r)) {
        sr_log_information(r->log, "%s has not improved for %lld validations: training ends (best epoch %lld)",
                           r->settings->training.early_stopping.metric, (long long)r->progress.validations_without_improvement,
                           (long long)r->progress.best_epoch);
        r->progress.finished = SR_FINISHED_EARLY;
    } else if (r->progress.epoch >= r->settings->training.epochs) {
        r->progress.finished = SR_FINISHED_EPOCHS;
    }
    if (has_come_far_enough(r))
        return sr_fail(error, SR_STOPPED, "stopped");
    const int64_t save_every = r->settings->checkpoint.every_epochs;
    if (r->progress.finished || (save_every > 0 && r->progress.epoch % save_every == 0))
        SR_TRY(run_save(r, !r->progress.finished, error));
    return run_note_times(r, error);
}

/* A step that was not finite has changed nothing; too many in a row end training. */
static sr_status skip_step(run *r, const sr_step_result *result, sr_error *error)
{
    const int64_t allowed = r->settings->training.skip_nonfinite_steps;
    if (++r->skipped_in_a_row > allowed)
        return sr_fail(error, SR_ERROR_RUNTIME, "%s (after %lld skipped steps in a row)", result->reason, (long long)allowed);
    sr_log_warning(r->log, "step %lld (epoch %lld) is skipped: %s", (long long)r->progress.step + 1,
                   (long long)r->progress.epoch + 1, result->reason);
    return SR_OK;
}

/* One step, and what is counted and reported of it. */
static sr_status take_step(run *r, const bool votes[SR_VOTES], sr_step_result *result, sr_error *error)
{
    const double start = sr_seconds();
    sr_parallel_phase(r->parallel, SR_PHASE_STEP, r->progress.step + 1);
    SR_TRY(sr_train_step(&r->stepper, r->progress.epoch, r->progress.batch, r->progress.step, votes, result, error));
    if (result->skipped)
        SR_TRY(skip_step(r, result, error));
    ++r->progress.step;
    ++r->progress.batch;
    if (!result->skipped) {
        r->skipped_in_a_row = 0;
        r->progress.epoch_loss_sum += result->terms.list[0].value; /* a sum over targets */
        r->progress.epoch_loss_count += result->targets;
        SR_TRY(run_report_step(r, result, error));
        run_project_time(r);
    }
    const int64_t compare_every = r->settings->training.compare_ranks_every_steps;
    if (compare_every > 0 && r->progress.step % compare_every == 0)
        SR_TRY(run_compare_ranks(r, error));
    const double seconds = sr_seconds() - start;
    r->longest.step = seconds > r->longest.step ? seconds : r->longest.step;
    return SR_OK;
}

/* What went wrong in a step says which one it was. */
static sr_status name_step(const run *r, sr_status status, sr_error *error)
{
    if (status != SR_OK)
        sr_error_prepend(error, "step %lld (epoch %lld): ", (long long)r->progress.step + 1, (long long)r->progress.epoch + 1);
    return status;
}

/* SR_STOPPED after a checkpoint, when that was voted for. */
static sr_status train_epoch(run *r, sr_error *error)
{
    const int64_t batches = (int64_t)sr_sampler_batches(r->sampler);
    while (r->progress.batch < batches) {
        const bool last = r->progress.batch + 1 == batches && validates(r, r->progress.epoch + 1);
        const bool votes[SR_VOTES] = {[SR_VOTE_STOP] = run_must_stop(r, last),
                                      [SR_VOTE_SAVE] = sr_signals_take_checkpoint_request() || run_save_is_overdue(r),
                                      [SR_VOTE_WRITTEN] = run_has_saved(r)};
        sr_step_result result;
        SR_TRY(name_step(r, take_step(r, votes, &result, error), error));
        if (result.votes[SR_VOTE_STOP])
            return sr_fail(error, SR_STOPPED, "stopped");
        if (result.votes[SR_VOTE_WRITTEN])
            SR_TRY(run_finish_saving(r, error));
        if (result.votes[SR_VOTE_SAVE] || run_save_is_due(r))
            SR_TRY(run_save(r, true, error));
    }
    return end_epoch(r, error);
}

/* SR_STOPPED when training was stopped; then its state is saved. */
static sr_status train(run *r, sr_error *error)
{
    sr_status status = SR_OK;
    r->started = r->last_checkpoint = r->passed.since = sr_seconds();
    r->progress_before = r->progress.seconds;
    r->last_checkpoint_step = -1;
    r->first_step = r->progress.step;
    r->seconds.setting_up = r->started - r->begun;
    if (r->progress.epoch >= r->settings->training.epochs)
        r->progress.finished = r->progress.finished ? r->progress.finished : SR_FINISHED_EPOCHS;
    if (has_come_far_enough(r)) { /* already: what it goes on from is there */
        r->last_checkpoint_step = r->begins_at_path ? -1 : r->first_step;
        status = SR_STOPPED;
    }
    while (!r->progress.finished && status == SR_OK)
        status = train_epoch(r, error);
    if (status == SR_STOPPED)
        SR_TRY(run_save(r, false, error));
    else
        SR_TRY(status);
    SR_TRY(run_finish_saving(r, error));
    SR_TRY(run_note_times(r, error));
    run_report_saving(r);
    SR_TRY(run_report_times(r, error));
    SR_TRY(run_report_phases(r, error));
    return status;
}

/* ---- the whole ---- */

static sr_status start_watchdog(run *r, sr_error *error)
{
    const sr_watchdog_options options = {.stall_seconds = r->options->stall_seconds,
                                         .vote_seconds = 30,
                                         .must_end = sr_signals_stop_requested,
                                         .slowest_files = 1e6 * r->settings->checkpoint.slowest_megabytes_per_second,
                                         .directory = r->paths.directory,
                                         .advice = "the same command goes on from the last checkpoint"};
    return sr_watchdog_start(&r->watchdog, r->parallel, &options, error);
}

/* Until the watchdog looks on. The owner of a directory may be waited for. */
static void guard_start(const run *r)
{
    enum { LOCK_SECONDS = 180 };
    const double stall = r->options->stall_seconds;
    sr_watchdog_guard("the start of the run", stall > 0 ? stall + LOCK_SECONDS : 0);
}

static sr_status run_all(run *r, sr_error *error)
{
    guard_start(r);
    r->begun = sr_seconds();
    r->program = sr_resident_memory();
    SR_TRY(sr_parallel_agree(r->parallel, sr_run_paths_make(&r->paths, r->options->output, error), error));
    SR_TRY(lock_directory(r, error));
    SR_TRY(sr_use_threads(r->parallel, &r->settings->training, error));
    SR_TRY(start_watchdog(r, error));
    SR_TRY(open_data(r, error));
    SR_TRY(look_ahead(r, error));
    r->divides_items = r->preflight.plan.table == SR_PLAN_DIVIDED;
    SR_TRY(build_model(r, error));
    SR_TRY(run_resume(r, error));
    SR_TRY(prepare_files(r, error));
    SR_TRY(run_adopt_best(r, error));
    SR_TRY(sr_share_wisdom(r->parallel, r->model, r->paths.wisdom, r->log, error));
    SR_TRY(open_metrics(r, error));
    run_describe(r);
    char warning[512];
    if (sr_model_training_warning(&r->settings->model, sr_model_items(r->model), warning, sizeof warning))
        sr_log_warning(r->log, "%s", warning);
    SR_TRY(time_gaps_check(r->parallel, r->dataset, &r->settings->model, r->log, error));
    sr_status status = train(r, error);
    if (status == SR_OK)
        status = run_test(r, error);
    if (status == SR_OK)
        status = run_note_times(r, error);
    if (status == SR_OK || status == SR_STOPPED)
        SR_TRY(run_report_memory(r, error));
    if (status == SR_OK)
        status = sr_parallel_agree(r->parallel, sr_log_check(r->log, error), error);
    if (status == SR_STOPPED && has_come_far_enough(r))
        (void)sr_fail(error, SR_STOPPED,
                      "stopped after epoch %lld, as --until-epoch says; a checkpoint is written, run the same command with "
                      "more epochs to go on",
                      (long long)r->progress.epoch);
    else if (status == SR_STOPPED)
        (void)sr_fail(error, SR_STOPPED,
                      "stopped on request after step %lld; a checkpoint is written, run the same command again to go on",
                      (long long)r->progress.step);
    return status;
}

sr_status sr_train_run(sr_parallel *parallel, const sr_run_options *options, sr_error *error)
{
    run r = {.parallel = parallel,
             .options = options,
             .settings = options->settings,
             .kernels = options->cpu->kernels,
             .log = options->log};
    sr_status status = sr_parallel_agree(parallel, sr_signals_catch(error), error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, crash_catch(parallel, error), error);
    if (status == SR_OK)
        status = run_all(&r, error);
    run_abandon_saving(&r);
    crash_restore();
    sr_signals_restore();
    sr_metrics_close(r.metrics);
    run_times_close(r.times);
    sr_stepper_free(&r.stepper);
    sr_model_free(r.model);
    sr_sampler_free(r.sampler);
    sr_node_memory_free(r.sampler_table);
    sr_dataset_close(r.dataset);
    directory_lock_release(r.lock);
    sr_watchdog_stop(r.watchdog);
    return status;
}
