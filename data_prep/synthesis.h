/* Synthetic interactions with long-term interests, short-term transitions and skewed popularity; docs/data.md describes the
 * process. */
#ifndef SRTRAIN_DATA_PREP_SYNTHESIS_H
#define SRTRAIN_DATA_PREP_SYNTHESIS_H

#include "interactions.h"

typedef struct {
    uint64_t users, items, seed, clusters;
    double mean_length; /* of a user's sequence; at least SYNTHESIS_SHORTEST */
    double exponent;    /* popularity of the item of rank r is proportional to (r + 10)^-exponent */
    double transition;  /* probability that the next item comes from the successors of the last one */
} synthesis;

enum { SYNTHESIS_SHORTEST = 5 };

/* Adds the interactions of all users. Every item occurs; a user depends on the seed, the user's number and the counts in
 * `process` alone, not on what was drawn for others. */
sr_status synthesise(const synthesis *process, interactions *all, sr_error *error);

#endif
