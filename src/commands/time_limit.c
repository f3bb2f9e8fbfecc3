#include "commands/time_limit.h"

#include "srtrain/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A number without sign, exponent or other finery; *at moves behind it. */
static bool read_number(const char **at, bool fraction, double *value)
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
    if (dash && (!read_number(&text, false, &days) || text++ != dash))
        return false;
    do {
        if (count == sizeof parts / sizeof *parts || !read_number(&text, false, &parts[count++]))
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

sr_status sr_duration_read(const char *text, double *seconds, sr_error *error)
{
    const char *at = text;
    bool understood;
    if (strpbrk(text, ":-")) {
        understood = read_clock(text, seconds);
    } else {
        understood = read_number(&at, true, seconds) && unit_seconds(*at) > 0 && (*at == '\0' || at[1] == '\0');
        *seconds *= unit_seconds(*at);
    }
    if (understood && *seconds > 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE,
                   "\"%s\" is not a duration: expected seconds (3600), a number with s, m, h or d (90m, 1.5h), or a clock "
                   "(1:30:00, or 1-12:00:00 with days)",
                   text);
}

/* ---- what the batch system says ---- */

/* Seconds from now until the instant in the variable `name`. */
static sr_status read_instant(const char *name, double *left, sr_error *error)
{
    const char *text = getenv(name), *at = text;
    double instant;
    if (!read_number(&at, false, &instant) || *at)
        return sr_fail(error, SR_ERROR_USAGE, "--time-limit auto: %s is \"%s\", expected seconds since 1970", name, text);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *left = instant - (double)now.tv_sec - 1e-9 * (double)now.tv_nsec;
    return SR_OK;
}

static bool is_set(const char *name)
{
    const char *text = getenv(name);
    return text && *text;
}

static sr_status ask_batch_system(double started, sr_time_limit *limit, sr_error *error)
{
    static const char *const instants[] = {"SRTRAIN_JOB_END_TIME", "SLURM_JOB_END_TIME"};
    static const char duration[] = "PBS_WALLTIME";
    double seconds = 0;
    for (size_t i = 0; i < sizeof instants / sizeof *instants; ++i)
        if (is_set(instants[i])) {
            SR_TRY(read_instant(instants[i], &seconds, error));
            *limit = (sr_time_limit){.end = sr_seconds() + seconds, .source = instants[i], .asked = true};
            return SR_OK;
        }
    if (is_set(duration)) {
        SR_TRY(sr_duration_read(getenv(duration), &seconds, error));
        *limit = (sr_time_limit){.end = started + seconds, .source = duration, .asked = true};
    }
    return SR_OK;
}

sr_status sr_time_limit_read(const char *text, double started, sr_time_limit *limit, sr_error *error)
{
    double seconds = 0;
    *limit = (sr_time_limit){.asked = text != NULL};
    if (!text)
        return SR_OK;
    if (strcmp(text, "auto") == 0)
        return ask_batch_system(started, limit, error);
    const sr_status status = sr_duration_read(text, &seconds, error);
    if (status != SR_OK) {
        sr_error_prepend(error, "--time-limit: ");
        return status;
    }
    *limit = (sr_time_limit){.end = started + seconds, .source = "--time-limit", .asked = true};
    return SR_OK;
}
