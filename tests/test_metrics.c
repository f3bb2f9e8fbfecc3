/* metrics.jsonl of a run that goes on: what an earlier run wrote and this one will write again goes first. */
#include "files.h"
#include "run/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define TRAIN(step) "{\"kind\":\"train\",\"step\":" step ",\"epoch\":1,\"loss\":4.5}\n"
#define VALID(step, epoch) "{\"kind\":\"valid\",\"step\":" step ",\"epoch\":" epoch ",\"cases\":3}\n"
#define TEST(step) "{\"kind\":\"test\",\"step\":" step ",\"epoch\":2,\"cases\":3}\n"

/* Opens a file of `before` for a run that goes on after `step` and `epoch`; it must hold `after` then. */
static void check_trimming(const char *directory, const char *before, int64_t step, int64_t epoch, const char *after)
{
    char path[FILES_PATH_SIZE], text[4096];
    sr_metrics_file *metrics;
    sr_error error = {.message = ""};
    files_path(path, directory, "metrics.jsonl");
    files_write_text(path, before);
    if (sr_metrics_open(&metrics, path, NULL, step, epoch, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sr_metrics_synchronise(metrics, &error), SR_OK);
    sr_metrics_close(metrics);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, after);
    files_remove(path);
    assert_int_equal(files_count(directory), 0);
}

static void lines_after_the_checkpoint_go(void **state)
{
    check_trimming(*state, TRAIN("10") TRAIN("20") TRAIN("30"), 20, 0, TRAIN("10") TRAIN("20"));
    check_trimming(*state, TRAIN("10") TRAIN("20"), 20, 0, TRAIN("10") TRAIN("20"));
    check_trimming(*state, TRAIN("10") TRAIN("20"), 0, 0, "");
    check_trimming(*state, "", 20, 1, "");
}

/* The checkpoint of an epoch's last step is written before its validation, or after it. */
static void a_validation_stays_when_its_epoch_was_over(void **state)
{
    check_trimming(*state, TRAIN("20") VALID("20", "1") TRAIN("30"), 20, 0, TRAIN("20"));
    check_trimming(*state, TRAIN("20") VALID("20", "1") TRAIN("30"), 20, 1, TRAIN("20") VALID("20", "1"));
    check_trimming(*state, VALID("20", "1") VALID("40", "2"), 40, 1, VALID("20", "1"));
}

static void the_final_test_goes(void **state)
{
    check_trimming(*state, TRAIN("20") VALID("20", "1") TEST("20"), 20, 1, TRAIN("20") VALID("20", "1"));
    check_trimming(*state, TEST("20"), 1000, 1000, "");
}

static void lines_that_are_damaged_or_of_no_kind_go(void **state)
{
    check_trimming(*state, TRAIN("10") "{\"kind\":\"train\",\"step\":2", 20, 1, TRAIN("10"));
    check_trimming(*state, TRAIN("10") "{\"kind\":\"train\",\"step\":12}", 20, 1, TRAIN("10")); /* without its end of line */
    check_trimming(*state, "{\"kind\":\"train\"}\n" TRAIN("10"), 20, 1, TRAIN("10"));
    check_trimming(*state, "{\"step\":3}\n{\"kind\":7,\"step\":3}\n\n[1]\nnoise\n" TRAIN("10"), 20, 1, TRAIN("10"));
    check_trimming(*state, "{\"kind\":\"train\",\"step\":3} {}\n" TRAIN("10"), 20, 1, TRAIN("10"));
    check_trimming(*state, "{\"kind\":\"valid\",\"step\":3}\n" TRAIN("10"), 20, 1, TRAIN("10"));
}

static void a_line_with_a_zero_byte_goes(void **state)
{
    static const char before[] = TRAIN("10") "{\"kind\":\"train\"\0,\"step\":11}\n" TRAIN("12");
    char path[FILES_PATH_SIZE], text[256];
    sr_metrics_file *metrics;
    sr_error error;
    files_path(path, *state, "metrics.jsonl");
    files_write(path, before, sizeof before - 1);
    assert_int_equal(sr_metrics_open(&metrics, path, NULL, 20, 1, &error), SR_OK);
    sr_metrics_close(metrics);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, TRAIN("10") TRAIN("12"));
    files_remove(path);
}

static void a_new_file_is_made_and_lines_are_appended(void **state)
{
    char path[FILES_PATH_SIZE], line[4096];
    sr_metrics_file *metrics;
    sr_error error = {.message = ""};
    const sr_ranking_metrics none = {.cases = 0};
    files_path(path, *state, "metrics.jsonl");
    for (int64_t epoch = 1; epoch <= 2; ++epoch) {
        assert_int_equal(sr_metrics_open(&metrics, path, NULL, 100, epoch, &error), SR_OK);
        assert_int_equal(sr_metrics_write_ranking(metrics, "valid", NULL, 10 * epoch, epoch, -1, &none, &error), SR_OK);
        sr_metrics_close(metrics);
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int64_t epoch = 1; epoch <= 2; ++epoch) {
        char expected[64];
        assert_non_null(fgets(line, sizeof line, file));
        snprintf(expected, sizeof expected, "{\"kind\":\"valid\",\"step\":%lld,\"epoch\":%lld,", (long long)(10 * epoch),
                 (long long)epoch);
        assert_int_equal(strncmp(line, expected, strlen(expected)), 0);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    files_remove(path);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    char path[FILES_PATH_SIZE];
    sr_metrics_file *metrics;
    sr_error error = {.message = ""};
    files_path(path, *state, "missing/metrics.jsonl");
    assert_int_equal(sr_metrics_open(&metrics, path, NULL, 0, 0, &error), SR_ERROR_RUNTIME);
    assert_null(metrics);
    assert_non_null(strstr(error.message, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_after_the_checkpoint_go),
        cmocka_unit_test(a_validation_stays_when_its_epoch_was_over),
        cmocka_unit_test(the_final_test_goes),
        cmocka_unit_test(lines_that_are_damaged_or_of_no_kind_go),
        cmocka_unit_test(a_line_with_a_zero_byte_goes),
        cmocka_unit_test(a_new_file_is_made_and_lines_are_appended),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
