/* srtrain export CHECKPOINT --format safetensors|npy|onnx --output PATH [--items-only] [--states FILE]
 * [--external-data]
 *                [--data DIR] [--memory SIZE] [--stall-timeout DURATION|0]
 *
 * Parameters, identifiers of items, and states of histories as arrays for other programs; or the whole model as a
 * graph that they run. */
#include "commands/command.h"

#include "base/sizes.h"
#include "commands/exported_rows.h"
#include "evaluate/new_users.h"
#include "srtrain/evaluate.h"
#include "srtrain/memory.h"
#include "storage/onnx_file.h"
#include "storage/tensor_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FORMAT_SAFETENSORS, FORMAT_NPY, FORMAT_ONNX } export_format;

typedef struct {
    const char *checkpoint, *data, *output, *states;
    int format;
    bool items_only, external_data;
    uint64_t memory;
    double stall_seconds;
} export_options;

/* States of histories; on rank 0. */
typedef struct {
    sr_real *states; /* [count, width] */
    char *names;     /* [count, name_width] */
    size_t count, width, name_width;
    size_t states_room, names_room;
} state_collection;

/* What is written: the same arrays on all ranks, of which rank 0 has those that are in memory. */
typedef struct {
    tensor_array *arrays;
    size_t count, room;
    char *item_names;                      /* [items + 1, width]: row by row as item tables have them */
    exported_rows rows[SR_TABLES_MAXIMUM]; /* of a divided item table */
} exported_arrays;

/* A graph is a whole model and computes states itself. */
static sr_status check_options(const export_options *options, sr_error *error)
{
    const bool is_graph = options->format == FORMAT_ONNX;
    const char *needless = NULL;
    if (is_graph)
        needless = options->items_only ? "--items-only" : options->states ? "--states" : NULL;
    else if (options->external_data)
        needless = "--external-data";
    if (!needless)
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "srtrain export: %s is for %s", needless,
                   is_graph ? "--format safetensors and npy: a graph of ONNX has all of the model, and its output \"states\""
                            : "--format onnx");
}

static sr_status read_options(const command_context *context, export_options *options, sr_error *error)
{
    static const char *const formats[] = {
        [FORMAT_SAFETENSORS] = "safetensors", [FORMAT_NPY] = "npy", [FORMAT_ONNX] = "onnx", NULL};
    const sr_option known[] = {
        {.name = "format",
         .choice = &options->format,
         .choices = formats,
         .required = true,
         .help = "one file of safetensors, a directory of npy files, or the model as a graph of ONNX"},
        {.name = "output", .file = &options->output, .required = true, .argument = "PATH", .help = "what is to be written"},
        {.name = "items-only",
         .flag = &options->items_only,
         .help = "writes the vectors of items alone, without other parameters"},
        {.name = "states",
         .file = &options->states,
         .help = "also writes the state of each history of this file: each line is a name and its items, oldest first"},
        {.name = "external-data",
         .flag = &options->external_data,
         .help = "with --format onnx: puts parameters into PATH.data, as it is done anyway where they take more than 2 GB"},
        {.name = "data",
         .directory = &options->data,
         .help = "the data set, if it is not where training found it and the checkpoint carries no identifiers"},
        lookup_memory_option(&options->memory, "with --states: for identifiers of items that are looked up at a time"),
        stall_timeout_option(&options->stall_seconds)};
    SR_TRY(command_line_read(context, "CHECKPOINT", &options->checkpoint, known, sizeof known / sizeof *known, true, error));
    return check_options(options, error);
}

/* ---- states ---- */

static sr_status collect(void *context, const char *user, size_t user_length, const sr_real *state, size_t width,
                         sr_error *error)
{
    state_collection *c = context;
    c->width = width;
    SR_TRY(SR_GROW(&c->states, &c->states_room, (c->count + 1) * width, "states", error));
    SR_TRY(SR_GROW(&c->names, &c->names_room, (c->count + 1) * c->name_width, "names of histories", error));
    memcpy(c->states + c->count * width, state, width * sizeof *state);
    memset(c->names + c->count * c->name_width, 0, c->name_width);
    memcpy(c->names + c->count * c->name_width, user, user_length);
    ++c->count;
    return SR_OK;
}

static void report_histories(sr_log *log, const char *path, const new_users_report *report)
{
    sr_log_information(log, "%s: %zu users, %zu interactions", path, report->users, report->interactions);
    if (report->unknown)
        sr_log_warning(log, "%zu interactions in %s are with items that the model does not know and are left out: %s",
                       report->unknown, path, report->unknown_shown);
    if (report->empty)
        sr_log_warning(log, "%zu users in %s have no known item and are left out: %s", report->empty, path,
                       report->empty_shown);
}

static sr_status encode(command_context *context, const checkpointed_model *loaded, const export_options *options,
                        state_collection *found, sr_error *error)
{
    const sr_model_needs needs = sr_model_needs_of(&loaded->settings.model, false);
    sr_user_source source = {.origin = options->states, .has_times = needs.times, .next = new_users_next};
    new_users *users = NULL;
    sr_status status = SR_OK;
    if (needs.next_times)
        return sr_fail(error, SR_ERROR_USAGE,
                       "srtrain export: --states is not for model.backbone %s, whose states depend on when "
                       "the next event is",
                       sr_model_name(&loaded->settings.model));
    if (sr_parallel_rank(context->parallel) == 0)
        status = new_users_open(
            &users,
            &(new_users_request){
                .path = options->states, .names = loaded->item_names, .has_times = needs.times, .memory = options->memory},
            error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK && users) {
        report_histories(context->log, options->states, new_users_found(users));
        source.context = users;
        source.longest_name = new_users_found(users)->longest_name;
        found->name_width = larger(source.longest_name, 1);
    }
    if (status == SR_OK)
        status = sr_encode_users(context->parallel, loaded->model, &source, context->cpu.kernels, collect, found, error);
    new_users_close(users);
    return status;
}

/* ---- arrays ---- */

static sr_status add_array(exported_arrays *all, const tensor_array *array, sr_error *error)
{
    SR_TRY(SR_GROW(&all->arrays, &all->room, all->count + 1, "exported arrays", error));
    all->arrays[all->count++] = *array;
    return SR_OK;
}

/* Whether a parameter has a row for each item: a table that inputs are read from, or one that states are scored with.
 */
static bool is_item_table(const sr_parameter *parameter, size_t items)
{
    return parameter->rank == 2 && parameter->shape[0] > items &&
           (strncmp(parameter->name, "item_", 5) == 0 || strncmp(parameter->name, "output_embedding", 16) == 0);
}

/* A table whose rows the ranks own: each of them has a block at least. */
static sr_status add_divided(exported_arrays *all, sr_parallel *parallel, const sr_parameters *parameters, bool items_only,
                             size_t items, sr_error *error)
{
    const sr_row_block *block = parameters->row_blocks[0];
    for (size_t part = 0; part < block->parameters.count; ++part) {
        const sr_parameter *parameter = &block->parameters.list[part];
        all->rows[part] = (exported_rows){.parallel = parallel, .parameters = parameters, .part = part};
        tensor_array array = {.shape = {items_only ? items + 1 : block->table_rows, parameter->shape[1]},
                              .rank = 2,
                              .read = exported_rows_read,
                              .context = &all->rows[part]};
        snprintf(array.name, sizeof array.name, "%s", parameter->name);
        SR_TRY(add_array(all, &array, error));
    }
    return SR_OK;
}

static sr_status add_parameters(exported_arrays *all, sr_parallel *parallel, const checkpointed_model *loaded, bool items_only,
                                sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(loaded->model);
    const size_t items = sr_model_items(loaded->model);
    const size_t divided = parameters->row_block_count > 0 ? parameters->row_blocks[0]->before : SIZE_MAX;
    for (size_t i = 0; i <= parameters->count; ++i) {
        if (i == divided)
            SR_TRY(add_divided(all, parallel, parameters, items_only, items, error));
        if (i == parameters->count)
            break;
        const sr_parameter *parameter = &parameters->list[i];
        tensor_array array = {.rank = parameter->rank, .data = parameters->values + parameter->offset};
        if (items_only && !is_item_table(parameter, items))
            continue;
        snprintf(array.name, sizeof array.name, "%s", parameter->name);
        memcpy(array.shape, parameter->shape, parameter->rank * sizeof *array.shape);
        if (items_only) /* without the mask token */
            array.shape[0] = items + 1;
        SR_TRY(add_array(all, &array, error));
    }
    return SR_OK;
}

static sr_status add_item_names(exported_arrays *all, const sr_item_names *names, sr_error *error)
{
    const size_t items = sr_item_names_count(names), width = sr_item_names_width(names);
    SR_TRY(sr_allocate_zero((void **)&all->item_names, items + 1, width, "identifiers of items", error));
    for (size_t item = 1; item <= items; ++item) {
        size_t length;
        const char *name = sr_item_name(names, item, &length);
        memcpy(all->item_names + item * width, name, length);
    }
    return add_array(
        all, &(tensor_array){.name = "item_names", .shape = {items + 1}, .rank = 1, .width = width, .data = all->item_names},
        error);
}

static sr_status add_states(exported_arrays *all, const state_collection *found, sr_error *error)
{
    SR_TRY(add_array(all,
                     &(tensor_array){.name = "states", .shape = {found->count, found->width}, .rank = 2, .data = found->states},
                     error));
    return add_array(
        all,
        &(tensor_array){
            .name = "state_names", .shape = {found->count}, .rank = 1, .width = found->name_width, .data = found->names},
        error);
}

/* ---- graphs ---- */

static sr_status write_graph(const checkpointed_model *loaded, const export_options *options, const sr_graph *graph,
                             bool *beside, sr_error *error)
{
    const sr_model_settings *settings = &loaded->settings.model;
    char *configuration = NULL, max_length[32];
    SR_TRY(sr_settings_text(&loaded->settings, &configuration, error));
    snprintf(max_length, sizeof max_length, "%lld", (long long)settings->max_length);
    const char *const metadata[] = {"configuration",
                                    configuration,
                                    "max_length",
                                    max_length,
                                    "padding",
                                    settings->padding == SR_PADDING_LEFT ? "left" : "right",
                                    NULL};
    const sr_status status = onnx_write(options->output, graph, metadata, options->external_data ? 0 : ONNX_LARGEST, beside,
                                        error);
    free(configuration);
    return status;
}

/* On rank 0. */
static sr_status export_graph(const command_context *context, const checkpointed_model *loaded, const export_options *options,
                              sr_error *error)
{
    sr_graph *graph;
    bool beside = false;
    SR_TRY(sr_graph_create(&graph, error));
    sr_status status = sr_model_describe(loaded->model, context->cpu.kernels, graph, error);
    if (status == SR_ERROR_USAGE) {
        const sr_error reason = *error;
        sr_fail(error, status,
                "srtrain export: model.backbone %s cannot be written as ONNX: %s; --format safetensors and npy "
                "have its parameters",
                sr_model_name(&loaded->settings.model), reason.message);
    }
    if (status == SR_OK)
        status = write_graph(loaded, options, graph, &beside, error);
    if (status == SR_OK)
        sr_log_information(context->log, "%s: %zu operations of %s%s%s%s", options->output, sr_graph_read(graph).step_count,
                           options->checkpoint, beside ? ", with parameters in " : "", beside ? options->output : "",
                           beside ? ".data" : "");
    sr_graph_free(graph);
    return status;
}

/* ---- the command ---- */

/* Names are last, and rank 0 alone writes what it has by itself. */
static sr_status list_arrays(sr_parallel *parallel, const checkpointed_model *loaded, const export_options *options,
                             const state_collection *found, exported_arrays *all, sr_error *error)
{
    SR_TRY(add_parameters(all, parallel, loaded, options->items_only, error));
    if (sr_parallel_rank(parallel) > 0)
        return SR_OK;
    if (options->states)
        SR_TRY(add_states(all, found, error));
    return add_item_names(all, loaded->item_names, error);
}

static sr_status write_arrays(sr_parallel *parallel, const checkpointed_model *loaded, const export_options *options,
                              const exported_arrays *all, sr_error *error)
{
    const bool writes = sr_parallel_rank(parallel) == 0;
    char *configuration = NULL;
    if (options->format == FORMAT_NPY)
        return npy_write(options->output, writes, all->arrays, all->count, error);
    SR_TRY(sr_parallel_agree(parallel, sr_settings_text(&loaded->settings, &configuration, error), error));
    const char *const metadata[] = {"format", "pt", "configuration", configuration, NULL};
    const sr_status status = safetensors_write(options->output, writes, all->arrays, all->count, metadata, error);
    free(configuration);
    return status;
}

static sr_status export_arrays(command_context *context, const checkpointed_model *loaded, const export_options *options,
                               sr_error *error)
{
    state_collection found = {.states = NULL};
    exported_arrays all = {.arrays = NULL};
    sr_status status = options->states ? encode(context, loaded, options, &found, error) : SR_OK;
    if (status == SR_OK)
        status = list_arrays(context->parallel, loaded, options, &found, &all, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = write_arrays(context->parallel, loaded, options, &all, error);
    if (status == SR_OK)
        sr_log_information(context->log, "%s: %zu arrays of %s", options->output, all.count, options->checkpoint);
    free(found.states);
    free(found.names);
    free(all.arrays);
    free(all.item_names);
    return status;
}

static sr_status export(command_context *context, const checkpointed_model *loaded, const export_options *options,
                        sr_error *error)
{
    sr_status status = SR_OK;
    if (options->format != FORMAT_ONNX)
        status = export_arrays(context, loaded, options, error);
    else if (sr_parallel_rank(context->parallel) == 0)
        status = export_graph(context, loaded, options, error);
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_export(command_context *context, sr_error *error)
{
    static const char *const no_keys[] = {NULL};
    evaluation_keys set = {.keys = no_keys, .needs_item_names = true, .may_lack_data = true};
    export_options options = {.checkpoint = NULL};
    checkpointed_model loaded;
    SR_TRY(read_options(context, &options, error));
    set.whole_table = options.format == FORMAT_ONNX || options.states; /* what computes states reads rows of all items */
    SR_TRY(command_watch(context, options.stall_seconds, SR_PHASE_RECOMMENDATION, error));
    SR_TRY(checkpointed_model_load(&loaded, context, options.checkpoint, options.data, &set, error));
    const sr_status status = export(context, &loaded, &options, error);
    checkpointed_model_free(&loaded);
    return status;
}
