/* How long a run may take, by its command line or by the batch system. */
#ifndef SRTRAIN_COMMANDS_TIME_LIMIT_H
#define SRTRAIN_COMMANDS_TIME_LIMIT_H

#include "srtrain/status.h"
#include "srtrain/run.h"

/* The limit of a program that has been running since `started` (on the clock of sr_seconds()): `seconds` from then, or, if
 * `automatic`, what the batch system says in the environment:
 *   SRTRAIN_JOB_END_TIME, SLURM_JOB_END_TIME: when the job ends, in seconds since 1970 (the first is for scripts to set);
 *   PBS_WALLTIME (Torque): how long the job may take, taken to have begun with this program.
 * Without any of them, limit->end is 0: none. `seconds` 0: none. SR_ERROR_USAGE when what stands in the environment is not
 * understood. Local. */
sr_status sr_time_limit_find(double seconds, bool automatic, double started, sr_time_limit *limit, sr_error *error);

#endif
