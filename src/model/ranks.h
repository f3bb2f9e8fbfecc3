/* What models ask of the other ranks. Each call adds the time that it takes to ranks->seconds, and
 * what it sends to ranks->traffic: what is gathered are states, and what they come to. */
#ifndef SRTRAIN_MODEL_RANKS_H
#define SRTRAIN_MODEL_RANKS_H

#include "srtrain/model.h"

/* Adds up numbers over the ranks of a pass, in place. A pass goes on whatever happens, so that a failure is one of the tape. */
void ranks_sum_in_pass(sr_tape *tape, const sr_pass *pass, double *values, size_t count);

/* The functions of sr_ranks. */
void ranks_wait_here(sr_ranks *ranks); /* NULL is allowed */
sr_status ranks_sum(sr_ranks *ranks, double *values, size_t count, sr_error *error);
sr_status ranks_agree(sr_ranks *ranks, sr_status status, sr_error *error);
sr_status ranks_gather(sr_ranks *ranks, sr_status status, const void *data, size_t count, size_t size, void **gathered,
                       size_t **offsets, sr_error *error);
sr_status ranks_exchange_counts(sr_ranks *ranks, sr_status status, const size_t *sent, size_t *received, sr_error *error);
sr_status ranks_exchange(sr_ranks *ranks, sr_traffic_kind kind, const void *data, const size_t *sent, void *room,
                         const size_t *received, size_t size, sr_error *error);

#endif
