#include "times.h"

#include <stdio.h>
#include <string.h>

const char *const time_unit_names[] = {[TIME_AUTO] = "auto",
                                       [TIME_NONE] = "none",
                                       [TIME_NUMBER] = "number",
                                       [TIME_SECONDS] = "seconds",
                                       [TIME_MILLISECONDS] = "milliseconds",
                                       [TIME_MICROSECONDS] = "microseconds",
                                       [TIME_NANOSECONDS] = "nanoseconds",
                                       [TIME_ISO] = "iso",
                                       NULL};

/* Seconds and fraction times 10^decimals. */
static number_kind scale_date(const date_time *date, unsigned decimals, int64_t *time)
{
    int64_t scaled = date->seconds;
    for (unsigned i = 0; i < decimals; ++i) {
        const int64_t digit = i < date->fraction.length ? date->fraction.text[i] - '0' : 0;
        if (__builtin_mul_overflow(scaled, 10, &scaled) || __builtin_add_overflow(scaled, digit, &scaled))
            return NUMBER_TOO_LARGE;
    }
    *time = scaled;
    return date->fraction.length > decimals ? NUMBER_TOO_FINE : NUMBER_GOOD;
}

/* ---- finding out ---- */

time_kind time_kind_of(const time_format *format, field text)
{
    int decimals;
    date_time date;
    if (*format->pattern && date_parse(format->pattern, text, &date))
        return TIME_IS_DATE;
    if (number_decimals(text, &decimals))
        return TIME_IS_NUMBER;
    return !*format->pattern && date_parse("", text, &date) ? TIME_IS_DATE : TIME_IS_NEITHER;
}

void time_observe(const time_format *format, time_observations *seen, field text)
{
    int decimals;
    int64_t whole;
    date_time date;
    if (!*format->pattern && number_decimals(text, &decimals)) {
        if (number_scaled(text, 0, &whole) == NUMBER_TOO_LARGE)
            return; /* does not fit whatever the format, and tells nothing of the others */
        ++seen->numbers;
    } else if (date_parse(format->pattern, text, &date)) {
        ++seen->dates;
        decimals = date.fraction.length > TIME_DECIMALS_MAXIMUM ? TIME_DECIMALS_MAXIMUM : (int)date.fraction.length;
        whole = date.seconds;
    } else {
        return;
    }
    const int64_t size = whole >= 0 ? whole : whole == INT64_MIN ? INT64_MAX : -whole;
    seen->decimals = decimals > seen->decimals ? decimals : seen->decimals;
    seen->largest = size > seen->largest ? size : seen->largest;
}

bool time_is_resolved(const time_format *format)
{
    return format->unit == TIME_NONE || (format->unit != TIME_AUTO && format->has_decimals);
}

/* How many decimals of any value fit into 64 bits behind a number. */
static int room_behind(int64_t largest)
{
    int room = 0;
    while (room < TIME_DECIMALS_MAXIMUM && !__builtin_mul_overflow(largest, 10, &largest) &&
           !__builtin_add_overflow(largest, 9, &largest))
        ++room;
    return room;
}

void time_resolve(time_format *format, const time_observations *seen)
{
    if (seen->numbers + seen->dates == 0)
        return;
    if (format->unit == TIME_AUTO)
        format->unit = seen->dates > seen->numbers ? TIME_ISO : TIME_NUMBER;
    if (format->has_decimals)
        return;
    const int room = room_behind(seen->largest);
    format->rounds = seen->decimals > room;
    format->decimals = (unsigned)(format->rounds ? room : seen->decimals);
    format->has_decimals = true;
}

/* ---- use ---- */

number_kind time_parse(const time_format *format, field text, int64_t *time)
{
    date_time date;
    if (format->unit != TIME_ISO)
        return number_scaled(text, format->decimals, time);
    return date_parse(format->pattern, text, &date) ? scale_date(&date, format->decimals, time) : NUMBER_BAD;
}

/* By which power of ten a unit is finer than a second; 0 for those that say nothing of seconds. */
static unsigned unit_power(time_unit unit)
{
    static const unsigned powers[] = {[TIME_MILLISECONDS] = 3, [TIME_MICROSECONDS] = 6, [TIME_NANOSECONDS] = 9, [TIME_ISO] = 0};
    return unit < TIME_MILLISECONDS ? 0 : powers[unit];
}

static sr_status fail_bound(const time_format *format, field text, const char *option, time_kind kind, sr_error *error)
{
    const int length = (int)text.length;
    if (kind == TIME_IS_NEITHER)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "%s: \"%.*s\" is neither a number nor a date as 2016-07-25 or 2016-07-25T06:28:49Z, which options have whatever "
            "--time-format says",
            option, length, text.text);
    if (format->unit == TIME_ISO)
        return sr_fail(error, SR_ERROR_USAGE, "%s: \"%.*s\" is a number, and the time stamps of the input are dates", option,
                       length, text.text);
    return sr_fail(error, SR_ERROR_USAGE,
                   "%s: \"%.*s\" is a date, and the time stamps of the input are numbers: give a number, or say by "
                   "--time-unit seconds, milliseconds, ... what they are",
                   option, length, text.text);
}

sr_status time_read_bound(const time_format *format, field text, const char *option, int64_t *time, sr_error *error)
{
    static const time_format iso;
    date_time date;
    number_kind read;
    time_kind kind = time_kind_of(format, text);
    const bool is_iso = kind != TIME_IS_DATE && time_kind_of(&iso, text) == TIME_IS_DATE;
    kind = is_iso ? TIME_IS_DATE : kind;
    if (kind == TIME_IS_DATE && format->unit >= TIME_SECONDS && date_parse(is_iso ? "" : format->pattern, text, &date))
        read = scale_date(&date, unit_power(format->unit) + format->decimals, time);
    else
        read = time_parse(format, text, time);
    if (read == NUMBER_BAD)
        return fail_bound(format, text, option, kind, error);
    if (read == NUMBER_TOO_LARGE)
        return sr_fail(error, SR_ERROR_USAGE, "%s: \"%.*s\" is too large for a 64-bit integer%s", option, (int)text.length,
                       text.text, format->decimals ? " with the decimals of the input's time stamps" : "");
    /* Dates are cut towards the past, numbers towards zero. Bounds are cut like time stamps where these are. */
    const bool is_cut_down = read == NUMBER_TOO_FINE && (kind == TIME_IS_DATE || *text.text != '-');
    *time += is_cut_down && !format->rounds;
    return SR_OK;
}

bool time_read_gap(const time_format *format, double seconds, int64_t *gap)
{
    const double largest = 9e18;
    double scaled = seconds;
    for (unsigned power = unit_power(format->unit) + format->decimals; power > 0; --power)
        scaled *= 10;
    *gap = scaled < largest ? (int64_t)scaled : 0;
    return scaled < largest;
}

/* The first day of the month that a day is in: years of 365.2425 days are nearly right, and then moved. */
static void find_month(int64_t days, int *year, int *month)
{
    *year = (int)(1970 + days * 10000 / 3652425);
    *month = 12;
    while (date_days(*year + 1, 1, 1) <= days)
        ++*year;
    while (date_days(*year, 1, 1) > days)
        --*year;
    while (date_days(*year, *month, 1) > days)
        --*month;
}

/* A number of the raw data again. */
static void print_scaled(int64_t time, unsigned decimals, char text[TIME_TEXT_SIZE])
{
    const uint64_t size = time < 0 ? 0 - (uint64_t)time : (uint64_t)time;
    uint64_t power = 1;
    for (unsigned i = 0; i < decimals; ++i)
        power *= 10;
    const int used = snprintf(text, TIME_TEXT_SIZE, "%s%llu", time < 0 ? "-" : "", (unsigned long long)(size / power));
    if (decimals)
        snprintf(text + used, TIME_TEXT_SIZE - (size_t)used, ".%0*llu", (int)decimals, (unsigned long long)(size % power));
}

void time_text(const time_format *format, int64_t time, char text[TIME_TEXT_SIZE])
{
    if (format->unit < TIME_SECONDS) {
        print_scaled(time, format->decimals, text);
        return;
    }
    snprintf(text, TIME_TEXT_SIZE, "%lld", (long long)time);
    int64_t seconds = time;
    for (unsigned power = unit_power(format->unit) + format->decimals; power > 0; --power)
        seconds = seconds / 10 - (seconds % 10 < 0);
    const int64_t days = seconds / 86400 - (seconds % 86400 < 0), rest = seconds - 86400 * days;
    int year, month;
    if (days < date_days(1, 1, 1) || days > date_days(9999, 12, 31))
        return;
    find_month(days, &year, &month);
    snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02d %02d:%02d:%02d", year, month, (int)(days - date_days(year, month, 1)) + 1,
             (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
}
