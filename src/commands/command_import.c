/* srtrain import WEIGHTS.h5 --config CONFIG.yaml [--set section.key=value ...] [--data DIR | --items N [--users N]]
 *                           --output CHECKPOINT.h5 [--force]
 *
 * Makes a checkpoint of parameters that were trained elsewhere: evaluation, recommendations and further training start from it
 * as from one of our own. No step has been trained yet, and the optimizer's state is zero. */
#include "commands/command.h"
#include "srtrain/checkpoint.h"
#include "srtrain/directories.h"
#include "srtrain/model.h"
#include "srtrain/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *weights, *configuration, *data, *output;
    uint64_t items, users; /* 0: not given */
    bool force;
    sr_text_list assignments;
} import_options;

/* What the checkpoint is made of. */
typedef struct {
    sr_settings settings;
    sr_dataset *dataset; /* NULL: only the counts are known */
    size_t items, users;
    sr_model *model;
    sr_optimizer optimizer; /* for its state */
} imported_model;

/* ---- options ---- */

static sr_status read_options(const command_context *context, import_options *options, sr_error *error)
{
    const sr_option known[] = {
        {.name = "config",
         .file = &options->configuration,
         .required = true,
         .argument = "CONFIG.yaml",
         .help = "the configuration of the model, which says what the weights belong to"},
        {.name = "set",
         .list = &options->assignments,
         .assignments = true,
         .argument = "section.key=value",
         .help = "overrides a key of the configuration"},
        {.name = "data", .directory = &options->data, .help = "the data set that the model was trained on"},
        {.name = "items",
         .count = &options->items,
         .least = 1,
         .most = INT32_MAX - 1,
         .help = "without a data set: how many items the model knows"},
        {.name = "users",
         .count = &options->users,
         .least = 1,
         .most = INT32_MAX - 1,
         .help = "without a data set: how many users it knows; any number by default"},
        {.name = "output",
         .file = &options->output,
         .required = true,
         .argument = "CHECKPOINT.h5",
         .help = "the checkpoint to be written"},
        {.name = "force", .flag = &options->force, .help = "replaces a file of that name"}};
    SR_TRY(command_line_read(context, "WEIGHTS.h5", &options->weights, known, sizeof known / sizeof *known, true, error));
    if (options->data && options->items)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain import: give --data or --items, not both");
    if (options->users && !options->items)
        return sr_fail(error, SR_ERROR_USAGE,
                       "srtrain import: --users goes with --items; with a data set the number of users "
                       "is known");
    return SR_OK;
}

/* "data.path=..." with the path as a YAML string in quotes, whatever it holds. */
static sr_status assign_path(sr_text_list *assignments, const char *path, char *assignment, size_t size, sr_error *error)
{
    if (assignments->count == SR_TEXT_LIST_MAXIMUM || 2 * strlen(path) + 16 > size)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain import: --data %s: the path is too long", path);
    char *end = assignment + sprintf(assignment, "data.path=\"");
    for (const char *at = path; *at; ++at) {
        if (*at == '"' || *at == '\\')
            *end++ = '\\';
        *end++ = *at;
    }
    snprintf(end, 2, "\"");
    assignments->texts[assignments->count++] = assignment;
    return SR_OK;
}

/* The configuration of the model. The data set is that of --data or else the configuration's own, unless --items says that
 * there is none. */
static sr_status read_settings(import_options *options, sr_settings *settings, sr_error *error)
{
    char assignment[2 * SR_PATH_SIZE + 16];
    const char *path = options->items ? "none" : options->data;
    if (path)
        SR_TRY(assign_path(&options->assignments, path, assignment, sizeof assignment, error));
    SR_TRY(sr_settings_read(settings, options->configuration, options->assignments.texts, options->assignments.count, error));
    if (!options->items)
        sr_make_path_absolute(settings->data.path, sizeof settings->data.path);
    return SR_OK;
}

/* ---- the model ---- */

static sr_status count_by_options(imported_model *imported, const import_options *options, sr_error *error)
{
    const sr_model_settings *model = &imported->settings.model;
    imported->items = options->items;
    imported->users = options->users;
    if (imported->users == 0 && sr_model_needs_of(model, false).users)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain import: model.backbone %s has parameters of users: give --users N",
                       sr_model_name(model));
    return SR_OK;
}

static sr_status count_by_data(imported_model *imported, const sr_parallel *parallel, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    SR_TRY(sr_dataset_open(&imported->dataset, imported->settings.data.path, error));
    SR_TRY(sr_dataset_verify(imported->dataset, rank, ranks, error));
    imported->items = sr_dataset_items(imported->dataset);
    imported->users = sr_dataset_users(imported->dataset);
    return SR_OK;
}

static sr_status build(imported_model *imported, const sr_parallel *parallel, const import_options *options, sr_error *error)
{
    SR_TRY(options->items ? count_by_options(imported, options, error) : count_by_data(imported, parallel, error));
    SR_TRY(sr_model_declare(&imported->model, &imported->settings.model, imported->items, imported->users, error));
    SR_TRY(sr_parameters_allocate_values(sr_model_parameters(imported->model), error)); /* nothing is trained here */
    return sr_optimizer_create(&imported->optimizer, sr_model_parameters(imported->model), &imported->settings.training, error);
}

/* ---- the checkpoint ---- */

static sr_status check_output(const import_options *options, sr_error *error)
{
    if (!options->force && access(options->output, F_OK) == 0)
        return sr_fail(error, SR_ERROR_USAGE, "%s exists already: choose another --output, or replace it with --force",
                       options->output);
    return SR_OK;
}

static sr_status write_checkpoint(sr_parallel *parallel, const imported_model *imported, const char *path, sr_error *error)
{
    char version[] = SRTRAIN_PROGRAM_VERSION, fingerprint[64] = "", directory[SR_PATH_SIZE] = "";
    char *configuration = NULL;
    if (imported->dataset) {
        snprintf(fingerprint, sizeof fingerprint, "%s", sr_dataset_fingerprint(imported->dataset));
        snprintf(directory, sizeof directory, "%s", sr_dataset_directory(imported->dataset));
    }
    sr_status status = sr_parallel_rank(parallel) == 0 ? sr_make_parent_directories(path, error) : SR_OK;
    if (status == SR_OK)
        status = sr_settings_text(&imported->settings, &configuration, error);
    status = sr_parallel_agree(parallel, status, error);
    const sr_checkpoint checkpoint = {
        .progress = {.seed = (uint64_t)imported->settings.training.seed, .best_metric = -1},
        .configuration = configuration,
        .program_version = version,
        .item_names_of = imported->dataset,
        .data_fingerprint = fingerprint,
        .data_directory = directory,
        .items = (int64_t)imported->items,
        .users = (int64_t)imported->users,
    };
    if (status == SR_OK)
        status = sr_checkpoint_write(parallel, path, &checkpoint, imported->optimizer.parameters, &imported->optimizer.state,
                                     error);
    free(configuration);
    return status;
}

static void report(sr_log *log, const imported_model *imported, const import_options *options)
{
    const char *warning = sr_model_import_warning(&imported->settings.model);
    const sr_parameters *parameters = imported->optimizer.parameters;
    size_t count = 0;
    for (size_t i = 0; i < parameters->count; ++i)
        count += parameters->list[i].size;
    sr_log_information(log, "%s: a checkpoint of %s with %zu parameters in %zu arrays from %s", options->output,
                       sr_model_name(&imported->settings.model), count, parameters->count, options->weights);
    if (!imported->dataset)
        sr_log_warning(log,
                       "imported without a data set: it will be used with any of %zu items, and nobody can check that "
                       "they are numbered as in the weights",
                       imported->items);
    if (warning)
        sr_log_warning(log, "%s", warning);
}

static sr_status import(command_context *context, import_options *options, imported_model *imported, sr_error *error)
{
    sr_parallel *parallel = context->parallel;
    SR_TRY(sr_parallel_agree(parallel, sr_parallel_rank(parallel) == 0 ? check_output(options, error) : SR_OK, error));
    SR_TRY(sr_parallel_agree(parallel, read_settings(options, &imported->settings, error), error));
    SR_TRY(command_compare_settings(parallel, options->configuration, &imported->settings, error));
    SR_TRY(sr_parallel_agree(parallel, build(imported, parallel, options, error), error));
    SR_TRY(sr_weights_read(parallel, options->weights, imported->optimizer.parameters, error));
    SR_TRY(write_checkpoint(parallel, imported, options->output, error));
    report(context->log, imported, options);
    return SR_OK;
}

sr_status command_import(command_context *context, sr_error *error)
{
    import_options options = {.weights = NULL};
    imported_model imported = {.model = NULL};
    sr_watchdog_guard(NULL, 0); /* it may take any time */
    SR_TRY(read_options(context, &options, error));
    const sr_status status = import(context, &options, &imported, error);
    sr_optimizer_free(&imported.optimizer);
    sr_model_free(imported.model);
    sr_dataset_close(imported.dataset);
    return status;
}
