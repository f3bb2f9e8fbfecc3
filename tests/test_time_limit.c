/* How long a run may take: what --time-limit and batch systems say. */
#include "srtrain/clock.h"
#include "commands/time_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

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
    if (sr_time_limit_find(0, true, started, &limit, &error) != SR_OK)
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
    assert_int_equal(sr_time_limit_find(0, true, sr_seconds(), &limit, &error), SR_OK);
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
    assert_int_equal(sr_time_limit_find(0, true, sr_seconds(), &limit, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "SRTRAIN_JOB_END_TIME is \"tomorrow\""));
    forget_batch_systems();
    setenv("PBS_WALLTIME", "long", 1);
    assert_int_equal(sr_time_limit_find(0, true, sr_seconds(), &limit, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "PBS_WALLTIME is \"long\", expected seconds (3600)"));
    forget_batch_systems();
}

static void a_duration_counts_from_the_start_of_the_program(void **state)
{
    (void)state;
    sr_time_limit limit;
    sr_error error;
    setenv("SLURM_JOB_END_TIME", "1", 1);
    assert_int_equal(sr_time_limit_find(3600, false, 5, &limit, &error), SR_OK);
    assert_true(limit.end == 3605 && limit.asked);
    assert_int_equal(sr_time_limit_find(0, false, 5, &limit, &error), SR_OK);
    assert_true(limit.end == 0 && !limit.asked);
    forget_batch_systems();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_batch_system_is_asked),
        cmocka_unit_test(a_duration_counts_from_the_start_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
