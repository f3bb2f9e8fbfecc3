/* A divided item table over the ranks of a test (scattered_items.h), by one of several divisions. */
#ifndef SRTRAIN_TESTS_ITEMS_OVER_RANKS_H
#define SRTRAIN_TESTS_ITEMS_OVER_RANKS_H

#include "scattered_items.h"
#include "srtrain/parallel.h"

/* Which of `ranks` ranks has an item. */
typedef int item_owner(size_t id, int ranks);

item_owner owned_in_turn, owned_by_the_last, owned_by_all_but_the_first, owned_unevenly;

/* Of tests, where values of all rows are on every rank all the same. */
typedef struct {
    scattered_ranks ranks; /* first: it is what the table knows */
    sr_parallel *parallel;
    item_owner *owner;
    /* The fetch, from 1, at which the last rank fails by itself; 0: never. For processes. */
    size_t fails_at, fetches;
} divided_ranks;

/* A model like this one, whose items are divided; `ranks` must live as long. `owner` NULL: by the kind that trainings have,
 * among all threads of all ranks. */
sr_model *divided_model(divided_ranks *ranks, sr_model *like, sr_parallel *parallel, item_owner *owner);

#endif
