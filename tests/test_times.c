/* Time stamps: units, decimals and ISO 8601, exactly. */
#include "readers/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static field of(const char *text)
{
    return (field){text, strlen(text)};
}

static void numbers_are_scaled_without_rounding(void **state)
{
    const struct {
        const char *text;
        unsigned decimals;
        number_kind kind;
        int64_t value;
    } cases[] = {
        {"0", 0, NUMBER_GOOD, 0},
        {"00012", 0, NUMBER_GOOD, 12},
        {"978300760.0", 0, NUMBER_GOOD, 978300760},
        {"1.39e+09", 0, NUMBER_GOOD, 1390000000},
        {"1390000000e-3", 0, NUMBER_GOOD, 1390000},
        {"1200.50E1", 0, NUMBER_GOOD, 12005},
        {"-5", 0, NUMBER_GOOD, -5},
        {"+5.", 0, NUMBER_GOOD, 5},
        {".5", 1, NUMBER_GOOD, 5},
        {"0.000012", 6, NUMBER_GOOD, 12},
        {"-0.25", 3, NUMBER_GOOD, -250},
        {"1506826828.020", 2, NUMBER_GOOD, 150682682802},
        {"9223372036854775807", 0, NUMBER_GOOD, INT64_MAX},
        {"-9223372036854775808", 0, NUMBER_GOOD, INT64_MIN},
        {"9007199254740993", 0, NUMBER_GOOD, 9007199254740993},
        {"9223372036854775808", 0, NUMBER_TOO_LARGE, 0},
        {"9223372036854775807", 1, NUMBER_TOO_LARGE, 0},
        {"1e19", 0, NUMBER_TOO_LARGE, 0},
        {"1e999999999999", 0, NUMBER_TOO_LARGE, 0},
        {"0e999999999999", 0, NUMBER_GOOD, 0},
        {"1e-999999999999", 0, NUMBER_TOO_FINE, 0},
        {"0.25", 1, NUMBER_TOO_FINE, 2},
        {"12.75", 0, NUMBER_TOO_FINE, 12},
        {"0.12345678901234567890123", 2, NUMBER_TOO_FINE, 12},
        {"", 0, NUMBER_BAD, 0},
        {".", 0, NUMBER_BAD, 0},
        {"-", 0, NUMBER_BAD, 0},
        {"1e", 0, NUMBER_BAD, 0},
        {"1e+", 0, NUMBER_BAD, 0},
        {"1.2.3", 0, NUMBER_BAD, 0},
        {" 5", 0, NUMBER_BAD, 0},
        {"5 ", 0, NUMBER_BAD, 0},
        {"nan", 0, NUMBER_BAD, 0},
        {"inf", 0, NUMBER_BAD, 0},
        {"0x10", 0, NUMBER_BAD, 0},
        {"1,5", 0, NUMBER_BAD, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int64_t value = -1;
        const number_kind kind = number_scaled(of(cases[i].text), cases[i].decimals, &value);
        if (kind != cases[i].kind)
            fail_msg("\"%s\": kind %d, expected %d", cases[i].text, (int)kind, (int)cases[i].kind);
        if ((kind == NUMBER_GOOD || kind == NUMBER_TOO_FINE) && value != cases[i].value)
            fail_msg("\"%s\": %lld, expected %lld", cases[i].text, (long long)value, (long long)cases[i].value);
    }
}

static void dates_become_seconds_in_universal_time(void **state)
{
    const struct {
        const char *text;
        int64_t seconds; /* INT64_MIN: no date */
    } cases[] = {
        {"1970-01-01", 0},
        {"2016-05-09", 1462752000},
        {"2016-07-25 06:28:49", 1469428129},
        {"2016-07-25T06:28:49", 1469428129},
        {"2016-07-25T06:28:49Z", 1469428129},
        {"2016-07-25T08:28:49+02:00", 1469428129},
        {"2016-07-25T08:28:49+0200", 1469428129},
        {"2016-07-25T08:28:49+02", 1469428129},
        {"2016-07-25T01:58:49-04:30", 1469428129},
        {"2016-07-25T06:28:49.000Z", 1469428129},
        {"2016-07-25 06:28", 1469428080},
        {"2016-02-29", 1456704000},
        {"2000-02-29T24:00:00", 951868800},
        {"1969-12-31T23:59:59Z", -1},
        {"0001-01-01", -62135596800},
        {"9999-12-31T23:59:60Z", 253402300800},
        {"2015-02-29", INT64_MIN},
        {"1900-02-29", INT64_MIN},
        {"2016-13-01", INT64_MIN},
        {"2016-00-01", INT64_MIN},
        {"2016-04-31", INT64_MIN},
        {"2016-4-1", INT64_MIN},
        {"2016-04-01T", INT64_MIN},
        {"2016-04-01T25:00", INT64_MIN},
        {"2016-04-01T24:00:01", INT64_MIN},
        {"2016-04-01T12:60", INT64_MIN},
        {"2016-04-01T12:00:", INT64_MIN},
        {"2016-04-01T12:00:00.", INT64_MIN},
        {"2016-04-01T12:00:00+2", INT64_MIN},
        {"2016-04-01T12:00:00Zx", INT64_MIN},
        {"2016-04-01x12:00:00", INT64_MIN},
        {"09 4, 2015", INT64_MIN},
        {"1469428129", INT64_MIN},
        {"", INT64_MIN},
    };
    const time_format format = {.unit = TIME_ISO, .has_decimals = true};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        int64_t value = 0;
        const number_kind kind = time_parse(&format, of(cases[i].text), &value);
        if ((kind == NUMBER_GOOD) != (cases[i].seconds != INT64_MIN) || (kind == NUMBER_GOOD && value != cases[i].seconds))
            fail_msg("\"%s\": kind %d, %lld", cases[i].text, (int)kind, (long long)value);
    }
}

static void every_day_is_that_of_the_system_library(void **state)
{
    const time_format format = {.unit = TIME_ISO, .has_decimals = true};
    (void)state;
    for (int64_t day = -719162; day < 2932896; day += 17) { /* from 0001-01-01 to 9999-12-31 */
        const time_t moment = (time_t)(day * 86400 + 3600 * (day & 15));
        struct tm parts;
        char text[40], shown[TIME_TEXT_SIZE];
        int64_t seconds;
        assert_non_null(gmtime_r(&moment, &parts));
        snprintf(text, sizeof text, "%04d-%02d-%02d %02d:00:00", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                 parts.tm_hour);
        assert_int_equal(time_parse(&format, of(text), &seconds), NUMBER_GOOD);
        assert_int_equal(seconds, moment);
        time_text(&format, seconds, shown);
        assert_string_equal(shown, text);
    }
}

/* The format that the texts lead to. */
static time_format resolve(time_format format, const char *const *texts, size_t count)
{
    time_observations seen = {.numbers = 0};
    for (size_t i = 0; i < count; ++i)
        time_observe(&format, &seen, of(texts[i]));
    time_resolve(&format, &seen);
    return format;
}

static void the_first_time_stamps_tell_what_all_are_like(void **state)
{
    (void)state;
    int64_t value;
    const char *const whole[] = {"978300760.0", "5", "1.39e9", "soon"};
    time_format format = resolve((time_format){0}, whole, 4);
    assert_int_equal(format.unit, TIME_NUMBER);
    assert_int_equal(format.decimals, 0);
    assert_int_equal(time_parse(&format, of("0.5"), &value), NUMBER_TOO_FINE);
    const char *const fractions[] = {"0.5", "0.000012", "3"};
    format = resolve((time_format){0}, fractions, 3);
    assert_int_equal(format.decimals, 6);
    assert_int_equal(time_parse(&format, of("0.0000125"), &value), NUMBER_TOO_FINE); /* never a tie by truncation */
    assert_int_equal(time_parse(&format, of("7e-6"), &value), NUMBER_GOOD);
    assert_int_equal(value, 7);
    const char *const doubles[] = {"1400000000.1234567", "1400000000.12345671"};
    format = resolve((time_format){0}, doubles, 2);
    assert_int_equal(format.decimals, 8);
    assert_false(format.rounds);
    const char *const more_than_fit[] = {"1400000000.12345678901234567"};
    format = resolve((time_format){0}, more_than_fit, 1);
    assert_int_equal(format.decimals, 9);
    assert_true(format.rounds);
    assert_int_equal(time_parse(&format, of(*more_than_fit), &value), NUMBER_TOO_FINE);
    assert_int_equal(value, 1400000000123456789);
    const char *const nine[] = {"1400000000.123456789", "nonsense", "1e30", "2262-04-11"}; /* what does not fit tells nothing */
    format = resolve((time_format){0}, nine, 4);
    assert_int_equal(format.decimals, 9);
    assert_false(format.rounds);
    assert_int_equal(time_parse(&format, of(*nine), &value), NUMBER_GOOD);
    assert_int_equal(value, 1400000000123456789);
    const char *const dates[] = {"2016-07-25T06:28:49Z", "2016-07-25T06:28:49.250Z", "5"};
    format = resolve((time_format){0}, dates, 3);
    assert_int_equal(format.unit, TIME_ISO);
    assert_int_equal(format.decimals, 2);
    assert_int_equal(time_parse(&format, of("1969-12-31T23:59:59.75"), &value), NUMBER_GOOD);
    assert_int_equal(value, -25);
    assert_int_equal(time_parse(&format, of("2016-07-25T06:28:49.001Z"), &value), NUMBER_TOO_FINE);
}

static void what_is_asked_for_is_not_found_out(void **state)
{
    (void)state;
    int64_t value;
    const char *const dates[] = {"2016-07-25T06:28:49.250Z"};
    time_format format = resolve((time_format){.unit = TIME_SECONDS}, dates, 1);
    assert_int_equal(format.unit, TIME_SECONDS);
    assert_int_equal(time_parse(&format, of(*dates), &value), NUMBER_BAD);
    format = resolve((time_format){.has_decimals = true, .rounds = true}, dates, 1);
    assert_int_equal(format.unit, TIME_ISO);
    assert_int_equal(time_parse(&format, of(*dates), &value), NUMBER_TOO_FINE);
    assert_true(format.rounds);
    assert_int_equal(value, 1469428129);
    format = resolve((time_format){0}, NULL, 0);
    assert_false(time_is_resolved(&format));
    char shown[TIME_TEXT_SIZE];
    time_text(&(time_format){.unit = TIME_MILLISECONDS, .has_decimals = true, .decimals = 2}, 150682682802055, shown);
    assert_string_equal(shown, "2017-10-01 03:00:28");
    time_text(&(time_format){.unit = TIME_SECONDS, .has_decimals = true}, -1, shown);
    assert_string_equal(shown, "1969-12-31 23:59:59");
    time_text(&(time_format){.unit = TIME_NUMBER, .has_decimals = true}, 1506826828, shown);
    assert_string_equal(shown, "1506826828");
    time_text(&(time_format){.unit = TIME_NUMBER, .has_decimals = true, .decimals = 6}, -5000012, shown);
    assert_string_equal(shown, "-5.000012");
    time_text(&(time_format){.unit = TIME_NUMBER, .has_decimals = true, .decimals = 18}, INT64_MIN, shown);
    assert_string_equal(shown, "-9.223372036854775808");
}

/* How many decimals are kept of a time stamp, as many as fit into 64 bits; all are there if nothing `is_cut`. */
static void assert_decimals(const char *text, unsigned decimals, bool is_cut)
{
    int64_t value;
    const time_format format = resolve((time_format){0}, &text, 1);
    if (format.decimals != decimals || format.rounds != is_cut)
        fail_msg("\"%s\": %u decimals%s", text, format.decimals, format.rounds ? ", cut" : "");
    assert_int_equal(time_parse(&format, of(text), &value), is_cut ? NUMBER_TOO_FINE : NUMBER_GOOD);
}

static void all_decimals_that_fit_are_kept(void **state)
{
    (void)state;
    assert_decimals("1400000000.123456789", 9, false);
    assert_decimals("1400000000.1234567891", 9, true);
    assert_decimals("9223372035.999999999", 9, false);
    assert_decimals("9223372036.999999999", 8, true);
    assert_decimals("-1400000000.123456789", 9, false);
    assert_decimals("1506826828020.123456", 6, false);
    assert_decimals("1506826828020.1234567", 6, true);
    assert_decimals("0.123456789012345678", 18, false);
    assert_decimals("8.123456789012345678", 18, false);
    assert_decimals("9.123456789012345678", 17, true);
    assert_decimals("9223372036854775807", 0, false);
    assert_decimals("922337203685477580.7", 0, true); /* another of this size may end in .9, which does not fit */
    assert_decimals("-9223372036854775808", 0, false);
    assert_decimals("2016-07-25T06:28:49.123456789Z", 9, false);
    assert_decimals("2016-07-25T06:28:49.1234567891Z", 9, true);
    assert_decimals("0001-01-01T00:00:00.12345678Z", 8, false);
    assert_decimals("0001-01-01T00:00:00.123456789Z", 8, true);
}

static void a_bound_divides_time_stamps_as_it_stands(void **state)
{
    (void)state;
    const time_format whole = {.unit = TIME_NUMBER, .has_decimals = true},
                      cut = {.unit = TIME_NUMBER, .has_decimals = true, .rounds = true},
                      fine = {.unit = TIME_NUMBER, .has_decimals = true, .decimals = 2},
                      milliseconds = {.unit = TIME_MILLISECONDS, .has_decimals = true, .decimals = 1},
                      dates = {.unit = TIME_ISO, .has_decimals = true};
    const struct {
        const time_format *format;
        const char *text;
        int64_t value; /* INT64_MIN: refused, and `says` why */
        const char *says;
    } cases[] = {
        {&whole, "5", 5, NULL},
        {&whole, "5.5", 6, NULL},
        {&whole, "-5.5", -5, NULL},
        {&whole, "-0.5", 0, NULL},
        {&whole, "1e-30", 1, NULL},
        {&cut, "5.5", 5, NULL}, /* as a time stamp of 5.5 */
        {&fine, "5.5", 550, NULL},
        {&fine, "5.555", 556, NULL},
        {&dates, "1970-01-02", 86400, NULL},
        {&dates, "1970-01-02T00:00:00.5Z", 86401, NULL},
        {&dates, "1969-12-31T23:59:59.5Z", 0, NULL},
        {&milliseconds, "7", 70, NULL},
        {&milliseconds, "1970-01-01T00:00:01.5Z", 15000, NULL},
        {&dates, "5", INT64_MIN, "--after: \"5\" is a number, and the time stamps of the input are dates"},
        {&whole, "1970-01-02", INT64_MIN, "is a date, and the time stamps of the input are numbers: give a number, or say by "},
        {&whole, "soon", INT64_MIN, "\"soon\" is neither a number nor a date as 2016-07-25"},
        {&milliseconds, "", INT64_MIN, "is neither a number nor a date"},
        {&fine, "9e18", INT64_MIN, "is too large for a 64-bit integer with the decimals of the input's time stamps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sr_error error = {.status = SR_OK};
        int64_t value = 0;
        const sr_status status = time_read_bound(cases[i].format, of(cases[i].text), "--after", &value, &error);
        if (cases[i].says && (status != SR_ERROR_USAGE || !strstr(error.message, cases[i].says)))
            fail_msg("\"%s\": status %d, \"%s\"", cases[i].text, (int)status, error.message);
        if (!cases[i].says && (status != SR_OK || value != cases[i].value))
            fail_msg("\"%s\": status %d, %lld", cases[i].text, (int)status, (long long)value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_decimals_that_fit_are_kept),
        cmocka_unit_test(a_bound_divides_time_stamps_as_it_stands),
        cmocka_unit_test(numbers_are_scaled_without_rounding),
        cmocka_unit_test(dates_become_seconds_in_universal_time),
        cmocka_unit_test(every_day_is_that_of_the_system_library),
        cmocka_unit_test(the_first_time_stamps_tell_what_all_are_like),
        cmocka_unit_test(what_is_asked_for_is_not_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
