/* A small training on different numbers of ranks within one program: the first one, two, ... of its ranks. */
#ifndef SRTRAIN_TESTS_RANK_COUNTS_H
#define SRTRAIN_TESTS_RANK_COUNTS_H

#include "shared_dataset.h"

enum { MOST_RANKS = 4 };

typedef struct {
    shared_dataset all;                 /* the ranks of this program and their data set */
    sr_parallel *first[MOST_RANKS + 1]; /* the first ranks, for each number of them: NULL on the others */
} rank_counts;

/* CMocka's set-up of a group: *state is a rank_counts, with the data set that `write` writes. The program runs on MOST_RANKS
 * ranks. */
int rank_counts_set_up(void **state, void (*write)(const char *directory));
int rank_counts_tear_down(void **state);

/* A data set of 300 users with three to fifteen interactions each, and 120 items, for rank_counts_set_up(): items follow upon
 * each other by a rule in most cases. */
void write_short_histories(const char *directory);

/* Whether this rank is one of the first `ranks`; if so, *data is what these share. */
bool rank_counts_take_part(const rank_counts *counts, int ranks, shared_dataset *data);

/* Waits for all ranks and sleeps meanwhile, so that those that train have the cores. Collective. */
void rank_counts_wait(const rank_counts *counts);

#endif
