#include "run/files.h"

#include "srtrain/directories.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"

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
    snprintf(paths->events, sizeof paths->events, "%s/tensorboard", paths->directory);
    snprintf(paths->times, sizeof paths->times, "%s/times.jsonl", paths->directory);
    snprintf(paths->configuration, sizeof paths->configuration, "%s/config.yaml", paths->directory);
    snprintf(paths->environment, sizeof paths->environment, "%s/environment.json", paths->directory);
    snprintf(paths->wisdom, sizeof paths->wisdom, "%s/fftw-wisdom", paths->directory);
    snprintf(paths->beginning, sizeof paths->beginning, "%s/resumed-from", paths->directory);
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
    sr_output_file file;
    SR_TRY(sr_output_file_open(&file, paths->configuration, error));
    return sr_output_file_close(&file, sr_settings_write(settings, file.stream, false, error), error);
}

/* ---- files as a whole ---- */

/* Writes what is left of `in` to `out`; whether that succeeded is asked at its end. */
static sr_status copy_bytes(FILE *in, FILE *out, const char *from, sr_error *error)
{
    char buffer[1 << 16];
    for (size_t count; (count = fread(buffer, 1, sizeof buffer, in)) > 0;)
        (void)fwrite(buffer, 1, count, out);
    return ferror(in) ? sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", from, strerror(errno)) : SR_OK;
}

sr_status sr_run_copy_file(const char *from, const char *to, sr_error *error)
{
    FILE *in = fopen(from, "r");
    if (!in)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", from, strerror(errno));
    sr_output_file file;
    sr_status status = sr_output_file_open(&file, to, error);
    if (status == SR_OK)
        status = sr_output_file_close(&file, copy_bytes(in, file.stream, from, error), error);
    fclose(in);
    return status;
}

/* ---- where a run began ---- */

/* The path without links and dots, so that other spellings of it are known again; as it is, if there is no such file. */
static sr_status plain_path(const char *path, char **plain, sr_error *error)
{
    *plain = realpath(path, NULL);
    if (!*plain && errno == ENOMEM)
        return sr_fail_memory(error, strlen(path) + 1, "a file name");
    return *plain ? SR_OK : sr_copy_string(plain, path, error);
}

sr_status sr_run_note_beginning(const sr_run_paths *paths, const char *path, sr_error *error)
{
    char *plain;
    SR_TRY(plain_path(path, &plain, error));
    sr_output_file file;
    sr_status status = sr_output_file_open(&file, paths->beginning, error);
    if (status == SR_OK) {
        fprintf(file.stream, "%s\n%s\n", path, plain);
        status = sr_output_file_close(&file, SR_OK, error);
    }
    free(plain);
    return status;
}

/* The file holds the name as it was given, and the plain path: the checkpoint may be gone by now. */
sr_status sr_run_began_at(const sr_run_paths *paths, const char *path, bool *began, sr_error *error)
{
    char *plain, *line = NULL;
    size_t capacity = 0;
    *began = false;
    SR_TRY(plain_path(path, &plain, error));
    FILE *file = fopen(paths->beginning, "r");
    while (file && !*began && getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        *began = strcmp(line, path) == 0 || strcmp(line, plain) == 0;
    }
    const bool complete = !file || *began || feof(file);
    const int cause = errno;
    free(line);
    free(plain);
    if (file)
        fclose(file);
    return complete ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", paths->beginning, strerror(cause));
}

/* ---- what may change between a checkpoint and going on ---- */

/* What a message says of settings that differ. */
typedef struct {
    size_t count;
    char changes[1536]; /* "KEY was VALUE, now it is VALUE; ..." */
    char options[1024]; /* "--set KEY=VALUE ...", which give the old values */
} settings_changes;

enum { CHANGES_SHOWN = 8 };

static void append(char *text, size_t size, const char *more)
{
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", more);
}

static void note_change(void *context, const char *key, const char *stored, const char *wanted)
{
    settings_changes *found = context;
    char change[320], option[192];
    if (++found->count > CHANGES_SHOWN)
        return;
    snprintf(change, sizeof change, "%s%s was %.80s, now it is %.80s", found->count > 1 ? "; " : "", key, stored, wanted);
    append(found->changes, sizeof found->changes, change);
    /* What is in parentheses is no value. */
    if (*stored == '(' || strlen(stored) > 80)
        return;
    const char *quote = strpbrk(stored, " []{}\"") ? "'" : "";
    snprintf(option, sizeof option, " --set %s%s=%s%s", quote, key, stored, quote);
    append(found->options, sizeof found->options, option);
}

static sr_status compare_settings(const char *path, const sr_settings *stored, const sr_settings *wanted, sr_error *error)
{
    settings_changes found = {.count = 0};
    char more[64] = "";
    sr_settings_compare(stored, wanted, note_change, &found);
    if (found.count == 0)
        return SR_OK;
    if (found.count > CHANGES_SHOWN)
        snprintf(more, sizeof more, "; and %zu more", found.count - CHANGES_SHOWN);
    return sr_fail(error, SR_ERROR_DATA,
                   "%s was written with other settings: %s%s. To go on from it, give it the settings that it has%s%s; to train "
                   "with the new ones, begin in another --output, with --from %s to keep what it has learned, or from nothing",
                   path, found.changes, more, *found.options ? ":" : "", found.options, path);
}

static void tell_log(void *log, const char *line)
{
    sr_log_warning(log, "%s", line);
}

static sr_status check_data(const char *path, const sr_checkpoint *checkpoint, const sr_dataset *dataset, sr_error *error)
{
    sr_error reason = {.message = ""};
    const sr_status status = sr_checkpoint_check_data(path, checkpoint, dataset, &reason);
    if (status == SR_OK)
        return SR_OK;
    return sr_fail(error, status,
                   "%.3000s. To train on other data with what it has learned, begin in another --output with --from %s",
                   reason.message, path);
}

sr_status sr_run_check_fits(const char *path, const sr_checkpoint *checkpoint, const sr_settings *settings,
                            const sr_dataset *dataset, sr_log *log, sr_settings *before, sr_error *error)
{
    const sr_stored_reading reading = {.trains = true, .tell = tell_log, .context = log};
    sr_error reason = {.message = ""};
    SR_TRY(check_data(path, checkpoint, dataset, error));
    sr_settings stored;
    if (sr_settings_parse_stored(&stored, checkpoint->configuration, path, NULL, 0, &reading, &reason) != SR_OK)
        return sr_fail(error, SR_ERROR_DATA, "the stored configuration cannot be used: %s", reason.message);
    *before = stored;
    sr_settings_copy_free(&stored, settings);
    if (sr_progress_model_steps(&checkpoint->progress) == 0)
        sr_settings_copy_training(&stored, settings);
    return compare_settings(path, &stored, settings, error);
}
