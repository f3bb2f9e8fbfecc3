#include "run/metrics.h"

#include "srtrain/durable.h"
#include "srtrain/memory.h"
#include "srtrain/output_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sr_metrics_file {
    FILE *stream;
    char *path;
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

sr_status sr_metrics_open(sr_metrics_file **file, const char *path, int64_t last_step, int64_t last_epoch, sr_error *error)
{
    *file = NULL;
    SR_TRY(trim(path, last_step, last_epoch, error));
    sr_metrics_file *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the metrics file", error));
    sr_status opened = sr_copy_string(&made->path, path, error);
    if (opened == SR_OK && !(made->stream = fopen(path, "a")))
        opened = sr_fail(error, SR_ERROR_RUNTIME, "cannot append to %s: %s", path, strerror(errno));
    if (opened != SR_OK) {
        sr_metrics_close(made);
        return opened;
    }
    const sr_status status = sr_durable_synchronise_parent(path, error); /* the file may be new */
    if (status == SR_OK)
        *file = made;
    else
        sr_metrics_close(made);
    return status;
}

sr_status sr_metrics_synchronise(sr_metrics_file *file, sr_error *error)
{
    if (fflush(file->stream) == 0 && fsync(fileno(file->stream)) == 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
}

void sr_metrics_close(sr_metrics_file *file)
{
    if (!file)
        return;
    if (file->stream)
        fclose(file->stream);
    free(file->path);
    free(file);
}

/* Writes the object as one line and deletes it. `complete` is false when memory ran out while it was made. */
static sr_status write_object(sr_metrics_file *file, cJSON *object, bool complete, sr_error *error)
{
    char *text = complete ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return sr_fail_memory(error, 1, "a line of metrics");
    const bool written = fprintf(file->stream, "%s\n", text) > 0 && fflush(file->stream) == 0;
    cJSON_free(text);
    return written ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", file->path, strerror(errno));
}

static bool add_number(cJSON *object, const char *name, double value)
{
    return cJSON_AddNumberToObject(object, name, value) != NULL;
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

sr_status sr_metrics_write_ranking(sr_metrics_file *file, const char *kind, const char *baseline, int64_t step, int64_t epoch,
                                   double train_loss, const sr_ranking_metrics *metrics, sr_error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool complete = cJSON_AddStringToObject(object, "kind", kind) && add_number(object, "step", (double)step) &&
                    add_number(object, "epoch", (double)epoch);
    if (baseline)
        complete = complete && cJSON_AddStringToObject(object, "baseline", baseline);
    if (train_loss >= 0)
        complete = complete && add_number(object, "train_loss", train_loss);
    complete = complete && sr_ranking_metrics_to_json(object, metrics) &&
               add_number(object, "examples_per_second",
                          metrics->seconds > 0 ? (double)metrics->cases / metrics->seconds : 0) &&
               add_number(object, "seconds", metrics->seconds);
    return write_object(file, object, complete, error);
}

static bool add_phase(cJSON *phases, const phase_times *times)
{
    cJSON *object = cJSON_AddObjectToObject(phases, times->name);
    return object && add_number(object, "minimum", times->least) && add_number(object, "median", times->median) &&
           add_number(object, "maximum", times->most) && add_number(object, "slowest_rank", times->slowest) &&
           cJSON_AddStringToObject(object, "slowest_host", times->host);
}

sr_status sr_metrics_write_phases(sr_metrics_file *file, int64_t step, int64_t steps, int ranks, const phase_times *phases,
                                  size_t count, sr_error *error)
{
    cJSON *object = cJSON_CreateObject(), *list = NULL;
    bool complete = cJSON_AddStringToObject(object, "kind", "phases") && add_number(object, "step", (double)step) &&
                    add_number(object, "steps", (double)steps) && add_number(object, "ranks", ranks);
    if (complete)
        list = cJSON_AddObjectToObject(object, "phases");
    complete = list != NULL;
    for (size_t i = 0; i < count && complete; ++i)
        complete = add_phase(list, &phases[i]);
    return write_object(file, object, complete, error);
}
