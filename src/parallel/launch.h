/* What launchers of MPI programs tell the processes that they start. Local. */
#ifndef SRTRAIN_PARALLEL_LAUNCH_H
#define SRTRAIN_PARALLEL_LAUNCH_H

#include "srtrain/status.h"

/* The least number of processes that the launcher has started together with this one, as far as the environment tells: 1 when
 * it tells of no other. */
typedef struct {
    long processes;
    char source[64]; /* "PMI_SIZE=3": what says so; empty for 1 */
} launch_promise;

/* To be called before MPI starts, which may set variables of its own. */
launch_promise launch_look(void);

/* SR_ERROR_USAGE when MPI knows of this process alone (`size` is 1) and the launcher has started more: the two do not know each
 * other, and each process would do the whole work. */
sr_status launch_check(const launch_promise *promise, int size, sr_error *error);

#endif
