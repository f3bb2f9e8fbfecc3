/* Training runs: steps with validation, early stopping and checkpoints around them. */
#ifndef SRTRAIN_RUN_H
#define SRTRAIN_RUN_H

#include "srtrain/cpu.h"
#include "srtrain/log.h"
#include "srtrain/parallel.h"
#include "srtrain/settings.h"

/* ---- threads ---- */

/* The threads of a rank: what is configured; where that is 0, what OMP_NUM_THREADS says, else `own_cores`, and 1 where the
 * BLAS in use does not allow several. SR_ERROR_USAGE when the BLAS does not allow what is configured. Local. */
sr_status sr_choose_threads(const sr_training_settings *settings, size_t own_cores, size_t *threads, sr_error *error);

/* Gives each rank the threads that training.threads asks for; where that is left to srtrain, what OMP_NUM_THREADS or the cores
 * of its binding say, of all ranks the least. SR_ERROR_USAGE when the BLAS in use does not allow several; where the number was
 * left to srtrain, it is 1 then. Collective; before models are trained or evaluated. */
sr_status sr_use_threads(sr_parallel *parallel, const sr_training_settings *settings, sr_error *error);

/* ---- a run ---- */

typedef enum { SR_RESUME_AUTO, SR_RESUME_NEVER, SR_RESUME_PATH } sr_resume;

/* How long a run may take. */
typedef struct {
    double end;         /* on the clock of sr_seconds(); 0: there is no limit */
    const char *source; /* what it was taken from, for messages */
    bool asked;         /* for a limit, though none may have been found */
} sr_time_limit;

typedef struct {
    const sr_settings *settings;
    const char *output; /* directory of the run; created if need be */
    sr_resume resume;
    const char *resume_path;  /* for SR_RESUME_PATH */
    const char *from;         /* a checkpoint of other data to begin with, while the directory has none; or NULL */
    sr_time_limit time_limit; /* rank 0's counts */
    int64_t until_epoch;      /* the run stops after so many epochs, if it has more to do; 0: it does not */
    double stall_seconds;     /* after which a collective that does not end ends the job; 0: never */
    const char *program_version;
    const char *program_commit; /* for environment.json; NULL where nobody knows it */
    const sr_cpu *cpu;          /* what the ranks compute with */
    sr_log *log;                /* NULL on all ranks but 0 */
} sr_run_options;

/* Trains as configured and evaluates the best parameters on the test split. Writes config.yaml, environment.json, train.log,
 * metrics.jsonl, checkpoints/ and best.h5 below options->output. Collective. SR_STOPPED after a signal, shortly before the
 * time limit, or after the epoch that was asked for, when a valid checkpoint has been written. */
sr_status sr_train_run(sr_parallel *parallel, const sr_run_options *options, sr_error *error);

/* ---- what this program runs with ---- */

/* A text of several lines: version of srtrain and its commit, unless that is NULL, versions of MPI, BLAS, HDF5, FFTW, and what
 * `cpu` says of the processor; release with free(). Local. */
sr_status sr_versions(const char *program_version, const char *program_commit, const sr_cpu *cpu, char **text, sr_error *error);

#endif
