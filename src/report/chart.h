/* Charts as SVG: curves of several runs over each other. Classes of CSS carry all colours (style.h). Local. */
#ifndef SRTRAIN_REPORT_CHART_H
#define SRTRAIN_REPORT_CHART_H

#include "report/recorded_run.h"

#include <stdio.h>

typedef enum { CHART_BY_STEP, CHART_BY_EPOCH, CHART_BY_TIME } chart_direction;

/* Size of a chart in units of SVG. */
enum { CHART_WIDTH = 480, CHART_HEIGHT = 280 };

/* One curve: that of a run, whose number chooses the colour. */
typedef struct {
    const curve *curve;
    const char *name; /* of the run */
    size_t run;
    double best_step; /* whose point is marked; not a number: none is */
} chart_line;

typedef struct {
    const char *title;
    chart_direction by;
    bool logarithmic; /* values; where all are above 0 */
    const chart_line *lines;
    size_t count;
} chart;

/* Whether there is a point to draw. */
bool chart_is_drawable(const chart *c);

/* Writes the chart as an element <svg> of the given class, or as a group <g> of a picture, moved to (x, y). Many points are
 * drawn as means of equal parts of the axis, in a band from the least to the largest value. SR_ERROR_RUNTIME for want of
 * memory. */
sr_status chart_write(FILE *page, const chart *c, const char *class, sr_error *error);
sr_status chart_write_group(FILE *page, const chart *c, int x, int y, sr_error *error);

#endif
