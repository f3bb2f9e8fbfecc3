/* What a run's directory tells: its curves, tests, times, settings and environment. What is missing or damaged is noted with
 * file and line, and everything else is read all the same. Local. */
#ifndef SRTRAIN_REPORT_RECORDED_RUN_H
#define SRTRAIN_REPORT_RECORDED_RUN_H

#include "srtrain/settings.h"

#include <cjson/cJSON.h>

typedef struct {
    double step, epoch;
    double seconds; /* of training until then; not a number where that is not known */
    double value;   /* not a number: it was not finite */
} curve_point;

/* A field of the lines of one kind. */
typedef struct {
    char kind[16], name[64];
    curve_point *points; /* in the order of the file */
    size_t count, room;
} curve;

/* Of the final test. */
typedef struct {
    char name[64];
    double value, error; /* a standard error; not a number where there is none */
} test_metric;

enum { RECORDED_TEST_METRICS = 160, RECORDED_TIMES = 9, RECORDED_NOTES = 50 };

typedef struct {
    double cases; /* negative: there was no test */
    test_metric metrics[RECORDED_TEST_METRICS];
    size_t count;
} recorded_test;

/* Where the time went, over all starts. */
typedef struct {
    size_t lines;
    double seconds, parts[RECORDED_TIMES]; /* in the order of recorded_time_name() */
    double memory, planned_memory;         /* bytes of a rank; the largest of all starts */
} recorded_times;

typedef enum {
    RUN_WORKS,     /* somebody works in the directory */
    RUN_IS_DONE,   /* it was tested */
    RUN_STOPPED,   /* it was stopped, or failed, and may go on */
    RUN_WAS_KILLED /* as before, but it could not take leave */
} recorded_state;

typedef struct {
    const char *directory;
    char name[64]; /* the directory's last name, or all of it where runs of one name are reported together */
    recorded_state state;
    char owner[512]; /* who works there, or has been killed there */
    curve *curves;
    size_t curve_count, curve_room;
    recorded_test test, baseline;
    char baseline_name[32];
    double test_epoch, test_step;
    double last_step, last_epoch, trained_seconds; /* of the last line of training */
    double steps_of_epoch;                         /* not a number before the first validation */
    recorded_times times;
    char *configuration; /* config.yaml; or NULL */
    bool has_settings;
    sr_settings settings;
    cJSON *environment; /* or NULL */
    char *notes[RECORDED_NOTES];
    size_t note_count, notes_left_out;
} recorded_run;

/* Reads what is there. SR_ERROR_DATA when the directory is none of a run: it has neither metrics.jsonl nor config.yaml. Release
 * with recorded_run_free(), also after a failure. */
sr_status recorded_run_read(recorded_run *run, const char *directory, sr_error *error);
void recorded_run_free(recorded_run *run);

/* The curve of a name, or NULL. */
const curve *recorded_curve(const recorded_run *run, const char *kind, const char *name);

/* The place of the best point by what the run chooses its parameters by; false when there is none. */
bool recorded_best(const recorded_run *run, curve_point *best);

/* "data", "forward", ... */
const char *recorded_time_name(size_t part);

/* Notes what is wrong with a file of the run; line 0: with all of it. */
void recorded_note(recorded_run *run, const char *file, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- recorded_lines.c ---- */

/* Read metrics.jsonl and times.jsonl, and note what cannot be read. SR_ERROR_RUNTIME for want of memory. */
sr_status recorded_read_metrics(recorded_run *run, bool *found, sr_error *error);
sr_status recorded_read_times(recorded_run *run, sr_error *error);

#endif
