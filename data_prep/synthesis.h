/* Synthetic interactions with long-term interests, short-term transitions and skewed popularity; docs/data.md describes the
 * process. */
#ifndef SRTRAIN_DATA_PREP_SYNTHESIS_H
#define SRTRAIN_DATA_PREP_SYNTHESIS_H

#include "engine/sequences.h"

typedef struct {
    uint64_t users, items, seed, clusters;
    double mean_length; /* of a user's sequence; at least SYNTHESIS_SHORTEST */
    double exponent;    /* popularity of the item of rank r is proportional to (r + 10)^-exponent */
    double transition;  /* probability that the next item comes from the successors of the last one */
} synthesis;

enum { SYNTHESIS_SHORTEST = 5 };

/* Makes the sequences of a range of users. */
typedef struct {
    synthesis process;
    struct catalogue *catalogue; /* 28 bytes for each item */
    uint64_t next, end;          /* users */
    uint32_t *items;
    int64_t *times;
    size_t room;
    char name[32];
} synthesiser;

/* Users [first, end). Release with synthesis_end(), also after a failure. */
sr_status synthesis_begin(synthesiser *s, const synthesis *process, uint64_t first, uint64_t end, sr_error *error);
void synthesis_end(synthesiser *s);

/* The length of a user's sequence. */
uint64_t synthesis_length(const synthesiser *s, uint64_t user);

/* The sequence of the next user: a sequence_function. Items are numbered from 0. Every item occurs in one of all users'
 * sequences; a user depends on the seed, the user's number and the counts in `process` alone, not on what was drawn for
 * others. */
sr_status synthesis_next(void *synthesiser_of_rank, sequence *one, sr_error *error);

/* The identifier of an item, and its length. */
size_t synthesis_item_name(uint64_t item, char name[32]);

#endif
