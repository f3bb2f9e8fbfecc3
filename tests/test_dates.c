/* Dates by --time-format, and the offsets that ISO 8601 may end with. */
#include "readers/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static field of(const char *text)
{
    return (field){text, strlen(text)};
}

static bool reads(const char *pattern, const char *text, int64_t *seconds)
{
    date_time parsed = {.seconds = 0};
    const bool is_one = date_parse(pattern, of(text), &parsed);
    *seconds = parsed.seconds;
    return is_one;
}

static void well_known_forms_are_read(void **state)
{
    const struct {
        const char *pattern, *text;
        int64_t seconds;
    } cases[] = {
        {"%a %b %d %H:%M:%S %z %Y", "Wed Mar 10 11:37:04 -0700 2017", 1489171024}, /* Goodreads */
        {"%a %b %d %H:%M:%S %z %Y", "Tue Apr 10 18:00:09 +0000 2012", 1334080809}, /* Foursquare */
        {"", "2019-10-10 00:00:03 UTC", 1570665603},                               /* REES46 */
        {"%m/%d/%Y", "11/10/2000", 973814400},                                     /* Ta-Feng */
        {"%m/%d/%Y %H:%M", "12/10/2010 8:26", 1291969560},                         /* Online Retail */
        {"%m/%d/%Y %I:%M:%S %p", "11/10/2019 9:05:58 AM", 1573376758},             /* MIND */
        {"%m/%d/%Y %I:%M:%S %p", "11/10/2019 12:00:00 AM", 1573344000},
        {"%m/%d/%Y %I:%M:%S %p", "11/10/2019 12:00:00 pm", 1573387200},
        {"%m %d, %Y", "09 4, 2015", 1441324800}, /* Amazon's reviewTime */
        {"%d-%b-%y", "01-jan-69", -31536000},
        {"%d-%b-%y", "01-Jan-68", 3092601600},
        {"%d %B %Y", "29 february 2016", 1456704000},
        {"%Y%m%d", "20170102", 1483315200},
        {"%Y%m%dT%H%M%S", "20170102T030405", 1483326245},
        {"%Y", "1970", 0},
        {"%Y %j", "2016 366", 1483142400},
        {"%D %T", "01/02/70 00:00:01", 86401},
        {"%F %R", "1970-01-01 00:01", 60},
        {"%s", "1500000000", 1500000000},
        {"%Y-%m-%d %H:%M", "1970-01-01 01:00 +0100", 0}, /* an offset without a directive for it */
        {"%Y-%m-%d %H:%M", "1970-01-01 00:00 UTC", 0},
        {"%Y-%m-%d %H:%M:%S %Z", "1970-01-01 00:00:05 GMT", 5},
        {"%b  %e\t%Y", "Jan 4 1970", 259200},
        {"100%% %Y", "100% 1970", 0},
        {"", "2016-07-25T06:28:49 +0000", 1469428129},
        {"", "2016-07-25 06:28:49 +02:00", 1469420929},
        {"", "2016-07-25 06:28:49utc", 1469428129},
        {"", "2016-07-25 06:28 Z", 1469428080},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int64_t seconds;
        if (!reads(cases[i].pattern, cases[i].text, &seconds))
            fail_msg("\"%s\" is not read by '%s'", cases[i].text, cases[i].pattern);
        if (seconds != cases[i].seconds)
            fail_msg("\"%s\" by '%s' is %lld", cases[i].text, cases[i].pattern, (long long)seconds);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    const struct {
        const char *pattern, *text;
    } cases[] = {
        {"%m/%d/%Y", "13/10/2000"},
        {"%m/%d/%Y", "02/29/2001"},
        {"%m/%d/%Y", "1/1/2000 "},
        {"%m/%d/%Y", "1/1"},
        {"%m/%d/%Y", ""},
        {"%m/%d/%Y %H:%M", "1/1/2000 24:00"},
        {"%m/%d/%Y %H:%M", "1/1/2000 5"},
        {"%m/%d/%Y %I:%M %p", "1/1/2000 13:00 PM"},
        {"%m/%d/%Y %I:%M %p", "1/1/2000 1:00 XM"},
        {"%d %b %Y", "1 Janus 2000"},
        {"%d %b %Y", "1 Ja"},
        {"%Y-%m-%d %H:%M:%S %Z", "1970-01-01 00:00:05 PST"},
        {"%Y-%m-%d %H:%M:%S %z", "1970-01-01 00:00:05"},
        {"%Y-%m-%d %H:%M:%S %z", "1970-01-01 00:00:05 +0000 +0000"},
        {"%Y %j", "2015 366"},
        {"%s", "soon"},
        {"", "2016-07-25 UTC x"},
        {"", "2016-07-25 06:28:49 PST"},
        {"", "2016-07-25 06:28:49 + 0000"},
        {"", "2016-07-25 06:28:49  UTC"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int64_t seconds;
        if (reads(cases[i].pattern, cases[i].text, &seconds))
            fail_msg("\"%s\" by '%s' is taken for %lld", cases[i].text, cases[i].pattern, (long long)seconds);
    }
}

static void patterns_are_checked(void **state)
{
    (void)state;
    assert_null(date_pattern_fault("%a, %d %b %Y %H:%M:%S %z"));
    assert_non_null(strstr(date_pattern_fault("%Y %q"), "directive"));
    assert_non_null(strstr(date_pattern_fault("%Y %"), "directive"));
    assert_non_null(strstr(date_pattern_fault("%d %m"), "year"));
    assert_non_null(strstr(date_pattern_fault("%Y %I"), "%p"));
    assert_non_null(strstr(date_pattern_fault("%Y %H %p"), "%I"));
    assert_non_null(strstr(date_pattern_fault("%Y 4567890123456789012345678901234567890123456789012345678901234567"), "63"));
}

static void a_message_names_the_pattern_that_helps(void **state)
{
    const struct {
        const char *text, *says;
    } cases[] = {
        {"12/10/2010 8:26", "'%m/%d/%Y %H:%M' reads it, or '%d/%m/%Y %H:%M' where the day comes first"},
        {"31/10/2010 8:26", "--time-format '%d/%m/%Y %H:%M' reads it"},
        {"Tue Apr 10 18:00:09 +0000 2012", "'%a %b %d %H:%M:%S %z %Y'"},
        {"31.12.2010", "'%d.%m.%Y'"},
        {"soon", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char advice[DATE_ADVICE_SIZE];
        date_advise(of(cases[i].text), advice);
        if (!strstr(advice, cases[i].says) || (!*cases[i].says && *advice))
            fail_msg("\"%s\" leads to \"%s\"", cases[i].text, advice);
    }
}

/* What strptime() of the C library has read, our reading gives as well. */
static void random_moments_are_those_of_the_c_library(void **state)
{
    static const char *const patterns[] = {"%a %b %d %H:%M:%S %Y", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%y %H:%M:%S",
                                           "%A, %d %B %Y %T",      "%Y %j %H%M%S",         "%F %T"};
    (void)state;
    srand(7);
    for (size_t i = 0; i < 3000; ++i) {
        const time_t moment = (time_t)(((long long)rand() << 8 ^ rand()) % 3000000000LL);
        const char *pattern = patterns[i % (sizeof patterns / sizeof *patterns)];
        char text[80];
        struct tm parts, again = {.tm_isdst = 0};
        int64_t seconds;
        assert_non_null(gmtime_r(&moment, &parts));
        assert_true(strftime(text, sizeof text, pattern, &parts) > 0);
        assert_non_null(strptime(text, pattern, &again));
        if (!reads(pattern, text, &seconds) || seconds != timegm(&again))
            fail_msg("\"%s\" by '%s'", text, pattern);
    }
}

static void decimals_stand_behind_the_seconds(void **state)
{
    const time_format format = {.unit = TIME_ISO, .has_decimals = true, .decimals = 3, .pattern = "%d/%m/%Y %H:%M:%S.%f"};
    int64_t time;
    (void)state;
    assert_int_equal(time_parse(&format, of("01/01/1970 00:00:05.250"), &time), NUMBER_GOOD);
    assert_int_equal(time, 5250);
    assert_int_equal(time_parse(&format, of("01/01/1970 00:00:05.2505"), &time), NUMBER_TOO_FINE);
    assert_int_equal(time_parse(&format, of("1970-01-01 00:00:05"), &time), NUMBER_BAD);
    sr_error error;
    assert_int_equal(time_read_bound(&format, of("1970-01-01"), "--after", &time, &error), SR_OK); /* as well as its own */
    assert_int_equal(time, 0);
    assert_int_equal(time_read_bound(&format, of("02/01/1970 00:00:00.5"), "--after", &time, &error), SR_OK);
    assert_int_equal(time, 86400500);
    assert_int_equal(time_read_bound(&format, of("soon"), "--after", &time, &error), SR_ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_known_forms_are_read),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(a_message_names_the_pattern_that_helps),
        cmocka_unit_test(random_moments_are_those_of_the_c_library),
        cmocka_unit_test(decimals_stand_behind_the_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
