/* The best of items whose scores come part by part: a list of the K best, which is a heap with the worst in front until it is
 * sorted. Everything is local. */
#ifndef SRTRAIN_EVALUATE_BEST_ITEMS_H
#define SRTRAIN_EVALUATE_BEST_ITEMS_H

#include "srtrain/parallel.h"
#include "srtrain/real.h"
#include "srtrain/row_numbers.h"

/* What helps where a score is not a number, behind a message. */
#define PARAMETERS_DIVERGED                                                                                                   \
    "the parameters of the model are damaged, or training diverged; use an earlier checkpoint, or train anew with a smaller " \
    "training.learning_rate"

/* Lists of `count` entries in all that hold nothing yet. */
void best_items_clear(sr_scored_number *best, size_t count);

/* Those of some items that are better than the worst of the best take their places; an item with a score of -infinity and the
 * padding item never do. False on a score that is not a number. */
bool best_items_take(const sr_row_numbers *items, const sr_real *scores, size_t top_k, sr_scored_number *best);

/* From the heap to the best first; entries that hold nothing come last. */
void best_items_sort(sr_scored_number *best, size_t top_k);

/* Whether an entry holds an item. */
bool best_items_is(sr_scored_number entry);

#endif
