/* The pieces of work that are dealt to ranks. Each example is one piece. Empty histories that share a sequence are one piece
 * together: then one rank alone computes that sequence. Very many of them are a few pieces: one rank would take too long.
 * Called by sampler.c. */
#ifndef SRTRAIN_DATA_PIECES_H
#define SRTRAIN_DATA_PIECES_H

#include "srtrain/batch.h"

/* What holds for the empty histories of a batch. */
typedef struct {
    bool share;         /* they are one sequence, whose work is not in that of the examples */
    bool are_one_piece; /* on all ranks together that sequence has to be one */
    size_t sequence;    /* its work */
} empty_histories;

typedef struct {
    size_t count;
    size_t *work;       /* [count] */
    size_t *of_example; /* [examples]: the piece of each example */
    uint32_t *owners;   /* [count]: the rank that computes it */
} work_pieces;

/* Makes the pieces of `count` examples, `work` [count] being that of each, and deals them to `ranks` (sr_divide_work()). Arrays
 * come from `arena`. Deterministic. Local. */
sr_status work_pieces_make(work_pieces *made, const sr_example *examples, const size_t *work, size_t count,
                           const empty_histories *empty, size_t ranks, sr_arena *arena, sr_error *error);

#endif
