#include "report/recorded_run.h"

#include "srtrain/memory.h"
#include "storage/directory_lock.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void recorded_note(recorded_run *run, const char *file, size_t line, const char *format, ...)
{
    char text[512], place[32] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (line > 0)
        snprintf(place, sizeof place, ":%zu", line);
    if (run->note_count == RECORDED_NOTES ||
        asprintf(&run->notes[run->note_count], "%s/%s%s: %s", run->directory, file, place, text) < 0)
        ++run->notes_left_out;
    else
        ++run->note_count;
}

/* ---- files ---- */

/* A whole file; *text is NULL, and that is noted, where it cannot be read. Release with free(). */
static sr_status read_file(recorded_run *run, const char *name, char **text, sr_error *error)
{
    enum { LARGEST = 16 << 20 };
    char path[SR_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", run->directory, name);
    FILE *file = fopen(path, "r");
    size_t used = 0, room = 0;
    *text = NULL;
    if (!file) {
        recorded_note(run, name, 0, "%s", errno == ENOENT ? "is missing" : strerror(errno));
        return SR_OK;
    }
    sr_status status = SR_OK;
    do {
        status = SR_GROW(text, &room, used + 65536, "a file of a run", error);
        used += status == SR_OK ? fread(*text + used, 1, room - used - 1, file) : 0;
    } while (status == SR_OK && !feof(file) && !ferror(file) && used < LARGEST);
    if (status == SR_OK)
        (*text)[used] = '\0';
    if (status != SR_OK || ferror(file) || strlen(*text) != used) {
        if (status == SR_OK)
            recorded_note(run, name, 0, "%s", ferror(file) ? strerror(errno) : "is no text");
        free(*text);
        *text = NULL;
    }
    fclose(file);
    return status;
}

/* The line of a text that `at` lies in. */
static size_t line_of(const char *text, const char *at)
{
    size_t line = 1;
    for (; at && text < at; ++text)
        line += *text == '\n';
    return line;
}

static sr_status read_environment(recorded_run *run, sr_error *error)
{
    char *text;
    const char *end = NULL;
    SR_TRY(read_file(run, "environment.json", &text, error));
    if (!text)
        return SR_OK;
    run->environment = cJSON_ParseWithOpts(text, &end, true);
    if (!cJSON_IsObject(run->environment)) {
        recorded_note(run, "environment.json", line_of(text, end), "this is no JSON object");
        cJSON_Delete(run->environment);
        run->environment = NULL;
    }
    free(text);
    return SR_OK;
}

/* The name of the file stands in front of a message about it already. */
static sr_status read_settings(recorded_run *run, sr_error *error)
{
    const sr_stored_reading reading = {.trains = false};
    sr_error reason = {.message = ""};
    char path[SR_PATH_SIZE + 64];
    SR_TRY(read_file(run, "config.yaml", &run->configuration, error));
    if (!run->configuration)
        return SR_OK;
    snprintf(path, sizeof path, "%s/config.yaml", run->directory);
    run->has_settings = sr_settings_parse_stored(&run->settings, run->configuration, path, NULL, 0, &reading, &reason) == SR_OK;
    if (!run->has_settings && run->note_count < RECORDED_NOTES)
        return sr_copy_string(&run->notes[run->note_count++], reason.message, error);
    return SR_OK;
}

/* ---- the whole ---- */

static void name_run(recorded_run *run)
{
    size_t end = strlen(run->directory);
    while (end > 1 && run->directory[end - 1] == '/')
        --end;
    size_t begin = end;
    while (begin > 0 && run->directory[begin - 1] != '/')
        --begin;
    snprintf(run->name, sizeof run->name, "%.*s", (int)(end - begin), run->directory + begin);
}

static void find_state(recorded_run *run)
{
    const directory_owner owner = directory_lock_look(run->directory, run->owner, sizeof run->owner);
    run->state = owner == DIRECTORY_HELD ? RUN_WORKS : owner == DIRECTORY_LEFT ? RUN_WAS_KILLED : RUN_STOPPED;
}

sr_status recorded_run_read(recorded_run *run, const char *directory, sr_error *error)
{
    bool found;
    *run = (recorded_run){.directory = directory};
    if (strlen(directory) >= SR_PATH_SIZE)
        return sr_fail(error, SR_ERROR_USAGE, "the directory's name is longer than %d bytes", SR_PATH_SIZE - 1);
    if (access(directory, R_OK | X_OK) != 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: %s", directory, strerror(errno));
    name_run(run);
    find_state(run);
    SR_TRY(recorded_read_metrics(run, &found, error));
    SR_TRY(read_settings(run, error));
    if (!found && !run->configuration)
        return sr_fail(error, SR_ERROR_DATA, "%s is no directory of a run: it has neither metrics.jsonl nor config.yaml",
                       directory);
    SR_TRY(recorded_read_times(run, error));
    SR_TRY(read_environment(run, error));
    if (run->test.cases >= 0 && run->state != RUN_WORKS)
        run->state = RUN_IS_DONE;
    return SR_OK;
}

void recorded_run_free(recorded_run *run)
{
    for (size_t i = 0; i < run->curve_count; ++i)
        free(run->curves[i].points);
    for (size_t i = 0; i < run->note_count; ++i)
        free(run->notes[i]);
    free(run->curves);
    free(run->configuration);
    cJSON_Delete(run->environment);
    *run = (recorded_run){.directory = NULL};
}

const curve *recorded_curve(const recorded_run *run, const char *kind, const char *name)
{
    for (size_t i = 0; i < run->curve_count; ++i)
        if (strcmp(run->curves[i].kind, kind) == 0 && strcmp(run->curves[i].name, name) == 0)
            return &run->curves[i];
    return NULL;
}

bool recorded_best(const recorded_run *run, curve_point *best)
{
    const curve *metric = run->has_settings ? recorded_curve(run, "valid", run->settings.training.early_stopping.metric) : NULL;
    bool found = false;
    for (size_t i = 0; metric && i < metric->count; ++i)
        if (isfinite(metric->points[i].value) && (!found || metric->points[i].value > best->value)) {
            *best = metric->points[i];
            found = true;
        }
    return found;
}
