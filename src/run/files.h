/* The directory of a run: its paths, its files at the start, and what resuming needs to know. */
#ifndef SRTRAIN_RUN_FILES_H
#define SRTRAIN_RUN_FILES_H

#include "srtrain/checkpoint.h"
#include "srtrain/settings.h"
#include "srtrain/dataset.h"
#include "srtrain/log.h"

typedef struct {
    char directory[SR_PATH_SIZE];
    char checkpoints[SR_PATH_SIZE + 32];
    char best[SR_PATH_SIZE + 32];
    char metrics[SR_PATH_SIZE + 32];
    char events[SR_PATH_SIZE + 32];
    char times[SR_PATH_SIZE + 32];
    char configuration[SR_PATH_SIZE + 32];
    char environment[SR_PATH_SIZE + 32];
    char log[SR_PATH_SIZE + 32];
    char wisdom[SR_PATH_SIZE + 32];
    char beginning[SR_PATH_SIZE + 32];
} sr_run_paths;

/* Local. SR_ERROR_USAGE when the directory's name is too long. */
sr_status sr_run_paths_make(sr_run_paths *paths, const char *directory, sr_error *error);

/* Path of the checkpoint after `step` steps. Local. */
void sr_run_checkpoint_path(const sr_run_paths *paths, int64_t step, char *path, size_t size);

/* The highest step of a checkpoint in the run's directory, valid or not; -1 when there is none. Local. */
int64_t sr_run_newest_step(const sr_run_paths *paths);

/* Creates the directories and writes config.yaml. For rank 0 only; local. */
sr_status sr_run_prepare_directory(const sr_run_paths *paths, const sr_settings *settings, sr_error *error);

/* Notes in the directory that this run began at the checkpoint `path`, and tells whether it did: by that name, whether or not
 * the file still exists. Local. */
sr_status sr_run_note_beginning(const sr_run_paths *paths, const char *path, sr_error *error);
sr_status sr_run_began_at(const sr_run_paths *paths, const char *path, bool *began, sr_error *error);

/* Copies a file as a whole: under its new name it is complete, on disk, or does not exist. Local. */
sr_status sr_run_copy_file(const char *from, const char *to, sr_error *error);

/* Whether training may go on from `checkpoint` with `settings` on `dataset`: the data must be the same, and so must every
 * setting that changes the mathematics; how long to train, how often to report and save, and how to reduce may change. Before
 * the first step everything but the model may. *before gets the settings of the checkpoint. `log` is told of settings that it
 * has and that are gone. SR_ERROR_DATA names the differences, and the options that give the old values. Local. */
sr_status sr_run_check_fits(const char *path, const sr_checkpoint *checkpoint, const sr_settings *settings,
                            const sr_dataset *dataset, sr_log *log, sr_settings *before, sr_error *error);

#endif
