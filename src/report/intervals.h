/* Intervals of test metrics: of one run over its users, where its directory has the file of its test cases, and of runs that
 * differ by nothing but their seed. Local. */
#ifndef SRTRAIN_REPORT_INTERVALS_H
#define SRTRAIN_REPORT_INTERVALS_H

#include "report/recorded_run.h"

/* Of each of a test's metrics; not a number where there is none. */
typedef struct {
    bool any;
    double low[RECORDED_TEST_METRICS], high[RECORDED_TEST_METRICS];
} test_intervals;

enum { INTERVAL_RESAMPLES = 2000 };

/* 95 % intervals by a bootstrap over users, from RUN/cases.h5 or RUN/cases.tsv (`srtrain evaluate RUN/best.h5 --cases`). A file
 * of other cases than those of the test is noted, and gives none. */
sr_status intervals_of_cases(recorded_run *run, test_intervals *intervals, sr_error *error);

/* Runs that differ by their seed alone; what is merely reported, saved or computed in another way does not count. */
typedef struct {
    size_t runs[64]; /* numbers of runs */
    size_t count;    /* at least 2 */
} seed_group;

/* Returns how many groups were found, at most `most`. */
size_t intervals_group_seeds(const recorded_run *runs, size_t count, seed_group *groups, size_t most);

/* Mean of a metric over a group, and the half width of its 95 % interval by Student's t distribution; both not a number where a
 * run lacks the metric. */
void intervals_of_seeds(const recorded_run *runs, const seed_group *group, const char *metric, double *mean, double *half);

/* The value of a metric in a test; not a number where it has none. */
double test_value(const recorded_test *test, const char *metric);

#endif
