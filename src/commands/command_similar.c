/* srtrain similar CHECKPOINT [--items FILE] [--top-k K] [--output FILE.tsv|FILE.h5] [--data DIR] [--stall-timeout DURATION|0]
 *
 * The items that are most like each item, by their vectors. */
#include "commands/command.h"

#include "evaluate/item_lists.h"
#include "evaluate/recommendations.h"
#include "evaluate/similar_items.h"

#include <stdlib.h>

typedef struct {
    const char *checkpoint, *data, *items, *output;
    uint64_t top_k;
    double stall_seconds;
} similar_options;

static sr_status read_options(const command_context *context, similar_options *options, sr_error *error)
{
    const sr_option known[] = {
        {.name = "items", .file = &options->items, .help = "the items that are lines of this file; all by default"},
        {.name = "top-k",
         .count = &options->top_k,
         .least = 1,
         .most = 100000,
         .standard = "10",
         .argument = "K",
         .help = "so many similar items for each"},
        {.name = "output",
         .file = &options->output,
         .argument = "FILE.tsv|FILE.h5",
         .help = "where they go; standard output by default"},
        {.name = "data",
         .directory = &options->data,
         .help = "the data set, if it is not where training found it and the checkpoint carries no identifiers"},
        stall_timeout_option(&options->stall_seconds)};
    SR_TRY(command_line_read(context, "CHECKPOINT", &options->checkpoint, known, sizeof known / sizeof *known, true, error));
    return sr_recommendations_check_path(options->output, error);
}

/* The items that the file names, in the order of their numbers; the same on all ranks. */
static sr_status choose_items(command_context *context, const checkpointed_model *loaded, const char *path, int32_t **items,
                              size_t *count, sr_error *error)
{
    const size_t rows = sr_item_names_count(loaded->item_names) + 1;
    item_lists_report report = {.named = 0};
    uint8_t *marks;
    SR_TRY(SR_PARALLEL_ALLOCATE(context->parallel, &marks, rows, "marks of items", error));
    sr_status status = SR_PARALLEL_ALLOCATE(context->parallel, items, rows, "marks of items", error);
    if (status == SR_OK && sr_parallel_rank(context->parallel) == 0)
        status = item_marks_read(path, loaded->item_names, true, marks, &report, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(context->parallel, marks, rows, error);
    for (size_t item = 1; item < rows && status == SR_OK; ++item)
        if (marks[item])
            (*items)[(*count)++] = (int32_t)item;
    free(marks);
    if (status == SR_OK && report.unknown)
        sr_log_warning(context->log, "%zu of the %zu items in %s are not known and are left out: %s", report.unknown,
                       report.named, path, report.shown);
    return status;
}

static sr_status write_similar(command_context *context, const checkpointed_model *loaded, const similar_options *options,
                               const int32_t *items, size_t count, sr_error *error)
{
    sr_recommendations_writer *writer = NULL;
    sr_status status = SR_OK;
    const similar_request request = {.names = loaded->item_names,
                                     .items = items,
                                     .count = count,
                                     .top_k = (size_t)options->top_k,
                                     .kernels = context->cpu.kernels};
    if (sr_parallel_rank(context->parallel) == 0)
        status = sr_recommendations_open_similar(&writer, options->output, loaded->item_names, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = similar_items(context->parallel, loaded->model, &request, sr_recommendations_add, writer, error);
    if (writer)
        status = sr_recommendations_close(writer, status, error);
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_similar(command_context *context, sr_error *error)
{
    static const char *const no_keys[] = {NULL};
    const evaluation_keys set = {.keys = no_keys, .needs_item_names = true, .may_lack_data = true};
    similar_options options = {.checkpoint = NULL};
    checkpointed_model loaded;
    int32_t *items = NULL;
    size_t count = 0;
    SR_TRY(read_options(context, &options, error));
    SR_TRY(command_watch(context, options.stall_seconds, SR_PHASE_RECOMMENDATION, error));
    SR_TRY(checkpointed_model_load(&loaded, context, options.checkpoint, options.data, &set, error));
    sr_status status = options.items ? choose_items(context, &loaded, options.items, &items, &count, error) : SR_OK;
    if (status == SR_OK)
        status = write_similar(context, &loaded, &options, items, count, error);
    free(items);
    checkpointed_model_free(&loaded);
    return status;
}
