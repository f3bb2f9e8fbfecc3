/* How long a run may take: durations, and what batch systems say. */
#include "srtrain/clock.h"
#include "commands/time_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static void durations_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } known[] = {{"3600", 3600},  {"0.5", 0.5},        {"90s", 90},          {"90m", 5400},    {"1.5h", 5400},
                 {"2d", 172800},  {"1:30:00", 5400},   {"30:00", 1800},      {"00:00:05", 5},  {"1-12:00:00", 129600},
                 {"2-0", 172800}, {"1-06:30", 109800}, {"48:00:00", 172800}, {"1:90:00", 9000}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        sr_error error;
        double seconds = -1;
        if (sr_duration_read(known[i].text, &seconds, &error) != SR_OK)
            fail_msg("%s", error.message);
        if (seconds != known[i].seconds)
            fail_msg("\"%s\" is read as %g seconds", known[i].text, seconds);
    }
}

static void what_is_no_duration_is_a_usage_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "0",      "0:00",  "-5",   "+5",
                                        "1e3",  " 5",     "5 ",    "5x",   "5mm",
                                        "h",    "1:",     ":30",   "1::2", "1:2:3:4",
                                        "1-",   "-1:00",  "1-2-3", "inf",  "nan",
                                        "0x10", "1.5:00", "1..5",  "a-1",  "12345678901234567"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        sr_error error = {.message = ""};
        double seconds;
        if (sr_duration_read(texts[i], &seconds, &error) != SR_ERROR_USAGE)
            fail_msg("\"%s\" is read as %g seconds", texts[i], seconds);
        assert_non_null(strstr(error.message, texts[i]));
    }
}

static void forget_batch_systems(void)
{
    unsetenv("SRTRAIN_JOB_END_TIME");
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("PBS_WALLTIME");
}

/* What --time-limit auto finds: seconds from now, within one. */
static void assert_limit(double started, double seconds, const char *source)
{
    sr_time_limit limit;
    sr_error error;
    if (sr_time_limit_read("auto", started, &limit, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_string_equal(limit.source, source);
    const double left = limit.end - sr_seconds();
    if (!(left > seconds - 1.5 && left < seconds + 1.5))
        fail_msg("%g seconds are left, expected %g", left, seconds);
}

static void the_batch_system_is_asked(void **state)
{
    (void)state;
    char text[32];
    sr_time_limit limit;
    sr_error error = {.message = ""};
    forget_batch_systems();
    assert_int_equal(sr_time_limit_read("auto", sr_seconds(), &limit, &error), SR_OK);
    assert_true(limit.end == 0 && limit.asked);
    setenv("PBS_WALLTIME", "7200", 1);
    assert_limit(sr_seconds() - 100, 7100, "PBS_WALLTIME");
    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + 500);
    setenv("SLURM_JOB_END_TIME", text, 1);
    assert_limit(sr_seconds() - 100, 500, "SLURM_JOB_END_TIME");
    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + 300);
    setenv("SRTRAIN_JOB_END_TIME", text, 1);
    assert_limit(sr_seconds() - 100, 300, "SRTRAIN_JOB_END_TIME");
    setenv("SRTRAIN_JOB_END_TIME", "tomorrow", 1);
    assert_int_equal(sr_time_limit_read("auto", sr_seconds(), &limit, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "SRTRAIN_JOB_END_TIME is \"tomorrow\""));
    forget_batch_systems();
}

static void a_duration_counts_from_the_start_of_the_program(void **state)
{
    (void)state;
    sr_time_limit limit;
    sr_error error;
    setenv("SLURM_JOB_END_TIME", "1", 1);
    assert_int_equal(sr_time_limit_read("1:00:00", 5, &limit, &error), SR_OK);
    assert_true(limit.end == 3605 && limit.asked);
    assert_int_equal(sr_time_limit_read(NULL, 5, &limit, &error), SR_OK);
    assert_true(limit.end == 0 && !limit.asked);
    forget_batch_systems();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(what_is_no_duration_is_a_usage_error),
        cmocka_unit_test(the_batch_system_is_asked),
        cmocka_unit_test(a_duration_counts_from_the_start_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
