#include "base/units.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The digits at *at; *at moves behind them. */
static bool read_digits(const char **at, uint64_t *value)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *value = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

bool sr_read_whole(const char *text, uint64_t *value)
{
    uint64_t read;
    if (!read_digits(&text, &read) || *text)
        return false;
    *value = read;
    return true;
}

bool sr_read_number(const char *text, double *value)
{
    char *end;
    /* Neither blanks nor "inf", "nan" and "0x10", which strtod() takes. */
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    const double read = strtod(text, &end);
    if (*end || !isfinite(read))
        return false;
    *value = read;
    return true;
}

bool sr_read_bytes(const char *text, uint64_t *value)
{
    static const char prefixes[] = "KMGT";
    uint64_t read;
    if (!read_digits(&text, &read))
        return false;
    const char *prefix = *text ? strchr(prefixes, *text) : NULL;
    const unsigned shift = prefix ? 10 * (unsigned)(prefix - prefixes + 1) : 0;
    if (text[prefix != NULL] || read > UINT64_MAX >> shift)
        return false;
    *value = read << shift;
    return true;
}

/* ---- durations ---- */

/* A number without sign, exponent or other finery; *at moves behind it. */
static bool read_plain(const char **at, bool fraction, double *value)
{
    const size_t length = strspn(*at, fraction ? "0123456789." : "0123456789");
    char *end;
    *value = strtod(*at, &end);
    const bool understood = length > 0 && length < 16 && end == *at + length;
    *at += length;
    return understood;
}

static double unit_seconds(char unit)
{
    switch (unit) {
    case '\0':
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

/* [DAYS-]HOURS:MINUTES[:SECONDS] with days, else [HOURS:]MINUTES:SECONDS. */
static bool read_clock(const char *text, double *seconds)
{
    double parts[3], days = 0;
    size_t count = 0;
    const char *dash = strchr(text, '-');
    if (dash && (!read_plain(&text, false, &days) || text++ != dash))
        return false;
    do {
        if (count == sizeof parts / sizeof *parts || !read_plain(&text, false, &parts[count++]))
            return false;
    } while (*text++ == ':');
    if (text[-1] != '\0')
        return false;
    *seconds = 0;
    for (size_t i = 0; i < count; ++i)
        *seconds = 60 * *seconds + parts[i];
    if (dash)
        for (size_t i = count; i < 3; ++i) /* after days, the first part is hours */
            *seconds *= 60;
    *seconds += 86400 * days;
    return true;
}

bool sr_read_duration(const char *text, double *value)
{
    const char *at = text;
    double seconds;
    bool understood;
    if (strpbrk(text, ":-")) {
        understood = read_clock(text, &seconds);
    } else {
        understood = read_plain(&at, true, &seconds) && unit_seconds(*at) > 0 && (*at == '\0' || at[1] == '\0');
        seconds *= unit_seconds(*at);
    }
    if (!understood || !(seconds > 0))
        return false;
    *value = seconds;
    return true;
}

/* ---- the environment ---- */

uint64_t sr_number_of_environment(const char *name)
{
    const char *text = getenv(name);
    uint64_t number;
    text = text ? text + strspn(text, " \t") : "";
    return read_digits(&text, &number) ? number : 0;
}
