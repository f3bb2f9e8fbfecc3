#include "run/times.h"

#include "srtrain/clock.h"
#include "srtrain/machine.h"
#include "srtrain/memory.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run_times {
    FILE *stream; /* rank 0; NULL elsewhere */
    char *path, started[32];
    double since; /* clock at the line before */
    int64_t step; /* of the line before */
    sr_step_times steps;
    double parts[TIMES_PARTS]; /* since then */
    bool evaluated;            /* since then; the same on all ranks */
};

static sr_status open_file(run_times *times, int64_t step, sr_error *error)
{
    const time_t now = time(NULL);
    struct tm broken_down;
    if (gmtime_r(&now, &broken_down))
        strftime(times->started, sizeof times->started, "%Y-%m-%dT%H:%M:%SZ", &broken_down);
    times->stream = fopen(times->path, step > 0 ? "a" : "w");
    return times->stream ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot append to %s: %s", times->path, strerror(errno));
}

sr_status run_times_open(run_times **times, sr_parallel *parallel, const char *path, int64_t step, sr_error *error)
{
    run_times *made = NULL;
    sr_status status = SR_ALLOCATE_ZERO(&made, 1, "times", error);
    if (status == SR_OK)
        status = sr_copy_string(&made->path, path, error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0)
        status = open_file(made, step, error);
    if (status == SR_OK) {
        made->since = sr_seconds();
        made->step = step;
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status != SR_OK) {
        run_times_close(made);
        made = NULL;
    }
    *times = made;
    return status;
}

void run_times_close(run_times *times)
{
    if (!times)
        return;
    if (times->stream)
        fclose(times->stream);
    free(times->path);
    free(times);
}

void run_times_add(run_times *times, times_part part, double seconds)
{
    times->parts[part] += seconds;
    times->evaluated = times->evaluated || part != TIMES_CHECKPOINTS;
}

/* ---- lines ---- */

enum { STEP_PARTS = 6 };
static const char *const step_names[STEP_PARTS] = {"data", "forward", "loss", "backward", "reduction", "optimizer"};
static const char *const part_names[TIMES_PARTS] = {
    [TIMES_VALIDATION] = "validation", [TIMES_CHECKPOINTS] = "checkpoints", [TIMES_TEST] = "test"};

static bool add_number(cJSON *object, const char *name, double value)
{
    return cJSON_AddNumberToObject(object, name, value) != NULL;
}

/* To the microsecond. */
static double shortened(double seconds)
{
    return (double)(int64_t)(seconds * 1e6 + 0.5) / 1e6;
}

static char *line_text(const run_times *times, const times_mark *mark, const double steps[STEP_PARTS], double memory)
{
    cJSON *line = cJSON_CreateObject();
    bool complete = cJSON_AddStringToObject(line, "started", times->started) &&
                    add_number(line, "epoch", (double)mark->epoch) && add_number(line, "step", (double)mark->step) &&
                    add_number(line, "steps", (double)(mark->step - times->step)) &&
                    add_number(line, "seconds", shortened(sr_seconds() - times->since));
    for (size_t i = 0; i < STEP_PARTS; ++i)
        complete = complete && add_number(line, step_names[i], shortened(steps[i]));
    for (size_t i = 0; i < TIMES_PARTS; ++i)
        complete = complete && add_number(line, part_names[i], shortened(times->parts[i]));
    complete = complete && add_number(line, "memory", memory) && add_number(line, "planned_memory", mark->planned_memory);
    char *text = complete ? cJSON_PrintUnformatted(line) : NULL;
    cJSON_Delete(line);
    return text;
}

static sr_status write_line(const run_times *times, const times_mark *mark, const double steps[STEP_PARTS], double memory,
                            sr_error *error)
{
    char *text = line_text(times, mark, steps, memory);
    if (!text)
        return sr_fail_memory(error, 1, "a line of times");
    const bool written = fprintf(times->stream, "%s\n", text) > 0 && fflush(times->stream) == 0;
    cJSON_free(text);
    return written ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", times->path, strerror(errno));
}

sr_status run_times_write(run_times *times, sr_parallel *parallel, const times_mark *mark, sr_error *error)
{
    const sr_step_times *now = mark->of_steps, *before = &times->steps;
    double steps[STEP_PARTS] = {now->data - before->data,           now->forward - before->forward,
                                now->loss - before->loss,           now->backward - before->backward,
                                now->reduction - before->reduction, now->optimizer - before->optimizer};
    int64_t memory = (int64_t)sr_peak_memory();
    if (mark->step == times->step && !times->evaluated)
        return SR_OK;
    SR_TRY(sr_parallel_sum_double(parallel, steps, STEP_PARTS, error));
    SR_TRY(sr_parallel_maximum_int64(parallel, &memory, 1, error));
    for (size_t i = 0; i < STEP_PARTS; ++i)
        steps[i] /= sr_parallel_size(parallel);
    sr_status status = SR_OK;
    if (times->stream)
        status = write_line(times, mark, steps, (double)memory, error);
    times->since = sr_seconds();
    times->step = mark->step;
    times->steps = *now;
    times->evaluated = false;
    memset(times->parts, 0, sizeof times->parts);
    return sr_parallel_agree(parallel, status, error);
}
