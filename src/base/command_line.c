#include "base/command_help.h"
#include "base/units.h"

#include <inttypes.h>
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
    bool *given; /* [option_count] */
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

/* ---- values ---- */

/* What may stand for the value, for messages: "svg, png and none". */
static void list_choices(const char *const *choices, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; choices[i] && used < size; ++i)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " and ", choices[i]);
}

static sr_status store_choice(const reader *r, const sr_option *option, const char *text)
{
    char allowed[256];
    size_t count = 0;
    for (; option->choices[count]; ++count)
        if (strcmp(option->choices[count], text) == 0) {
            *option->choice = (int)count;
            return SR_OK;
        }
    const char *nearest = sr_nearest_name(text, option->choices, count);
    list_choices(option->choices, allowed, sizeof allowed);
    return fail(r, "--%s %s%s%s%s: allowed are %s", option->name, text, nearest ? ", did you mean " : "",
                nearest ? nearest : "", nearest ? "?" : "", allowed);
}

static sr_status store_count(const reader *r, const sr_option *option, const char *text)
{
    const uint64_t most = option->most ? option->most : UINT64_MAX;
    uint64_t read;
    if (!sr_read_whole(text, &read) || read < option->least || read > most)
        return fail(r, "--%s %s: allowed is a whole number from %" PRIu64 " to %" PRIu64, option->name, text, option->least,
                    most);
    *option->count = read;
    return SR_OK;
}

static sr_status store_number(const reader *r, const sr_option *option, const char *text)
{
    double read;
    if (!sr_read_number(text, &read) || read < option->lowest || read > option->highest)
        return fail(r, "--%s %s: allowed is a number from %.15g to %.15g", option->name, text, option->lowest, option->highest);
    *option->number = read;
    return SR_OK;
}

static sr_status store_bytes(const reader *r, const sr_option *option, const char *text)
{
    uint64_t read;
    if (!sr_read_bytes(text, &read) || read < option->least)
        return fail(r, "--%s %s: allowed is a number of bytes, as 512M or 8G, at least %" PRIu64 "M", option->name, text,
                    option->least >> 20);
    *option->bytes = read;
    return SR_OK;
}

static sr_status store_duration(const reader *r, const sr_option *option, const char *text)
{
    const bool is_word = option->word && strcmp(text, option->word) == 0;
    if (option->is_word)
        *option->is_word = is_word;
    if (is_word)
        return SR_OK;
    if (option->may_be_zero && strcmp(text, "0") == 0)
        *option->seconds = 0;
    else if (!sr_read_duration(text, option->seconds))
        return fail(r, "--%s: \"%s\" is not a duration: expected %s%s%s", option->name, text, SR_DURATION_FORM,
                    option->may_be_zero ? ", or 0 for never"
                    : option->word      ? ", or "
                                        : "",
                    option->word ? option->word : "");
    return SR_OK;
}

/* Turns the text into the option's value. */
static sr_status store_text(const reader *r, const sr_option *option, const char *text)
{
    const char **path = option->value ? option->value : option->file ? option->file : option->directory;
    if (path)
        *path = text;
    else if (option->count)
        return store_count(r, option, text);
    else if (option->number)
        return store_number(r, option, text);
    else if (option->bytes)
        return store_bytes(r, option, text);
    else if (option->seconds)
        return store_duration(r, option, text);
    else if (option->choice)
        return store_choice(r, option, text);
    else
        return append(r, option, text);
    return SR_OK;
}

void sr_option_write(const sr_option *option, FILE *file)
{
    const char *const *text = option->value ? option->value : option->file ? option->file : option->directory;
    fprintf(file, "--%s", option->name);
    if (text)
        fprintf(file, " %s", *text ? *text : "not given");
    if (option->flag)
        fprintf(file, " %s", *option->flag ? "given" : "not given");
    if (option->count || option->bytes)
        fprintf(file, " %" PRIu64, option->count ? *option->count : *option->bytes);
    if (option->number || option->seconds)
        fprintf(file, " %.17g", option->number ? *option->number : *option->seconds);
    if (option->is_word && *option->is_word)
        fprintf(file, " %s", option->word);
    if (option->choice)
        fprintf(file, " %s", option->choices[*option->choice]);
    for (size_t i = 0; option->list && i < option->list->count; ++i)
        fprintf(file, " %s", option->list->texts[i]);
    if (option->given)
        fprintf(file, "%s", *option->given ? "" : " (not given)");
}

/* ---- options ---- */

/* An empty value is usually a variable of a script that is not set; taken for a directory it would mean that of the root. */
static sr_status check_value(const reader *r, const sr_option *option, const char *value)
{
    char described[OPTION_ARGUMENT_SIZE];
    if (!value)
        return fail(r, "--%s needs a value", option->name);
    if (!*value && !option->may_be_empty)
        return fail(r, "--%s needs a value, and found an empty one; expected %s", option->name,
                    option_argument(option, described));
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
    SR_TRY(store_text(r, option, value));
    while (option->assignments && r->next < r->count && is_assignment(r->arguments[r->next]))
        SR_TRY(append(r, option, r->arguments[r->next++]));
    while (option->greedy && r->next < r->count && !is_option(r->arguments[r->next])) {
        SR_TRY(check_value(r, option, r->arguments[r->next]));
        SR_TRY(append(r, option, r->arguments[r->next++]));
    }
    return SR_OK;
}

/* Values begin with the defaults. */
static sr_status store_defaults(const reader *r)
{
    for (size_t i = 0; i < r->option_count; ++i) {
        if (r->options[i].standard)
            SR_TRY(store_text(r, &r->options[i], r->options[i].standard));
        if (r->options[i].given)
            *r->options[i].given = false;
    }
    return SR_OK;
}

static sr_status check_given(const reader *r)
{
    char described[OPTION_ARGUMENT_SIZE];
    for (size_t i = 0; i < r->option_count; ++i) {
        const sr_option *option = &r->options[i];
        if (option->given)
            *option->given = r->given[i];
        if (option->required && !r->given[i])
            return fail(r, "--%s is missing; expected --%s %s: %s", option->name, option->name,
                        option_argument(option, described), option->help ? option->help : "required");
    }
    return SR_OK;
}

static sr_status read_option(reader *r, const char *argument)
{
    const char *text = argument + 2, *equals = strchr(text, '=');
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - text : (long)strlen(text)), text);
    for (size_t i = 0; i < r->option_count; ++i)
        if (strcmp(r->options[i].name, name) == 0) {
            r->given[i] = true;
            return store(r, &r->options[i], equals ? equals + 1 : NULL);
        }
    return fail_unknown(r, name);
}

/* The name of operand number `at` in "FIRST SECOND", and whether there is one. In "FIRST SECOND..." the last name is that of
 * all further ones; *needed tells whether this one has to be there. */
static bool operand_name_at(const char *names, size_t at, char name[64], bool *needed)
{
    *needed = true;
    for (; names && at > 0; --at) {
        const char *blank = strchr(names, ' ');
        const size_t length = strlen(names);
        *needed = blank != NULL;
        if (blank || length < 3 || strcmp(names + length - 3, "...") != 0)
            names = blank ? blank + 1 : NULL;
    }
    if (names)
        snprintf(name, 64, "%.*s", (int)strcspn(names, " "), names);
    return names != NULL;
}

/* All arguments, of which some may be no options: operands, as many as there are names. */
static sr_status read_arguments(reader *r, const char *operand_names, const char **operands)
{
    const char *help = r->program ? r->program : r->arguments[0];
    size_t found = 0;
    char name[64];
    bool needed;
    while (r->next < r->count) {
        const char *argument = r->arguments[r->next++];
        if (is_option(argument)) {
            SR_TRY(read_option(r, argument));
            continue;
        }
        if (!operand_name_at(operand_names, found, name, &needed))
            return fail(r, "superfluous argument \"%s\"%s%s", argument, found ? " after " : "",
                        found ? operands[found - 1] : "");
        if (!*argument)
            return fail(r, "%s is empty (%s --help)", name, help);
        if (found == SR_TEXT_LIST_MAXIMUM)
            return fail(r, "more than %d arguments", SR_TEXT_LIST_MAXIMUM);
        operands[found++] = argument;
    }
    if (operand_name_at(operand_names, found, name, &needed) && needed)
        return fail(r, "%s is missing (%s --help)", name, help);
    return check_given(r);
}

sr_status sr_command_line_read(const char *program, int argument_count, char **arguments, const char *operand_names,
                               const char **operands, const sr_option *options, size_t option_count, sr_error *error)
{
    enum { MOST = 64 };
    bool given[MOST] = {false};
    reader r = {program, argument_count, 1, arguments, options, option_count, given, error};
    for (int i = 1; i < argument_count; ++i)
        if (help_format_of(arguments[i]) != HELP_NONE) {
            help_write(help_format_of(arguments[i]), program, arguments[0], operand_names, options, option_count);
            return SR_HELP_GIVEN;
        }
    if (option_count > MOST)
        return fail(&r, "more than %d options", MOST);
    SR_TRY(store_defaults(&r));
    return read_arguments(&r, operand_names, operands);
}
