/* Turning MPI return codes into messages. */
#ifndef SRTRAIN_PARALLEL_MPI_CHECK_H
#define SRTRAIN_PARALLEL_MPI_CHECK_H

#include "parallel/activity.h"
#include "srtrain/status.h"

/* SR_OK for MPI_SUCCESS, otherwise a failure that names the operation and MPI's own text. */
sr_status sr_mpi_check(int code, const char *operation, sr_error *error);

/* The same around a call that waits for other ranks: meanwhile the watchdog sees that this rank is in `operation`. */
#define SR_MPI_WAIT(parallel, operation, call, error) \
    (activity_enter((parallel)->activity, operation), activity_left((parallel)->activity, sr_mpi_check(call, operation, error)))

static inline sr_status activity_left(sr_activity *activity, sr_status status)
{
    activity_leave(activity);
    return status;
}

#endif
