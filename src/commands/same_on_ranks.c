/* Every rank reads its own command line and its own files. Where they differ, a job would compute something that nobody has
 * asked for, or hang. */
#include "base/program_commit.h"
#include "commands/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- command lines ---- */

/* Ends the text that a stream of open_memstream() has written; none is left where that failed. */
static sr_status end_text(FILE *stream, sr_status status, char **text, sr_error *error)
{
    if (fclose(stream) != 0 && status == SR_OK)
        status = sr_fail_memory(error, 1, "a text that ranks compare");
    if (status != SR_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* Assignments are left out: what becomes of them stands in the configuration, which is compared key by key. */
static sr_status describe_options(const char *operand, const sr_option *options, size_t count, char **text, sr_error *error)
{
    size_t size;
    FILE *stream = open_memstream(text, &size);
    if (!stream)
        return sr_fail_memory(error, 1, "the text of a command line");
    if (operand)
        fprintf(stream, "argument %s\n", operand);
    for (size_t i = 0; i < count; ++i)
        if (!options[i].assignments) {
            fputs("option ", stream);
            sr_option_write(&options[i], stream);
            fputc('\n', stream);
        }
    return end_text(stream, SR_OK, text, error);
}

sr_status command_line_read(const command_context *context, const char *operand_name, const char **operand,
                            const sr_option *options, size_t count, bool compares_operand, sr_error *error)
{
    sr_status status = sr_command_line_read("srtrain", context->argument_count, context->arguments, operand_name, operand,
                                            options, count, error);
    if (!context->parallel)
        return status;
    char *text = NULL;
    if (status == SR_OK)
        status = describe_options(compares_operand ? *operand : NULL, options, count, &text, error);
    status = sr_parallel_agree(context->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_compare(context->parallel, text, "all ranks need the same command line", error);
    free(text);
    return status;
}

/* Programs of one version may know other models or keys; settings of one would mean something else to the other. */
static sr_status describe_program(const char *command, char **text, sr_error *error)
{
    size_t size;
    FILE *stream = open_memstream(text, &size);
    if (!stream)
        return sr_fail_memory(error, 1, "the text of a program");
    fprintf(stream, "srtrain %s (%s)\ncommand %s\n", SRTRAIN_PROGRAM_VERSION, sr_program_commit, command);
    return end_text(stream, sr_settings_describe(stream, false, error), text, error);
}

sr_status command_compare_programs(sr_parallel *parallel, const char *command, sr_error *error)
{
    char *text = NULL;
    sr_status status = describe_program(command, &text, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_compare(parallel, text, "all ranks need the same program and command", error);
    free(text);
    return status;
}

/* ---- configurations ---- */

/* The first key that differs. */
typedef struct {
    bool found;
    char key[128], mine[256], root[256];
} difference;

static void keep_first(void *context, const char *key, const char *mine, const char *root)
{
    difference *first = context;
    if (first->found)
        return;
    first->found = true;
    snprintf(first->key, sizeof first->key, "%s", key);
    snprintf(first->mine, sizeof first->mine, "%s", mine);
    snprintf(first->root, sizeof first->root, "%s", root);
}

sr_status command_compare_settings(sr_parallel *parallel, const char *path, const sr_settings *settings, sr_error *error)
{
    void *root;
    size_t bytes;
    difference first = {.found = false};
    sr_status status = SR_OK;
    SR_TRY(sr_parallel_share_root(parallel, settings, sizeof *settings, &root, &bytes, error));
    if (bytes != sizeof *settings)
        status = sr_fail(error, SR_ERROR_USAGE, "this srtrain was built from other sources than that of rank 0");
    else
        sr_settings_compare(settings, root, keep_first, &first);
    free(root);
    if (first.found)
        status = sr_fail(error, SR_ERROR_USAGE,
                         "%s: %s is %s, but on rank 0 it is %s: every rank reads its own file, and all need the same "
                         "configuration",
                         path, first.key, first.mine, first.root);
    return sr_parallel_agree(parallel, status, error);
}
