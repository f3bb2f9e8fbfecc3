/* Validation and the final test of a run. */
#include "run/run_state.h"

#include "srtrain/clock.h"

#include <stdio.h>

sr_status run_validate(run *r, sr_error *error)
{
    const double start = sr_seconds();
    sr_ranking_metrics metrics;
    sr_parallel_phase(r->parallel, SR_PHASE_VALIDATION, r->progress.step);
    SR_TRY(sr_stepper_settle(&r->stepper, error));
    sr_model_set_step(r->model, sr_progress_model_steps(&r->progress));
    SR_TRY(sr_evaluate_model(r->parallel, r->model,
                             &(sr_evaluation){.dataset = r->dataset,
                                              .settings = &r->settings->evaluation,
                                              .split = SR_SPLIT_VALID,
                                              .kernels = r->kernels,
                                              .stop = run_must_stop_evaluating,
                                              .context = r},
                             &metrics, error));
    if (metrics.cases == 0) {
        if (!r->warned_of_no_case)
            sr_log_warning(r->log,
                           "%s holds nothing out for validation: the last parameters count as the best, and nothing "
                           "stops training early",
                           sr_dataset_directory(r->dataset));
        r->warned_of_no_case = true;
        return SR_OK;
    }
    char what[96];
    snprintf(what, sizeof what, "epoch %lld: train loss %.4f; valid", (long long)r->progress.epoch, run_epoch_loss(r));
    run_log_ranking(r, what, &metrics);
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_ranking(r->metrics,
                                          &(sr_ranking_line){.kind = "valid",
                                                             .step = r->progress.step,
                                                             .epoch = r->progress.epoch,
                                                             .train_loss = run_epoch_loss(r),
                                                             .metrics = &metrics},
                                          error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    const double seconds = sr_seconds() - start;
    r->seconds.validation += seconds;
    r->longest.validation = seconds > r->longest.validation ? seconds : r->longest.validation;
    run_times_add(r->times, TIMES_VALIDATION, seconds);
    const double metric = sr_ranking_metric(&metrics, r->settings->training.early_stopping.metric);
    if (metric > r->progress.best_metric) {
        r->progress.best_metric = metric;
        r->progress.best_epoch = r->progress.epoch;
        r->progress.best_step = r->progress.step;
        r->progress.validations_without_improvement = 0;
        return run_write_best(r, error);
    }
    ++r->progress.validations_without_improvement;
    return SR_OK;
}

/* The best parameters are those of best.h5; without any validation they are the last ones, which are then written there. */
static sr_status load_best(run *r, sr_error *error)
{
    SR_TRY(run_finish_saving(r, error));
    if (r->progress.best_metric < 0)
        return run_write_best(r, error);
    return sr_checkpoint_read_shared_state(r->parallel, r->stepper.node, r->paths.best, sr_model_parameters(r->model), NULL,
                                           error);
}

/* What the test says of the model, and of what knows nothing of a user. */
typedef struct {
    sr_ranking_metrics model, popularity;
    sr_recent_popularity recent;
} test_metrics;

static sr_status test_all(run *r, test_metrics *found, sr_error *error)
{
    sr_evaluation evaluation = {.dataset = r->dataset,
                                .settings = &r->settings->evaluation,
                                .split = SR_SPLIT_TEST,
                                .kernels = r->kernels,
                                .stop = run_must_stop_evaluating,
                                .context = r};
    SR_TRY(sr_evaluate_model(r->parallel, r->model, &evaluation, &found->model, error));
    evaluation.stop = NULL;
    SR_TRY(sr_evaluate_popularity(r->parallel, &evaluation, &found->popularity, error));
    return sr_evaluate_recent_popularity(r->parallel, &evaluation, &found->recent, error);
}

static void log_test(const run *r, const test_metrics *found)
{
    if (found->model.cases == 0) {
        sr_log_warning(r->log, "%s holds nothing out for the test: there are no test metrics",
                       sr_dataset_directory(r->dataset));
        return;
    }
    char what[96];
    snprintf(what, sizeof what, "test, popularity of the last %lld days of training (%lld interactions)",
             (long long)found->recent.days, (long long)found->recent.interactions);
    run_log_ranking(r, "test, popularity", &found->popularity);
    if (found->recent.measured)
        run_log_ranking(r, what, &found->recent.metrics);
    else if (found->recent.days > 0)
        sr_log_information(r->log, "test, popularity of the last %lld days: not known, %s has no time stamps",
                           (long long)found->recent.days, sr_dataset_directory(r->dataset));
    run_log_ranking(r, "test, model", &found->model);
}

static sr_status write_test(run *r, const test_metrics *found, sr_error *error)
{
    const bool validated = r->progress.best_metric >= 0;
    sr_ranking_line line = {.kind = "test",
                            .baseline = "popularity",
                            .step = validated ? r->progress.best_step : r->progress.step,
                            .epoch = validated ? r->progress.best_epoch : r->progress.epoch,
                            .train_loss = -1,
                            .metrics = &found->popularity};
    SR_TRY(sr_metrics_write_ranking(r->metrics, &line, error));
    if (found->recent.measured) {
        line.baseline = "recent_popularity";
        line.metrics = &found->recent.metrics;
        line.recent = &found->recent;
        SR_TRY(sr_metrics_write_ranking(r->metrics, &line, error));
    }
    line.baseline = NULL;
    line.metrics = &found->model;
    line.recent = NULL;
    SR_TRY(sr_metrics_write_ranking(r->metrics, &line, error));
    return sr_metrics_synchronise(r->metrics, error);
}

sr_status run_test(run *r, sr_error *error)
{
    test_metrics found;
    SR_TRY(load_best(r, error));
    const double start = sr_seconds();
    sr_parallel_phase(r->parallel, SR_PHASE_TEST, 0);
    sr_model_set_step(r->model,
                      r->progress.earlier_steps + (r->progress.best_metric >= 0 ? r->progress.best_step : r->progress.step));
    SR_TRY(test_all(r, &found, error));
    log_test(r, &found);
    const sr_status status = r->metrics ? write_test(r, &found, error) : SR_OK;
    run_times_add(r->times, TIMES_TEST, sr_seconds() - start);
    return sr_parallel_agree(r->parallel, status, error);
}
