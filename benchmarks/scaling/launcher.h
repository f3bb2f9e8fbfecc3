/* How programs are started on several ranks: by what was asked for, or by what the batch system or the workstation offers. */
#ifndef SRTRAIN_SCALING_LAUNCHER_H
#define SRTRAIN_SCALING_LAUNCHER_H

#include "srtrain/status.h"

#include <stddef.h>

typedef struct {
    char command[2048];   /* with {ranks}, {nodes} and {threads} in it */
    char found[256];      /* in words, where it comes from */
    size_t ranks;         /* how many have a core (or {threads} cores) of their own */
    size_t ranks_of_node; /* of these */
    size_t threads;       /* of a rank */
} launch_method;

/* The launcher of ranks of `threads` threads: `given` (NULL: none), else srun in a Slurm job, mpirun over the host file in a
 * PBS or LSF job (jsrun where there is one), else mpirun. SR_ERROR_USAGE for one without {ranks}. */
sr_status launcher_find(launch_method *made, const char *given, size_t threads, sr_error *error);

/* The command line for `ranks` ranks: placeholders are filled in. */
void launcher_fill(const launch_method *launcher, size_t ranks, char *command, size_t size);

/* Runs "LAUNCHER arguments...", with standard output and error into a new file `log`; arguments end with NULL.
 * SR_ERROR_RUNTIME, with the end of the log, unless it ends with 0. */
sr_status launcher_run(const launch_method *launcher, size_t ranks, const char *const *arguments, const char *log,
                       sr_error *error);

/* Runs a program in `directory` in the same way; *missing (may be NULL) says that there is no such program, which is no error
 * then. */
sr_status run_and_log(const char *const *arguments, const char *directory, const char *log, int *missing, sr_error *error);

#endif
