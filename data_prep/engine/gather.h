/* The second half of the way in: runs of all ranks are merged, so that each rank has all interactions of the users whose
 * identifiers belong to it, sorted by user, time and order, and all identifiers have numbers. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_GATHER_H
#define SRTRAIN_DATA_PREP_ENGINE_GATHER_H

#include "engine/collect.h"

typedef struct {
    store events;                    /* of event; users numbered by this rank, ascending; items by all ranks */
    store users, items;              /* the identifiers of this rank, each in the order of its numbers, as in a name_table */
    uint64_t event_count;            /* of this rank */
    uint64_t user_count;             /* of this rank, from 0 */
    uint64_t first_item, item_count; /* this rank's items are numbered from first_item */
    uint64_t all_items;              /* of all ranks together */
    uint64_t not_listed;             /* events of this rank that a long list of items has left out */
} gathered;

/* What the identifiers of a rank's items are called, for the other ranks where there are several. */
#define GATHERED_ITEMS "merged-items"

/* Takes everything out of the collector, which must have been finished. Collective; release with gathered_free(). */
sr_status gather(workplace *place, collector *from, gathered *to, sr_error *error);
void gathered_free(gathered *g);

#endif
