#include "commands/command.h"

#include <stdio.h>
#include <string.h>

static sr_status unknown_option(const char *command, const char *name, const command_option *options, size_t count,
                                sr_error *error)
{
    const char *names[64] = {NULL};
    size_t known = 0;
    for (; known < count && known < sizeof names / sizeof *names; ++known)
        names[known] = options[known].name;
    const char *nearest = sr_nearest_name(name, names, known);
    char list[512] = "";
    for (size_t i = 0; i < known; ++i)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s--%s", i ? ", " : "", names[i]);
    return sr_fail(error, SR_ERROR_USAGE, "srtrain %s: unknown option --%s%s%s%s; known are %s", command, name,
                   nearest ? ", did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "", list);
}

static sr_status read_option(command_line *line, const command_context *context, int *index, const command_option *options,
                             size_t count, sr_error *error)
{
    const char *text = context->arguments[*index] + 2, *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, text);
    for (size_t i = 0; i < count; ++i) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        const char *value = equals ? equals + 1 : NULL;
        if (!value && *index + 1 < context->argument_count)
            value = context->arguments[++*index];
        if (!value)
            return sr_fail(error, SR_ERROR_USAGE, "srtrain %s: --%s needs a value", context->arguments[0], name);
        if (options[i].value)
            *options[i].value = value;
        else if (line->assignment_count < COMMAND_ASSIGNMENTS_MAXIMUM)
            line->assignments[line->assignment_count++] = value;
        else
            return sr_fail(error, SR_ERROR_USAGE, "srtrain %s: more than %d --set", context->arguments[0],
                           COMMAND_ASSIGNMENTS_MAXIMUM);
        return SR_OK;
    }
    return unknown_option(context->arguments[0], name, options, count, error);
}

sr_status command_line_read(command_line *line, const command_context *context, const char *operand_name,
                            const command_option *options, size_t option_count, sr_error *error)
{
    *line = (command_line){0};
    for (int i = 1; i < context->argument_count; ++i) {
        const char *argument = context->arguments[i];
        if (strncmp(argument, "--", 2) == 0 && argument[2]) {
            SR_TRY(read_option(line, context, &i, options, option_count, error));
            continue;
        }
        if (!operand_name || line->operand)
            return sr_fail(error, SR_ERROR_USAGE, "srtrain %s: superfluous argument \"%s\"%s%s", context->arguments[0], argument,
                           line->operand ? " after " : "", line->operand ? line->operand : "");
        line->operand = argument;
    }
    if (operand_name && !line->operand)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain %s: %s is missing (srtrain --help)", context->arguments[0], operand_name);
    return SR_OK;
}
