/* Counter-based random numbers (Philox-4x32-10, Salmon et al., SC 2011, as implemented by Random123).
 *
 * Nothing here has a state: a draw is a pure function of (seed, purpose, indices). Keyed by what is drawn and never by who
 * draws it, so that data order, dropout, noise and initial weights are the same for any number of ranks, and a resumed
 * run draws what the undisturbed one would have drawn. */
#ifndef SRTRAIN_RANDOM_H
#define SRTRAIN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a stream of draws is for. Streams with different purposes never share a number. The values are part of the
 * reproducibility promise: never renumber, only append. */
typedef enum {
    SR_RANDOM_INITIALISATION = 1, /* index: parameter, element */
    SR_RANDOM_SAMPLE_ORDER = 2,   /* index: epoch, round of the permutation */
    SR_RANDOM_DROPOUT = 3,        /* index: step, site, sample, position, channel */
    SR_RANDOM_NOISE = 4,          /* index: step, layer, sample, head, row, column */
    SR_RANDOM_NEGATIVES = 5,      /* index: epoch, place, sample, position, attempt */
    SR_RANDOM_MASKING = 6,        /* index: epoch, sample, position */
    SR_RANDOM_SYNTHESIS = 7,      /* srprep synth: its own sub-streams */
    SR_RANDOM_TEST = 8,
    SR_RANDOM_SHARED_EMBEDDING = 9,  /* index: step, table, sample, position */
    SR_RANDOM_SAME_TARGET = 10,      /* index: epoch, sample, attempt */
    SR_RANDOM_SHARED_NEGATIVES = 11, /* index: step, slice, place, attempt */
    SR_RANDOM_EVALUATION = 12        /* index: what is drawn, resample or test case, element */
} sr_random_purpose;

/* A stream: the 64-bit key that Philox is run with. */
typedef struct {
    uint32_t key[2];
} sr_random_stream;

/* The stream of (seed, purpose, index): every value of `index` (an epoch, a step, a dropout site ...) gives an independent one.
 */
sr_random_stream sr_random_open(uint64_t seed, sr_random_purpose purpose, uint64_t index);

/* The stream `index` below a stream. */
sr_random_stream sr_random_fork(sr_random_stream stream, uint64_t index);

/* One block of Philox: four independent uniform 32-bit words at counter (low, high). */
void sr_random_words(sr_random_stream stream, uint64_t low, uint64_t high, uint32_t words[4]);

/* Uniform in [0, 1), 53 bits, at counter (low, high). */
double sr_random_uniform(sr_random_stream stream, uint64_t low, uint64_t high);

/* Uniform integer in [0, bound), bound >= 1, at counter (low, high). The bias is below bound / 2^64. */
uint64_t sr_random_below(sr_random_stream stream, uint64_t low, uint64_t high, uint64_t bound);

/* The same integer, and from the rest of its block an independent uniform number in [0, 1), 53 bits. */
uint64_t sr_random_below_and_uniform(sr_random_stream stream, uint64_t low, uint64_t high, uint64_t bound, double *uniform);

/* Standard normal (Box-Muller) at counter (low, high). */
double sr_random_normal(sr_random_stream stream, uint64_t low, uint64_t high);

/* The image of `index` under a pseudo-random permutation of [0, size), size >= 1: shuffling in O(1) memory and with random
 * access (a balanced Feistel network with cycle walking). */
uint64_t sr_random_permutation(sr_random_stream stream, uint64_t index, uint64_t size);

#endif
