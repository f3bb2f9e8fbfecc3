#include "evaluate/paired_tests.h"

#include "srtrain/memory.h"
#include "srtrain/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Streams of SR_RANDOM_EVALUATION. */
enum { BOOTSTRAP = 1, SIGNS = 2 };

static int compare_numbers(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* ---- bootstrap ---- */

/* floor(units * random / 2^64), for fewer than 2^32 units. */
static size_t unit_of(uint32_t random_high, uint32_t random_low, size_t units)
{
    return (size_t)(((uint64_t)random_high * units + ((uint64_t)random_low * units >> 32)) >> 32);
}

/* The means of one resample, into means [metrics]. */
static void draw_means(const paired_sample *sample, sr_random_stream stream, double *means)
{
    const size_t metrics = sample->metrics;
    double cases = 0;
    memset(means, 0, metrics * sizeof *means);
    for (size_t i = 0; i < sample->units; i += 2) {
        uint32_t words[4];
        sr_random_words(stream, i, 0, words);
        for (size_t k = 0; k < 2 && i + k < sample->units; ++k) {
            const size_t unit = unit_of(words[2 * k], words[2 * k + 1], sample->units);
            const double *sums = sample->sums + unit * metrics;
            cases += sample->counts[unit];
            for (size_t metric = 0; metric < metrics; ++metric)
                means[metric] += sums[metric];
        }
    }
    for (size_t metric = 0; metric < metrics; ++metric)
        means[metric] /= cases;
}

static double quantile(const double *sorted, size_t count, double share)
{
    const double place = share * (double)(count - 1);
    const size_t below = (size_t)place;
    return below + 1 < count ? sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]) : sorted[below];
}

sr_status paired_bootstrap(const paired_sample *sample, const paired_draws *draws, double *low, double *high, sr_error *error)
{
    const size_t metrics = sample->metrics, resamples = draws->resamples;
    const sr_random_stream stream = sr_random_open(draws->seed, SR_RANDOM_EVALUATION, BOOTSTRAP);
    double *means, *column;
    SR_TRY(SR_ALLOCATE(&means, resamples * metrics, "means of resamples", error));
    const sr_status status = SR_ALLOCATE(&column, resamples, "means of resamples", error);
    if (status == SR_OK) {
#pragma omp parallel for schedule(static) default(shared)
        for (size_t i = 0; i < resamples; ++i)
            draw_means(sample, sr_random_fork(stream, i), means + i * metrics);
        for (size_t metric = 0; metric < metrics; ++metric) {
            for (size_t i = 0; i < resamples; ++i)
                column[i] = means[i * metrics + metric];
            qsort(column, resamples, sizeof *column, compare_numbers);
            low[metric] = quantile(column, resamples, (1 - draws->confidence) / 2);
            high[metric] = quantile(column, resamples, (1 + draws->confidence) / 2);
        }
        free(column);
    }
    free(means);
    return status;
}

/* ---- randomisation ---- */

static void draw_sums(const paired_sample *sample, sr_random_stream stream, double *sums)
{
    const size_t metrics = sample->metrics;
    uint32_t words[4] = {0};
    memset(sums, 0, metrics * sizeof *sums);
    for (size_t unit = 0; unit < sample->units; ++unit) {
        if (unit % 128 == 0)
            sr_random_words(stream, unit / 128, 0, words);
        const double sign = words[unit % 128 / 32] >> unit % 32 & 1 ? -1 : 1;
        for (size_t metric = 0; metric < metrics; ++metric)
            sums[metric] += sign * sample->sums[unit * metrics + metric];
    }
}

sr_status paired_randomisation(const paired_sample *sample, const paired_draws *draws, double *p, sr_error *error)
{
    const size_t metrics = sample->metrics, resamples = draws->resamples;
    const sr_random_stream stream = sr_random_open(draws->seed, SR_RANDOM_EVALUATION, SIGNS);
    double *sums, *observed;
    SR_TRY(SR_ALLOCATE(&sums, resamples * metrics, "sums of resamples", error));
    const sr_status status = SR_ALLOCATE_ZERO(&observed, metrics, "sums of differences", error);
    if (status == SR_OK) {
        for (size_t unit = 0; unit < sample->units; ++unit)
            for (size_t metric = 0; metric < metrics; ++metric)
                observed[metric] += sample->sums[unit * metrics + metric];
#pragma omp parallel for schedule(static) default(shared)
        for (size_t i = 0; i < resamples; ++i)
            draw_sums(sample, sr_random_fork(stream, i), sums + i * metrics);
        for (size_t metric = 0; metric < metrics; ++metric) {
            size_t far = 0;
            /* Sums that are equal but for rounding are equal. */
            for (size_t i = 0; i < resamples; ++i)
                far += fabs(sums[i * metrics + metric]) >= fabs(observed[metric]) * (1 - 1e-10);
            p[metric] = (1 + (double)far) / (1 + (double)resamples);
        }
        free(observed);
    }
    free(sums);
    return status;
}

/* ---- Wilcoxon ---- */

typedef struct {
    double size;
    bool is_positive;
} signed_difference;

static int compare_sizes(const void *left, const void *right)
{
    return compare_numbers(&((const signed_difference *)left)->size, &((const signed_difference *)right)->size);
}

/* Sums of the ranks of positive differences and of all, and what ties take from the variance. */
static void sum_ranks(const signed_difference *sorted, size_t count, double *positive, double *tied)
{
    *positive = *tied = 0;
    for (size_t begin = 0, end; begin < count; begin = end) {
        size_t positives = 0;
        for (end = begin; end < count && sorted[end].size <= sorted[begin].size; ++end)
            positives += sorted[end].is_positive;
        const double ties = (double)(end - begin), rank = ((double)(begin + end) + 1) / 2;
        *positive += (double)positives * rank;
        *tied += ties * (ties * ties - 1);
    }
}

sr_status paired_wilcoxon(const paired_sample *sample, size_t metric, double *statistic, double *p, sr_error *error)
{
    signed_difference *sorted;
    size_t count = 0;
    double positive, tied;
    *statistic = 0;
    *p = 1;
    SR_TRY(SR_ALLOCATE(&sorted, sample->units, "differences", error));
    for (size_t unit = 0; unit < sample->units; ++unit) {
        const double difference = sample->sums[unit * sample->metrics + metric] / sample->counts[unit];
        if (difference < 0 || difference > 0)
            sorted[count++] = (signed_difference){fabs(difference), difference > 0};
    }
    if (count > 0) {
        qsort(sorted, count, sizeof *sorted, compare_sizes);
        sum_ranks(sorted, count, &positive, &tied);
        const double n = (double)count, all = n * (n + 1) / 2;
        *statistic = fmin(positive, all - positive);
        const double deviation = sqrt((n * (n + 1) * (2 * n + 1) - tied / 2) / 24);
        *p = erfc(fabs(*statistic - all / 2) / deviation / sqrt(2));
    }
    free(sorted);
    return SR_OK;
}

/* ---- Holm ---- */

typedef struct {
    double p;
    size_t place;
} placed_p;

static int compare_p(const void *left, const void *right)
{
    return compare_numbers(&((const placed_p *)left)->p, &((const placed_p *)right)->p);
}

sr_status paired_holm(double *p, size_t count, sr_error *error)
{
    placed_p *sorted;
    double largest = 0;
    SR_TRY(SR_ALLOCATE(&sorted, count, "p-values", error));
    for (size_t i = 0; i < count; ++i)
        sorted[i] = (placed_p){p[i], i};
    qsort(sorted, count, sizeof *sorted, compare_p);
    for (size_t i = 0; i < count; ++i) {
        largest = fmax(largest, fmin(1, (double)(count - i) * sorted[i].p));
        p[sorted[i].place] = largest;
    }
    free(sorted);
    return SR_OK;
}
