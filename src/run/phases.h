/* Where the time of a run went: each phase over all ranks, with the slowest by name. */
#ifndef SRTRAIN_RUN_PHASES_H
#define SRTRAIN_RUN_PHASES_H

#include "srtrain/parallel.h"

enum { PHASE_NAME_SIZE = 16, PHASE_HOST_SIZE = 64 };

/* Seconds of one phase over ranks. */
typedef struct {
    char name[PHASE_NAME_SIZE];
    double least, median, most;
    int slowest; /* the first rank that has `most`, */
    char host[PHASE_HOST_SIZE];
} phase_times;

/* What `count` phases, `names`, took on all ranks, from what they took on each, `seconds`: over[count], the same on every rank.
 * Collective. */
sr_status phases_over_ranks(sr_parallel *parallel, const char *const *names, const double *seconds, size_t count,
                            phase_times *over, sr_error *error);

#endif
