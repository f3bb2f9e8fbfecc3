/* The final numbers of items, from 1 in order of first appearance along the sequences, and identifiers in the order of these
 * numbers. Both go through items range by range, so that a part of the memory is enough for any number of items. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_ITEM_NUMBERS_H
#define SRTRAIN_DATA_PREP_ENGINE_ITEM_NUMBERS_H

#include "engine/workplace.h"

/* A column of item numbers, each below `all_items`, of which this rank's interactions are [first, end). */
typedef struct {
    store *column;
    uint64_t first, end;
    uint64_t all_items;
    uint64_t first_item, own_items; /* whose final numbers this rank is to know */
} item_column;

/* Replaces the numbers in the column by final ones. Sets *count to the number of items that occur, and `numbers` to a store of
 * the final numbers of this rank's own items: uint32 [own_items], 0 for one that does not occur. Other ranks may open it as
 * "item-numbers". Takes an eighth of the memory for a table of a range of items. Each range is three passes over the column.
 * Collective. */
sr_status item_numbers_assign(workplace *place, const item_column *items, store *numbers, uint64_t *count, sr_error *error);

/* Identifiers of this rank's items, one after the other as in a name_table, and their numbers. */
typedef struct {
    const store *names, *numbers;
    const char *names_file; /* what the other ranks' names are called */
    uint64_t own_items;
} item_names;

/* The longest identifier of an item that occurs on any rank, at least 1. Collective. */
sr_status item_names_width(const workplace *place, const item_names *items, size_t *width, sr_error *error);

/* Writes the identifiers of all `count` items to `to` in the order of their numbers, `width` bytes each. Takes an eighth of the
 * memory for a range of them, which one rank fills from the identifiers of all. Collective. */
sr_status item_names_write(const workplace *place, const item_names *items, uint64_t count, size_t width, store *to,
                           sr_error *error);

#endif
