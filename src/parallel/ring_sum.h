/* Sums over processes that lie on different nodes, around a ring.
 *
 * A message is cut into a slice for each of p processes. Each slice goes around: it begins at one process, and each one adds
 * its own and hands it on. After p-1 steps somebody has its sum, and after p-1 more all have it (Patarasuk and Yuan, "Bandwidth
 * optimal all-reduce algorithms for clusters of workstations", Journal of Parallel and Distributed Computing 69 (2009)). So
 * each process sends and receives 2 (p-1)/p of the message, the least that is possible for any p, and every link of the network
 * has one stream in each direction. The order of additions depends on the slice alone, and all processes get the same bits.
 *
 * A step costs a latency, of which a message has 2 (p-1). Messages follow each other, each one step behind the one before, so
 * that something is always under way.
 *
 * What a step sends goes in pieces that are short enough to be sent at once. A longer message waits for an answer of its
 * receiver. Over a TCP connection that answer stands behind what the receiver is sending itself: both directions then take
 * turns, and the sum takes twice as long (docs/scaling.md). */
#ifndef SRTRAIN_PARALLEL_RING_SUM_H
#define SRTRAIN_PARALLEL_RING_SUM_H

#include "srtrain/parallel.h"

/* Bytes that MPI libraries send over TCP without asking: Open MPI has a limit of 64 KiB. */
enum { RING_PIECE_BYTES = 1 << 15 };

typedef struct ring_sum ring_sum;

/* In messages of at most `longest` numbers. Local. Release with ring_sum_free(). */
sr_status ring_sum_create(ring_sum **sum, sr_parallel *processes, size_t longest, sr_error *error);
void ring_sum_free(ring_sum *sum); /* NULL is allowed */

/* Replaces values [count] by their sums over processes. Collective over processes. */
sr_status ring_sum_run(ring_sum *sum, sr_real *values, size_t count, sr_error *error);

#endif
