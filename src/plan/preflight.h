/* What ranks see of the machines they run on, and what rank 0 makes of it. */
#ifndef SRTRAIN_PLAN_PREFLIGHT_H
#define SRTRAIN_PLAN_PREFLIGHT_H

#include "srtrain/plan.h"

#include <sched.h>

/* What one rank sees. */
typedef struct {
    char host[256];
    cpu_set_t cores; /* on which it may run */
    sr_machine machine;
} rank_view;

/* Chooses the item table of `made`, which has a plan already, and adds warnings: those that follow from the views of `count`
 * ranks, and from the room for checkpoints below `directory`. Sorts the views. The directory need not be there. SR_ERROR_USAGE
 * when the plan cannot fit on a node. Local. */
sr_status preflight_judge(sr_preflight *made, sr_item_table_choice choice, rank_view *views, size_t count,
                          const char *directory, sr_error *error);

#endif
