/* The last part of the engine: sequences in their final order become the columns of a data set, items get their final numbers,
 * and all ranks write the files. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_COLUMNS_H
#define SRTRAIN_DATA_PREP_ENGINE_COLUMNS_H

#include "engine/sequences.h"
#include "split.h"
#include "srtrain/dataset.h"

/* Yields the sequences of this rank one after the other; *one.length is 0 after the last. */
typedef sr_status (*sequence_function)(void *context, sequence *one, sr_error *error);

/* What is to be written. */
typedef struct {
    sequence_totals totals;
    sequence_function next;
    void *context;
    bool has_times;
    uint64_t all_items; /* items that may occur, on all ranks */
    const store *items; /* the identifiers of this rank's items, which are numbered from first_item */
    uint64_t first_item, own_items;
    const split_rule *split;
    const char *split_text, *origin;
    const char *directory;
    size_t shards;
} column_plan;

/* Numbers items from 1 in order of first appearance along the sequences, splits each sequence, and writes the data set:
 * complete under its name, or not at all. Takes 12 bytes of memory for each item that may occur and 16 for each that does.
 * Collective. */
sr_status columns_write(workplace *place, const column_plan *plan, sr_error *error);

#endif
