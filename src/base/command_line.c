#include "base/command_help.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A command line while it is being read. */
typedef struct {
    const char *program;
    int count, next;
    char **arguments;
    const sr_option *options;
    size_t option_count;
    sr_error *error;
} reader;

/* A message behind the names of program and command. */
__attribute__((format(printf, 2, 3))) static sr_status fail(const reader *r, const char *format, ...)
{
    char text[SR_ERROR_MESSAGE_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)sr_fail(r->error, SR_ERROR_USAGE, "%s", text);
    if (r->program)
        sr_error_prepend(r->error, "%s %s: ", r->program, r->arguments[0]);
    return SR_ERROR_USAGE;
}

static bool is_option(const char *argument)
{
    return strncmp(argument, "--", 2) == 0 && argument[2];
}

/* Whether a text reads like "section.key=value". */
static bool is_assignment(const char *argument)
{
    const size_t length = strspn(argument, "abcdefghijklmnopqrstuvwxyz0123456789_.");
    return length > 0 && argument[length] == '=' && argument[0] != '.' && memchr(argument, '.', length);
}

static sr_status fail_unknown(const reader *r, const char *name)
{
    enum { MOST = 64 };
    const char *names[MOST] = {NULL};
    char list[1024] = "none", *end = list;
    size_t count = 0;
    for (; count < r->option_count && count < MOST; ++count) {
        names[count] = r->options[count].name;
        end += snprintf(end, sizeof list - (size_t)(end - list), "%s--%s", count ? ", " : "", names[count]);
    }
    const char *nearest = sr_nearest_name(name, names, count);
    return fail(r, "unknown option --%s%s%s%s; known are %s", name, nearest ? ", did you mean --" : "", nearest ? nearest : "",
                nearest ? "?" : "", list);
}

static sr_status append(const reader *r, const sr_option *option, const char *text)
{
    if (option->list->count >= SR_TEXT_LIST_MAXIMUM)
        return fail(r, "more than %d values for --%s", SR_TEXT_LIST_MAXIMUM, option->name);
    option->list->texts[option->list->count++] = text;
    return SR_OK;
}

/* An empty value is usually a variable of a script that is not set; taken for a directory it would mean that of the root. */
static sr_status check_value(const reader *r, const sr_option *option, const char *value)
{
    if (!value)
        return fail(r, "--%s needs a value", option->name);
    if (!*value && !option->may_be_empty)
        return fail(r, "--%s needs a value, and found an empty one; expected %s", option->name,
                    option->argument ? option->argument : "a text");
    return SR_OK;
}

/* Stores what belongs to an option; `value` is the text after "=", or NULL. */
static sr_status store(reader *r, const sr_option *option, const char *value)
{
    if (option->flag) {
        if (value)
            return fail(r, "--%s takes no value", option->name);
        *option->flag = true;
        return SR_OK;
    }
    if (!value && r->next < r->count) {
        value = r->arguments[r->next++];
        if (is_option(value))
            return fail(r, "--%s needs a value, and found %s; if that is meant, write --%s=%s", option->name, value,
                        option->name, value);
    }
    SR_TRY(check_value(r, option, value));
    if (option->value) {
        *option->value = value;
        return SR_OK;
    }
    SR_TRY(append(r, option, value));
    while (option->assignments && r->next < r->count && is_assignment(r->arguments[r->next]))
        SR_TRY(append(r, option, r->arguments[r->next++]));
    while (option->greedy && r->next < r->count && !is_option(r->arguments[r->next])) {
        SR_TRY(check_value(r, option, r->arguments[r->next]));
        SR_TRY(append(r, option, r->arguments[r->next++]));
    }
    return SR_OK;
}

static sr_status read_option(reader *r, const char *argument)
{
    const char *text = argument + 2, *equals = strchr(text, '=');
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - text : (long)strlen(text)), text);
    for (size_t i = 0; i < r->option_count; ++i)
        if (strcmp(r->options[i].name, name) == 0)
            return store(r, &r->options[i], equals ? equals + 1 : NULL);
    return fail_unknown(r, name);
}

sr_status sr_command_line_read(const char *program, int argument_count, char **arguments, const char *operand_name,
                               const char **operand, const sr_option *options, size_t option_count, sr_error *error)
{
    reader r = {program, argument_count, 1, arguments, options, option_count, error};
    const char *found = NULL;
    for (int i = 1; i < argument_count; ++i)
        if (help_format_of(arguments[i]) != HELP_NONE) {
            help_write(help_format_of(arguments[i]), program, arguments[0], operand_name, options, option_count);
            return SR_HELP_GIVEN;
        }
    while (r.next < r.count) {
        const char *argument = r.arguments[r.next++];
        if (is_option(argument)) {
            SR_TRY(read_option(&r, argument));
            continue;
        }
        if (!operand_name || found)
            return fail(&r, "superfluous argument \"%s\"%s%s", argument, found ? " after " : "", found ? found : "");
        if (!*argument)
            return fail(&r, "%s is empty (%s --help)", operand_name, program ? program : arguments[0]);
        found = argument;
    }
    if (operand_name && !found)
        return fail(&r, "%s is missing (%s --help)", operand_name, program ? program : arguments[0]);
    if (operand)
        *operand = found;
    return SR_OK;
}
