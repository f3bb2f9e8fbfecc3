/* Sums the gradients of a step over all workers: the threads of each rank, and all ranks.
 *
 *   threads:    the members of a process add up their gradients, each a part of the block, into those of member 0.
 *   ranks:      member 0 sums the block over all ranks in messages. Of tables that a step touches in some rows, only these
 *               rows are packed and summed.
 *   in a node:  every worker of a node (srtrain/node.h) adds up its part of the gradients of all its processes, where they
 *               lie. Then each process sums its part with those of the other nodes. So each number crosses the network once
 *               for each node, and nobody has all sums. */
#ifndef SRTRAIN_STEP_REDUCTION_H
#define SRTRAIN_STEP_REDUCTION_H

#include "srtrain/node.h"
#include "srtrain/parallel.h"
#include "srtrain/parameters.h"

typedef struct sr_reduction sr_reduction;

typedef struct {
    /* Tables of which single rows may be summed, at most `most_rows`. */
    sr_table_list tables;
    size_t most_rows;
    /* Between processes gradients travel as bf16. With `keeps_rest`, what rounding took is added to the next step's. */
    bool rounded, keeps_rest;
    sr_node *node;        /* not NULL: the gradients of each process lie in its own block of the node */
    size_t message_bytes; /* of each sum over ranks; 0: SR_MESSAGE_BYTES */
} sr_reduction_settings;

/* For one worker; keeps pointers to `parallel`, `parameters` and the node. Local. Release with sr_reduction_free(). */
sr_status sr_reduction_create(sr_reduction **reduction, sr_parallel *parallel, sr_parameters *parameters,
                              const sr_reduction_settings *settings, sr_error *error);
void sr_reduction_free(sr_reduction *reduction); /* local; NULL is allowed */

/* Sums the gradients. Of the tables, only those rows are summed that `touched` names, the same on every rank (NULL: all of
 * them). Afterwards `parameters->gradients` holds the sums on every rank; with members, those of member 0; in a node, only the
 * part of each process (sr_node_process_part()), which others may still be reading until the next sr_node_wait() or
 * sr_node_sum(). Collective, for members too. */
sr_status sr_reduction_run(sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error);

/* In a node: gives every process all sums, of the same rows, which a step does not need. Otherwise all of them have them
 * already. Collective over the workers of the node. */
sr_status sr_reduction_collect(sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error);

/* Bytes that this worker has summed over ranks so far. Local. */
double sr_reduction_bytes(const sr_reduction *reduction);

/* Forgets what rounding has taken from the gradients of this process so far. Local. */
void sr_reduction_forget(sr_reduction *reduction);

#endif
