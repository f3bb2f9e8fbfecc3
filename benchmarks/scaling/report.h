/* Tables, CSV, JSON and pictures of a benchmark of scaling. */
#ifndef SRTRAIN_SCALING_REPORT_H
#define SRTRAIN_SCALING_REPORT_H

#include "scaling/project.h"

/* Writes scaling.txt (also to standard output), scaling.csv, projection.csv, scaling.json and the pictures efficiency.svg and
 * projection.svg, each with its data and its gnuplot script, into the output directory. `projected` is NULL where there is no
 * projection, and `refusal` then says why (NULL: it was not asked for). */
sr_status report_scaling(const scaling_options *options, const measurements *measured, const projection *projected,
                         const char *refusal, sr_error *error);

#endif
