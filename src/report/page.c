/* The page as a whole. */
#include "report/report.h"

#include "report/markup.h"
#include "report/style.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reading ---- */

/* Runs whose directories have the same last name are told apart by all of it. */
static void name_apart(report *r)
{
    for (size_t i = 0; i < r->count; ++i)
        for (size_t k = i + 1; k < r->count; ++k)
            if (strcmp(r->runs[i].name, r->runs[k].name) == 0) {
                snprintf(r->runs[i].name, sizeof r->runs[i].name, "%s", r->runs[i].directory);
                snprintf(r->runs[k].name, sizeof r->runs[k].name, "%s", r->runs[k].directory);
            }
}

sr_status report_read(report *r, const char *const *directories, size_t count, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&r->runs, count, "runs of a report", error));
    SR_TRY(SR_ALLOCATE_ZERO(&r->intervals, count, "intervals of a report", error));
    for (size_t i = 0; i < count; ++i) {
        r->count = i + 1;
        SR_TRY(recorded_run_read(&r->runs[i], directories[i], error));
        SR_TRY(intervals_of_cases(&r->runs[i], &r->intervals[i], error));
    }
    name_apart(r);
    return SR_OK;
}

void report_free(report *r)
{
    for (size_t i = 0; i < r->count; ++i)
        recorded_run_free(&r->runs[i]);
    free(r->runs);
    free(r->intervals);
}

/* ---- writing ---- */

static void write_title(FILE *page, const report *r)
{
    if (r->count == 1)
        markup_text(page, r->runs[0].name);
    else
        fprintf(page, "%zu runs", r->count);
}

static void write_head(FILE *page, const report *r)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
          "data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          page);
    write_title(page, r);
    fprintf(page, " · srtrain report</title>\n<style>\n%s%s</style>\n</head>\n<body><main>\n", report_chart_style,
            report_page_style);
}

static void write_introduction(FILE *page, const report *r)
{
    fputs("<header><h1>", page);
    write_title(page, r);
    fputs("</h1><p class=\"soft\">", page);
    for (size_t i = 0; i < r->count && i < 12; ++i) {
        fputs(i ? " · <code>" : "<code>", page);
        markup_text(page, r->runs[i].directory);
        fputs("</code>", page);
    }
    if (r->count > 12)
        fprintf(page, " and %zu more", r->count - 12);
    fputs("</p></header>\n", page);
}

static void write_notes(FILE *page, const report *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; ++i)
        count += r->runs[i].note_count + r->runs[i].notes_left_out;
    if (count == 0)
        return;
    fputs("<section class=\"notes\" id=\"notes\"><h2>What could not be read</h2><ul>\n", page);
    for (size_t i = 0; i < r->count; ++i) {
        for (size_t k = 0; k < r->runs[i].note_count; ++k) {
            fputs("<li>", page);
            markup_text(page, r->runs[i].notes[k]);
            fputs("</li>\n", page);
        }
        if (r->runs[i].notes_left_out > 0) {
            fprintf(page, "<li>and %zu more in ", r->runs[i].notes_left_out);
            markup_text(page, r->runs[i].directory);
            fputs("</li>\n", page);
        }
    }
    fputs("</ul></section>\n", page);
}

static void write_end(FILE *page, const report *r)
{
    char stamp[32] = "";
    const time_t now = time(NULL);
    struct tm broken_down;
    if (gmtime_r(&now, &broken_down))
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC", &broken_down);
    fprintf(page, "<footer>Written by srtrain %s on %s.</footer>\n</main></body>\n</html>\n", r->program_version, stamp);
}

sr_status report_write_page(FILE *page, const report *r, sr_error *error)
{
    write_head(page, r);
    write_introduction(page, r);
    write_notes(page, r);
    report_write_summary(page, r);
    SR_TRY(report_write_curves(page, r, error));
    report_write_tests(page, r);
    report_write_times(page, r);
    SR_TRY(report_write_settings(page, r, error));
    report_write_environments(page, r);
    write_end(page, r);
    return SR_OK;
}
