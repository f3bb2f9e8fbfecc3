#include "train/run_files.h"

#include "srtrain/directories.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sr_status sr_run_paths_make(sr_run_paths *paths, const char *directory, sr_error *error)
{
    if (strlen(directory) >= sizeof paths->directory)
        return sr_fail(error, SR_ERROR_USAGE, "the output directory's name is longer than %zu bytes",
                       sizeof paths->directory - 1);
    snprintf(paths->directory, sizeof paths->directory, "%s", directory);
    snprintf(paths->checkpoints, sizeof paths->checkpoints, "%s/checkpoints", paths->directory);
    snprintf(paths->best, sizeof paths->best, "%s/best.h5", paths->directory);
    snprintf(paths->metrics, sizeof paths->metrics, "%s/metrics.jsonl", paths->directory);
    snprintf(paths->configuration, sizeof paths->configuration, "%s/config.yaml", paths->directory);
    snprintf(paths->environment, sizeof paths->environment, "%s/environment.json", paths->directory);
    snprintf(paths->wisdom, sizeof paths->wisdom, "%s/fftw-wisdom", paths->directory);
    snprintf(paths->log, sizeof paths->log, "%s/train.log", paths->directory);
    return SR_OK;
}

void sr_run_checkpoint_path(const sr_run_paths *paths, int64_t step, char *path, size_t size)
{
    snprintf(path, size, "%s/step-%010lld.h5", paths->checkpoints, (long long)step);
}

int64_t sr_run_newest_step(const sr_run_paths *paths)
{
    int64_t newest = -1;
    DIR *directory = opendir(paths->checkpoints);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        const int64_t step = sr_checkpoint_step_of_name(entry->d_name);
        if (step > newest)
            newest = step;
    }
    if (directory)
        closedir(directory);
    return newest;
}

sr_status sr_run_prepare_directory(const sr_run_paths *paths, const sr_settings *settings, sr_error *error)
{
    SR_TRY(sr_make_directories(paths->checkpoints, error));
    FILE *file = fopen(paths->configuration, "w");
    if (!file)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", paths->configuration, strerror(errno));
    const sr_status status = sr_settings_write(settings, file, false, error);
    if (fclose(file) != 0 && status == SR_OK)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", paths->configuration, strerror(errno));
    return status;
}

/* Settings that may differ between a checkpoint and the run that goes on from it. */
static void copy_free_settings(sr_settings *to, const sr_settings *from)
{
    memcpy(to->name, from->name, sizeof to->name);
    memcpy(to->data.path, from->data.path, sizeof to->data.path);
    to->data.verify = from->data.verify;
    to->training.epochs = from->training.epochs;
    to->training.threads = from->training.threads;
    to->training.reduction = from->training.reduction;
    to->training.reduction_bucket_megabytes = from->training.reduction_bucket_megabytes;
    to->training.early_stopping = from->training.early_stopping;
    to->evaluation = from->evaluation;
    to->checkpoint = from->checkpoint;
    to->logging = from->logging;
}

/* Of parameters that no step has been trained here yet (srtrain import) only the model is settled. */
static void copy_training_settings(sr_settings *to, const sr_settings *from)
{
    to->data = from->data;
    to->training = from->training;
    to->model.pvn_weight = from->model.pvn_weight; /* a key of the section training */
}

/* The first line in which two texts differ, cut to a readable length. */
static void first_difference(const char *stored, const char *wanted, char *stored_line, char *wanted_line, size_t size)
{
    while (*stored && *wanted) {
        const size_t stored_length = strcspn(stored, "\n"), wanted_length = strcspn(wanted, "\n");
        snprintf(stored_line, size, "%.*s", (int)stored_length, stored + strspn(stored, " "));
        snprintf(wanted_line, size, "%.*s", (int)wanted_length, wanted + strspn(wanted, " "));
        if (stored_length != wanted_length || memcmp(stored, wanted, stored_length) != 0)
            break;
        stored += stored_length + (stored[stored_length] == '\n');
        wanted += wanted_length + (wanted[wanted_length] == '\n');
    }
    stored_line[strcspn(stored_line, "\n")] = '\0';
    wanted_line[strcspn(wanted_line, "\n")] = '\0';
}

static sr_status compare_settings(const char *path, const sr_settings *stored, const sr_settings *wanted, sr_error *error)
{
    char *stored_text = NULL, *wanted_text = NULL;
    sr_status status = sr_settings_text(stored, &stored_text, error);
    if (status == SR_OK)
        status = sr_settings_text(wanted, &wanted_text, error);
    if (status == SR_OK && strcmp(stored_text, wanted_text) != 0) {
        char stored_line[128] = "", wanted_line[128] = "";
        first_difference(stored_text, wanted_text, stored_line, wanted_line, sizeof stored_line);
        status = sr_fail(
            error, SR_ERROR_DATA,
            "%s was written with other settings: it has \"%s\", now \"%s\" is asked for; use the same settings, another "
            "--output, or --resume never",
            path, stored_line, wanted_line);
    }
    free(stored_text);
    free(wanted_text);
    return status;
}

sr_status sr_run_check_fits(const char *path, const sr_checkpoint *checkpoint, const sr_settings *settings,
                            const sr_dataset *dataset, sr_error *error)
{
    SR_TRY(sr_checkpoint_check_data(path, checkpoint, dataset, error));
    sr_settings stored;
    const sr_status status = sr_settings_parse(&stored, checkpoint->configuration, path, NULL, 0, error);
    if (status != SR_OK)
        return sr_fail(error, SR_ERROR_DATA, "%s: the stored configuration cannot be read", path);
    copy_free_settings(&stored, settings);
    if (checkpoint->progress.step == 0)
        copy_training_settings(&stored, settings);
    return compare_settings(path, &stored, settings, error);
}
