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
    sr_model_set_step(r->model, r->progress.step);
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
        status = sr_metrics_write_ranking(r->metrics, "valid", NULL, r->progress.step, r->progress.epoch, run_epoch_loss(r),
                                          &metrics, error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    const double seconds = sr_seconds() - start;
    r->seconds.validation += seconds;
    r->longest.validation = seconds > r->longest.validation ? seconds : r->longest.validation;
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

sr_status run_test(run *r, sr_error *error)
{
    SR_TRY(load_best(r, error));
    sr_parallel_phase(r->parallel, SR_PHASE_TEST, 0);
    const bool validated = r->progress.best_metric >= 0;
    const int64_t step = validated ? r->progress.best_step : r->progress.step;
    const int64_t epoch = validated ? r->progress.best_epoch : r->progress.epoch;
    sr_model_set_step(r->model, step);
    sr_ranking_metrics model, popularity;
    SR_TRY(sr_evaluate_model(r->parallel, r->model,
                             &(sr_evaluation){.dataset = r->dataset,
                                              .settings = &r->settings->evaluation,
                                              .split = SR_SPLIT_TEST,
                                              .kernels = r->kernels,
                                              .stop = run_must_stop_evaluating,
                                              .context = r},
                             &model, error));
    SR_TRY(sr_evaluate_popularity(
        r->parallel,
        &(sr_evaluation){
            .dataset = r->dataset, .settings = &r->settings->evaluation, .split = SR_SPLIT_TEST, .kernels = r->kernels},
        &popularity, error));
    if (model.cases > 0) {
        run_log_ranking(r, "test, popularity", &popularity);
        run_log_ranking(r, "test, model", &model);
    } else {
        sr_log_warning(r->log, "%s holds nothing out for the test: there are no test metrics",
                       sr_dataset_directory(r->dataset));
    }
    sr_status status = SR_OK;
    if (r->metrics)
        status = sr_metrics_write_ranking(r->metrics, "test", "popularity", step, epoch, -1, &popularity, error);
    if (r->metrics && status == SR_OK)
        status = sr_metrics_write_ranking(r->metrics, "test", NULL, step, epoch, -1, &model, error);
    if (r->metrics && status == SR_OK)
        status = sr_metrics_synchronise(r->metrics, error);
    return sr_parallel_agree(r->parallel, status, error);
}
