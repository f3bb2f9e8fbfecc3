/* A run: epochs of steps, validation, early stopping, checkpoints, resuming, and the final test. */
#include "srtrain/train.h"

#include "srtrain/clock.h"
#include "srtrain/memory.h"
#include "srtrain/plan.h"
#include "tensor/gemm.h"
#include "train/environment.h"
#include "train/metrics.h"
#include "train/run_files.h"
#include "train/signals.h"
#include "train/wisdom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    sr_parallel *parallel;
    const sr_run_options *options;
    const sr_settings *settings;
    const sr_kernels *kernels;
    sr_log *log;
    sr_run_paths paths;
    sr_dataset *dataset;
    sr_sampler *sampler;
    sr_model *model;
    sr_stepper stepper;
    sr_preflight preflight;
    size_t program;           /* bytes in memory at the start */
    double projected_from;    /* clock when steps began to be timed for the projection; -1: it has been made */
    int64_t projected_step;   /* the step at that time */
    sr_metrics_file *metrics; /* rank 0 only */
    sr_progress progress;
    double started, progress_before; /* clock at the start of this process's training; seconds trained before */
    double last_checkpoint, last_drawn;
    int64_t last_checkpoint_step; /* -1: none in this process */
} run;

/* How a stretch of training ended. */
typedef enum { ENDED_FINISHED, ENDED_STOPPED } ending;

static double trained_seconds(const run *r)
{
    return r->progress_before + sr_seconds() - r->started;
}

/* ---- set-up ---- */

static sr_status open_data(run *r, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(r->parallel), ranks = (size_t)sr_parallel_size(r->parallel);
    sr_status status = sr_dataset_open(&r->dataset, r->settings->data.path, error);
    if (status == SR_OK && r->settings->data.verify)
        status = sr_dataset_verify(r->dataset, rank, ranks, error);
    if (status == SR_OK && ranks > sr_dataset_users(r->dataset))
        status = sr_fail(error, SR_ERROR_USAGE,
                         "%zu ranks are more than the %zu users of %s: start at most as many ranks as there are users", ranks,
                         sr_dataset_users(r->dataset), r->settings->data.path);
    if (status == SR_OK)
        status = sr_sampler_create(&r->sampler, r->dataset, r->settings, error);
    return sr_parallel_agree(r->parallel, status, error);
}

/* Whether the run fits, before memory is taken and anything is written. */
static sr_status look_ahead(run *r, sr_error *error)
{
    const sr_plan_request request = {.settings = r->settings,
                                     .dataset = r->dataset,
                                     .sampler = r->sampler,
                                     .kernels = r->kernels,
                                     .ranks = (size_t)sr_parallel_size(r->parallel),
                                     .threads = sr_parallel_threads(r->parallel),
                                     .program = r->program};
    return sr_preflight_run(r->parallel, &request, r->paths.directory, &r->preflight, error);
}

static sr_status build_model(run *r, sr_error *error)
{
    const int64_t total_steps = (int64_t)sr_sampler_batches(r->sampler) * r->settings->training.epochs;
    sr_status status = sr_model_create(&r->model, &r->settings->model, sr_dataset_items(r->dataset),
                                       sr_dataset_users(r->dataset), error);
    if (status == SR_OK)
        status = sr_stepper_create(&r->stepper, r->parallel, r->settings, r->kernels, r->sampler, r->model, total_steps, error);
    if (status == SR_OK)
        sr_parameters_draw(sr_model_parameters(r->model), (uint64_t)r->settings->training.seed);
    r->progress = (sr_progress){.seed = (uint64_t)r->settings->training.seed, .best_metric = -1};
    return sr_parallel_agree(r->parallel, status, error);
}

static void report_refused(void *context, const char *path, const char *reason)
{
    sr_log_warning(context, "checkpoint %s is not used: %s", path, reason);
}

/* The checkpoint to go on from, or NULL: *path is released with free(). */
static sr_status find_checkpoint(run *r, char **path, sr_error *error)
{
    *path = NULL;
    switch (r->options->resume) {
    case SR_RESUME_PATH:
        return sr_parallel_agree(r->parallel, sr_copy_string(path, r->options->resume_path, error), error);
    case SR_RESUME_AUTO:
        return sr_checkpoint_newest(r->parallel, r->paths.checkpoints, path, report_refused, r->log, error);
    case SR_RESUME_NEVER:
        break;
    }
    return SR_OK;
}

static sr_status load_checkpoint(run *r, const char *path, sr_error *error)
{
    sr_checkpoint checkpoint = {0};
    SR_TRY(sr_checkpoint_read_header(r->parallel, path, &checkpoint, error));
    sr_status status = sr_parallel_agree(r->parallel, sr_run_check_fits(path, &checkpoint, r->settings, r->dataset, error),
                                         error);
    if (status == SR_OK)
        status = sr_checkpoint_read_state(r->parallel, path, sr_model_parameters(r->model), r->stepper.optimizer.first_moment,
                                          r->stepper.optimizer.second_moment, error);
    if (status == SR_OK) {
        r->progress = checkpoint.progress;
        r->progress.seed = (uint64_t)r->settings->training.seed; /* the same, unless no step has been trained yet */
        sr_log_information(r->log, "going on from %s: epoch %lld, step %lld", path, (long long)r->progress.epoch + 1,
                           (long long)r->progress.step);
    }
    sr_checkpoint_free(&checkpoint);
    return status;
}

/* A run that does not go on from the newest checkpoint of its directory must not write among those: they would be taken for its
 * own. */
static sr_status check_directory(const run *r, sr_error *error)
{
    if (r->options->resume == SR_RESUME_AUTO)
        return SR_OK;
    const int64_t newest = sr_run_newest_step(&r->paths);
    if (newest < 0 || (r->options->resume == SR_RESUME_PATH && newest <= r->progress.step))
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE,
                   "%s already holds checkpoints up to step %lld, and this run would start at step %lld: choose another "
                   "--output, or remove them",
                   r->paths.checkpoints, (long long)newest, (long long)r->progress.step);
}

static sr_status resume(run *r, sr_error *error)
{
    char *path = NULL;
    SR_TRY(find_checkpoint(r, &path, error));
    sr_status status = path ? load_checkpoint(r, path, error) : SR_OK;
    free(path);
    if (status == SR_OK)
        status = sr_parallel_agree(r->parallel, sr_parallel_rank(r->parallel) == 0 ? check_directory(r, error) : SR_OK, error);
    /* More epochs than before may have been asked for. */
    if (r->progress.epoch < r->settings->training.epochs && r->progress.finished == 1)
        r->progress.finished = 0;
    return status;
}

/* Rank 0 makes the directory and opens its files. */
static sr_status prepare_files(run *r, sr_error *error)
{
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0) {
        status = sr_run_prepare_directory(&r->paths, r->settings, error);
        if (status == SR_OK)
            status = sr_log_attach_file(r->log, r->paths.log, error);
    }
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    return sr_environment_write(r->parallel, r->options->program_version, r->kernels, r->paths.environment, error);
}

static sr_status open_metrics(run *r, sr_error *error)
{
    sr_status status = SR_OK;
    if (sr_parallel_rank(r->parallel) == 0)
        status = sr_metrics_open(&r->metrics, r->paths.metrics, r->progress.step, error);
    return sr_parallel_agree(r->parallel, status, error);
}

static void describe_run(const run *r)
{
    const sr_parameters *parameters = sr_model_parameters(r->model);
    size_t count = 0;
    for (size_t i = 0; i < parameters->count; ++i)
        count += parameters->list[i].size;
    sr_log_information(r->log, "data %s: %zu users, %zu items, %zu interactions; %zu training examples, %zu steps an epoch",
                       sr_dataset_directory(r->dataset), sr_dataset_users(r->dataset), sr_dataset_items(r->dataset),
                       sr_dataset_interactions(r->dataset), sr_sampler_examples(r->sampler), sr_sampler_batches(r->sampler));
    sr_log_information(
        r->log, "model: %zu parameters; %d ranks of %zu threads, global batch %lld, %s kernels, %s; output in %s", count,
        sr_parallel_size(r->parallel), sr_parallel_threads(r->parallel), (long long)r->settings->training.batch_size,
        r->kernels->level, sr_products_choose(r->settings->training.precision)->name, r->paths.directory);
    sr_preflight_log(&r->preflight, r->log);
}

/* ---- checkpoints ---- */

static sr_status write_state(run *r, const char *path, bool with_optimizer, sr_error *error)
{
    char *configuration = NULL;
    SR_TRY(sr_parallel_agree(r->parallel, sr_settings_text(r->settings, &configuration, error), error));
    r->progress.seconds = trained_seconds(r);
    /* Rank 0's clock is the one that is saved: the file must not depend on whose slice a counter falls into. */
    sr_status status = sr_parallel_broadcast(r->parallel, &r->progress.seconds, sizeof r->progress.seconds, error);
    char fingerprint[64];
    snprintf(fingerprint, sizeof fingerprint, "%s", sr_dataset_fingerprint(r->dataset));
    char version[64], directory[SR_PATH_SIZE];
    snprintf(version, sizeof version, "%s", r->options->program_version);
    snprintf(directory, sizeof directory, "%s", sr_dataset_directory(r->dataset));
    const sr_checkpoint checkpoint = {.progress = r->progress,
                                      .configuration = configuration,
                                      .program_version = version,
                                      .data_fingerprint = fingerprint,
                                      .data_directory = directory,
                                      .users = (int64_t)sr_dataset_users(r->dataset),
                                      .items = (int64_t)sr_dataset_items(r->dataset)};
    if (status == SR_OK)
        status = sr_checkpoint_write(r->parallel, path, &checkpoint, sr_model_parameters(r->model),
                                     with_optimizer ? r->stepper.optimizer.first_moment : NULL,
                                     with_optimizer ? r->stepper.optimizer.second_moment : NULL, error);
    free(configuration);
    return status;
}

static sr_status save_checkpoint(run *r, sr_error *error)
{
    if (r->last_checkpoint_step == r->progress.step && !r->progress.finished)
        return SR_OK;
    char path[SR_PATH_SIZE + 64];
    sr_run_checkpoint_path(&r->paths, r->progress.step, path, sizeof path);
    SR_TRY(write_state(r, path, true, error));
    r->last_checkpoint = sr_seconds();
    r->last_checkpoint_step = r->progress.step;
    return sr_checkpoint_rotate(r->parallel, r->paths.checkpoints, r->settings->checkpoint.keep, error);
}

/* ---- reports ---- */

static double epoch_mean_loss(const sr_progress *progress)
{
    return progress->epoch_loss_count > 0 ? progress->epoch_loss_sum / progress->epoch_loss_count : -1;
}

/* Whether anything has to be summed, so that somebody may have to wait. */
static bool reduces(const run *r)
{
    return (size_t)sr_parallel_size(r->parallel) * sr_parallel_threads(r->parallel) > 1;
}

static void draw_progress(run *r, double loss, double examples_per_second, double reduction_share)
{
    enum { CELLS = 24 };
    const double all = (double)sr_sampler_batches(r->sampler), done = (double)r->progress.batch;
    char bar[CELLS + 1];
    for (int cell = 0; cell < CELLS; ++cell)
        bar[cell] = cell < (int)(CELLS * done / all) ? '#' : '.';
    bar[CELLS] = '\0';
    const double left = (all - done) * (double)r->settings->training.batch_size /
                        (examples_per_second > 0 ? examples_per_second : 1);
    char reduction[32] = "";
    if (reduces(r))
        snprintf(reduction, sizeof reduction, "  reduction %.0f%%", 100 * reduction_share);
    sr_log_progress(r->log, "epoch %lld/%lld %s %3.0f%%  loss %.4f  %.0f examples/s%s  epoch ends in %.0f s",
                    (long long)r->progress.epoch + 1, (long long)r->settings->training.epochs, bar, 100 * done / all, loss,
                    examples_per_second, reduction, left);
}

/* What has passed since the last `train` line. */
typedef struct {
    double since, examples, reduction;
} interval;

static sr_status report_step(run *r, const sr_step_result *result, interval *passed, sr_error *error)
{
    passed->examples += result->examples;
    const bool due = r->progress.step % r->settings->logging.every_steps == 0;
    const double now = sr_seconds(), seconds = now - passed->since;
    const double rate = seconds > 0 ? passed->examples / seconds : 0;
    const double share = seconds > 0 ? (r->stepper.times.reduction - passed->reduction) / seconds : 0;
    const double targets = result->targets > 0 ? result->targets : 1;
    const double loss = result->loss_sum / targets;
    if (sr_log_is_terminal(r->log) && now - r->last_drawn > 0.2) {
        draw_progress(r, loss, rate, share);
        r->last_drawn = now;
    }
    if (!due)
        return SR_OK;
    sr_status status = SR_OK;
    if (r->metrics) {
        const sr_train_line line = {.step = r->progress.step,
                                    .epoch = r->progress.epoch + 1,
                                    .loss = loss,
                                    .has_attack = result->has_attack,
                                    .attacked_ranking = result->attacked_ranking_sum / targets,
                                    .mask_penalty = result->mask_penalty,
                                    .has_contrast = result->has_contrast,
                                    .contrastive = result->contrastive,
                                    .has_spectra = result->has_spectra,
                                    .spectral = result->spectral,
                                    .gradient_norm = result->gradient_norm,
                                    .learning_rate = result->learning_rate,
                                    .examples_per_second = rate,
                                    .reduction_share = share,
                                    .seconds = trained_seconds(r)};
        status = sr_metrics_write_train(r->metrics, &line, error);
        if (!sr_log_is_terminal(r->log))
            draw_progress(r, loss, rate, share);
    }
    *passed = (interval){now, 0, r->stepper.times.reduction};
    return sr_parallel_agree(r->parallel, status, error);
}

/* Where the time of this process's `steps` steps went, as means over ranks. */
static sr_status report_times(run *r, int64_t steps, sr_error *error)
{
    enum { PARTS = 6 };
    static const char *const names[PARTS] = {"data", "forward", "loss", "backward", "reduction", "optimizer"};
    const sr_step_times *t = &r->stepper.times;
    double parts[PARTS] = {t->data, t->forward, t->loss, t->backward, t->reduction, t->optimizer}, all = 0;
    int64_t longest = (int64_t)(1e9 * t->reduction);
    if (steps == 0)
        return SR_OK;
    SR_TRY(sr_parallel_sum_double(r->parallel, parts, PARTS, error));
    SR_TRY(sr_parallel_maximum_int64(r->parallel, &longest, 1, error));
    const double ranks = sr_parallel_size(r->parallel);
    char text[256] = "", most[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < PARTS; ++i)
        all += parts[i] / ranks;
    for (size_t i = 0; i < PARTS && used < sizeof text; ++i) {
        const int written = snprintf(text + used, sizeof text - used, "%s %s %.1f%%", i ? "," : "", names[i],
                                     100 * parts[i] / ranks / all);
        used += written > 0 ? (size_t)written : 0;
    }
    if (reduces(r))
        snprintf(most, sizeof most, " (waiting and summing: at most %.1f%% on a rank)", 100e-9 * (double)longest / all);
    sr_log_information(r->log, "a step took %.2f ms:%s%s", 1e3 * all / (double)steps, text, most);
    return SR_OK;
}

/* Once, when the time of a step has settled: how long everything will take. */
static void project_time(run *r)
{
    enum { WARM_UP = 5, STEPS = 10 };
    const double least = 5, now = sr_seconds();
    if (r->projected_from < 0)
        return;
    if (++r->projected_step <= WARM_UP) {
        r->projected_from = now;
        return;
    }
    const int64_t steps = r->projected_step - WARM_UP;
    if (steps < STEPS || now - r->projected_from < least)
        return;
    const double step = (now - r->projected_from) / (double)steps;
    const double left = (double)((int64_t)r->preflight.plan.steps - r->progress.step);
    char each[32], epoch[32], all[32];
    sr_format_seconds(step, each, sizeof each);
    sr_format_seconds(step * (double)r->preflight.plan.steps_of_epoch, epoch, sizeof epoch);
    sr_format_seconds(step * left, all, sizeof all);
    sr_log_information(r->log, "projected: %s a step, %s an epoch, %s for the %.0f steps that are left, without validation",
                       each, epoch, all, left);
    r->projected_from = -1;
}

/* What ranks held at most, for comparison with the plan. */
static sr_status report_memory(run *r, sr_error *error)
{
    int64_t peak = (int64_t)sr_peak_memory();
    SR_TRY(sr_parallel_maximum_int64(r->parallel, &peak, 1, error));
    char found[32], planned[32];
    sr_format_bytes((double)peak, found, sizeof found);
    sr_format_bytes((double)(r->preflight.plan.memory.total + r->preflight.plan.data), planned, sizeof planned);
    sr_log_information(r->log, "memory: at most %s on a rank (planned: %s with all data)", found, planned);
    return SR_OK;
}

static void log_ranking(sr_log *log, const char *what, const sr_settings *settings, const sr_ranking_metrics *metrics)
{
    char text[512];
    size_t used = 0;
    for (size_t k = 0; k < metrics->top_k_count && used < sizeof text; ++k) {
        const int written = snprintf(text + used, sizeof text - used, "  hr@%lld %.4f  ndcg@%lld %.4f",
                                     (long long)metrics->top_k[k], metrics->hr[k], (long long)metrics->top_k[k],
                                     metrics->ndcg[k]);
        used += written > 0 ? (size_t)written : 0;
    }
    sr_log_information(log, "%s (history %s, %lld cases):%s", what,
                       sr_settings_choice("evaluation.history", (int)settings->evaluation.history), (long long)metrics->cases,
                       text);
}

/* ---- validation and early stopping ---- */

static sr_status validate(run *r, sr_error *error)
{
    sr_ranking_metrics metrics;
    sr_model_set_step(r->model, r->progress.step);
    SR_TRY(sr_evaluate_model(r->parallel, r->model, r->dataset, &r->settings->evaluation, SR_SPLIT_VALID, r->kernels, &metrics,
                             error));
    char what[96];
    snprintf(what, sizeof what, "epoch %lld: train loss %.4f; valid", (long long)r->progress.epoch,
             epoch_mean_loss(&r->progress));
    log_ranking(r->log, what, r->settings, &metrics);
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_ranking(r->metrics, "valid", NULL, r->progress.step, r->progress.epoch,
                                          epoch_mean_loss(&r->progress), &metrics, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    const double metric = sr_ranking_metric(&metrics, r->settings->training.early_stopping.metric);
    if (metric > r->progress.best_metric) {
        r->progress.best_metric = metric;
        r->progress.best_epoch = r->progress.epoch;
        r->progress.best_step = r->progress.step;
        r->progress.validations_without_improvement = 0;
        return write_state(r, r->paths.best, false, error);
    }
    ++r->progress.validations_without_improvement;
    return SR_OK;
}

static bool stops_early(const run *r)
{
    const int64_t patience = r->settings->training.early_stopping.patience;
    return patience > 0 && r->progress.validations_without_improvement >= patience;
}

static sr_status end_epoch(run *r, sr_error *error)
{
    ++r->progress.epoch;
    r->progress.batch = 0;
    const int64_t every = r->settings->evaluation.every_epochs;
    if (every > 0 && (r->progress.epoch % every == 0 || r->progress.epoch == r->settings->training.epochs))
        SR_TRY(validate(r, error));
    r->progress.epoch_loss_sum = r->progress.epoch_loss_count = 0;
    if (stops_early(r)) {
        sr_log_information(r->log, "%s has not improved for %lld validations: training ends (best epoch %lld)",
                           r->settings->training.early_stopping.metric, (long long)r->progress.validations_without_improvement,
                           (long long)r->progress.best_epoch);
        r->progress.finished = 2;
    } else if (r->progress.epoch >= r->settings->training.epochs) {
        r->progress.finished = 1;
    }
    const int64_t save_every = r->settings->checkpoint.every_epochs;
    if (r->progress.finished || (save_every > 0 && r->progress.epoch % save_every == 0))
        return save_checkpoint(r, error);
    return SR_OK;
}

/* ---- the loop ---- */

/* Whether a checkpoint is due after this step, by number of steps or (by rank 0's clock) by time; the same on every rank. */
static sr_status checkpoint_is_due(run *r, bool *due, sr_error *error)
{
    const sr_checkpoint_settings *settings = &r->settings->checkpoint;
    *due = settings->every_steps > 0 && r->progress.step % settings->every_steps == 0;
    if (settings->every_minutes <= 0)
        return SR_OK;
    *due = *due || sr_seconds() - r->last_checkpoint >= 60 * settings->every_minutes;
    return sr_parallel_broadcast(r->parallel, due, sizeof *due, error);
}

static sr_status train_epoch(run *r, interval *passed, ending *end, sr_error *error)
{
    const int64_t batches = (int64_t)sr_sampler_batches(r->sampler);
    while (r->progress.batch < batches) {
        const bool flags[2] = {sr_signals_stop_requested(), sr_signals_take_checkpoint_request()};
        sr_step_result result;
        SR_TRY(sr_train_step(&r->stepper, r->progress.epoch, r->progress.batch, r->progress.step, flags, &result, error));
        ++r->progress.step;
        ++r->progress.batch;
        r->progress.epoch_loss_sum += result.loss_sum;
        r->progress.epoch_loss_count += result.targets;
        SR_TRY(report_step(r, &result, passed, error));
        project_time(r);
        bool due;
        SR_TRY(checkpoint_is_due(r, &due, error));
        if (due || result.votes[0] > 0 || result.votes[1] > 0)
            SR_TRY(save_checkpoint(r, error));
        if (result.votes[0] > 0) {
            *end = ENDED_STOPPED;
            return SR_OK;
        }
    }
    return end_epoch(r, error);
}

static sr_status train(run *r, ending *end, sr_error *error)
{
    *end = ENDED_FINISHED;
    r->started = r->last_checkpoint = sr_seconds();
    r->progress_before = r->progress.seconds;
    r->last_checkpoint_step = -1;
    interval passed = {r->started, 0, 0};
    const int64_t first_step = r->progress.step;
    if (r->progress.epoch >= r->settings->training.epochs)
        r->progress.finished = r->progress.finished ? r->progress.finished : 1;
    while (!r->progress.finished && *end == ENDED_FINISHED)
        SR_TRY(train_epoch(r, &passed, end, error));
    SR_TRY(report_times(r, r->progress.step - first_step, error));
    return *end == ENDED_STOPPED ? report_memory(r, error) : SR_OK;
}

/* ---- the end ---- */

/* The best parameters are those of best.h5; without any validation they are the last ones, which are then written there. */
static sr_status load_best(run *r, sr_error *error)
{
    if (r->progress.best_metric < 0)
        return write_state(r, r->paths.best, false, error);
    return sr_checkpoint_read_state(r->parallel, r->paths.best, sr_model_parameters(r->model), NULL, NULL, error);
}

static sr_status test(run *r, sr_error *error)
{
    SR_TRY(load_best(r, error));
    sr_model_set_step(r->model, r->progress.best_metric < 0 ? r->progress.step : r->progress.best_step);
    sr_ranking_metrics model, popularity;
    SR_TRY(sr_evaluate_model(r->parallel, r->model, r->dataset, &r->settings->evaluation, SR_SPLIT_TEST, r->kernels, &model,
                             error));
    SR_TRY(sr_evaluate_popularity(r->parallel, r->dataset, &r->settings->evaluation, SR_SPLIT_TEST, r->kernels, &popularity,
                                  error));
    log_ranking(r->log, "test, popularity", r->settings, &popularity);
    log_ranking(r->log, "test, model", r->settings, &model);
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_ranking(r->metrics, "test", "popularity", r->progress.best_step, r->progress.best_epoch, -1,
                                          &popularity, error);
    if (r->metrics && status == SR_OK)
        status = sr_metrics_write_ranking(r->metrics, "test", NULL, r->progress.best_step, r->progress.best_epoch, -1, &model,
                                          error);
    return sr_parallel_agree(r->parallel, status, error);
}

static sr_status run_all(run *r, sr_error *error)
{
    ending end;
    r->program = sr_resident_memory();
    SR_TRY(sr_parallel_agree(r->parallel, sr_run_paths_make(&r->paths, r->options->output, error), error));
    SR_TRY(sr_use_threads(r->parallel, &r->settings->training, error));
    SR_TRY(open_data(r, error));
    SR_TRY(look_ahead(r, error));
    SR_TRY(build_model(r, error));
    SR_TRY(resume(r, error));
    SR_TRY(prepare_files(r, error));
    SR_TRY(sr_share_wisdom(r->parallel, r->model, r->paths.wisdom, r->log, error));
    SR_TRY(open_metrics(r, error));
    describe_run(r);
    SR_TRY(train(r, &end, error));
    if (end == ENDED_STOPPED)
        return sr_fail(error, SR_STOPPED,
                       "stopped on request after step %lld; a checkpoint is written, run the same command again to go on",
                       (long long)r->progress.step);
    SR_TRY(test(r, error));
    return report_memory(r, error);
}

sr_status sr_train_run(sr_parallel *parallel, const sr_run_options *options, sr_error *error)
{
    run r = {.parallel = parallel,
             .options = options,
             .settings = options->settings,
             .kernels = sr_kernels_choose(NULL),
             .log = options->log};
    sr_status status = sr_parallel_agree(parallel, sr_signals_catch(error), error);
    if (status == SR_OK)
        status = run_all(&r, error);
    sr_signals_restore();
    sr_metrics_close(r.metrics);
    sr_stepper_free(&r.stepper);
    sr_model_free(r.model);
    sr_sampler_free(r.sampler);
    sr_dataset_close(r.dataset);
    return status;
}
