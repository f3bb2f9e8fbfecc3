/* What the parts of a run share: set-up and loop (run.c), resuming (resume.c), saving (save.c), validation and test
 * (validate.c), reports (report.c), and when to stop (stop.c). Everything here is collective unless it says "local". */
#ifndef SRTRAIN_RUN_RUN_STATE_H
#define SRTRAIN_RUN_RUN_STATE_H

#include "srtrain/plan.h"
#include "srtrain/row_moves.h"
#include "srtrain/run.h"
#include "srtrain/step.h"
#include "srtrain/watchdog.h"
#include "storage/directory_lock.h"
#include "run/metrics.h"
#include "run/files.h"
#include "run/times.h"

/* What has passed since the last `train` line. */
typedef struct {
    double since, examples, reduction;
} interval;

/* The longest that parts of this run have taken so far, in seconds; 0 before the first. */
typedef struct {
    double step, checkpoint, validation;
} longest_times;

/* What the checkpoints of this process have cost. */
typedef struct {
    int64_t count;
    double waited; /* seconds in which training stood still */
    double held;   /* by the one that is being written */
} saving_costs;

/* What became of rows, over all ranks. */
typedef struct {
    sr_from_counts items, users;
    bool has_users;
} taken_rows;

/* Seconds that this process spent outside of steps and checkpoints. */
typedef struct {
    double setting_up, validation;
} phase_seconds;

typedef struct {
    sr_parallel *parallel;
    const sr_run_options *options;
    const sr_settings *settings;
    const sr_kernels *kernels;
    sr_log *log;
    sr_watchdog *watchdog;
    sr_run_paths paths;
    directory_lock *lock; /* of the run's directory; rank 0 only */
    sr_dataset *dataset;
    sr_sampler *sampler;
    sr_node_memory *sampler_table; /* or NULL */
    sr_model *model;
    sr_stepper stepper;
    sr_preflight preflight;
    size_t program;           /* bytes in memory at the start */
    double projected_from;    /* clock when steps began to be timed for the projection; -1: it has been made */
    int64_t projected_step;   /* the step at that time */
    sr_metrics_file *metrics; /* rank 0 only */
    run_times *times;
    sr_progress progress;
    double started, progress_before; /* clock at the start of this process's training; seconds trained before */
    double last_checkpoint, last_drawn;
    bool is_saving;              /* a checkpoint is being written beside training: */
    sr_background_write *saving; /* rank 0 only */
    saving_costs costs;
    int64_t last_checkpoint_step; /* -1: none in this process */
    int64_t skipped_in_a_row;     /* steps that were not finite */
    bool warned_of_no_case;       /* to validate with */
    longest_times longest;
    double begun; /* clock at the start of the run */
    phase_seconds seconds;
    int64_t first_step; /* behind which this process began to train */
    interval passed;
    bool divides_items;  /* among all workers; else every rank or node has the whole item table */
    bool begins_at_path; /* the run starts from options->resume_path now, for the first time */
    bool takes;          /* the run begins now with what options->from has learned: */
    taken_rows taken;
} run;

/* Seconds of training, those before a resume included. Local. */
double run_trained_seconds(const run *r);

/* ---- resume.c ---- */

/* Finds where to go on, as options->resume says, and reads it into model, optimizer and progress. Where there is nothing to go
 * on from, these stay as they are. */
sr_status run_resume(run *r, sr_error *error);

/* Makes best.h5 agree with progress. A run that begins at another run's checkpoint copies the best.h5 beside that. Where there
 * is none, progress forgets the best parameters. To be called when the run's directory is there. */
sr_status run_adopt_best(run *r, sr_error *error);

/* ---- take.c ---- */

/* Begins with the parameters of options->from, and with the state of its optimizer where there is one that fits: rows of items
 * and users by their identifiers. SR_ERROR_DATA where it is no such model. */
sr_status run_take(run *r, sr_error *error);

/* Writes the line about it. Rank 0 writes; collective. */
sr_status run_note_taken(run *r, sr_error *error);

/* Which rows of an owner this process fills: those of its blocks, or rank 0 all. `more` are those behind the last of `count`
 * identifiers; *found is false where the model has no such rows. Release search->here with free(). Local. */
sr_status run_list_rows(const run *r, sr_row_owner owner, size_t count, sr_row_search *search, bool *found, sr_error *error);

/* ---- item_vectors.c ---- */

/* Lets rows of items start with the vectors of data.item_vectors, where model.item_vectors says so: all rows, or those of
 * `taken` that are fresh. Counts items that the file does not have. SR_ERROR_DATA names the line that is no vector. */
sr_status run_fill_item_vectors(run *r, const sr_row_moves *taken, sr_error *error);

/* ---- save.c ---- */

/* The model alone into best.h5. */
sr_status run_write_best(run *r, sr_error *error);

/* A checkpoint of this step, unless there is one. With `beside` it may be written beside training; otherwise it is complete
 * when this returns, and old ones have been deleted. */
sr_status run_save(run *r, bool beside, sr_error *error);

/* Waits until a checkpoint that is being written beside training is complete, and deletes old ones. Before anything of this
 * process may use HDF5. */
sr_status run_finish_saving(run *r, sr_error *error);

/* Lets go of what is being written when the run has failed. Local. */
void run_abandon_saving(run *r);

/* Whether that is complete, so that nobody would have to wait. Local. */
bool run_has_saved(const run *r);

void run_report_saving(const run *r); /* local */

/* Whether a checkpoint is due after the step now taken, by the number of steps. Local, the same on every rank. */
bool run_save_is_due(const run *r);

/* Whether rank 0's clock says that a checkpoint is due. Local. */
bool run_save_is_overdue(const run *r);

/* SR_ERROR_RUNTIME, naming ranks, unless the parameters are the same to the bit on every rank. */
sr_status run_compare_ranks(run *r, sr_error *error);

/* ---- validate.c ---- */

/* Validates at the end of an epoch and keeps the best parameters. SR_STOPPED, with nothing changed, when a rank was asked to
 * stop meanwhile. */
sr_status run_validate(run *r, sr_error *error);

/* Evaluates the best parameters on the test split. SR_STOPPED likewise. */
sr_status run_test(run *r, sr_error *error);

/* ---- stop.c ---- */

/* Whether this rank was asked to stop, or (rank 0) the time limit comes so near that only the checkpoint still fits. `last`:
 * the next step is the last before a validation, which must fit too. Local. */
bool run_must_stop(const run *r, bool last);

/* run_must_stop() in the midst of an evaluation; `context` is the run. Local. */
bool run_must_stop_evaluating(void *context);

/* ---- report.c ---- */

void run_describe(const run *r); /* local */

/* Progress, and the `train` line when it is due. */
sr_status run_report_step(run *r, const sr_step_result *result, sr_error *error);

/* Where the time of this process's steps went, as means over ranks. */
sr_status run_report_times(run *r, sr_error *error);

/* Where the time of this process went, phase by phase over ranks: to the log and to metrics.jsonl. */
sr_status run_report_phases(run *r, sr_error *error);

/* A line of times.jsonl. */
sr_status run_note_times(run *r, sr_error *error);

/* Once, when the time of a step has settled: how long everything will take. Local. */
void run_project_time(run *r);

/* What ranks held at most, for comparison with the plan. */
sr_status run_report_memory(run *r, sr_error *error);

/* The mean loss of the current epoch so far; -1 before its first step. Local. */
double run_epoch_loss(const run *r);

void run_log_ranking(const run *r, const char *what, const sr_ranking_metrics *metrics); /* local */

#endif
