/* Which rows of the item table a step reads, and how many targets it has: looked up in some batches of the first epoch. */
#ifndef SRTRAIN_PLAN_BATCH_READS_H
#define SRTRAIN_PLAN_BATCH_READS_H

#include "srtrain/plan.h"

typedef struct {
    double ids;     /* distinct ones that a worker reads, on average; that of padding counts */
    double most;    /* of the worker that reads most */
    double fetched; /* of a divided table: distinct ones that the threads of a process read together, by their number */
    double all;     /* distinct ones of a global batch; 0: not asked for */
    double targets; /* of a global batch */
    double drawn;   /* targets of a global batch that workers gather before they draw negatives; 0: they do not */
} batch_reads;

/* Of an imagined data set, ids are expected to be as many as uniform draws from its catalogue give: more than there are where
 * some items are popular. `counts_all`: the whole batch counts, too. Local. */
sr_status batch_reads_find(batch_reads *reads, const sr_plan_request *request, bool counts_all, sr_error *error);

/* How many different ones `draws` uniform draws from `count` have, on average. */
double expected_distinct(double draws, double count);

#endif
