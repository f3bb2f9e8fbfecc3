/* The processes of a node as one: they keep a single copy of what all of them hold alike, and divide what all of them would do
 * alike.
 *
 * A node has a common block (parameter values and the state of the optimizer), and a block of each process's own (its
 * gradients) that the others can read. Memory is a shared window of MPI. Every worker, that is every thread of every process of
 * the node, has a part of the common work. Between writing and reading what others write or have read there must be a
 * sr_node_wait() or sr_node_sum(). */
#ifndef SRTRAIN_NODE_H
#define SRTRAIN_NODE_H

#include "srtrain/parallel.h"
#include "srtrain/range.h"
#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct sr_node sr_node;

/* Whether processes can share, the same answer on every rank: some node has several of them. Collective over processes. */
sr_status sr_node_is_possible(sr_parallel *parallel, bool *possible, sr_error *error);

/* Memory for `common` numbers of the node and `own` numbers of each process, all 0. Only where it is possible. Collective over
 * processes: fails on all of them together, with SR_ERROR_RUNTIME when a node does not grant the memory. Keeps a pointer to
 * `parallel`. Release with sr_node_free(), which is collective over the processes of a node. */
sr_status sr_node_create(sr_node **node, sr_parallel *parallel, size_t common, size_t own, sr_error *error);
void sr_node_free(sr_node *node); /* NULL is allowed */

/* Local. */
sr_real *sr_node_common(const sr_node *node);
sr_real *sr_node_own(const sr_node *node, size_t process); /* of any process of the node */
size_t sr_node_processes(const sr_node *node);
size_t sr_node_process(const sr_node *node); /* which of them this one is */

/* This worker's part of the node's work. `member` is a process or one of its threads. Local. */
void sr_node_part(const sr_node *node, const sr_parallel *member, size_t *part, size_t *parts);

/* The part of `range` that the workers of one process have together. Local. */
sr_element_range sr_node_process_part(const sr_node *node, sr_element_range range, size_t process);

/* Waits for all workers of the node: afterwards each sees what the others have written. Collective over them. */
sr_status sr_node_wait(sr_node *node, sr_parallel *member, sr_error *error);

/* The sum over all workers of the node, in place, in their order: equal bits on each. Waits like sr_node_wait(). */
sr_status sr_node_sum(sr_node *node, sr_parallel *member, double *values, size_t count, sr_error *error);

/* Bytes of rank 0 to every node: `data` is the same place of each node's common block. One process of a node receives them for
 * all; waits like sr_node_wait(). Collective over processes. */
sr_status sr_node_broadcast(sr_node *node, void *data, size_t bytes, sr_error *error);

/* ---- between nodes ----
 *
 * A lane is a part of the node's work that crosses the network as one. There are as many as the smallest node has processes.
 * Where a node has more, some of its lanes are wide: several processes divide the work of the lane, and the first of them
 * speaks for it. All of this is local. */

/* The part of `range` that this process's lane has, and the process that speaks for it. */
sr_element_range sr_node_lane_part(const sr_node *node, sr_element_range range);
size_t sr_node_speaker(const sr_node *node);

/* Whether a lane of this node has several processes. */
bool sr_node_has_wide_lanes(const sr_node *node);

/* The processes that speak for this lane, one on each node: what has been summed within nodes is summed between them. They know
 * nothing of nodes and threads. For a process that does not speak, it alone. */
sr_parallel *sr_node_between(sr_node *node);

#endif
