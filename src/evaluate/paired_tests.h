/* Whether two systems differ, by what each did with the same cases. Everything is local, and follows from the seed to the bit,
 * with any number of threads.
 *
 * Cases of one user are no independent observations. So the unit is the user: users are drawn anew, and signs are drawn for
 * users. With one case a user a unit is a case. */
#ifndef SRTRAIN_EVALUATE_PAIRED_TESTS_H
#define SRTRAIN_EVALUATE_PAIRED_TESTS_H

#include "srtrain/status.h"

#include <stddef.h>
#include <stdint.h>

/* Differences of several metrics for the same units. */
typedef struct {
    size_t units, metrics; /* fewer than 2^32 units */
    const double *sums;    /* [units, metrics]: over the cases of a unit */
    const double *counts;  /* [units]: cases of a unit, at least 1 */
} paired_sample;

/* How often and with which seed something is drawn, and the confidence of intervals, in (0, 1). */
typedef struct {
    uint64_t seed;
    size_t resamples;
    double confidence;
} paired_draws;

/* Percentile intervals of the mean difference of a case (Efron and Tibshirani 1993, chapter 13): `resamples` times as many
 * units are drawn with replacement as there are, the same for all metrics. Quantiles lie between two means linearly. low, high
 * [metrics]. */
sr_status paired_bootstrap(const paired_sample *sample, const paired_draws *draws, double *low, double *high, sr_error *error);

/* Fisher's randomisation test (Smucker, Allan and Carterette, CIKM 2007): the two systems change places for each unit with
 * probability 1/2. p [metrics] is two-sided: (1 + draws whose sum is at least as far from 0) / (1 + resamples). */
sr_status paired_randomisation(const paired_sample *sample, const paired_draws *draws, double *p, sr_error *error);

/* Wilcoxon's signed-rank test over units' mean differences: zeros are left out, equal ones share their mean rank, and the
 * two-sided p follows from the normal approximation with its variance corrected for ties, without correction for continuity.
 * *statistic is the smaller sum of ranks; without differences it is 0, and p is 1. */
sr_status paired_wilcoxon(const paired_sample *sample, size_t metric, double *statistic, double *p, sr_error *error);

/* Holm's correction (1979) of p-values [count] in place: those of a family of tests, no more than one of which is to be taken
 * for a difference by chance with the stated probability. */
sr_status paired_holm(double *p, size_t count, sr_error *error);

#endif
