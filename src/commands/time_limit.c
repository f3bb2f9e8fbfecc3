/* What the batch system and --time-limit say. */
#include "commands/time_limit.h"

#include "base/units.h"
#include "srtrain/clock.h"

#include <stdlib.h>
#include <time.h>

/* Seconds from now until the instant in the variable `name`. */
static sr_status read_instant(const char *name, double *left, sr_error *error)
{
    const char *text = getenv(name);
    uint64_t instant;
    if (!sr_read_whole(text, &instant))
        return sr_fail(error, SR_ERROR_USAGE, "--time-limit auto: %s is \"%s\", expected seconds since 1970", name, text);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *left = (double)instant - (double)now.tv_sec - 1e-9 * (double)now.tv_nsec;
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
        if (!sr_read_duration(getenv(duration), &seconds))
            return sr_fail(error, SR_ERROR_USAGE, "--time-limit auto: %s is \"%s\", expected %s", duration, getenv(duration),
                           SR_DURATION_FORM);
        *limit = (sr_time_limit){.end = started + seconds, .source = duration, .asked = true};
    }
    return SR_OK;
}

sr_status sr_time_limit_find(double seconds, bool automatic, double started, sr_time_limit *limit, sr_error *error)
{
    *limit = (sr_time_limit){.asked = automatic};
    if (automatic)
        return ask_batch_system(started, limit, error);
    if (seconds > 0)
        *limit = (sr_time_limit){.end = started + seconds, .source = "--time-limit", .asked = true};
    return SR_OK;
}
