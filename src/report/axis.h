/* One direction of a chart: where values lie, and where its ticks do. Pure functions. */
#ifndef SRTRAIN_REPORT_AXIS_H
#define SRTRAIN_REPORT_AXIS_H

#include <stdbool.h>
#include <stddef.h>

enum { AXIS_TICKS = 16, AXIS_LABEL_SIZE = 24 };

typedef struct {
    double low, high; /* the ends of the axis */
    bool logarithmic;
    double ticks[AXIS_TICKS];
    char labels[AXIS_TICKS][AXIS_LABEL_SIZE];
    size_t count;
} axis;

/* An axis for values from `least` to `most`, with some `wanted` ticks at numbers of the form 1, 2 or 5 times a power of ten.
 * With `logarithmic` ratios are equally far apart, which needs least > 0; without that the axis is linear. Some room is left at
 * both ends with `loose`. */
axis axis_make(double least, double most, size_t wanted, bool logarithmic, bool loose);

/* The same for durations in seconds: ticks at whole seconds, minutes, hours or days. *unit is the name of what labels count. */
axis axis_make_time(double least, double most, size_t wanted, const char **unit);

/* The share of the axis that lies below a value: 0 at the low end, 1 at the high one. */
double axis_place(const axis *a, double value);

#endif
