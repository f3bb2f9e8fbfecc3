/* environment.json: what a run ran with. */
#ifndef SRTRAIN_RUN_ENVIRONMENT_H
#define SRTRAIN_RUN_ENVIRONMENT_H

#include "srtrain/cpu.h"
#include "srtrain/parallel.h"

/* Gathers host, process, binding, threads and highest CPU level of every rank and writes them with all versions and what `cpu`
 * agreed on to `path`. Collective; rank 0 writes. */
sr_status sr_environment_write(sr_parallel *parallel, const char *program_version, const sr_cpu *cpu, const char *path,
                               sr_error *error);

#endif
