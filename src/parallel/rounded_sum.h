/* Sums over processes of numbers that travel as bf16: half the bytes.
 *
 * MPI has no such type, and an operation of our own on 16 bits would round at every hop, so that the error grows with the
 * number of processes and depends on MPI's choice of algorithm. Here numbers are rounded twice, whatever the number of
 * processes: each process rounds its own, sends everybody a slice, adds up in single precision, in the order of
 * ranks, what it gets of its own slice, rounds the sums, and gives them to all. So all processes have the same bits. Slices of
 * some messages travel at the same time, in the pieces of ring_sum.h.
 *
 * What rounding takes away is kept (error feedback, Seide et al. 2014; of both roundings as in Tang et al. 2019) and added to
 * what this process brings the next time: in the long run nothing is lost. */
#ifndef SRTRAIN_PARALLEL_ROUNDED_SUM_H
#define SRTRAIN_PARALLEL_ROUNDED_SUM_H

#include "srtrain/parallel.h"

typedef struct rounded_sum rounded_sum;

/* In messages of `longest` numbers. Local. Release with rounded_sum_free(). */
sr_status rounded_sum_create(rounded_sum **sum, sr_parallel *process, size_t longest, sr_error *error);
void rounded_sum_free(rounded_sum *sum); /* NULL is allowed */

/* Replaces values [count] by their sums over processes. `rest` [count]: what rounding took from each number before, on this
 * process, and now; NULL: nothing is kept. Collective over processes. */
sr_status rounded_sum_run(rounded_sum *sum, float *values, float *rest, size_t count, sr_error *error);

#endif
