/* What a run that goes on decides: whether it trains, which parameters count as the best, and where it may write. */
#include "run/resume_decisions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Settings of 5 epochs that stop early after 3 validations. */
static sr_settings settings_of(const char *metric, const char *more)
{
    char metric_is[64];
    snprintf(metric_is, sizeof metric_is, "training.early_stopping.metric=%s", metric);
    const char *const assignments[] = {"data.path=none", "training.epochs=5", "training.early_stopping.patience=3", metric_is,
                                       more};
    sr_settings settings;
    sr_error error;
    if (sr_settings_parse(&settings, "data:\n", "test", assignments, more ? 5 : 4, &error) != SR_OK)
        fail_msg("%s", error.message);
    return settings;
}

/* In the midst of epoch 3, the best of which was the second. */
static const sr_progress under_way = {.epoch = 2,
                                      .step = 45,
                                      .batch = 5,
                                      .best_metric = 0.25,
                                      .best_epoch = 1,
                                      .best_step = 20,
                                      .validations_without_improvement = 1};

static void assert_keeps_best(const sr_progress *progress, const sr_progress *before)
{
    assert_true(progress->best_metric == before->best_metric);
    assert_int_equal(progress->best_epoch, before->best_epoch);
    assert_int_equal(progress->best_step, before->best_step);
    assert_int_equal(progress->validations_without_improvement, before->validations_without_improvement);
}

static void training_goes_on_where_it_was(void **state)
{
    (void)state;
    const sr_settings settings = settings_of("ndcg@10", NULL);
    sr_progress progress = under_way;
    assert_int_equal(resume_adapt_progress(&progress, &settings, &settings), RESUMED_TRAINS);
    assert_keeps_best(&progress, &under_way);
    assert_int_equal(progress.step, 45);
    assert_int_equal(progress.batch, 5);
    assert_int_equal(progress.finished, SR_UNFINISHED);
}

static void another_metric_or_history_makes_the_next_validation_the_best(void **state)
{
    (void)state;
    const sr_settings before = settings_of("ndcg@10", NULL);
    const sr_settings others[] = {settings_of("hr@5", NULL), settings_of("ndcg@10", "evaluation.history=exclude")};
    for (size_t i = 0; i < 2; ++i) {
        sr_progress progress = under_way;
        assert_int_equal(resume_adapt_progress(&progress, &before, &others[i]), RESUMED_CHOOSES_ANEW);
        assert_true(progress.best_metric < 0);
        assert_int_equal(progress.best_epoch, 0);
        assert_int_equal(progress.best_step, 0);
        assert_int_equal(progress.validations_without_improvement, 0);
        assert_int_equal(progress.step, 45);
        progress.best_metric = -1; /* and where there is no best, none is lost */
        assert_int_equal(resume_adapt_progress(&progress, &before, &others[i]), RESUMED_TRAINS);
    }
}

static void what_stopped_early_stays_so_unless_it_is_given_more_patience_or_another_metric(void **state)
{
    (void)state;
    const sr_settings before = settings_of("ndcg@10", NULL);
    sr_progress stopped = under_way, progress;
    stopped.finished = SR_FINISHED_EARLY;
    stopped.validations_without_improvement = 3;
    progress = stopped;
    assert_int_equal(resume_adapt_progress(&progress, &before, &before), RESUMED_STOPPED_EARLY);
    assert_int_equal(progress.finished, SR_FINISHED_EARLY);
    assert_keeps_best(&progress, &stopped);
    const sr_settings no_limit = settings_of("ndcg@10", "training.early_stopping.patience=0");
    const sr_settings more = settings_of("ndcg@10", "training.early_stopping.patience=4");
    const sr_settings *const patient[] = {&no_limit, &more};
    for (size_t i = 0; i < 2; ++i) {
        progress = stopped;
        assert_int_equal(resume_adapt_progress(&progress, &before, patient[i]), RESUMED_TRAINS);
        assert_int_equal(progress.finished, SR_UNFINISHED);
        assert_keeps_best(&progress, &stopped);
    }
    const sr_settings other = settings_of("hr@5", NULL);
    progress = stopped;
    assert_int_equal(resume_adapt_progress(&progress, &before, &other), RESUMED_CHOOSES_ANEW);
    assert_int_equal(progress.finished, SR_UNFINISHED);
}

static void what_has_ended_keeps_its_best_parameters(void **state)
{
    (void)state;
    const sr_settings before = settings_of("ndcg@10", NULL), other = settings_of("hr@5", NULL);
    sr_progress ended = under_way, progress;
    ended.epoch = 5;
    ended.batch = 0;
    ended.finished = SR_FINISHED_EARLY;
    progress = ended;
    assert_int_equal(resume_adapt_progress(&progress, &before, &before), RESUMED_ENDED);
    assert_memory_equal(&progress, &ended, sizeof progress);
    assert_int_equal(resume_adapt_progress(&progress, &before, &other), RESUMED_ENDED_BY_ANOTHER);
    assert_memory_equal(&progress, &ended, sizeof progress);
    progress.best_metric = -1; /* nothing was chosen by any metric */
    assert_int_equal(resume_adapt_progress(&progress, &before, &other), RESUMED_ENDED);
    const sr_settings longer = settings_of("ndcg@10", "training.epochs=6");
    progress = ended;
    progress.validations_without_improvement = 0;
    assert_int_equal(resume_adapt_progress(&progress, &before, &longer), RESUMED_TRAINS);
    assert_int_equal(progress.finished, SR_UNFINISHED);
}

static void a_training_cannot_be_made_shorter(void **state)
{
    (void)state;
    sr_error error = {.message = ""};
    sr_progress progress = {.epoch = 3, .batch = 0};
    assert_int_equal(resume_check_epochs("a.h5", &progress, 4, &error), SR_OK);
    assert_int_equal(resume_check_epochs("a.h5", &progress, 3, &error), SR_OK);
    assert_int_equal(resume_check_epochs("a.h5", &progress, 2, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "not going on from a.h5: nothing is to be done, 3 of 2 epochs are done"));
    progress.batch = 7;
    assert_int_equal(resume_check_epochs("a.h5", &progress, 4, &error), SR_OK);
    assert_int_equal(resume_check_epochs("a.h5", &progress, 3, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "3 of 3 epochs and 7 steps are done"));
}

static void a_run_does_not_write_among_checkpoints_of_another(void **state)
{
    (void)state;
    sr_error error = {.message = ""};
    assert_int_equal(resume_check_directory("run/checkpoints", -1, 0, false, &error), SR_OK);
    assert_int_equal(resume_check_directory("run/checkpoints", -1, 30, true, &error), SR_OK);
    assert_int_equal(resume_check_directory("run/checkpoints", 20, 0, false, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "run/checkpoints already holds checkpoints up to step 20"));
    assert_non_null(strstr(error.message, "would start at step 0: choose another --output"));
    /* From a checkpoint that the user has named: what lies before it does not matter. */
    assert_int_equal(resume_check_directory("run/checkpoints", 20, 20, true, &error), SR_OK);
    assert_int_equal(resume_check_directory("run/checkpoints", 20, 30, true, &error), SR_OK);
    assert_int_equal(resume_check_directory("run/checkpoints", 20, 10, true, &error), SR_ERROR_USAGE);
}

static void the_best_parameters_lie_beside_the_directory_of_checkpoints(void **state)
{
    (void)state;
    char path[64];
    resume_best_beside("runs/a/checkpoints/step-0000000042.h5", path, sizeof path);
    assert_string_equal(path, "runs/a/checkpoints/../best.h5");
    resume_best_beside("/step-0000000042.h5", path, sizeof path);
    assert_string_equal(path, "/../best.h5");
    resume_best_beside("step-0000000042.h5", path, sizeof path);
    assert_string_equal(path, "../best.h5");
}

static void counters_that_no_training_reaches_are_refused(void **state)
{
    (void)state;
    sr_error error = {.status = SR_OK};
    assert_int_equal(resume_check_counters("a.h5", &under_way, 20, &error), SR_OK);
    assert_int_equal(resume_check_counters("a.h5", &under_way, 5, &error), SR_OK); /* the last batch of an epoch is done */
    assert_int_equal(resume_check_counters("a.h5", &under_way, 4, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "5 batches of the next one"));
    sr_progress progress = under_way;
    progress.batch = -1;
    assert_int_equal(resume_check_counters("a.h5", &progress, 20, &error), SR_ERROR_DATA);
    progress = under_way;
    progress.step = 4;
    assert_int_equal(resume_check_counters("a.h5", &progress, 20, &error), SR_ERROR_DATA);
    progress = under_way;
    progress.epoch = -1;
    assert_int_equal(resume_check_counters("a.h5", &progress, 20, &error), SR_ERROR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_goes_on_where_it_was),
        cmocka_unit_test(another_metric_or_history_makes_the_next_validation_the_best),
        cmocka_unit_test(what_stopped_early_stays_so_unless_it_is_given_more_patience_or_another_metric),
        cmocka_unit_test(what_has_ended_keeps_its_best_parameters),
        cmocka_unit_test(a_training_cannot_be_made_shorter),
        cmocka_unit_test(counters_that_no_training_reaches_are_refused),
        cmocka_unit_test(a_run_does_not_write_among_checkpoints_of_another),
        cmocka_unit_test(the_best_parameters_lie_beside_the_directory_of_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
