/* A process that crashes says who it is and what it was doing, before whatever else happens to it. */
#ifndef SRTRAIN_RUN_CRASH_H
#define SRTRAIN_RUN_CRASH_H

#include "srtrain/parallel.h"

/* Installs handlers for the signals of a crash, which write one line (rank, host, step, phase, signal) to standard error and
 * leave the rest to the former handler: a core dump, an MPI library's or a sanitizer's report. crash_restore() puts the former
 * handlers back. Local. */
sr_status crash_catch(const sr_parallel *parallel, sr_error *error);
void crash_restore(void);

#endif
