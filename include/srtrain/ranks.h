/* Ranks, as those see them who know no MPI: functions that whoever does fills in (sr_parallel_ranks()). */
#ifndef SRTRAIN_RANKS_H
#define SRTRAIN_RANKS_H

#include "srtrain/status.h"
#include "srtrain/traffic.h"

#include <stdbool.h>
#include <stddef.h>

/* The ranks that divide a global batch, as models see them: models know no MPI, and whoever does fills this in. Every call is
 * collective. A rank that has failed makes the same calls as the others, so that nobody waits for it in vain. */
typedef struct {
    size_t rank, count; /* this one, of so many */
    size_t here;        /* of these, in this process, from a multiple of `here` on; 0: this one alone */
    void *context;      /* what the functions get */
    /* Adds up `count` numbers over all ranks, in place. */
    sr_status (*sum)(void *context, double *values, size_t count, sr_error *error);
    /* Turns the failure of one rank into the same failure of all. */
    sr_status (*agree)(void *context, sr_status status, sr_error *error);
    /* Blocks of any number of elements of `size` bytes from every rank, one after the other in the order of ranks, on every
     * rank: *gathered, and *offsets [ranks + 1] in elements. The caller releases both with free(). A rank that passes a
     * `status` other than SR_OK takes part without data; then all fail together. */
    sr_status (*gather)(void *context, sr_status status, const void *data, size_t elements, size_t size, void **gathered,
                        size_t **offsets, sr_error *error);
    /* How many elements this rank has for each rank, sent [ranks], and in `received` [ranks] how many each has for this one. A
     * rank that passes a `status` other than SR_OK takes part; then all fail together. */
    sr_status (*exchange_counts)(void *context, sr_status status, const size_t *sent, size_t *received, sr_error *error);
    /* The elements, of `size` bytes: those for rank r are sent[r] .. sent[r + 1] of `data`, and those from it come to
     * received[r] .. received[r + 1] of `room`. Both are [ranks + 1], and any numbers will do. */
    sr_status (*exchange)(void *context, const void *data, const size_t *sent, void *room, const size_t *received, size_t size,
                          sr_error *error);
    /* Ranks of this process wait for each other; no other process takes part. NULL where there is one alone. */
    void (*wait_here)(void *context);
    bool rounds_rows;   /* rows of items and their gradients travel between processes as bf16 */
    double seconds;     /* that the calls of models have taken so far */
    sr_traffic traffic; /* what they have sent */
    bool failed;        /* a sum within a pass has failed, and so will all others: passes ask for no more */
} sr_ranks;

#endif
