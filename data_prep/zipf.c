#include "zipf.h"

#include <math.h>

enum { FIRST_RANGE = 64, REJECTIONS = 1000 };

double draw(draws *d)
{
    return sr_random_uniform(d->stream, d->next++, 0);
}

/* ---- one rank ---- */

/* log(1 + x) / x and (e^x - 1) / x, also close to 0. */
static double log_ratio(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x * (1.0 / 2 - x / 3);
}

static double exp_ratio(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2 * (1 + x / 3);
}

/* (x / first)^-exponent, its integral from `first` to x, and the inverse of that. */
static double density(const zipf *z, double x)
{
    return exp(-z->exponent * log(x / (double)z->first));
}

static double area(const zipf *z, double x)
{
    const double logarithm = log(x / (double)z->first);
    return (double)z->first * exp_ratio((1 - z->exponent) * logarithm) * logarithm;
}

static double area_inverse(const zipf *z, double a)
{
    const double part = a / (double)z->first, t = part * (1 - z->exponent);
    return (double)z->first * exp(log_ratio(t > -1 ? t : -1) * part); /* below -1 lies only what rounding made */
}

void zipf_open(zipf *z, uint64_t first, uint64_t last, double exponent)
{
    *z = (zipf){.first = first, .last = last, .exponent = exponent};
    const double begin = (double)first;
    z->area_begin = area(z, begin + 0.5) - density(z, begin);
    z->area_end = area(z, (double)last + 0.5);
    z->sure = begin + 1 - area_inverse(z, area(z, begin + 1.5) - density(z, begin + 1));
}

uint64_t zipf_draw(const zipf *z, draws *d)
{
    for (;;) {
        const double a = z->area_end + draw(d) * (z->area_begin - z->area_end);
        const double x = area_inverse(z, a);
        double rank = floor(x + 0.5);
        rank = rank < (double)z->first ? (double)z->first : (rank > (double)z->last ? (double)z->last : rank);
        if (rank - x <= z->sure || a >= area(z, rank + 0.5) - density(z, rank))
            return (uint64_t)rank;
    }
}

/* ---- chains ---- */

/* Ranks below FIRST_RANGE, then up to twice as many each time. */
static unsigned range_of(uint64_t rank)
{
    unsigned range = 0;
    while (rank >= (uint64_t)FIRST_RANGE << range)
        ++range;
    return range;
}

void zipf_chain_open(zipf_chain *c, uint64_t items, double exponent, double transition, bool ranked, sr_random_stream stream)
{
    *c = (zipf_chain){.transition = transition, .ranked = ranked, .items = sr_random_fork(stream, ZIPF_SUCCESSORS)};
    zipf_open(&c->all, 1, items, exponent);
    for (unsigned range = 0; range <= range_of(items); ++range) {
        const uint64_t first = range == 0 ? 1 : (uint64_t)FIRST_RANGE << (range - 1), end = (uint64_t)FIRST_RANGE << range;
        zipf_open(&c->ranges[range], first, end <= items ? end - 1 : items, exponent);
    }
    for (uint64_t k = 0; k < ZIPF_SUCCESSORS; ++k)
        c->successors[k] = sr_random_fork(stream, k);
}

/* What the least probable rank of a range has of the probability of another one. */
static double even_share(const zipf *range, uint64_t rank)
{
    return exp(range->exponent * (log((double)rank) - log((double)range->last)));
}

/* Of the probability of each rank, that of the least probable one of its range goes to a successor. As successors are a
 * permutation of the range, all its ranks get this much again. The rest goes to the ranks as they have more than the least
 * probable one. So each has as much as before. */
static uint64_t next_in_range(const zipf_chain *c, uint64_t last, draws *d)
{
    const unsigned number = range_of(last);
    const zipf *range = &c->ranges[number];
    if (draw(d) < even_share(range, last)) {
        const double which = draw(d);
        const sr_random_stream of_range = sr_random_fork(c->successors[which < 0.6 ? 0 : (which < 0.9 ? 1 : 2)], number);
        return range->first + sr_random_permutation(of_range, last - range->first, range->last - range->first + 1);
    }
    uint64_t rank = zipf_draw(range, d);
    /* This comes as seldom as it takes many attempts: once for each transition on average. */
    for (int attempt = 0; attempt < REJECTIONS && draw(d) < even_share(range, rank); ++attempt)
        rank = zipf_draw(range, d);
    return rank;
}

uint64_t zipf_chain_next(const zipf_chain *c, uint64_t last, draws *d)
{
    return last > 0 && draw(d) < c->transition ? next_in_range(c, last, d) : zipf_draw(&c->all, d);
}

uint64_t zipf_chain_item(const zipf_chain *c, uint64_t rank)
{
    return c->ranked ? rank - 1 : sr_random_permutation(c->items, rank - 1, c->all.last);
}
