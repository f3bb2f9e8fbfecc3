/* Synthetic interactions with long-term interests, short-term transitions and skewed popularity; docs/data.md describes the
 * process. */
#ifndef SRTRAIN_DATA_PREP_SYNTHESIS_H
#define SRTRAIN_DATA_PREP_SYNTHESIS_H

#include "engine/sequences.h"
#include "zipf.h"

/* Where popularity and successors come from. */
typedef enum {
    SYNTHESIS_CLUSTERS, /* groups of items, each with a list; the item of rank r = 0, 1, ... has weight (r + 10)^-exponent */
    SYNTHESIS_ZIPF      /* the item of rank r = 1, 2, ... has weight r^-exponent; nothing is kept for an item */
} synthesis_kind;

typedef struct {
    synthesis_kind kind;
    uint64_t users, items, seed;
    double mean_length; /* of a user's sequence; at least SYNTHESIS_SHORTEST */
    double exponent;
    double transition; /* probability that the next item comes from the successors of the last one */
    uint64_t clusters; /* of SYNTHESIS_CLUSTERS */
    bool ranked;       /* with SYNTHESIS_ZIPF: the first item is the most popular one, and so on; otherwise they are permuted */
} synthesis;

enum { SYNTHESIS_SHORTEST = 5, SYNTHESIS_ITEM_BYTES = 28 };

/* Makes the sequences of a range of users. */
typedef struct {
    synthesis process;
    struct catalogue *catalogue; /* of SYNTHESIS_CLUSTERS: SYNTHESIS_ITEM_BYTES for each item */
    zipf_chain chain;            /* of SYNTHESIS_ZIPF */
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

/* The sequence of the next user: a sequence_function. Items are numbered from 0. With clusters every item occurs in one of all
 * users' sequences. A user depends on the seed, the user's number and the counts in `process` alone, not on what was drawn for
 * others. */
sr_status synthesis_next(void *synthesiser_of_rank, sequence *one, sr_error *error);

/* The identifier of an item, and its length. */
size_t synthesis_item_name(uint64_t item, char name[32]);

#endif
