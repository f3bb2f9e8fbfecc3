/* Zipf's law over a finite range of ranks, drawn exactly and in constant memory and time, and chains of items that keep to it.
 */
#ifndef SRTRAIN_DATA_PREP_ZIPF_H
#define SRTRAIN_DATA_PREP_ZIPF_H

#include "srtrain/random.h"

#include <stdbool.h>
#include <stdint.h>

/* Uniform numbers of a stream, one after the other. */
typedef struct {
    sr_random_stream stream;
    uint64_t next;
} draws;

/* In [0, 1). */
double draw(draws *d);

/* Ranks k in [first, last] with probability proportional to k^-exponent. */
typedef struct {
    uint64_t first, last;
    double exponent;
    double area_begin, area_end; /* what is inverted lies between these */
    double sure;                 /* what lies so close behind its rank is accepted without a look */
} zipf;

/* 1 <= first <= last < 2^53, exponent >= 0. */
void zipf_open(zipf *z, uint64_t first, uint64_t last, double exponent);

/* A rank, by rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone
 * discrete distributions", ACM Transactions on Modeling and Computer Simulation 6 (1996). Exact up to rounding; fewer than two
 * uniform numbers on average. */
uint64_t zipf_draw(const zipf *z, draws *d);

/* Chains of items: each is followed by one of its three successors, or by any. Ranks are divided into ranges, each of which is
 * twice as long as the one before it. The successors of an item are items of its own range. Every element of a chain has the
 * distribution of Zipf's law, however many successors there are among those in front of it. */
enum { ZIPF_RANGES = 64, ZIPF_SUCCESSORS = 3 };

typedef struct {
    zipf all, ranges[ZIPF_RANGES];
    sr_random_stream successors[ZIPF_SUCCESSORS], items;
    double transition;
    bool ranked;
} zipf_chain;

/* Ranks 1 to `items`; the next item is a successor with probability `transition`. With `ranked` the item of rank k is number
 * k - 1, otherwise items are permuted. Streams are forks of `stream`. */
void zipf_chain_open(zipf_chain *c, uint64_t items, double exponent, double transition, bool ranked, sr_random_stream stream);

/* The rank behind `last`; 0 stands in front of the first one. */
uint64_t zipf_chain_next(const zipf_chain *c, uint64_t last, draws *d);

/* The item of a rank, from 0. */
uint64_t zipf_chain_item(const zipf_chain *c, uint64_t rank);

#endif
