/* srtrain encode CHECKPOINT --output FILE.h5 [--data DIR] [--histories FILE] [--memory SIZE] [--stall-timeout
 * DURATION|0]
 *
 * The state of each user's history as a vector: for an index of neighbours, or a ranker. */
#include "commands/command.h"

#include "evaluate/new_users.h"
#include "evaluate/state_file.h"
#include "srtrain/evaluate.h"

typedef struct {
    const char *checkpoint, *data, *histories, *output;
    uint64_t memory;
    double stall_seconds;
} encode_options;

/* Whose histories they are. All but `source` is filled on rank 0 only. */
typedef struct {
    sr_user_source source;
    sr_users_in_dataset in_dataset;
    new_users *new_users;
} encoded_users;

static sr_status read_options(const command_context *context, encode_options *options, sr_error *error)
{
    const sr_option known[] = {
        {.name = "output",
         .file = &options->output,
         .required = true,
         .argument = "FILE.h5",
         .help = "where names and states go"},
        {.name = "data", .directory = &options->data, .help = "the data set, if it is not where training found it"},
        {.name = "histories",
         .file = &options->histories,
         .help = "encodes these histories, not those of the data set: each line is a name and its items, oldest first; for "
                 "models of times words are ITEM:TIME"},
        lookup_memory_option(&options->memory, "with --histories: for identifiers of items that are looked up at a time"),
        stall_timeout_option(&options->stall_seconds)};
    SR_TRY(command_line_read(context, "CHECKPOINT", &options->checkpoint, known, sizeof known / sizeof *known, true, error));
    return state_file_check_path(options->output, error);
}

/* ---- users ---- */

static void report_histories(sr_log *log, const char *path, const new_users_report *report)
{
    if (report->unknown)
        sr_log_warning(log, "%zu interactions in %s are with items that the model does not know and are left out: %s",
                       report->unknown, path, report->unknown_shown);
    if (report->empty)
        sr_log_warning(log, "%zu users in %s have no known item and are left out: %s", report->empty, path,
                       report->empty_shown);
}

static sr_status open_histories(encoded_users *users, command_context *context, const checkpointed_model *loaded,
                                const encode_options *options, sr_error *error)
{
    const bool has_times = sr_model_needs_of(&loaded->settings.model, false).times;
    const new_users_request request = {
        .path = options->histories, .names = loaded->item_names, .has_times = has_times, .memory = options->memory};
    sr_status status = SR_OK;
    users->source = (sr_user_source){.origin = options->histories, .has_times = has_times, .next = new_users_next};
    SR_TRY(sr_recommend_check(&loaded->settings.model, &users->source, error));
    if (sr_parallel_rank(context->parallel) == 0)
        status = new_users_open(&users->new_users, &request, error);
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    if (users->new_users) {
        users->source.context = users->new_users;
        users->source.longest_name = new_users_found(users->new_users)->longest_name;
        report_histories(context->log, options->histories, new_users_found(users->new_users));
    }
    return SR_OK;
}

static sr_status open_users(encoded_users *users, command_context *context, const checkpointed_model *loaded,
                            const encode_options *options, sr_error *error)
{
    if (sr_model_needs_of(&loaded->settings.model, false).next_times)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "srtrain encode: model.backbone %s has no states of histories alone: they depend on when the next event is",
            sr_model_name(&loaded->settings.model));
    if (options->histories)
        return open_histories(users, context, loaded, options, error);
    users->source = sr_users_of_dataset(&users->in_dataset, loaded->dataset, NULL, 0);
    return SR_OK;
}

/* ---- the command ---- */

static sr_status encode(command_context *context, const checkpointed_model *loaded, const encoded_users *users,
                        const encode_options *options, sr_error *error)
{
    state_file *file = NULL;
    size_t count = 0;
    sr_status status = SR_OK;
    if (sr_parallel_rank(context->parallel) == 0)
        status = state_file_open(&file, options->output, users->source.longest_name, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_encode_users(context->parallel, loaded->model, &users->source, context->cpu.kernels, state_file_add, file,
                                 error);
    if (file)
        status = state_file_close(file, status, &count, error);
    if (file && status == SR_OK)
        sr_log_information(context->log, "%s: the states of %zu histories", options->output, count);
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_encode(command_context *context, sr_error *error)
{
    static const char *const no_keys[] = {NULL};
    evaluation_keys set = {.keys = no_keys, .needs_item_names = true, .whole_table = true};
    encode_options options = {.checkpoint = NULL};
    encoded_users users = {.new_users = NULL};
    checkpointed_model loaded;
    SR_TRY(read_options(context, &options, error));
    SR_TRY(command_watch(context, options.stall_seconds, SR_PHASE_RECOMMENDATION, error));
    set.may_lack_data = options.histories != NULL;
    SR_TRY(checkpointed_model_load(&loaded, context, options.checkpoint, options.data, &set, error));
    sr_status status = open_users(&users, context, &loaded, &options, error);
    if (status == SR_OK)
        status = encode(context, &loaded, &users, &options, error);
    new_users_close(users.new_users);
    checkpointed_model_free(&loaded);
    return status;
}
