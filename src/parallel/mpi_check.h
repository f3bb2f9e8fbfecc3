/* Turning MPI return codes into messages. */
#ifndef SRTRAIN_PARALLEL_MPI_CHECK_H
#define SRTRAIN_PARALLEL_MPI_CHECK_H

#include "srtrain/status.h"

/* SR_OK for MPI_SUCCESS, otherwise a failure that names the operation and MPI's own text. */
sr_status sr_mpi_check(int code, const char *operation, sr_error *error);

#endif
