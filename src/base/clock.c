#include "srtrain/clock.h"

#include <time.h>

double sr_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double sr_lap(double *mark)
{
    const double now = sr_seconds(), seconds = now - *mark;
    *mark = now;
    return seconds;
}
