#include "base/stamp_clock.h"

#include <stddef.h>

sr_stamp_clock sr_stamp_clock_of(int64_t late)
{
    static const struct {
        int64_t least;
        sr_stamp_clock clock;
    } clocks[] = {{100000000000000000, {"nanoseconds", 1000000000}},
                  {100000000000000, {"microseconds", 1000000}},
                  {100000000000, {"milliseconds", 1000}},
                  {100000000, {"seconds", 1}}};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; ++i)
        if (late >= clocks[i].least)
            return clocks[i].clock;
    return (sr_stamp_clock){NULL, 0};
}
