/* Memory that the processes of a node have together: one copy a node of something that all of them read, however many
 * processes each node has. */
#ifndef SRTRAIN_NODE_MEMORY_H
#define SRTRAIN_NODE_MEMORY_H

#include "srtrain/parallel.h"

typedef struct sr_node_memory sr_node_memory;

/* `bytes` of memory for each node, all 0; `what` names them in errors. Where a node has no room for memory that processes
 * share, each process of every node has memory of its own instead. Collective over processes; fails on all of them together.
 * Keeps a pointer to `parallel`. Release with sr_node_memory_free(). */
sr_status sr_node_memory_create(sr_node_memory **memory, sr_parallel *parallel, size_t bytes, const char *what,
                                sr_error *error);

/* Collective over the processes of a node; NULL is allowed. */
void sr_node_memory_free(sr_node_memory *memory);

/* What this process reads and writes. Local. */
void *sr_node_memory_at(const sr_node_memory *memory);

/* Adds up all copies as whole numbers of 64 bits, so that each copy holds the sums; `bytes` was a multiple of 8. Before, it
 * waits for all processes to have written their part. Collective over processes. */
sr_status sr_node_memory_sum(sr_node_memory *memory, sr_error *error);

#endif
