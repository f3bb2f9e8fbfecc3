/* metrics.jsonl and times.jsonl. */
#include "report/recorded_run.h"

#include "base/shown.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

typedef sr_status (*line_function)(recorded_run *run, const cJSON *line, const char *file, size_t number, sr_error *error);

static void note_damage(recorded_run *run, const char *file, size_t number, const char *text, size_t length)
{
    char shown[64];
    shown_text(text, length > 0 && text[length - 1] == '\n' ? length - 1 : length, shown, sizeof shown);
    recorded_note(run, file, number, "this is no JSON object, and is left out: \"%s\"", shown);
}

/* Calls `take` for each line that is an object. The last line of a run that works may not be complete yet. */
static sr_status read_lines(recorded_run *run, const char *file, bool *found, line_function take, sr_error *error)
{
    char path[SR_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", run->directory, file);
    FILE *in = fopen(path, "r");
    *found = in != NULL;
    if (!in) {
        recorded_note(run, file, 0, "%s", errno == ENOENT ? "is missing" : strerror(errno));
        return SR_OK;
    }
    sr_status status = SR_OK;
    char *text = NULL;
    size_t capacity = 0, number = 0;
    for (ssize_t length; status == SR_OK && (length = getline(&text, &capacity, in)) > 0;) {
        const bool whole = text[length - 1] == '\n';
        ++number;
        cJSON *line = strlen(text) == (size_t)length ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
        if (whole && cJSON_IsObject(line))
            status = take(run, line, file, number, error);
        else if (whole || run->state != RUN_WORKS)
            note_damage(run, file, number, text, (size_t)length);
        cJSON_Delete(line);
    }
    if (status == SR_OK && ferror(in))
        recorded_note(run, file, number + 1, "%s", strerror(errno));
    free(text);
    fclose(in);
    return status;
}

static double number_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* ---- metrics.jsonl ---- */

static sr_status find_curve(recorded_run *run, const char *kind, const char *name, curve **found, sr_error *error)
{
    for (size_t i = 0; i < run->curve_count; ++i)
        if (strcmp(run->curves[i].kind, kind) == 0 && strcmp(run->curves[i].name, name) == 0) {
            *found = &run->curves[i];
            return SR_OK;
        }
    SR_TRY(SR_GROW(&run->curves, &run->curve_room, run->curve_count + 1, "curves", error));
    *found = &run->curves[run->curve_count++];
    **found = (curve){.points = NULL};
    snprintf((*found)->kind, sizeof(*found)->kind, "%s", kind);
    snprintf((*found)->name, sizeof(*found)->name, "%s", name);
    return SR_OK;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), ending = strlen(end);
    return length > ending && strcmp(text + length - ending, end) == 0;
}

/* Whether a field of a line is a curve, rather than its place or what belongs to another number. */
static bool is_curve(const cJSON *field)
{
    static const char *const others[] = {"step", "epoch", "cases", "unix_seconds", "seconds"};
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        if (strcmp(field->string, others[i]) == 0)
            return false;
    return (cJSON_IsNumber(field) || cJSON_IsNull(field)) && !ends_with(field->string, "_error");
}

static sr_status add_points(recorded_run *run, const cJSON *line, const char *kind, const curve_point *place, sr_error *error)
{
    enum { MOST = 200 }; /* curves of a run, so that no file can make the page endless */
    const cJSON *field;
    cJSON_ArrayForEach(field, line)
    {
        curve *to;
        if (!is_curve(field) || run->curve_count >= MOST)
            continue;
        SR_TRY(find_curve(run, kind, field->string, &to, error));
        SR_TRY(SR_GROW(&to->points, &to->room, to->count + 1, "a curve", error));
        to->points[to->count] = *place;
        to->points[to->count++].value = cJSON_IsNumber(field) ? field->valuedouble : NAN;
    }
    return SR_OK;
}

static void take_test(recorded_test *test, const cJSON *line)
{
    const cJSON *field;
    *test = (recorded_test){.cases = number_of(line, "cases")};
    cJSON_ArrayForEach(field, line)
    {
        char error[80];
        if (!strchr(field->string, '@') || ends_with(field->string, "_error") || test->count == RECORDED_TEST_METRICS)
            continue;
        test_metric *metric = &test->metrics[test->count++];
        snprintf(metric->name, sizeof metric->name, "%s", field->string);
        snprintf(error, sizeof error, "%s_error", metric->name);
        metric->value = cJSON_IsNumber(field) ? field->valuedouble : NAN;
        metric->error = number_of(line, error);
    }
}

static void take_place(recorded_run *run, const cJSON *line, const char *kind, curve_point *place)
{
    place->step = number_of(line, "step");
    place->epoch = number_of(line, "epoch");
    if (strcmp(kind, "train") == 0) {
        place->seconds = number_of(line, "seconds");
        run->last_step = place->step;
        run->last_epoch = place->epoch;
        run->trained_seconds = place->seconds;
    } else {
        place->seconds = run->trained_seconds;
        if (place->epoch > 0)
            run->steps_of_epoch = place->step / place->epoch;
        run->last_step = fmax(run->last_step, place->step);
        run->last_epoch = fmax(run->last_epoch, place->epoch);
    }
}

static sr_status take_metrics(recorded_run *run, const cJSON *line, const char *file, size_t number, sr_error *error)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "kind"));
    const char *baseline = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "baseline"));
    const double step = number_of(line, "step"), epoch = number_of(line, "epoch");
    if (kind && strcmp(kind, "from") == 0) /* what the run began with; train.log tells of it */
        return SR_OK;
    if (!kind || !isfinite(step) || !isfinite(epoch)) {
        recorded_note(run, file, number, "this line has no kind, step or epoch, and is left out");
        return SR_OK;
    }
    if (baseline && strcmp(baseline, "recent_popularity") == 0) /* the page has one baseline: that of all training */
        return SR_OK;
    if (strcmp(kind, "test") == 0) {
        take_test(baseline ? &run->baseline : &run->test, line);
        if (baseline)
            snprintf(run->baseline_name, sizeof run->baseline_name, "%s", baseline);
        run->test_step = step;
        run->test_epoch = epoch;
        return SR_OK;
    }
    if (strcmp(kind, "train") != 0 && strcmp(kind, "valid") != 0) {
        recorded_note(run, file, number, "a line of the unknown kind \"%.20s\" is left out", kind);
        return SR_OK;
    }
    curve_point place;
    take_place(run, line, kind, &place);
    return add_points(run, line, kind, &place, error);
}

sr_status recorded_read_metrics(recorded_run *run, bool *found, sr_error *error)
{
    run->test.cases = run->baseline.cases = -1;
    run->steps_of_epoch = NAN;
    SR_TRY(read_lines(run, "metrics.jsonl", found, take_metrics, error));
    for (size_t i = 0; i < run->curve_count; ++i) /* lines of training tell the epoch they are in, as a whole number */
        for (size_t k = 0; k < run->curves[i].count && isfinite(run->steps_of_epoch); ++k)
            run->curves[i].points[k].epoch = run->curves[i].points[k].step / run->steps_of_epoch;
    return SR_OK;
}

/* ---- times.jsonl ---- */

static const char *const time_names[RECORDED_TIMES] = {"data",      "forward",    "loss",        "backward", "reduction",
                                                       "optimizer", "validation", "checkpoints", "test"};

const char *recorded_time_name(size_t part)
{
    return time_names[part];
}

static sr_status take_times(recorded_run *run, const cJSON *line, const char *file, size_t number, sr_error *error)
{
    recorded_times *times = &run->times;
    double parts[RECORDED_TIMES];
    bool complete = isfinite(number_of(line, "seconds"));
    (void)error;
    if (cJSON_HasObjectItem(line, "phases")) /* the same times once more, over ranks */
        return SR_OK;
    for (size_t i = 0; i < RECORDED_TIMES; ++i) {
        parts[i] = number_of(line, time_names[i]);
        complete = complete && parts[i] >= 0;
    }
    if (!complete) {
        recorded_note(run, file, number, "this line lacks some of the times, and is left out");
        return SR_OK;
    }
    ++times->lines;
    times->seconds += number_of(line, "seconds");
    for (size_t i = 0; i < RECORDED_TIMES; ++i)
        times->parts[i] += parts[i];
    times->memory = fmax(times->memory, number_of(line, "memory"));
    times->planned_memory = fmax(times->planned_memory, number_of(line, "planned_memory"));
    return SR_OK;
}

sr_status recorded_read_times(recorded_run *run, sr_error *error)
{
    bool found;
    return read_lines(run, "times.jsonl", &found, take_times, error);
}
