/* Settings that earlier versions had: a user is told what to write instead, and a checkpoint goes on where training stays the
 * same. */
#include "config/schema.h"
#include "config_mistakes.h"
#include "read_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* What the reader of a stored configuration is told, a line each. */
static void append_line(void *context, const char *line)
{
    char(*told)[4096] = context;
    const size_t used = strlen(*told);
    snprintf(*told + used, sizeof *told - used, "%s\n", line);
}

static void every_row_names_what_is_gone_and_how_it_goes_on(void **state)
{
    (void)state;
    sr_schema schema;
    sr_settings_schema(&schema);
    assert_true(schema.gone_count > 0);
    for (size_t i = 0; i < schema.gone_count; ++i) {
        const sr_gone_key *gone = schema.gone[i];
        const sr_schema_key *row = schema_find_path(&schema, gone->path);
        assert_true(gone->was && gone->now && gone->instead);
        if (!gone->continued) {
            assert_null(row);
            continue;
        }
        sr_settings settings;
        sr_schema_defaults(&schema, &settings);
        assert_non_null(row);
        assert_non_null(gone->value);
        assert_false(schema_assign(row, &settings, &gone->value, 1));
        assert_true(schema_assign(row, &settings, &gone->continued, 1));
    }
}

static void a_configuration_is_told_what_to_write_instead(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {PATH "training: {reduction: overlapped}\n",
         NULL,
         {"run.yaml:2:23: error: training.reduction overlapped is gone", "now they are summed after backward",
          "write blocking, or shared"}},
        {PATH, "training.reduction=overlapped", {"--set training.reduction=overlapped: error: ", "is gone", "write blocking"}},
        {PATH "training: {reduction_bucket_megabytes: 4}\n",
         NULL,
         {"run.yaml:2:12: error: training.reduction_bucket_megabytes is gone", "1 MiB", "leave it out"}},
        {PATH, "training.reduction_bucket_megabytes=1", {"is gone", "leave it out"}},
        {PATH "model: {backbone: fmlprec, filter_engine: auto}\n", NULL, {"run.yaml:2:28: ", "model.filter_engine is gone"}},
        {PATH "calibrators: {frequency: {engine: fftw}}\n", NULL, {"calibrators.frequency.engine is gone", "leave it out"}},
        {PATH "model: {backbone: tisasrec, time_dropout: table}\n", NULL, {"model.time_dropout table is gone", "always so"}},
        {PATH "model: {backbone: tisasrec, time_dropout: cells}\n",
         NULL,
         {"run.yaml:2:29: ", "model.time_dropout cells is gone", "once a batch"}},
        {PATH, "model.time_dropout=cells", {"--set model.time_dropout=cells: error: ", "is gone"}},
        /* What never was, is unknown. */
        {PATH "model: {backbone: tisasrec, time_dropout: rows}\n", NULL, {"unknown key 'model.time_dropout'"}},
        {PATH, "model.time_dropout=rows", {"unknown key 'model.time_dropout'"}},
        {PATH "training: {reduction: overlaped}\n", NULL, {"reduction is overlaped", "allowed is one of shared, blocking"}},
    };
    EXPECT_REFUSALS(mistakes);
}

static void a_stored_configuration_goes_on_and_its_reader_is_told(void **state)
{
    (void)state;
    static const char stored[] = PATH "model:\n  backbone: fmlprec\n  filter_engine: fftw\n"
                                      "training:\n  reduction: overlapped\n  reduction_bucket_megabytes: 0.25\n  epochs: 3\n";
    static const char now[] = PATH "model: {backbone: fmlprec}\ntraining: {reduction: blocking, epochs: 3}\n";
    char told[4096] = "";
    const sr_stored_reading reading = {.trains = true, .tell = append_line, .context = &told};
    sr_settings found, expected;
    sr_error error = {.message = ""};
    if (sr_settings_parse_stored(&found, stored, "old.h5", NULL, 0, &reading, &error) != SR_OK)
        fail_msg("%s", error.message);
    parse_settings(&expected, now, NULL, 0);
    assert_equal_settings(&found, &expected);
    assert_non_null(strstr(told, "old.h5: model.filter_engine is gone: it chose how filters are computed"));
    assert_non_null(strstr(told, "old.h5: training.reduction overlapped is gone: it summed gradients"));
    assert_non_null(strstr(told, "old.h5: training.reduction_bucket_megabytes is gone: it was the size"));
    /* Nobody has to listen. */
    assert_int_equal(sr_settings_parse_stored(&found, stored, "old.h5", NULL, 0, &(sr_stored_reading){.trains = true}, NULL),
                     SR_OK);
    assert_equal_settings(&found, &expected);
}

static void what_is_set_beside_a_stored_configuration_is_a_users(void **state)
{
    (void)state;
    static const char *const assignments[] = {"training.reduction=overlapped"};
    sr_settings settings;
    sr_error error = {.message = ""};
    assert_int_equal(
        sr_settings_parse_stored(&settings, PATH, "old.h5", assignments, 1, &(sr_stored_reading){.trains = true}, &error),
        SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "--set training.reduction=overlapped: error: training.reduction overlapped is gone"));
}

static void what_cannot_be_trained_on_can_be_evaluated(void **state)
{
    (void)state;
    static const char stored[] = PATH "model: {backbone: tisasrec, time_dropout: cells}\n";
    char told[4096] = "";
    sr_stored_reading reading = {.trains = true, .tell = append_line, .context = &told};
    sr_settings settings;
    sr_error error = {.message = ""};
    assert_int_equal(sr_settings_parse_stored(&settings, stored, "old.h5", NULL, 0, &reading, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "model.time_dropout cells is gone"));
    assert_non_null(strstr(error.message, "Training cannot go on as it began"));
    assert_string_equal(told, "");
    reading.trains = false;
    assert_int_equal(sr_settings_parse_stored(&settings, stored, "old.h5", NULL, 0, &reading, &error), SR_OK);
    assert_non_null(strstr(told, "old.h5: model.time_dropout cells is gone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_names_what_is_gone_and_how_it_goes_on),
        cmocka_unit_test(a_configuration_is_told_what_to_write_instead),
        cmocka_unit_test(a_stored_configuration_goes_on_and_its_reader_is_told),
        cmocka_unit_test(what_is_set_beside_a_stored_configuration_is_a_users),
        cmocka_unit_test(what_cannot_be_trained_on_can_be_evaluated),
    };
    return cmocka_run_group_tests_name("settings that are gone", tests, NULL, NULL);
}
