/* What the two files of divided item tables share: fetching (divided_items.c) and losses over the catalogue (divided_losses.c).
 */
#ifndef SRTRAIN_MODEL_DIVIDED_ITEMS_H
#define SRTRAIN_MODEL_DIVIDED_ITEMS_H

#include "base/id_map.h"
#include "model/item_table.h"
#include "srtrain/model.h"

/* A piece of memory that grows. */
typedef struct {
    sr_real *values;
    size_t room;
} growing;

/* What a worker has of a step, part by part of the table. */
typedef struct {
    growing fetched, fetched_gradients; /* [fetched ids, width] */
    growing answers;                    /* [asked, width]: rows that go to those who ask, and gradients that come back */
    growing gradients;                  /* [touched, width]: their sums */
} part_of_fetch;

typedef struct divided {
    sr_item_division division;
    sr_row_block *blocks; /* [threads]: those of the workers of this process */
    sr_row_block **list;  /* [threads]: the same */
    bool is_share;        /* these belong to another */

    /* Of the fetch that is under way: */
    sr_ranks *ranks;     /* NULL: this worker is the only one */
    sr_row_block *block; /* this worker's */
    bool failed;         /* all workers have failed together: nobody meets any more */
    id_map ids;          /* that this worker reads; 0 is the first one */
    id_map touched;      /* places in the block of rows that somebody reads */
    uint32_t *places;    /* [ids]: among the fetched rows */
    int32_t *wanted;     /* [ids]: their places in the blocks of their owners, owner after owner */
    int32_t *asked;      /* what others want of this one, rank after rank */
    uint32_t *touches;   /* [asked]: which of the touched rows that is */
    size_t places_room, wanted_room, asked_room, touches_room;
    size_t *counts;          /* [workers] */
    size_t *sent, *received; /* [workers + 1]: where the ids of each owner begin in `wanted`, those of each rank in `asked` */
    part_of_fetch parts[ITEM_PARTS_MAXIMUM];
    growing room; /* of losses over the catalogue */
} divided;

/* Workers that the rows are divided among. */
static inline size_t divided_workers(const divided *d)
{
    return d->division.ranks * d->division.threads;
}

/* Room for `count` numbers. */
sr_status divided_grow(growing *memory, size_t count, sr_error *error);

/* Meets the others: a failure of one is one of all, and the table knows that they have failed. */
sr_status divided_agree(divided *d, sr_status status, sr_error *error);

/* item_table_kind.cross_entropy() and norm(). */
sr_tensor *divided_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                 const sr_scoring *scoring, double weight);
sr_tensor *divided_norm(sr_item_table *table, sr_tape *tape, item_part part);

#endif
