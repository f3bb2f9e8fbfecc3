/* The items that must not be a negative of some targets: the target itself, or items of its example. Called by negatives.c. */
#ifndef SRTRAIN_DATA_EXCLUSION_H
#define SRTRAIN_DATA_EXCLUSION_H

#include "base/id_map.h"

#include <stdbool.h>

/* Items of one example. They go into a set when they are asked for the second time: once it is faster to look through them. */
typedef struct {
    const int32_t *items; /* [count] */
    size_t count;
    int32_t another; /* one more item; 0: none */
    id_map set;
    bool is_filled; /* the set is */
    size_t asked;
} excluded_items;

/* Room for sets of at most `most` items. */
sr_status excluded_items_take(excluded_items *excluded, size_t most, sr_arena *arena, sr_error *error);

/* From now on these, and `another` unless it is 0. */
void excluded_items_set(excluded_items *excluded, const int32_t *items, size_t count, int32_t another);

bool excluded_items_have(excluded_items *excluded, int32_t item);

/* Makes the set of different items. */
void excluded_items_fill(excluded_items *excluded);

#endif
