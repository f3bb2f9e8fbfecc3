/* Whether a run goes on from a checkpoint of an earlier version, whose settings are partly gone. */
#include "run/files.h"
#include "shared_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static size_t item_of(size_t user, size_t i)
{
    return user * 5 + 7 * i;
}

static int set_up(void **state)
{
    return shared_dataset_set_up(state,
                                 &(equal_sequences){.users = 10, .items = 12, .length = 5, .shards = 1, .item_of = item_of});
}

/* What checking says of a checkpoint with this configuration, when a run with `settings` shall go on from it; with what the log
 * has of it in `told`. */
static sr_status check(const shared_dataset *data, const char *configuration, const sr_settings *settings, char *told,
                       size_t size, sr_error *error)
{
    char path[128], stored[512], fingerprint[64], directory[128];
    snprintf(path, sizeof path, "%s/log", data->directory);
    snprintf(stored, sizeof stored, "%s", configuration);
    snprintf(fingerprint, sizeof fingerprint, "%s", sr_dataset_fingerprint(data->dataset));
    snprintf(directory, sizeof directory, "%s", data->directory);
    const sr_checkpoint checkpoint = {.progress = {.step = 7, .best_metric = -1},
                                      .configuration = stored,
                                      .data_fingerprint = fingerprint,
                                      .data_directory = directory,
                                      .items = (int64_t)sr_dataset_items(data->dataset),
                                      .users = (int64_t)sr_dataset_users(data->dataset)};
    sr_settings before;
    sr_log *log;
    assert_int_equal(sr_log_open(&log, NULL), SR_OK);
    assert_int_equal(sr_log_attach_file(log, path, NULL), SR_OK);
    const sr_status status = sr_run_check_fits("old.h5", &checkpoint, settings, data->dataset, log, &before, error);
    sr_log_close(log);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    told[fread(told, 1, size - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_int_equal(remove(path), 0);
    return status;
}

static void a_run_goes_on_where_training_stays_the_same(void **state)
{
    char told[4096];
    sr_settings settings;
    sr_error error = {.message = ""};
    assert_int_equal(sr_settings_parse(&settings, "data: {path: x}\nmodel: {backbone: fmlprec}\n", "run.yaml", NULL, 0, &error),
                     SR_OK);
    if (check(*state,
              "data: {path: x}\nmodel: {backbone: fmlprec, filter_engine: projection}\n"
              "training: {reduction: overlapped, reduction_bucket_megabytes: 8}\n",
              &settings, told, sizeof told, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_non_null(strstr(told, "old.h5: model.filter_engine is gone"));
    assert_non_null(strstr(told, "old.h5: training.reduction overlapped is gone"));
    assert_non_null(strstr(told, "old.h5: training.reduction_bucket_megabytes is gone"));
    assert_int_equal(check(*state, "data: {path: x}\nmodel: {backbone: fmlprec}\n", &settings, told, sizeof told, &error),
                     SR_OK);
    assert_string_equal(told, "");
}

static void a_run_does_not_go_on_where_it_cannot_stay_the_same(void **state)
{
    char told[4096];
    sr_settings settings;
    sr_error error = {.message = ""};
    assert_int_equal(
        sr_settings_parse(&settings, "data: {path: x}\nmodel: {backbone: tisasrec}\n", "run.yaml", NULL, 0, &error), SR_OK);
    assert_int_equal(check(*state, "data: {path: x}\nmodel: {backbone: tisasrec, time_dropout: cells}\n", &settings, told,
                           sizeof told, &error),
                     SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "the stored configuration cannot be used: old.h5:2:"));
    assert_non_null(strstr(error.message, "model.time_dropout cells is gone"));
    assert_non_null(strstr(error.message, "can still be evaluated"));
    assert_int_equal(check(*state, "data: {path: x}\nmodel: {backbone: tisasrec, time_dropout: table}\n", &settings, told,
                           sizeof told, &error),
                     SR_OK);
    assert_non_null(strstr(told, "old.h5: model.time_dropout table is gone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_on_where_training_stays_the_same),
        cmocka_unit_test(a_run_does_not_go_on_where_it_cannot_stay_the_same),
    };
    return cmocka_run_group_tests_name("stored settings", tests, set_up, shared_dataset_tear_down);
}
