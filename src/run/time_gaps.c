#include "run/time_gaps.h"

#include "base/stamp_clock.h"
#include "srtrain/model.h"

#include <math.h>
#include <stdio.h>

enum { USERS_LOOKED_AT = 1000000, BITS = 64 };

/* Gaps that are not 0, by what the model makes of them; and by their number of bits. */
typedef struct {
    int64_t all, beyond, below;
    int64_t of_bits[BITS + 1];
} gap_counts;

static size_t bits_of(uint64_t gap)
{
    size_t bits = 0;
    for (; gap; gap >>= 1)
        ++bits;
    return bits;
}

/* Differences are taken in unsigned arithmetic, where none overflows; a user's times never decrease. */
static void count_gaps(const sr_sequence *sequence, const sr_model_needs *needs, gap_counts *counts)
{
    const uint64_t unit = (uint64_t)needs->time_unit, span = (uint64_t)needs->time_span;
    for (size_t i = 1; i < sequence->train_end; ++i) {
        const uint64_t gap = (uint64_t)sequence->times[i] - (uint64_t)sequence->times[i - 1];
        if (gap == 0)
            continue;
        ++counts->all;
        counts->below += gap < unit;
        counts->beyond += gap / unit > span;
        ++counts->of_bits[bits_of(gap)];
    }
}

/* *latest is the largest time stamp seen, 0 at least. The same on every rank, whatever their number. */
static sr_status look(sr_parallel *parallel, const sr_dataset *dataset, const sr_model_needs *needs, gap_counts *counts,
                      int64_t *latest, sr_error *error)
{
    const size_t users = sr_dataset_users(dataset), step = (users + USERS_LOOKED_AT - 1) / USERS_LOOKED_AT;
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    *counts = (gap_counts){.all = 0};
    *latest = 0;
    for (size_t user = rank * step; user < users; user += ranks * step) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        count_gaps(&sequence, needs, counts);
        if (sequence.length > 0 && sequence.times[sequence.length - 1] > *latest)
            *latest = sequence.times[sequence.length - 1];
    }
    int64_t sums[BITS + 4] = {counts->all, counts->beyond, counts->below};
    for (size_t bits = 0; bits <= BITS; ++bits)
        sums[3 + bits] = counts->of_bits[bits];
    SR_TRY(sr_parallel_sum_int64(parallel, sums, BITS + 4, error));
    SR_TRY(sr_parallel_maximum_int64(parallel, latest, 1, error));
    counts->all = sums[0];
    counts->beyond = sums[1];
    counts->below = sums[2];
    for (size_t bits = 0; bits <= BITS; ++bits)
        counts->of_bits[bits] = sums[3 + bits];
    return SR_OK;
}

/* The smallest unit with which nine in ten gaps stay within the span, as far as their bits tell: of those that people count
 * time in, where the clock is known. */
static double fitting_unit(const gap_counts *counts, const sr_model_needs *needs, double in_a_second)
{
    static const double seconds[] = {1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400};
    int64_t within = 0;
    size_t bits = 0;
    while (bits < BITS && (double)within < 0.9 * (double)counts->all)
        within += counts->of_bits[++bits];
    const double least = floor(ldexp(1, (int)bits) / (double)needs->time_span) + 1;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; ++i)
        if (seconds[i] * in_a_second >= least)
            return seconds[i] * in_a_second;
    return least;
}

static void warn(const gap_counts *counts, int64_t latest, const sr_model_needs *needs, sr_log *log)
{
    const double beyond = 100 * (double)counts->beyond / (double)counts->all;
    const double below = 100 * (double)counts->below / (double)counts->all;
    const sr_stamp_clock clock = sr_stamp_clock_of(latest);
    const double unit = fitting_unit(counts, needs, (double)clock.in_a_second);
    char advice[256] = "";
    if (beyond >= 50 ? unit > (double)needs->time_unit : unit < (double)needs->time_unit)
        snprintf(advice, sizeof advice, "; with model.time_unit: %.0f%s%s%s most of them differ", unit,
                 clock.name ? " (the time stamps look like " : "", clock.name ? clock.name : "", clock.name ? ")" : "");
    if (beyond >= 50)
        sr_log_warning(
            log,
            "%.3g %% of the gaps between interactions are longer than model.time_span x model.time_unit (%lld x %lld) "
            "and count as equally long, so that the model hardly sees time%s",
            beyond, (long long)needs->time_span, (long long)needs->time_unit, advice);
    else
        sr_log_warning(
            log,
            "%.3g %% of the gaps between interactions are shorter than model.time_unit (%lld) and count as no time, so "
            "that the model hardly sees time%s",
            below, (long long)needs->time_unit, advice);
}

sr_status time_gaps_check(sr_parallel *parallel, const sr_dataset *dataset, const sr_model_settings *model, sr_log *log,
                          sr_error *error)
{
    const double most_beyond = 0.5, most_below = 0.9;
    gap_counts counts;
    int64_t latest;
    const sr_model_needs needs = sr_model_needs_of(model, true);
    if (needs.time_span == 0)
        return SR_OK;
    SR_TRY(look(parallel, dataset, &needs, &counts, &latest, error));
    const double all = (double)counts.all;
    if (log && counts.all > 0 && ((double)counts.beyond >= most_beyond * all || (double)counts.below >= most_below * all))
        warn(&counts, latest, &needs, log);
    return SR_OK;
}
