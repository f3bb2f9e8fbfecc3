/* What an all-reduce costs on many nodes, by a model of latency and bandwidth. Times in seconds, sizes in bytes. Pure
 * functions.
 *
 * With p ranks of which q share a node, N = ceil(p / q) nodes, n bytes, latency a and bandwidth B of the network; a' and
 * B' are those of an exchange between two ranks of a node:
 *
 *   2 ceil(lg q) a' + 2 (q-1)/q n/B' + 2 ceil(lg N) a + 2 (N-1)/N n/B
 *       Recursive halving and doubling: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004, LNCS 3036;
 *       Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", International Journal
 *       of High Performance Computing Applications 19 (2005), section 4.5. Ranks of a node are neighbours, so that the halves
 *       that leave it add up to n bytes, which share its link. Over few nodes a ring (src/parallel/ring_sum.c) sends as many
 *       bytes. Its further latencies pass while other messages are under way.
 *   ceil(lg q) a' + ceil(lg N) a
 *       A sum of few numbers by recursive doubling (Thakur et al.).
 *   (p-1) m a' + ceil((p-q) / 16) a + (q-1)/(p-1) n/B' + q (p-q)/(p-1) n/B
 *       An exchange in which every rank has n bytes for all others together, m messages for each: as src/parallel/exchange.c
 *       does it, 16 partners at a time. A message costs its rank a'. Ranks of a node share its link.
 *
 * The additions are part of B'; on the network they are left out. */
#ifndef SRTRAIN_PLAN_NETWORK_H
#define SRTRAIN_PLAN_NETWORK_H

#include <stddef.h>

typedef struct {
    double latency, bandwidth;           /* between nodes: of a message; of a node's link in one direction */
    double node_latency, node_bandwidth; /* between ranks of a node */
    size_t ranks_of_node;
} network_model;

/* An all-reduce of `bytes` bytes in messages of at most `message` bytes, one after the other. 0 for one rank. */
double network_reduction(const network_model *network, size_t ranks, double bytes, double message);

/* An exchange in which each rank sends `bytes` bytes to all others together, in `messages` messages to each. 0 for one rank. */
double network_exchange(const network_model *network, size_t ranks, double bytes, size_t messages);

/* One all-reduce of a few numbers. */
double network_small_sum(const network_model *network, size_t ranks);

#endif
