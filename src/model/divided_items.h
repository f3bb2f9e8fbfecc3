/* What the files of divided item tables share: the blocks of workers (divided_items.c), what steps read (divided_fetch.c), and
 * losses over the catalogue (divided_losses.c). */
#ifndef SRTRAIN_MODEL_DIVIDED_ITEMS_H
#define SRTRAIN_MODEL_DIVIDED_ITEMS_H

#include "base/id_map.h"
#include "model/item_table.h"
#include "srtrain/model.h"
#include "srtrain/row_placement.h"

/* A piece of memory that grows. */
typedef struct {
    sr_real *values;
    size_t room;
} growing;

/* What a worker has of a step, part by part of the table. */
typedef struct {
    growing read, read_gradients; /* [ids, width]: leaves of the tape */
    growing fetched;              /* [fetches, width]: rows that come, and gradients that go back, as they travel */
    growing answers;              /* [asked, width]: rows that go to those who ask, and gradients that come back; likewise */
    growing gradients;            /* [touched, width]: their sums */
} part_of_fetch;

typedef struct divided {
    sr_item_division division;
    sr_row_placement *placement; /* who owns which row */
    sr_row_block *blocks;        /* [threads]: those of the workers of this process */
    sr_row_block **list;         /* [threads]: the same */
    struct divided **team;       /* [threads]: the tables of the threads of this process, each as its worker has it */
    bool is_share;               /* these belong to another */

    /* Of the fetch that is under way: */
    sr_ranks *ranks;       /* NULL: this worker is the only one */
    bool rounds;           /* rows and gradients travel as bf16 */
    size_t thread;         /* of this worker */
    sr_row_block *block;   /* this worker's */
    bool failed;           /* all workers have failed together: nobody meets any more */
    id_map ids;            /* that this worker reads, behind padding, whose place is the first one */
    bool reads_padding;    /* and whether it is read, too; else its row is 0 */
    uint32_t *fetchers;    /* [ids]: the thread of this process that fetches the row, */
    uint32_t *read_places; /* [ids]: and where it stands among what that thread fetches */
    id_map fetches;        /* ids that this worker fetches for the threads of its process */
    uint32_t *places;      /* [fetches]: among the fetched rows */
    int32_t *wanted;       /* [fetches]: their places in the blocks of their owners, owner after owner */
    int32_t *asked;        /* what others want of this one, rank after rank */
    id_map touched;        /* places in the block of rows that somebody fetches */
    uint32_t *touches;     /* [asked]: which of the touched rows that is */
    size_t fetchers_room, read_room, places_room, wanted_room, asked_room, touches_room;
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

/* The first of the ids of a worker that it reads. */
static inline size_t divided_first_read(const divided *d)
{
    return d->reads_padding ? 0 : 1;
}

/* Room for `count` numbers. */
sr_status divided_grow(growing *memory, size_t count, sr_error *error);

/* Meets the others: a failure of one is one of all, and the table knows that they have failed. */
sr_status divided_agree(divided *d, sr_status status, sr_error *error);

/* item_table_kind.fetch() and hand_back(). */
sr_status divided_fetch(sr_item_table *table, const sr_item_reads *reads, sr_ranks *ranks, sr_status status, sr_error *error);
sr_status divided_hand_back(sr_item_table *table, sr_status status, sr_error *error);

/* item_table_kind.cross_entropy() and norm(). */
sr_tensor *divided_cross_entropy(sr_item_table *table, sr_tape *tape, sr_tensor *states, const int32_t *targets,
                                 const sr_scoring *scoring, double weight);
sr_tensor *divided_norm(sr_item_table *table, sr_tape *tape, item_part part);

#endif
