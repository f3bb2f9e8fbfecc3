/* What an all-reduce costs on many nodes, by a model of latency and bandwidth. Times in seconds, sizes in bytes. Pure
 * functions.
 *
 * With p ranks of which q share a node, N = ceil(p / q) nodes, n bytes, latency a and bandwidth B of the network; a' and
 * B' are those of an exchange between two ranks of a node:
 *
 *   halving  2 ceil(lg q) a' + 2 (q-1)/q n/B' + 2 ceil(lg N) a + 2 (N-1)/N n/B
 *            Recursive halving and doubling: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004, LNCS
 *            3036; Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 *            International Journal of High Performance Computing Applications 19 (2005), section 4.5. Ranks of a node are
 *            neighbours, so that the halves that leave it add up to n bytes, which share its link.
 *   ring     2 (p-1) (a + n/(p B)), with a', B' where one node holds all
 *            Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", Journal of Parallel
 *            and Distributed Computing 69 (2009). One message at a time crosses each link. The slowest link sets the pace.
 *
 * A sum of few numbers takes ceil(lg q) a' + ceil(lg N) a, by recursive doubling (Thakur et al.).
 *
 * The additions are part of B'; on the network they are left out. */
#ifndef SRTRAIN_PLAN_NETWORK_H
#define SRTRAIN_PLAN_NETWORK_H

#include <stddef.h>

typedef enum { NETWORK_HALVING, NETWORK_RING } network_algorithm;

typedef struct {
    double latency, bandwidth;           /* between nodes: of a message; of a node's link in one direction */
    double node_latency, node_bandwidth; /* between ranks of a node */
    size_t ranks_of_node;
} network_model;

size_t network_nodes(const network_model *network, size_t ranks);

/* One all-reduce of `bytes` bytes. 0 for one rank. */
double network_all_reduce(const network_model *network, network_algorithm algorithm, size_t ranks, double bytes);

/* The same in messages of at most `message` bytes, one after the other. */
double network_reduction(const network_model *network, network_algorithm algorithm, size_t ranks, double bytes, double message);

/* One all-reduce of a few numbers. */
double network_small_sum(const network_model *network, size_t ranks);

/* Latency and bandwidth of a node from the time of a small sum and of an all-reduce of `bytes` bytes on `ranks` ranks of it,
 * which are more than one. */
void network_fit_node(network_model *network, network_algorithm algorithm, size_t ranks, double small_sum, double all_reduce,
                      double bytes);

/* Makes measured values that cannot fall ascending: where they fall, neighbours get their mean (the nearest ascending values,
 * by pooling adjacent violators). */
void make_ascending(double *values, size_t count);

/* y at x on the line through `count` points with ascending x, continued at both ends by the nearest two; never below 0. */
double interpolate(const double *xs, const double *ys, size_t count, double x);

#endif
