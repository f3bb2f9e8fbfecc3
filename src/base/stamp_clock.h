/* What time stamps count, as their size tells. */
#ifndef SRTRAIN_BASE_STAMP_CLOCK_H
#define SRTRAIN_BASE_STAMP_CLOCK_H

#include <stdint.h>

typedef struct {
    const char *name;    /* in words; NULL: not known */
    int64_t in_a_second; /* 0: not known */
} sr_stamp_clock;

/* What a late time stamp of a data set counts if it counts from 1970: those of the years 1973 to 5138 are told apart. Local. */
sr_stamp_clock sr_stamp_clock_of(int64_t late);

#endif
