/* What a run says: what it works on, its progress, and where the time went. */
#include "run/run_state.h"

#include "srtrain/clock.h"
#include "run/phases.h"
#include "tensor/gemm.h"

#include <stdio.h>
#include <string.h>

enum { PHASES = 11 };

/* Who has which parameters, and why. A copy of the item table beside the table is what a division is to save. */
static void describe_division(const run *r)
{
    if (r->settings->model.item_table == SR_ITEM_TABLE_AUTO)
        sr_log_information(r->log, "the item table is %s: %s",
                           r->divides_items ? "divided among all threads of all ranks" : "replicated", r->preflight.plan.why);
    if (r->divides_items && r->settings->checkpoint.writing == SR_WRITING_OVERLAPPED)
        sr_log_information(r->log,
                           "checkpoint.writing overlapped: with a divided item table training waits for checkpoints, as "
                           "writing beside it needs a copy of the table");
    if (*r->stepper.why_not)
        sr_log_information(r->log, "ranks keep parameters and optimizer state of their own: %s", r->stepper.why_not);
}

void run_describe(const run *r)
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
        r->kernels->level, r->kernels->products[r->settings->training.precision]->name, r->paths.directory);
    describe_division(r);
    sr_cpu_log(r->options->cpu, r->log);
    sr_preflight_log(&r->preflight, r->log);
    const sr_time_limit *limit = &r->options->time_limit;
    if (limit->end > 0)
        sr_log_information(r->log, "time limit by %s: %.0f s from now, less what a checkpoint takes", limit->source,
                           limit->end - sr_seconds());
    else if (limit->asked)
        sr_log_warning(r->log, "--time-limit auto: no batch system says when this job ends; there is no limit");
}

double run_epoch_loss(const run *r)
{
    return r->progress.epoch_loss_count > 0 ? r->progress.epoch_loss_sum / r->progress.epoch_loss_count : -1;
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

sr_status run_report_step(run *r, const sr_step_result *result, sr_error *error)
{
    interval *passed = &r->passed;
    passed->examples += result->examples;
    const bool due = r->progress.step % r->settings->logging.every_steps == 0;
    const double now = sr_seconds(), seconds = now - passed->since;
    const double rate = seconds > 0 ? passed->examples / seconds : 0;
    const double share = seconds > 0 ? (r->stepper.times.reduction - passed->reduction) / seconds : 0;
    const double loss = sr_step_loss(result);
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
                                    .terms = &result->terms,
                                    .targets = result->targets,
                                    .gradient_norm = result->gradient_norm,
                                    .learning_rate = result->learning_rate,
                                    .examples_per_second = rate,
                                    .reduction_share = share,
                                    .seconds = run_trained_seconds(r)};
        status = sr_metrics_write_train(r->metrics, &line, error);
        if (!sr_log_is_terminal(r->log))
            draw_progress(r, loss, rate, share);
    }
    *passed = (interval){now, 0, r->stepper.times.reduction};
    return sr_parallel_agree(r->parallel, status, error);
}

sr_status run_report_times(run *r, sr_error *error)
{
    const int64_t steps = r->progress.step - r->first_step;
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

/* ---- phases over ranks ---- */

/* What a rank computes in steps, and "steps", which is that and the sums, tell more than their parts. */
static size_t measure_phases(const run *r, const char **names, double *seconds)
{
    const sr_step_times *t = &r->stepper.times;
    const double computing = t->data + t->forward + t->loss + t->backward + t->optimizer;
    const char *const list[PHASES] = {"setting up", "steps",     "computing", "data",        "forward",   "loss",
                                      "backward",   "optimizer", "reduction", "checkpoints", "validation"};
    const double times[PHASES] = {r->seconds.setting_up,
                                  computing + t->reduction,
                                  computing,
                                  t->data,
                                  t->forward,
                                  t->loss,
                                  t->backward,
                                  t->optimizer,
                                  t->reduction,
                                  r->costs.waited,
                                  r->seconds.validation};
    memcpy(names, list, sizeof list);
    memcpy(seconds, times, sizeof times);
    return PHASES;
}

static void log_phases(const run *r, const phase_times *over, size_t count)
{
    sr_log_information(r->log, "phases of %lld steps on %d ranks, in seconds:", (long long)(r->progress.step - r->first_step),
                       sr_parallel_size(r->parallel));
    sr_log_information(r->log, "  %-12s %10s %10s %10s  slowest", "", "minimum", "median", "maximum");
    for (size_t i = 0; i < count; ++i)
        if (over[i].most > 0)
            sr_log_information(r->log, "  %-12s %10.3f %10.3f %10.3f  rank %d on %s", over[i].name, over[i].least,
                               over[i].median, over[i].most, over[i].slowest, over[i].host);
}

sr_status run_report_phases(run *r, sr_error *error)
{
    const char *names[PHASES];
    double seconds[PHASES];
    phase_times over[PHASES];
    const size_t count = measure_phases(r, names, seconds);
    if (r->progress.step == r->first_step)
        return SR_OK;
    SR_TRY(phases_over_ranks(r->parallel, names, seconds, count, over, error));
    if (sr_parallel_size(r->parallel) > 1)
        log_phases(r, over, count);
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_phases(r->metrics, r->progress.step, r->progress.step - r->first_step,
                                         sr_parallel_size(r->parallel), over, count, error);
    return sr_parallel_agree(r->parallel, status, error);
}

void run_project_time(run *r)
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

sr_status run_report_memory(run *r, sr_error *error)
{
    int64_t peak = (int64_t)sr_peak_memory();
    SR_TRY(sr_parallel_maximum_int64(r->parallel, &peak, 1, error));
    char found[32], planned[32];
    sr_format_bytes((double)peak, found, sizeof found);
    sr_format_bytes((double)(r->preflight.plan.memory.total + r->preflight.plan.data), planned, sizeof planned);
    sr_log_information(r->log, "memory: at most %s on a rank (planned: %s with all data)", found, planned);
    return SR_OK;
}

void run_log_ranking(const run *r, const char *what, const sr_ranking_metrics *metrics)
{
    char text[512];
    size_t used = 0;
    for (size_t k = 0; k < metrics->top_k_count && used < sizeof text; ++k) {
        const int written = snprintf(text + used, sizeof text - used, "  hr@%lld %.4f  ndcg@%lld %.4f",
                                     (long long)metrics->top_k[k], metrics->hr[k], (long long)metrics->top_k[k],
                                     metrics->ndcg[k]);
        used += written > 0 ? (size_t)written : 0;
    }
    sr_log_information(r->log, "%s (history %s, %lld cases):%s", what,
                       sr_settings_choice("evaluation.history", (int)r->settings->evaluation.history),
                       (long long)metrics->cases, text);
}
