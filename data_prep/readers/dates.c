#include "dates.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- pieces ---- */

/* Takes exactly `count` digits. */
static bool take_digits(const char **at, const char *end, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; ++i, ++*at) {
        if (*at == end || **at < '0' || **at > '9')
            return false;
        *value = 10 * *value + (**at - '0');
    }
    return true;
}

static bool take_character(const char **at, const char *end, char character)
{
    const bool is_there = *at < end && **at == character;
    *at += is_there;
    return is_there;
}

/* Years are counted from March, so that the day that comes and goes is their last: what is in front of month m is then
 * (153 m + 2) / 5 days. */
int64_t date_days(int year, int month, int day)
{
    const int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool is_day(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= lengths[month - 1] + (month == 2 && leap);
}

static void take_fraction(const char **at, const char *end, field *fraction)
{
    const char *begin = *at, *last = begin;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (**at != '0')
            last = *at + 1;
    *fraction = (field){begin, (size_t)(last - begin)};
}

/* "UTC", "GMT", "Z", in upper or lower case. */
static bool take_utc(const char **at, const char *end)
{
    static const char *const names[] = {"UTC", "GMT", "Z"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        const size_t length = strlen(names[i]);
        if ((size_t)(end - *at) >= length && strncasecmp(*at, names[i], length) == 0) {
            *at += length;
            return true;
        }
    }
    return false;
}

/* "Z", "UTC", "+02:00", "-0530", "+02": seconds east of Greenwich. */
static bool take_offset(const char **at, const char *end, int *offset)
{
    *offset = 0;
    if (take_utc(at, end))
        return true;
    const int sign = *at < end && **at == '-' ? -1 : 1;
    int hours, minutes = 0;
    if (!take_character(at, end, '+') && !take_character(at, end, '-'))
        return false;
    if (!take_digits(at, end, 2, &hours))
        return false;
    const bool has_minutes = take_character(at, end, ':') || (*at < end && **at >= '0' && **at <= '9');
    if (has_minutes && !take_digits(at, end, 2, &minutes))
        return false;
    *offset = sign * (3600 * hours + 60 * minutes);
    return hours <= 23 && minutes <= 59;
}

/* An offset at the end of a date, behind a blank or not; or nothing, which is UTC. */
static bool take_last_offset(const char **at, const char *end, int *offset)
{
    *offset = 0;
    if (*at == end)
        return true;
    (void)take_character(at, end, ' ');
    return take_offset(at, end, offset) && *at == end;
}

/* ---- ISO 8601 ---- */

static bool take_date(const char **at, const char *end, int64_t *days)
{
    int year, month, day;
    if (!take_digits(at, end, 4, &year) || !take_character(at, end, '-') || !take_digits(at, end, 2, &month) ||
        !take_character(at, end, '-') || !take_digits(at, end, 2, &day))
        return false;
    if (!is_day(year, month, day))
        return false;
    *days = date_days(year, month, day);
    return true;
}

/* "03:00", "03:00:00", "03:00:00.25": seconds and fraction. 24:00 and a leap second belong to what follows. */
static bool take_clock(const char **at, const char *end, int *seconds, field *fraction)
{
    int hour, minute, second = 0;
    if (!take_digits(at, end, 2, &hour) || !take_character(at, end, ':') || !take_digits(at, end, 2, &minute))
        return false;
    if (take_character(at, end, ':')) {
        if (!take_digits(at, end, 2, &second))
            return false;
        if (take_character(at, end, '.') || take_character(at, end, ',')) {
            const char *digits = *at;
            take_fraction(at, end, fraction);
            if (*at == digits)
                return false;
        }
    }
    *seconds = 3600 * hour + 60 * minute + second;
    return hour <= 24 && minute <= 59 && second <= 60 && (hour < 24 || (*seconds == 24 * 3600 && fraction->length == 0));
}

static bool parse_iso(field text, date_time *parsed)
{
    const char *at = text.text, *end = at + text.length;
    int64_t days;
    int seconds = 0, offset = 0;
    parsed->fraction = (field){at, 0};
    if (!take_date(&at, end, &days))
        return false;
    if (at < end) {
        if (!take_character(&at, end, 'T') && !take_character(&at, end, ' ') && !take_character(&at, end, 't'))
            return false;
        if (!take_clock(&at, end, &seconds, &parsed->fraction) || !take_last_offset(&at, end, &offset))
            return false;
    }
    parsed->seconds = 86400 * days + seconds - offset;
    return at == end;
}

/* ---- patterns ---- */

const char date_directives[] = "%Y %y %m %b %B %d %e %j %H %I %M %S %f %p %a %A %z %Z %s %T %R %D %F %%";

/* What has been taken of a date so far. */
typedef struct {
    int year, month, day, day_of_year; /* 0: not said */
    int hour, minute, second, offset;
    bool is_afternoon, is_epoch;
    int64_t epoch;
    field fraction;
} date_parts;

static bool is_blank(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static void skip_blanks(const char **at, const char *end)
{
    while (*at < end && is_blank(**at))
        ++*at;
}

/* Takes one to `most` digits, in front of which blanks may stand, as of "Jan  4". */
static bool take_number(const char **at, const char *end, int most, int least_value, int most_value, int *value)
{
    int digits = 0;
    skip_blanks(at, end);
    for (*value = 0; digits < most && *at < end && **at >= '0' && **at <= '9'; ++digits, ++*at)
        *value = 10 * *value + (**at - '0');
    return digits > 0 && *value >= least_value && *value <= most_value;
}

/* Takes one of several English names, whole or by its first three letters: its place from 1, or 0. */
static int take_name(const char **at, const char *end, const char *const *names, int count)
{
    enum { SHORT = 3 };
    for (int i = 0; i < count; ++i) {
        const size_t left = (size_t)(end - *at), length = strlen(names[i]);
        const size_t taken = left >= length && strncasecmp(*at, names[i], length) == 0 ? length : (size_t)SHORT;
        if (left < taken || strncasecmp(*at, names[i], taken) != 0)
            continue;
        *at += taken;
        return i + 1;
    }
    return 0;
}

static bool take_month_name(const char **at, const char *end, date_parts *parts)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    parts->month = take_name(at, end, months, sizeof months / sizeof *months);
    return parts->month > 0;
}

/* It is not compared with the date. */
static bool take_day_name(const char **at, const char *end)
{
    static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    return take_name(at, end, days, sizeof days / sizeof *days) > 0;
}

static bool take_half_of_day(const char **at, const char *end, date_parts *parts)
{
    if (end - *at < 2 || ((*at)[1] != 'M' && (*at)[1] != 'm') || !strchr("AaPp", **at))
        return false;
    parts->is_afternoon = **at == 'P' || **at == 'p';
    *at += 2;
    return true;
}

static bool take_year_of_century(const char **at, const char *end, date_parts *parts)
{
    enum { FIRST_OF_1900 = 69 };
    if (!take_number(at, end, 2, 0, 99, &parts->year))
        return false;
    parts->year += parts->year < FIRST_OF_1900 ? 2000 : 1900;
    return true;
}

static bool take_epoch(const char **at, const char *end, date_parts *parts)
{
    const char *begin = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    parts->is_epoch = true;
    return number_scaled((field){begin, (size_t)(*at - begin)}, 0, &parts->epoch) == NUMBER_GOOD;
}

static bool take_pattern(const char *pattern, const char **at, const char *end, date_parts *parts);

static bool take_directive(char directive, const char **at, const char *end, date_parts *parts)
{
    const char *digits = *at;
    switch (directive) {
    case 'Y':
        return take_number(at, end, 4, 1, 9999, &parts->year);
    case 'y':
        return take_year_of_century(at, end, parts);
    case 'm':
        return take_number(at, end, 2, 1, 12, &parts->month);
    case 'b':
    case 'B':
        return take_month_name(at, end, parts);
    case 'd':
    case 'e':
        return take_number(at, end, 2, 1, 31, &parts->day);
    case 'j':
        return take_number(at, end, 3, 1, 366, &parts->day_of_year);
    case 'H':
        return take_number(at, end, 2, 0, 23, &parts->hour);
    case 'I':
        return take_number(at, end, 2, 1, 12, &parts->hour);
    case 'M':
        return take_number(at, end, 2, 0, 59, &parts->minute);
    case 'S':
        return take_number(at, end, 2, 0, 60, &parts->second);
    case 'f':
        take_fraction(at, end, &parts->fraction);
        return *at > digits;
    case 'p':
        return take_half_of_day(at, end, parts);
    case 'a':
    case 'A':
        return take_day_name(at, end);
    case 'z':
        return take_offset(at, end, &parts->offset);
    case 'Z':
        return take_utc(at, end);
    case 's':
        return take_epoch(at, end, parts);
    case 'T':
        return take_pattern("%H:%M:%S", at, end, parts);
    case 'R':
        return take_pattern("%H:%M", at, end, parts);
    case 'D':
        return take_pattern("%m/%d/%y", at, end, parts);
    case 'F':
        return take_pattern("%Y-%m-%d", at, end, parts);
    default:
        return directive == '%' && take_character(at, end, '%');
    }
}

/* Blanks of the pattern stand for any number of them. */
static bool take_pattern(const char *pattern, const char **at, const char *end, date_parts *parts)
{
    for (; *pattern; ++pattern)
        if (is_blank(*pattern))
            skip_blanks(at, end);
        else if (*pattern == '%' ? !take_directive(*++pattern, at, end, parts) : !take_character(at, end, *pattern))
            return false;
    return true;
}

static bool has_directive(const char *pattern, const char *directives)
{
    for (const char *at = strchr(pattern, '%'); at; at = strchr(at + 2, '%'))
        if (strchr(directives, at[1]))
            return true;
    return false;
}

static bool parse_pattern(const char *pattern, field text, date_time *parsed)
{
    const char *at = text.text, *end = at + text.length;
    date_parts parts = {.fraction = {at, 0}};
    if (!take_pattern(pattern, &at, end, &parts))
        return false;
    if (at < end && (has_directive(pattern, "zZ") || !take_last_offset(&at, end, &parts.offset)))
        return false;
    parsed->fraction = parts.fraction;
    parsed->seconds = parts.epoch;
    if (parts.is_epoch)
        return true;
    const int month = parts.month ? parts.month : 1, day = parts.day ? parts.day : 1;
    if (!is_day(parts.year, month, day) || (parts.day_of_year == 366 && !is_day(parts.year, 2, 29)))
        return false;
    const int64_t days = parts.day_of_year ? date_days(parts.year, 1, 1) + parts.day_of_year - 1
                                           : date_days(parts.year, month, day);
    const int hour = has_directive(pattern, "p") ? parts.hour % 12 + 12 * parts.is_afternoon : parts.hour;
    parsed->seconds = 86400 * days + 3600 * hour + 60 * parts.minute + parts.second - parts.offset;
    return true;
}

const char *date_pattern_fault(const char *pattern)
{
    if (strlen(pattern) >= DATE_PATTERN_SIZE)
        return "has more than 63 characters";
    for (const char *at = strchr(pattern, '%'); at; at = strchr(at + 2, '%')) {
        const char *known = at[1] && !is_blank(at[1]) ? strchr(date_directives, at[1]) : NULL;
        if (!known)
            return "has a directive that is not known";
    }
    if (!has_directive(pattern, "YyDFs"))
        return "says no year";
    if (has_directive(pattern, "I") != has_directive(pattern, "p"))
        return "has one of %I and %p without the other: 12 hours need both";
    return NULL;
}

/* ---- use ---- */

bool date_parse(const char *pattern, field text, date_time *parsed)
{
    return *pattern ? parse_pattern(pattern, text, parsed) : parse_iso(text, parsed);
}

void date_advise(field text, char advice[DATE_ADVICE_SIZE])
{
    static const char *const usual[] = {"%m/%d/%Y",
                                        "%m/%d/%Y %H:%M",
                                        "%m/%d/%Y %H:%M:%S",
                                        "%m/%d/%Y %I:%M %p",
                                        "%m/%d/%Y %I:%M:%S %p",
                                        "%d/%m/%Y",
                                        "%d/%m/%Y %H:%M",
                                        "%d/%m/%Y %H:%M:%S",
                                        "%d/%m/%Y %I:%M %p",
                                        "%d/%m/%Y %I:%M:%S %p",
                                        "%m/%d/%y",
                                        "%m/%d/%y %H:%M",
                                        "%d.%m.%Y",
                                        "%d.%m.%Y %H:%M",
                                        "%d.%m.%Y %H:%M:%S",
                                        "%Y/%m/%d",
                                        "%Y/%m/%d %H:%M",
                                        "%Y/%m/%d %H:%M:%S",
                                        "%Y.%m.%d",
                                        "%a %b %d %H:%M:%S %z %Y",
                                        "%a %b %d %H:%M:%S %Y",
                                        "%a, %d %b %Y %H:%M:%S %z",
                                        "%m %d, %Y",
                                        "%b %d, %Y",
                                        "%d %b %Y",
                                        "%d-%b-%Y",
                                        "%Y%m%dT%H%M%S",
                                        "%Y-%m-%d-%H:%M:%S",
                                        "%Y-%m-%d_%H:%M:%S"};
    enum { COUNT = sizeof usual / sizeof *usual, DAY_FIRST = 5 };
    date_time parsed;
    *advice = '\0';
    for (size_t i = 0; i < COUNT; ++i) {
        if (!parse_pattern(usual[i], text, &parsed))
            continue;
        const bool is_ambiguous = i < DAY_FIRST && parse_pattern(usual[i + DAY_FIRST], text, &parsed);
        snprintf(advice, DATE_ADVICE_SIZE, "; --time-format '%s' reads it%s%s%s", usual[i], is_ambiguous ? ", or '" : "",
                 is_ambiguous ? usual[i + DAY_FIRST] : "", is_ambiguous ? "' where the day comes first" : "");
        return;
    }
}
