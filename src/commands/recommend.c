/* srtrain recommend CHECKPOINT [--data DIR] [--users FILE] [--top-k K] [--history exclude|keep] [--output FILE.tsv|FILE.h5]
 *
 * The best items for users of the data set, in their original identifiers. */
#include "commands/command.h"
#include "srtrain/evaluate.h"
#include "storage/recommendations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which users ---- */

typedef struct {
    size_t *users; /* ascending; NULL: all */
    size_t count;
} user_selection;

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Compares a name that need not end in a null byte with a line. */
static int compare_name(const char *name, size_t length, const char *line)
{
    const int order = strncmp(name, line, length);
    return order != 0 ? order : (line[length] == '\0' ? 0 : -1);
}

static bool is_listed(char *const *lines, size_t count, const char *name, size_t length)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_name(name, length, lines[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static sr_status read_lines(const char *path, char ***lines, size_t *count, sr_error *error)
{
    *lines = NULL;
    *count = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return sr_fail(error, SR_ERROR_DATA, "cannot read %s: %s", path, strerror(errno));
    char *line = NULL;
    size_t capacity = 0, room = 0;
    sr_status status = SR_OK;
    while (status == SR_OK && getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line)
            continue;
        if (*count == room) {
            room = room ? 2 * room : 256;
            char **grown = realloc(*lines, room * sizeof *grown);
            if (!grown) {
                status = sr_fail_memory(error, room * sizeof *grown, "a list of users");
                break;
            }
            *lines = grown;
        }
        status = sr_copy_string(&(*lines)[*count], line, error);
        *count += status == SR_OK;
    }
    free(line);
    fclose(file);
    return status;
}

/* Looks the lines up among the users of the data set; unknown ones are reported and left out. */
static sr_status look_up(const sr_dataset *dataset, const char *path, char **lines, size_t line_count, sr_log *log,
                         user_selection *selection, sr_error *error)
{
    qsort(lines, line_count, sizeof *lines, compare_lines);
    size_t distinct = 0;
    for (size_t i = 0; i < line_count; ++i)
        distinct += i == 0 || strcmp(lines[i], lines[i - 1]) != 0;
    SR_TRY(SR_ALLOCATE(&selection->users, distinct, "the users asked for", error));
    for (size_t user = 0; user < sr_dataset_users(dataset); ++user) {
        size_t length;
        const char *name = sr_dataset_user_name(dataset, user, &length);
        if (is_listed(lines, line_count, name, length))
            selection->users[selection->count++] = user;
    }
    if (selection->count < distinct)
        sr_log_warning(log, "%zu of the %zu users in %s are not in the data set and are left out", distinct - selection->count,
                       distinct, path);
    return selection->count ? SR_OK : sr_fail(error, SR_ERROR_DATA, "none of the users in %s is in the data set", path);
}

/* Rank 0 reads the file, every rank gets the users. */
static sr_status select_users(command_context *context, const sr_dataset *dataset, const char *path, user_selection *selection,
                              sr_error *error)
{
    *selection = (user_selection){0};
    if (!path)
        return SR_OK;
    sr_status status = SR_OK;
    const bool is_root = sr_parallel_rank(context->parallel) == 0;
    if (is_root) {
        char **lines = NULL;
        size_t count = 0;
        status = read_lines(path, &lines, &count, error);
        if (status == SR_OK)
            status = look_up(dataset, path, lines, count, context->log, selection, error);
        for (size_t i = 0; i < count; ++i)
            free(lines[i]);
        free(lines);
    }
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    SR_TRY(sr_parallel_broadcast(context->parallel, &selection->count, sizeof selection->count, error));
    if (!is_root)
        status = SR_ALLOCATE(&selection->users, selection->count, "the users asked for", error);
    SR_TRY(sr_parallel_agree(context->parallel, status, error));
    return sr_parallel_broadcast(context->parallel, selection->users, selection->count * sizeof *selection->users, error);
}

/* ---- the command ---- */

static sr_status read_top_k(const char *text, size_t *top_k, sr_error *error)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (*end || value < 1 || value > 100000)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain recommend: --top-k %s: allowed is a whole number from 1 to 100000",
                       text);
    *top_k = (size_t)value;
    return SR_OK;
}

static sr_status read_history(const char *text, sr_history *history, sr_error *error)
{
    if (strcmp(text, "exclude") != 0 && strcmp(text, "keep") != 0)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain recommend: --history %s: allowed are exclude and keep", text);
    *history = strcmp(text, "keep") == 0 ? SR_HISTORY_KEEP : SR_HISTORY_EXCLUDE;
    return SR_OK;
}

static sr_status recommend_to(command_context *context, const checkpointed_model *loaded, const user_selection *selection,
                              size_t top_k, sr_history history, const char *output, sr_error *error)
{
    sr_recommendations_writer *writer = NULL;
    sr_status status = SR_OK;
    if (sr_parallel_rank(context->parallel) == 0)
        status = sr_recommendations_open(&writer, output, loaded->dataset, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_recommend(context->parallel, loaded->model, loaded->dataset, selection->users, selection->count, top_k,
                              history, sr_kernels_choose(NULL), sr_recommendations_add, writer, error);
    if (writer) {
        const sr_status closed = sr_recommendations_close(writer, status == SR_OK, status == SR_OK ? error : NULL);
        status = status == SR_OK ? closed : status;
    }
    return sr_parallel_agree(context->parallel, status, error);
}

sr_status command_recommend(command_context *context, sr_error *error)
{
    const char *data = NULL, *users = NULL, *top_k_text = "10", *history_text = "exclude", *output = NULL;
    const sr_option options[] = {{.name = "data", .value = &data},
                                 {.name = "users", .value = &users},
                                 {.name = "top-k", .value = &top_k_text},
                                 {.name = "history", .value = &history_text},
                                 {.name = "output", .value = &output}};
    const sr_text_list no_assignments = {.count = 0};
    const char *checkpoint = NULL;
    size_t top_k = 0;
    sr_history history = SR_HISTORY_EXCLUDE;
    checkpointed_model loaded;
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "CHECKPOINT", &checkpoint, options,
                                sizeof options / sizeof *options, error));
    SR_TRY(read_top_k(top_k_text, &top_k, error));
    SR_TRY(read_history(history_text, &history, error));
    SR_TRY(sr_recommendations_check_path(output, error));
    SR_TRY(checkpointed_model_load(&loaded, context->parallel, checkpoint, data, &no_assignments, error));
    user_selection selection;
    sr_status status = select_users(context, loaded.dataset, users, &selection, error);
    if (status == SR_OK)
        status = recommend_to(context, &loaded, &selection, top_k, history, output, error);
    free(selection.users);
    checkpointed_model_free(&loaded);
    return status;
}
