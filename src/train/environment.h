/* environment.json: what a run ran with. */
#ifndef SRTRAIN_TRAIN_ENVIRONMENT_H
#define SRTRAIN_TRAIN_ENVIRONMENT_H

#include "srtrain/kernels.h"
#include "srtrain/parallel.h"

/* Gathers host, process, binding and threads of every rank and writes them with all versions to `path`. Collective; rank 0
 * writes. */
sr_status sr_environment_write(sr_parallel *parallel, const char *program_version, const sr_kernels *kernels, const char *path,
                               sr_error *error);

#endif
