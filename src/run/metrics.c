#include "run/metrics.h"

#include "run/event_file.h"
#include "srtrain/durable.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct sr_metrics_file {
    FILE *stream;
    char *path;
    event_file *events; /* or NULL */
};

/* Whether a line of an earlier run stays. A line that is not one object was cut off by a crash, or damaged by a loss of power,
 * and goes: it was written after the checkpoint, as sr_metrics_synchronise() comes before that. */
static bool keep_line(const char *line, size_t length, int64_t last_step, int64_t last_epoch)
{
    const bool whole = strlen(line) == length && length > 0 && line[length - 1] == '\n';
    cJSON *object = whole ? cJSON_ParseWithOpts(line, NULL, true) : NULL;
    const cJSON *kind = cJSON_GetObjectItem(object, "kind"), *step = cJSON_GetObjectItem(object, "step");
    const cJSON *epoch = cJSON_GetObjectItem(object, "epoch");
    bool keep = cJSON_IsString(kind) && strcmp(kind->valuestring, "test") != 0 && cJSON_IsNumber(step) &&
                step->valuedouble <= (double)last_step;
    /* After the last step of an epoch its validation may still have to come. */
    if (keep && strcmp(kind->valuestring, "valid") == 0)
        keep = cJSON_IsNumber(epoch) && epoch->valuedouble <= (double)last_epoch;
    cJSON_Delete(object);
    return keep;
}

/* Rewrites `path` with the lines that stay. */
static sr_status trim(const char *path, int64_t last_step, int64_t last_epoch, sr_error *error)
{
    FILE *in = fopen(path, "r");
    if (!in)
        return errno == ENOENT ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    sr_output_file out;
    sr_status status = sr_output_file_open(&out, path, error);
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t length; status == SR_OK && (length = getline(&line, &capacity, in)) > 0;)
        if (keep_line(line, (size_t)length, last_step, last_epoch))
            fputs(line, out.stream);  /* whether that succeeded is asked at the end */
    if (status == SR_OK && !feof(in)) /* without memory for a line, getline() ends as at the end of the file */
        status = errno == ENOMEM ? sr_fail_memory(error, capacity, "a line of the metrics file")
                                 : sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    free(line);
    fclose(in);
    return sr_output_file_close(&out, status, error);
}

static sr_status open_files(sr_metrics_file *file, const char *path, const char *events, sr_error *error)
{
    SR_TRY(sr_copy_string(&file->path, path, error));
    file->stream = fopen(path, "a");
    if (!file->stream)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot append to %s: %s", path, strerror(errno));
    SR_TRY(sr_durable_synchronise_parent(path, error)); /* the file may be new */
    return events ? event_file_create(&file->events, events, path, error) : SR_OK;
}

sr_status sr_metrics_open(sr_metrics_file **file, const char *path, const char *events, int64_t last_step, int64_t last_epoch,
                          sr_error *error)
{
    *file = NULL;
    SR_TRY(trim(path, last_step, last_epoch, error));
    sr_metrics_file *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the metrics file", error));
    const sr_status status = open_files(made, path, events, error);
    if (status == SR_OK)
        *file = made;
    else
        sr_metrics_close(made);
    return status;
}

sr_status sr_metrics_synchronise(sr_metrics_file *file, sr_error *error)
{
    if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
    return file->events ? event_file_synchronise(file->events, error) : SR_OK;
}

void sr_metrics_close(sr_metrics_file *file)
{
    if (!file)
        return;
    if (file->stream)
        fclose(file->stream);
    event_file_close(file->events);
    free(file->path);
    free(file);
}

static bool add_number(cJSON *object, const char *name, double value)
{
    return cJSON_AddNumberToObject(object, name, value) != NULL;
}

/* When it is, to the millisecond: for programs that follow a run. */
static double unix_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)(now.tv_nsec / 1000000) / 1e3;
}

/* Writes the object as one line, and as an event, and deletes it. `complete` is false when memory ran out while it was made. */
static sr_status write_object(sr_metrics_file *file, cJSON *object, bool complete, sr_error *error)
{
    char *text = complete && add_number(object, "unix_seconds", unix_seconds()) ? cJSON_PrintUnformatted(object) : NULL;
    sr_status status = text ? SR_OK : sr_fail_memory(error, 1, "a line of metrics");
    if (text && (fprintf(file->stream, "%s\n", text) < 0 || fflush(file->stream) != 0))
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
    if (status == SR_OK && file->events)
        status = event_file_add(file->events, object, error);
    cJSON_free(text);
    cJSON_Delete(object);
    return status;
}

/* A field for each term that no other contains. */
static bool add_terms(cJSON *object, const sr_terms *terms, double targets)
{
    bool complete = true;
    for (size_t i = 0; i < terms->count && complete; ++i)
        if (!terms->list[i].within)
            complete = add_number(object, terms->list[i].name, sr_term_mean(&terms->list[i], targets));
    return complete;
}

sr_status sr_metrics_write_train(sr_metrics_file *file, const sr_train_line *line, sr_error *error)
{
    cJSON *object = cJSON_CreateObject();
    const bool complete = cJSON_AddStringToObject(object, "kind", "train") && add_number(object, "step", (double)line->step) &&
                          add_number(object, "epoch", (double)line->epoch) && add_terms(object, line->terms, line->targets) &&
                          add_number(object, "learning_rate", line->learning_rate) &&
                          add_number(object, "gradient_norm", line->gradient_norm) &&
                          add_number(object, "examples_per_second", line->examples_per_second) &&
                          add_number(object, "reduction_share", line->reduction_share) &&
                          add_number(object, "seconds", line->seconds);
    return write_object(file, object, complete, error);
}

static bool add_counts(cJSON *object, const char *name, const sr_from_counts *counts)
{
    cJSON *list = counts ? cJSON_AddObjectToObject(object, name) : NULL;
    return !counts || (list && add_number(list, "kept", (double)counts->kept) &&
                       add_number(list, "new", (double)counts->fresh) && add_number(list, "dropped", (double)counts->dropped));
}

sr_status sr_metrics_write_from(sr_metrics_file *file, const char *checkpoint, int64_t earlier_steps, int64_t optimizer_steps,
                                const sr_from_counts *items, const sr_from_counts *users, sr_error *error)
{
    cJSON *object = cJSON_CreateObject();
    const bool complete = cJSON_AddStringToObject(object, "kind", "from") && add_number(object, "step", 0) &&
                          add_number(object, "epoch", 0) && cJSON_AddStringToObject(object, "checkpoint", checkpoint) &&
                          add_number(object, "earlier_steps", (double)earlier_steps) &&
                          add_number(object, "optimizer_steps", (double)optimizer_steps) &&
                          add_counts(object, "items", items) && add_counts(object, "users", users);
    return write_object(file, object, complete, error);
}

bool sr_ranking_metrics_to_json(cJSON *object, const sr_ranking_metrics *metrics)
{
    bool complete = add_number(object, "cases", (double)metrics->cases);
    if (metrics->cases == 0) /* no metrics either */
        return complete;
    sr_ranking_row rows[SR_RANKING_ROWS];
    const size_t count = sr_ranking_rows(metrics, rows);
    for (size_t row = 0; row < count; ++row)
        for (size_t k = 0; k < metrics->top_k_count; ++k) {
            char name[96];
            snprintf(name, sizeof name, "%.39s@%lld", rows[row].name, (long long)metrics->top_k[k]);
            complete = complete && add_number(object, name, rows[row].values[k]);
            snprintf(name, sizeof name, "%.39s@%lld_error", rows[row].name, (long long)metrics->top_k[k]);
            if (rows[row].errors)
                complete = complete && add_number(object, name, rows[row].errors[k]);
        }
    return complete;
}

/* Time stamps go in as texts of digits, which are numbers to JSON: doubles would round them. */
bool sr_recent_popularity_to_json(cJSON *object, const sr_recent_popularity *recent)
{
    char after[32], last[32];
    snprintf(after, sizeof after, "%" PRId64, recent->after);
    snprintf(last, sizeof last, "%" PRId64, recent->last);
    return add_number(object, "days", (double)recent->days) && cJSON_AddRawToObject(object, "after", after) &&
           cJSON_AddRawToObject(object, "last", last) && add_number(object, "interactions", (double)recent->interactions);
}

sr_status sr_metrics_write_ranking(sr_metrics_file *file, const sr_ranking_line *line, sr_error *error)
{
    const sr_ranking_metrics *metrics = line->metrics;
    cJSON *object = cJSON_CreateObject();
    bool complete = cJSON_AddStringToObject(object, "kind", line->kind) && add_number(object, "step", (double)line->step) &&
                    add_number(object, "epoch", (double)line->epoch);
    if (line->baseline)
        complete = complete && cJSON_AddStringToObject(object, "baseline", line->baseline);
    if (line->recent)
        complete = complete && sr_recent_popularity_to_json(object, line->recent);
    if (line->train_loss >= 0)
        complete = complete && add_number(object, "train_loss", line->train_loss);
    complete = complete && sr_ranking_metrics_to_json(object, metrics) &&
               add_number(object, "examples_per_second",
                          metrics->seconds > 0 ? (double)metrics->cases / metrics->seconds : 0) &&
               add_number(object, "seconds", metrics->seconds);
    return write_object(file, object, complete, error);
}
