/* srtrain recommend CHECKPOINT [--data DIR] [--users FILE | --histories FILE] [--top-k K] [--history exclude|keep]
 *                              [--candidates FILE] [--only-items FILE] [--exclude-items FILE] [--time TIME] [--memory SIZE]
 *                              [--output FILE.tsv|FILE.h5] [--stall-timeout DURATION|0]
 *
 * The best items for users of the data set, or for new users whose histories stand in a file, in their original
 * identifiers. */
#include "commands/command.h"

#include "base/names.h"
#include "evaluate/item_lists.h"
#include "evaluate/new_users.h"
#include "srtrain/evaluate.h"
#include "evaluate/recommendations.h"

#include <stdlib.h>

typedef struct {
    const char *checkpoint, *data, *users, *histories, *output;
    const char *candidates, *only_items, *exclude_items;
    double stall_seconds;
    uint64_t top_k, memory, time;
    bool has_time;
    sr_history history;
} recommend_options;

/* Whom to recommend to. All but `source` is filled on rank 0 only. */
typedef struct {
    sr_user_source source;
    sr_user_source listed_source; /* before candidates are added */
    size_t *listed;               /* users of the data set, ascending; NULL: all */
    size_t listed_count;
    sr_users_in_dataset in_dataset;
    new_users *new_users;
    candidate_lists *candidates;
    uint8_t *left_out; /* [items + 1], on every rank; NULL: no item is left out for all */
} audience;

/* ---- options ---- */

static sr_status read_options(const command_context *context, recommend_options *options, sr_error *error)
{
    static const char *const histories[] = {[SR_HISTORY_KEEP] = "keep", [SR_HISTORY_EXCLUDE] = "exclude", NULL};
    int history;
    const sr_option known[] = {
        {.name = "data", .directory = &options->data, .help = "the data set, if it is not where training found it"},
        {.name = "users",
         .file = &options->users,
         .help = "recommends to the users of the data set whose names are the lines of this file; to all by default"},
        {.name = "histories",
         .file = &options->histories,
         .help = "recommends to new users: each line is a name and its items, oldest first, with blanks between them, or tabs "
                 "if names have blanks; for models of times words are ITEM:TIME"},
        {.name = "top-k",
         .count = &options->top_k,
         .least = 1,
         .most = 100000,
         .standard = "10",
         .argument = "K",
         .help = "so many items for each user"},
        {.name = "history",
         .choice = &history,
         .choices = histories,
         .standard = "exclude",
         .help = "whether items of the history are left out"},
        {.name = "time",
         .count = &options->time,
         .most = INT64_MAX,
         .given = &options->has_time,
         .argument = "TIME",
         .help = "with a model that knows when the next event is (hstu with time_query next): when that is, as a time stamp of "
                 "the data set; the last one of the data set by default"},
        lookup_memory_option(
            &options->memory,
            "with --histories: for identifiers of items that are looked up at a time, each time in one pass over those of "
            "the data set"),
        {.name = "candidates",
         .file = &options->candidates,
         .help = "each line is a user and items, with blanks between them, or tabs if names have blanks: recommends to these "
                 "users alone, and of these items alone"},
        {.name = "only-items",
         .other_name = "items",
         .file = &options->only_items,
         .help = "recommends the items alone that are lines of this file; --items is the same"},
        {.name = "exclude-items", .file = &options->exclude_items, .help = "leaves out items that are lines of this file"},
        {.name = "output",
         .file = &options->output,
         .argument = "FILE.tsv|FILE.h5",
         .help = "where recommendations go; standard output by default"},
        stall_timeout_option(&options->stall_seconds)};
    SR_TRY(command_line_read(context, "CHECKPOINT", &options->checkpoint, known, sizeof known / sizeof *known, true, error));
    options->history = (sr_history)history;
    if (options->users && options->histories)
        return sr_fail(error, SR_ERROR_USAGE,
                       "srtrain recommend: give --users (of the data set) or --histories (of new "
                       "users), not both");
    return sr_recommendations_check_path(options->output, error);
}

/* ---- users of the data set ---- */

/* Looks the names up among the users of the data set; unknown ones are reported and left out. */
static sr_status find_users(audience *found, const sr_dataset *dataset, const name_table *names, const char *path, sr_log *log,
                            sr_error *error)
{
    bool *is_known;
    SR_TRY(SR_ALLOCATE(&found->listed, names->count, "the users asked for", error));
    SR_TRY(SR_ALLOCATE_ZERO(&is_known, names->count, "the users asked for", error));
    for (size_t user = 0; user < sr_dataset_users(dataset); ++user) {
        size_t length;
        const char *name = sr_dataset_user_name(dataset, user, &length);
        const uint32_t number = names_find(names, name, length);
        if (number != NAMES_NONE && !is_known[number]) {
            is_known[number] = true;
            found->listed[found->listed_count++] = user;
        }
    }
    size_t first_unknown = 0;
    while (first_unknown < names->count && is_known[first_unknown])
        ++first_unknown;
    free(is_known);
    if (found->listed_count == 0)
        return sr_fail(error, SR_ERROR_DATA, "none of the users in %s is in the data set", path);
    if (first_unknown < names->count) {
        const identifier unknown = names_get(names, (uint32_t)first_unknown);
        sr_log_warning(log, "%zu of the %u users in %s are not in the data set and are left out, the first is \"%.*s\"",
                       names->count - found->listed_count, names->count, path, unknown.length < 40 ? unknown.length : 40,
                       unknown.bytes);
    }
    return SR_OK;
}

static sr_status list_users(audience *found, const sr_dataset *dataset, const char *path, sr_log *log, sr_error *error)
{
    name_table names;
    sr_status status = names_create(&names, error);
    if (status == SR_OK)
        status = names_read(&names, path, error);
    if (status == SR_OK)
        status = find_users(found, dataset, &names, path, log, error);
    names_free(&names);
    return status;
}

static sr_status choose_known_users(audience *found, command_context *context, const sr_dataset *dataset, const char *path,
                                    sr_error *error)
{
    const bool is_root = sr_parallel_rank(context->parallel) == 0;
    sr_status status = is_root && path ? list_users(found, dataset, path, context->log, error) : SR_OK;
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    found->source = sr_users_of_dataset(&found->in_dataset, dataset, found->listed, found->listed_count);
    return SR_OK;
}

/* ---- new users ---- */

/* Whether training shows the model empty histories, or a mask token alone. */
static bool knows_empty_histories(const sr_settings *settings)
{
    return sr_model_needs_of(&settings->model, false).masked || settings->data.samples == SR_SAMPLES_WINDOW;
}

static void report_new_users(sr_log *log, const new_users_report *report, const char *path, bool keeps_empty)
{
    sr_log_information(log, "%s: %zu users, %zu interactions", path, report->users, report->interactions);
    if (report->unknown)
        sr_log_warning(log, "%zu interactions in %s are with items that are not in the data set and are left out: %s",
                       report->unknown, path, report->unknown_shown);
    if (report->empty)
        sr_log_warning(log, "%zu users in %s have no item of the data set and %s: %s", report->empty, path,
                       keeps_empty ? "are recommended what suits an empty history"
                                   : "are left out, because the model was not trained on empty histories",
                       report->empty_shown);
}

static sr_status read_new_users(audience *found, command_context *context, const checkpointed_model *loaded,
                                const recommend_options *options, sr_error *error)
{
    const char *path = options->histories;
    const bool keeps_empty = knows_empty_histories(&loaded->settings);
    const bool has_times = sr_model_needs_of(&loaded->settings.model, false).times;
    found->source = (sr_user_source){.origin = path, .has_times = has_times, .next = new_users_next};
    SR_TRY(sr_recommend_check(&loaded->settings.model, &found->source, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(context->parallel) == 0)
        status = new_users_open(&found->new_users,
                                &(new_users_request){.path = path,
                                                     .names = loaded->item_names,
                                                     .keeps_empty = keeps_empty,
                                                     .has_times = has_times,
                                                     .memory = options->memory},
                                error);
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    if (found->new_users) {
        const new_users_report *report = new_users_found(found->new_users);
        found->source.context = found->new_users;
        found->source.longest_name = report->longest_name;
        report_new_users(context->log, report, path, keeps_empty);
    }
    return SR_OK;
}

/* ---- when ---- */

/* The last time stamp of the data set, of whose users each rank looks at some. Of all ranks. */
static sr_status last_time(sr_parallel *parallel, const sr_dataset *dataset, int64_t *last, sr_error *error)
{
    const size_t users = sr_dataset_users(dataset), ranks = (size_t)sr_parallel_size(parallel);
    *last = INT64_MIN;
    for (size_t user = (size_t)sr_parallel_rank(parallel); user < users; user += ranks) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        if (sequence.times && sequence.length > 0 && sequence.times[sequence.length - 1] > *last)
            *last = sequence.times[sequence.length - 1];
    }
    return sr_parallel_maximum_int64(parallel, last, 1, error);
}

/* When the next event is, for models that ask. */
static sr_status choose_time(command_context *context, const checkpointed_model *loaded, const recommend_options *options,
                             int64_t *time, sr_error *error)
{
    const sr_model_settings *model = &loaded->settings.model;
    *time = (int64_t)options->time;
    if (!sr_model_needs_of(model, false).next_times)
        return options->has_time ? sr_fail(error, SR_ERROR_USAGE,
                                           "srtrain recommend: --time is given, but this model (%s) does not ask when the next "
                                           "event is: leave it out",
                                           sr_model_name(model))
                                 : SR_OK;
    if (!options->has_time && !loaded->dataset)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "srtrain recommend: this model (%s) asks when the next event is, and without the data set there is no last "
            "time stamp to take: give --time TIME, or the data set by --data DIR",
            sr_model_name(model));
    if (!options->has_time)
        SR_TRY(last_time(context->parallel, loaded->dataset, time, error));
    sr_log_information(context->log, "recommending for time %lld (%s)", (long long)*time,
                       options->has_time ? "--time" : "the last of the data set; --time says another");
    return SR_OK;
}

/* ---- which items ---- */

static void report_lists(sr_log *log, const char *path, const item_lists_report *report)
{
    if (report->unknown)
        sr_log_warning(log, "%zu of the %zu items in %s are not known and are left out: %s", report->unknown, report->named,
                       path, report->shown);
}

/* On rank 0: marks what is left out. */
static sr_status mark_items(uint8_t *marks, const checkpointed_model *loaded, const recommend_options *options, sr_log *log,
                            sr_error *error)
{
    const size_t rows = sr_item_names_count(loaded->item_names) + 1;
    item_lists_report report;
    if (options->only_items) {
        SR_TRY(item_marks_read(options->only_items, loaded->item_names, true, marks, &report, error));
        report_lists(log, options->only_items, &report);
        for (size_t item = 0; item < rows; ++item)
            marks[item] = !marks[item];
    }
    if (options->exclude_items) {
        SR_TRY(item_marks_read(options->exclude_items, loaded->item_names, false, marks, &report, error));
        if (report.named == 0)
            sr_log_warning(log, "%s names no items: none is left out", options->exclude_items);
        report_lists(log, options->exclude_items, &report);
    }
    return SR_OK;
}

static sr_status choose_items(audience *found, command_context *context, const checkpointed_model *loaded,
                              const recommend_options *options, sr_error *error)
{
    const size_t rows = sr_item_names_count(loaded->item_names) + 1;
    if (!options->only_items && !options->exclude_items)
        return SR_OK;
    SR_TRY(SR_PARALLEL_ALLOCATE(context->parallel, &found->left_out, rows, "marks of items", error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(context->parallel) == 0)
        status = mark_items(found->left_out, loaded, options, context->log, error);
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    return sr_parallel_broadcast(context->parallel, found->left_out, rows, error);
}

static sr_status read_candidates(audience *found, command_context *context, const checkpointed_model *loaded, const char *path,
                                 sr_error *error)
{
    item_lists_report report;
    sr_status status = SR_OK;
    if (sr_parallel_rank(context->parallel) == 0) {
        status = candidate_lists_read(&found->candidates, path, loaded->item_names, &report, error);
        if (status == SR_OK)
            report_lists(context->log, path, &report);
    }
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    found->source = candidate_lists_source(found->candidates, &found->listed_source);
    return SR_OK;
}

/* ---- the command ---- */

static sr_status recommend_to(command_context *context, const checkpointed_model *loaded, const audience *found,
                              const recommend_options *options, sr_error *error)
{
    const sr_user_source *source = &found->source;
    sr_recommendations_writer *writer = NULL;
    sr_status status = SR_OK;
    int64_t time;
    SR_TRY(sr_recommend_check(&loaded->settings.model, source, error));
    SR_TRY(choose_time(context, loaded, options, &time, error));
    if (sr_parallel_rank(context->parallel) == 0)
        status = sr_recommendations_open(&writer, options->output, loaded->item_names, source->longest_name, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_recommend(context->parallel, loaded->model, source,
                              &(sr_recommendation_request){.top_k = options->top_k,
                                                           .history = options->history,
                                                           .time = time,
                                                           .left_out = found->left_out,
                                                           .kernels = context->cpu.kernels},
                              sr_recommendations_add, writer, error);
    if (writer)
        status = sr_recommendations_close(writer, status, error);
    if (status == SR_OK && found->candidates && candidate_lists_unused(found->candidates))
        sr_log_warning(context->log, "%zu users in %s are not among those who are recommended to, and get nothing",
                       candidate_lists_unused(found->candidates), options->candidates);
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_recommend(command_context *context, sr_error *error)
{
    static const char *const no_keys[] = {NULL};
    evaluation_keys nothing_set = {.keys = no_keys, .needs_item_names = true};
    recommend_options options = {.checkpoint = NULL};
    audience found = {.listed = NULL};
    checkpointed_model loaded;
    SR_TRY(read_options(context, &options, error));
    SR_TRY(command_watch(context, options.stall_seconds, SR_PHASE_RECOMMENDATION, error));
    nothing_set.may_lack_data = options.histories != NULL;
    SR_TRY(checkpointed_model_load(&loaded, context, options.checkpoint, options.data, &nothing_set, error));
    sr_status status = options.histories ? read_new_users(&found, context, &loaded, &options, error)
                                         : choose_known_users(&found, context, loaded.dataset, options.users, error);
    if (status == SR_OK)
        status = choose_items(&found, context, &loaded, &options, error);
    if (status == SR_OK && options.candidates) {
        found.listed_source = found.source;
        status = read_candidates(&found, context, &loaded, options.candidates, error);
    }
    if (status == SR_OK)
        status = recommend_to(context, &loaded, &found, &options, error);
    new_users_close(found.new_users);
    candidate_lists_free(found.candidates);
    free(found.left_out);
    free(found.listed);
    checkpointed_model_free(&loaded);
    return status;
}
