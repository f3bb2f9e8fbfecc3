/* A report of runs as one page of HTML that needs nothing else, and their curves as one picture in SVG. Local. */
#ifndef SRTRAIN_REPORT_REPORT_H
#define SRTRAIN_REPORT_REPORT_H

#include "report/chart.h"
#include "report/intervals.h"
#include "report/recorded_run.h"

#include <stdio.h>

typedef struct {
    recorded_run *runs;
    size_t count;
    test_intervals *intervals; /* [count] */
    chart_direction by;
    bool logarithmic; /* the loss, at first */
    const char *program_version;
} report;

/* Reads the runs in `directories`, with intervals. SR_ERROR_DATA names a directory that is none of a run. Release with
 * report_free(), also after a failure. */
sr_status report_read(report *r, const char *const *directories, size_t count, sr_error *error);
void report_free(report *r);

/* The page, and the picture. SR_ERROR_RUNTIME for want of memory; whether all was written is for the caller to ask. */
sr_status report_write_page(FILE *page, const report *r, sr_error *error);
sr_status report_write_picture(FILE *picture, const report *r, sr_error *error);

/* ---- parts of the page ---- */

/* curves.c */
sr_status report_write_curves(FILE *page, const report *r, sr_error *error);

/* tables.c: the name of a run behind its colour; what runs have come to; their tests; where time and memory went. */
void report_write_name(FILE *page, const report *r, size_t run);
void report_write_summary(FILE *page, const report *r);
void report_write_tests(FILE *page, const report *r);
void report_write_times(FILE *page, const report *r);

/* origins.c: settings and their differences, environments. */
sr_status report_write_settings(FILE *page, const report *r, sr_error *error);
void report_write_environments(FILE *page, const report *r);

#endif
