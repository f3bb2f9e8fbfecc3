/* How long a run may take, by its command line or by the batch system. */
#ifndef SRTRAIN_TRAIN_TIME_LIMIT_H
#define SRTRAIN_TRAIN_TIME_LIMIT_H

#include "srtrain/status.h"
#include "srtrain/run.h"

/* Seconds of a duration: "3600", "90m", "1.5h", "2d", "1:30:00" (hours), "30:00" (minutes), "1-12:00:00" (days, as Slurm writes
 * them). SR_ERROR_USAGE for anything else, and for none or less. Local. */
sr_status sr_duration_read(const char *text, double *seconds, sr_error *error);

/* The limit that --time-limit `text` sets to a program that has been running since `started` (on the clock of sr_seconds()):
 * a duration, or "auto" for what the batch system says in the environment:
 *   SRTRAIN_JOB_END_TIME, SLURM_JOB_END_TIME: when the job ends, in seconds since 1970 (the first is for scripts to set);
 *   PBS_WALLTIME (Torque): how long the job may take, taken to have begun with this program.
 * Without any of them, limit->end is 0: none. NULL: none. SR_ERROR_USAGE when the text, or what stands in the environment, is
 * not understood. Local. */
sr_status sr_time_limit_read(const char *text, double started, sr_time_limit *limit, sr_error *error);

#endif
