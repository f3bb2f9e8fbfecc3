/* environment.json: what a run ran with. */
#ifndef SRTRAIN_RUN_ENVIRONMENT_H
#define SRTRAIN_RUN_ENVIRONMENT_H

#include "srtrain/cpu.h"
#include "srtrain/parallel.h"

/* What all ranks agreed on. */
typedef struct {
    const char *program_version, *program_commit; /* the commit may be NULL */
    const sr_cpu *cpu;
    const char *item_table, *item_table_reason; /* its kind, and why it is this one */
} run_environment;

/* Gathers host, process, binding, threads and highest CPU level of every rank, and writes them to `path` with all versions and
 * what was agreed on. Collective; rank 0 writes. */
sr_status run_environment_write(sr_parallel *parallel, const run_environment *agreed, const char *path, sr_error *error);

#endif
