/* The last part of the engine: sequences in their final order become the columns of a data set, items get their final numbers,
 * and all ranks write the files. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_COLUMNS_H
#define SRTRAIN_DATA_PREP_ENGINE_COLUMNS_H

#include "engine/sequences.h"
#include "srtrain/dataset.h"

/* Yields the sequences of this rank one after the other; *one.length is 0 after the last. */
typedef sr_status (*sequence_function)(void *context, sequence *one, sr_error *error);

/* Writes the identifier of an item, counted from 0, into a field of `width` bytes, padded with zero bytes. */
typedef void item_name_function(uint64_t item, char *to, size_t width);

/* What is to be written. */
typedef struct {
    sequence_totals totals;
    sequence_function next;
    void (*release)(void *context); /* gives up what `next` needs, behind the last sequence; or NULL */
    void *context;
    bool has_times;
    uint64_t all_items;     /* items that may occur, on all ranks */
    const store *items;     /* the identifiers of this rank's items, which are numbered from first_item */
    const char *items_file; /* what other ranks find them under; shared where there are several */
    uint64_t first_item, own_items;
    item_name_function *name_item; /* instead of `items`: item i has number i + 1 already, whether it occurs or not */
    size_t item_width;             /* with it: of the longest identifier */
    const char *split_text, *origin;
    const char *directory;
    size_t shards;
} column_plan;

/* Numbers items from 1 in order of first appearance along the sequences, unless they are numbered, splits each sequence, and
 * writes the data set: complete under its name, or not at all. Takes at most a part of the memory for any number of items.
 * Collective. */
sr_status columns_write(workplace *place, const column_plan *plan, sr_error *error);

#endif
