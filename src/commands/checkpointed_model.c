#include "commands/command.h"
#include "srtrain/checkpoint.h"
#include "srtrain/file_work.h"
#include "srtrain/evaluate.h"
#include "srtrain/machine.h"

#include <stdio.h>
#include <string.h>

/* An assignment that names a metric with the first cut-off of "evaluation.top_k=[5, 10]", or an empty text. Training's own
 * metric may not be among the cut-offs that are asked for now, and it plays no part in an evaluation. */
static void metric_for(const sr_text_list *assignments, char *assignment, size_t size)
{
    static const char key[] = "evaluation.top_k=";
    assignment[0] = '\0';
    for (size_t i = 0; i < assignments->count; ++i)
        if (strncmp(assignments->texts[i], key, strlen(key)) == 0) {
            const char *first = assignments->texts[i] + strlen(key);
            first += strcspn(first, "0123456789");
            snprintf(assignment, size, "training.early_stopping.metric=hr@%.*s", (int)strspn(first, "0123456789"), first);
        }
}

static bool is_key(const char *assignment, const char *key)
{
    return strncmp(assignment, key, strlen(key)) == 0 && assignment[strlen(key)] == '=';
}

/* An assignment that the schema accepts and that would do nothing here is refused, too. */
static sr_status check_keys(const evaluation_keys *set, sr_error *error)
{
    char list[256] = "";
    size_t used = 0;
    for (const char *const *key = set->keys; *key && used < sizeof list; ++key)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *key);
    for (size_t i = 0; i < set->assignments.count; ++i) {
        bool known = false;
        for (const char *const *key = set->keys; *key; ++key)
            known = known || is_key(set->assignments.texts[i], *key);
        if (!known)
            return sr_fail(error, SR_ERROR_USAGE, "--set %s: of a trained model only these can be set here: %s",
                           set->assignments.texts[i], list);
    }
    return SR_OK;
}

static void tell_log(void *log, const char *line)
{
    sr_log_warning(log, "%s", line);
}

/* By itself, so that what the file says wrongly is told from what the command line does. */
static sr_status check_stored(const char *path, const sr_checkpoint *checkpoint, sr_error *error)
{
    const sr_stored_reading reading = {.tell = NULL};
    sr_settings settings;
    sr_error reason = {.message = ""};
    if (sr_settings_parse_stored(&settings, checkpoint->configuration, path, NULL, 0, &reading, &reason) == SR_OK)
        return SR_OK;
    return sr_fail(error, SR_ERROR_DATA, "the stored configuration cannot be used: %s", reason.message);
}

/* The settings of the checkpoint with the assignments of the command line, which may only concern evaluation. */
static sr_status read_settings(checkpointed_model *loaded, const char *path, const sr_checkpoint *checkpoint,
                               const evaluation_keys *set, sr_log *log, sr_error *error)
{
    const sr_stored_reading reading = {.tell = tell_log, .context = log};
    sr_text_list all = set->assignments;
    char metric[64];
    SR_TRY(check_keys(set, error));
    SR_TRY(check_stored(path, checkpoint, error));
    metric_for(&set->assignments, metric, sizeof metric);
    if (*metric && all.count < SR_TEXT_LIST_MAXIMUM)
        all.texts[all.count++] = metric;
    return sr_settings_parse_stored(&loaded->settings, checkpoint->configuration, path, all.texts, all.count, &reading, error);
}

/* A data set that is not where the checkpoint says may have moved, or the checkpoint may be of a time when a path was stored as
 * it was given. */
static sr_status explain_directory(const char *path, const char *directory, sr_error *error)
{
    const sr_error cause = *error;
    return sr_fail(error, cause.status,
                   "the data set of %s: %s. The checkpoint says that it lay there when the model was trained%s: give "
                   "--data DIR",
                   path, cause.message, *directory == '/' ? "" : ", as seen from the working directory of that time");
}

static sr_status open_data(checkpointed_model *loaded, const char *path, const char *data, const sr_checkpoint *checkpoint,
                           sr_error *error)
{
    if (data)
        return sr_dataset_open(&loaded->dataset, data, error);
    if (!*checkpoint->data_directory)
        return sr_fail(error, SR_ERROR_USAGE, "%s was imported without a data set: give --data DIR", path);
    const sr_status status = sr_dataset_open(&loaded->dataset, checkpoint->data_directory, error);
    return status == SR_OK ? SR_OK : explain_directory(path, checkpoint->data_directory, error);
}

sr_option lookup_memory_option(uint64_t *bytes, const char *help)
{
    return (sr_option){.name = "memory", .bytes = bytes, .least = 1024, .standard = "256M", .help = help};
}

/* ---- other data ---- */

static void report_translation(sr_log *log, const char *directory, const sr_translation *found)
{
    sr_log_information(log, "%s is not what the model was trained on: its items are known by their identifiers, %zu of %zu",
                       directory, found->items - found->unknown_items, found->items);
    if (found->unknown_interactions)
        sr_log_warning(
            log,
            "%zu of %zu interactions, %zu of them held out, are with %zu items that the model does not know, and are "
            "left out: %s",
            found->unknown_interactions, found->interactions, found->unknown_held_out, found->unknown_items, found->shown);
}

static sr_status translate(checkpointed_model *loaded, const char *path, const sr_checkpoint *checkpoint, sr_log *log,
                           sr_error *error)
{
    sr_translation found;
    if (sr_model_needs_of(&loaded->settings.model, false).users)
        return sr_fail(error, SR_ERROR_USAGE,
                       "model.backbone %s has parameters for each user that it was trained on: it cannot serve those of %s",
                       sr_model_name(&loaded->settings.model), sr_dataset_directory(loaded->dataset));
    SR_TRY(sr_names_find(&loaded->item_names, &loaded->trained_on, path, checkpoint, false, error));
    SR_TRY(sr_dataset_translate(loaded->dataset, loaded->item_names, &found, error));
    report_translation(log, sr_dataset_directory(loaded->dataset), &found);
    return SR_OK;
}

/* The model without any data set, if its checkpoint carries what is needed of it. */
static sr_status open_names_alone(checkpointed_model *loaded, const char *path, const char *data,
                                  const sr_checkpoint *checkpoint, const evaluation_keys *set, sr_error *error)
{
    if (!set->may_lack_data || data)
        return SR_OK;
    return sr_item_names_of_checkpoint(&loaded->item_names, path, checkpoint, error);
}

static sr_status open_parts(checkpointed_model *loaded, const command_context *context, const char *path, const char *data,
                            const sr_checkpoint *checkpoint, const evaluation_keys *set, sr_error *error)
{
    SR_TRY(open_names_alone(loaded, path, data, checkpoint, set, error));
    if (loaded->item_names)
        return SR_OK;
    const size_t rank = (size_t)sr_parallel_rank(context->parallel), ranks = (size_t)sr_parallel_size(context->parallel);
    enum { PASSES = 4 }; /* over all of it, at most */
    SR_TRY(open_data(loaded, path, data, checkpoint, error));
    sr_file_work_add(PASSES * sr_dataset_bytes(loaded->dataset));
    SR_TRY(sr_dataset_verify(loaded->dataset, rank, ranks, error));
    const char *own = checkpoint->data_fingerprint;
    if (set->takes_other_data && *own && strcmp(own, sr_dataset_fingerprint(loaded->dataset)) != 0)
        return translate(loaded, path, checkpoint, context->log, error);
    SR_TRY(sr_checkpoint_check_data(path, checkpoint, loaded->dataset, error));
    return set->needs_item_names ? sr_item_names_of_dataset(&loaded->item_names, loaded->dataset, error) : SR_OK;
}

/* ---- the model ---- */

/* Whether the item table is to be divided among all threads of all ranks: as in training, or because whole tables on each of
 * its ranks would take more than half the memory of some node. A table with fewer items than there are threads cannot be
 * divided among them, and every rank has it. The results are the same. */
static sr_status divides_items(const checkpointed_model *loaded, sr_parallel *parallel, const sr_checkpoint *checkpoint,
                               bool *divides, sr_error *error)
{
    const sr_model_settings *settings = &loaded->settings.model;
    const size_t workers = (size_t)sr_parallel_size(parallel) * sr_parallel_threads(parallel);
    sr_model_size size;
    sr_machine machine;
    *divides = settings->item_table == SR_ITEM_TABLE_DIVIDED && workers <= (size_t)checkpoint->items;
    if (settings->item_table != SR_ITEM_TABLE_AUTO || sr_parallel_size(parallel) == 1)
        return SR_OK;
    const sr_status status = sr_model_measure_size(&size, settings, (size_t)checkpoint->items, (size_t)checkpoint->users,
                                                   error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    sr_machine_look(&machine, NULL);
    int64_t too_large = 2 * (double)size.item_table * sr_parallel_node_size(parallel) > (double)machine.memory;
    SR_TRY(sr_parallel_maximum_int64(parallel, &too_large, 1, error));
    *divides = too_large;
    return SR_OK;
}

/* Nothing of it is trained: it needs no gradients. */
static sr_status declare_model(checkpointed_model *loaded, const sr_parallel *parallel, const sr_checkpoint *checkpoint,
                               bool divides, sr_error *error)
{
    const sr_model_settings *settings = &loaded->settings.model;
    const size_t items = (size_t)checkpoint->items, users = (size_t)checkpoint->users;
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(parallel),
                                       .ranks = (size_t)sr_parallel_size(parallel),
                                       .threads = sr_parallel_threads(parallel)};
    SR_TRY(divides ? sr_model_declare_divided(&loaded->model, settings, items, users, &division, error)
                   : sr_model_declare(&loaded->model, settings, items, users, error));
    return sr_parameters_allocate_values(sr_model_parameters(loaded->model), error);
}

static sr_status create_model(checkpointed_model *loaded, sr_parallel *parallel, const sr_checkpoint *checkpoint,
                              const evaluation_keys *set, sr_error *error)
{
    bool divides = false;
    if (!set->whole_table)
        SR_TRY(divides_items(loaded, parallel, checkpoint, &divides, error));
    return sr_parallel_agree(parallel, declare_model(loaded, parallel, checkpoint, divides, error), error);
}

sr_status checkpointed_model_load(checkpointed_model *loaded, const command_context *context, const char *checkpoint,
                                  const char *data, const evaluation_keys *set, sr_error *error)
{
    sr_parallel *parallel = context->parallel;
    *loaded = (checkpointed_model){0};
    sr_checkpoint header = {0};
    SR_TRY(sr_checkpoint_read_header(parallel, checkpoint, &header, error));
    sr_status status = sr_parallel_agree(parallel, read_settings(loaded, checkpoint, &header, set, context->log, error), error);
    if (status == SR_OK)
        status = command_compare_settings(parallel, checkpoint, &loaded->settings, error);
    sr_file_work_begin_reading(data ? data : header.data_directory ? header.data_directory : "", 0);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, open_parts(loaded, context, checkpoint, data, &header, set, error), error);
    sr_file_work_end();
    if (status == SR_OK)
        status = create_model(loaded, parallel, &header, set, error);
    if (status == SR_OK)
        status = sr_checkpoint_read_state(parallel, checkpoint, sr_model_parameters(loaded->model), NULL, error);
    if (status == SR_OK)
        sr_model_set_step(loaded->model, sr_progress_model_steps(&header.progress));
    sr_checkpoint_free(&header);
    if (status != SR_OK)
        checkpointed_model_free(loaded);
    return status;
}

void checkpointed_model_free(checkpointed_model *loaded)
{
    sr_model_free(loaded->model);
    sr_dataset_close(loaded->dataset);
    sr_item_names_free(loaded->item_names);
    sr_dataset_close(loaded->trained_on);
    *loaded = (checkpointed_model){.settings = loaded->settings};
}

sr_option held_out_option(int *split, const char *help)
{
    static const char *const names[] = {[SR_SPLIT_VALID] = "valid", [SR_SPLIT_TEST] = "test", NULL};
    return (sr_option){.name = "split", .choice = split, .choices = names, .standard = "test", .help = help};
}
