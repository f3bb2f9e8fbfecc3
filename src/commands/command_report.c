/* srtrain report RUN... [--output FILE.html] [--curves FILE.svg] [--by step|epoch|time] [--loss-scale even|log]
 *
 * One page about runs that are done, or still going, from what lies in their directories; or their curves as a picture.
 */
#include "commands/command.h"

#include "report/report.h"
#include "srtrain/output_file.h"

#include <stdlib.h>

typedef struct {
    const char *runs[SR_TEXT_LIST_MAXIMUM];
    size_t count;
    const char *page, *picture;
    int by, scale;
} report_options;

static sr_status read_options(const command_context *context, report_options *o, sr_error *error)
{
    static const char *const directions[] = {
        [CHART_BY_STEP] = "step", [CHART_BY_EPOCH] = "epoch", [CHART_BY_TIME] = "time", NULL};
    static const char *const scales[] = {"even", "log", NULL};
    const sr_option options[] = {
        {.name = "output", .file = &o->page, .help = "the page; by default report.html, and none with --curves alone"},
        {.name = "curves",
         .file = &o->picture,
         .argument = "FILE.svg",
         .help = "writes a picture of the losses, and of the metrics by which the best parameters are chosen"},
        {.name = "by",
         .choice = &o->by,
         .choices = directions,
         .standard = "step",
         .help = "what curves go along: steps, epochs, or time of training"},
        {.name = "loss-scale",
         .choice = &o->scale,
         .choices = scales,
         .standard = "even",
         .help = "how losses are drawn; the page has a switch for it, too"}};
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "RUN...", o->runs, options,
                                sizeof options / sizeof *options, error));
    while (o->count < SR_TEXT_LIST_MAXIMUM && o->runs[o->count])
        ++o->count;
    if (!o->page && !o->picture)
        o->page = "report.html";
    return SR_OK;
}

/* What cannot be read stands on the page, too. */
static void warn(const report *r)
{
    for (size_t i = 0; i < r->count; ++i) {
        for (size_t k = 0; k < r->runs[i].note_count; ++k)
            fprintf(stderr, "srtrain: warning: %s\n", r->runs[i].notes[k]);
        if (r->runs[i].notes_left_out > 0)
            fprintf(stderr, "srtrain: warning: %zu more in %s\n", r->runs[i].notes_left_out, r->runs[i].directory);
    }
}

typedef sr_status (*write_function)(FILE *file, const report *r, sr_error *error);

static sr_status write_file(const char *path, write_function write, const report *r, sr_error *error)
{
    sr_output_file file;
    if (!path)
        return SR_OK;
    SR_TRY(sr_output_file_open(&file, path, error));
    SR_TRY(sr_output_file_close(&file, write(file.stream, r, error), error));
    fprintf(stderr, "%s: %zu run%s\n", path, r->count, r->count == 1 ? "" : "s");
    return SR_OK;
}

sr_status command_report(command_context *context, sr_error *error)
{
    report_options *options = calloc(1, sizeof *options);
    if (!options)
        return sr_fail_memory(error, sizeof *options, "options");
    sr_status status = read_options(context, options, error);
    report r = {
        .by = (chart_direction)options->by, .logarithmic = options->scale == 1, .program_version = SRTRAIN_PROGRAM_VERSION};
    if (status == SR_OK)
        status = report_read(&r, options->runs, options->count, error);
    if (status == SR_OK) {
        warn(&r);
        status = write_file(options->page, report_write_page, &r, error);
    }
    if (status == SR_OK)
        status = write_file(options->picture, report_write_picture, &r, error);
    report_free(&r);
    free(options);
    return status;
}
