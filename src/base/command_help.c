/* Help from the tables of options: as text, as a page of the manual or of the documentation, and as completion for bash. */
#include "base/command_help.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

help_format help_format_of(const char *argument)
{
    static const struct {
        const char *argument;
        help_format format;
    } formats[] = {{"--help", HELP_TEXT},
                   {"-h", HELP_TEXT},
                   {"--help=usage", HELP_USAGE},
                   {"--help=man", HELP_MANUAL},
                   {"--help=markdown", HELP_MARKDOWN},
                   {"--help=completion", HELP_COMPLETION}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i)
        if (strcmp(argument, formats[i].argument) == 0)
            return formats[i].format;
    return HELP_NONE;
}

bool sr_help_is_wanted(int argument_count, char **arguments)
{
    for (int i = 1; i < argument_count; ++i)
        if (help_format_of(arguments[i]) != HELP_NONE)
            return true;
    return false;
}

/* ---- roff ---- */

void sr_manual_text(FILE *file, const char *text)
{
    bool line_begins = true;
    for (const char *at = text; *at; ++at) {
        /* A dot or an apostrophe would make a request of the line. */
        if (line_begins && (*at == '.' || *at == '\''))
            fputs("\\&", file);
        if (*at == '\\')
            fputs("\\e", file);
        else if (*at == '-')
            fputs("\\-", file);
        else
            fputc(*at, file);
        line_begins = *at == '\n';
    }
}

/* ---- options ---- */

const char *option_argument(const sr_option *option, char text[OPTION_ARGUMENT_SIZE])
{
    size_t used = 0;
    if (option->flag || option->argument)
        return option->flag ? NULL : option->argument;
    if (option->file || option->directory)
        return option->file ? "FILE" : "DIR";
    if (option->bytes || option->seconds)
        return option->bytes ? "SIZE" : option->may_be_zero ? "DURATION|0" : "DURATION";
    if (!option->choice)
        return option->count ? "N" : option->number ? "X" : "VALUE";
    for (size_t i = 0; option->choices[i] && used < OPTION_ARGUMENT_SIZE; ++i)
        used += (size_t)snprintf(text + used, OPTION_ARGUMENT_SIZE - used, "%s%s", i ? "|" : "", option->choices[i]);
    return text;
}

/* What stands behind the sentence of an option. */
static const char *before_default(const sr_option *option)
{
    return option->required ? "; required" : option->standard ? "; by default " : "";
}

static void write_text(const char *program, const char *command, const char *operand_name, const sr_option *options,
                       size_t option_count)
{
    char described[OPTION_ARGUMENT_SIZE];
    printf("%s%s%s%s%s\n", program ? program : "", program ? " " : "", command, operand_name ? " " : "",
           operand_name ? operand_name : "");
    for (size_t i = 0; i < option_count; ++i) {
        const sr_option *option = &options[i];
        const char *argument = option_argument(option, described);
        printf("  --%s%s%s%s\n      %s%s%s\n", option->name, argument ? " " : "", argument ? argument : "",
               option->list ? " ..." : "", option->help ? option->help : "", before_default(option),
               option->standard ? option->standard : "");
    }
}

/* ---- usage: one paragraph of options ---- */

/* Writes words behind each other, in lines that begin with blanks where one is full. */
typedef struct {
    size_t column, indentation;
    bool is_roff;
} usage_writer;

static void write_word(usage_writer *writer, const char *word)
{
    enum { WIDTH = 116 };
    const size_t length = strlen(word);
    const bool breaks = writer->column + 1 + length > WIDTH;
    if (breaks)
        printf("\n%*s", (int)writer->indentation, "");
    else if (writer->column > 0)
        fputc(' ', stdout);
    if (writer->is_roff)
        sr_manual_text(stdout, word);
    else
        fputs(word, stdout);
    writer->column = (breaks ? writer->indentation : writer->column + 1) + length;
}

static void write_usage(usage_writer *writer, const char *program, const char *command, const char *operand_name,
                        const sr_option *options, size_t option_count)
{
    char described[OPTION_ARGUMENT_SIZE], word[2 * OPTION_ARGUMENT_SIZE];
    if (program)
        write_word(writer, program);
    write_word(writer, command);
    if (operand_name)
        write_word(writer, operand_name);
    for (size_t i = 0; i < option_count; ++i) {
        const sr_option *option = &options[i];
        const char *argument = option_argument(option, described);
        snprintf(word, sizeof word, "%s--%s%s%s%s%s", option->required ? "" : "[", option->name, argument ? " " : "",
                 argument ? argument : "", option->list ? " ..." : "", option->required ? "" : "]");
        write_word(writer, word);
    }
    fputc('\n', stdout);
}

/* ---- a page of the documentation ---- */

/* In a table a bar ends a field. */
static void write_field(const char *text)
{
    for (const char *at = text; *at; ++at)
        printf("%s%c", *at == '|' ? "\\" : "", *at);
}

static void write_markdown(const char *program, const char *command, const char *operand_name, const sr_option *options,
                           size_t option_count)
{
    char described[OPTION_ARGUMENT_SIZE];
    usage_writer writer = {.indentation = 8};
    fputs("\n    ", stdout);
    write_usage(&writer, program, command, operand_name, options, option_count);
    fputs(option_count > 0 ? "\n| option | meaning |\n| --- | --- |\n" : "", stdout);
    for (size_t i = 0; i < option_count; ++i) {
        const sr_option *option = &options[i];
        const char *argument = option_argument(option, described);
        printf("| `--%s%s", option->name, argument ? " " : "");
        write_field(argument ? argument : "");
        printf("%s` | ", option->list ? " ..." : "");
        write_field(option->help ? option->help : "");
        write_field(before_default(option));
        write_field(option->standard ? option->standard : "");
        fputs(" |\n", stdout);
    }
}

/* ---- a page of the manual ---- */

static void write_manual(const char *program, const char *command, const char *operand_name, const sr_option *options,
                         size_t option_count)
{
    char described[OPTION_ARGUMENT_SIZE];
    usage_writer writer = {.indentation = 8, .is_roff = true};
    fputs(".PP\n.nf\n", stdout);
    write_usage(&writer, program, command, operand_name, options, option_count);
    fputs(".fi\n", stdout);
    for (size_t i = 0; i < option_count; ++i) {
        const sr_option *option = &options[i];
        const char *argument = option_argument(option, described);
        fputs(".TP\n.BI \"", stdout);
        sr_manual_text(stdout, "--");
        sr_manual_text(stdout, option->name);
        fputs("\"", stdout);
        if (argument) {
            fputs(" \" ", stdout);
            sr_manual_text(stdout, argument);
            fputs(option->list ? " ...\"" : "\"", stdout);
        }
        fputs("\n", stdout);
        sr_manual_text(stdout, option->help ? option->help : "");
        sr_manual_text(stdout, before_default(option));
        sr_manual_text(stdout, option->standard ? option->standard : "");
        fputs("\n", stdout);
    }
}

/* ---- completion ---- */

static bool is_upper(const char *word, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        if (islower((unsigned char)word[i]))
            return false;
    return length > 0;
}

/* What completes a value that is described like this: "auto|never|PATH" gives "words auto never file". */
static void write_kind(const char *described)
{
    if (strstr(described, "section.key")) {
        fputs("keys", stdout);
        return;
    }
    const bool several = strchr(described, '|') != NULL;
    fputs("words", stdout);
    for (const char *at = described; *at;) {
        const size_t length = strcspn(at, "|");
        if ((strncmp(at, "DIR", length) == 0 && length == 3) || strcmp(at, "RUN...") == 0)
            fputs(" /directory", stdout);
        else if (memmem(at, length, "FILE", 4) || memmem(at, length, "PATH", 4) || memmem(at, length, "CONFIG", 6) ||
                 memmem(at, length, "CHECKPOINT", 10) || memmem(at, length, "WEIGHTS", 7) || memmem(at, length, "CASES", 5))
            fputs(" /file", stdout);
        else if (several && !is_upper(at, length) && !memchr(at, ':', length))
            printf(" %.*s", (int)length, at);
        at += length + (at[length] == '|');
    }
}

static void write_choices(const char *const *choices)
{
    fputs("words", stdout);
    for (size_t i = 0; choices[i]; ++i)
        printf(" %s", choices[i]);
}

static void write_completion(const char *program, const char *command, const char *operand_name, const sr_option *options,
                             size_t option_count)
{
    char described[OPTION_ARGUMENT_SIZE];
    printf("_%s_options[%s]=\"", program, command);
    for (size_t i = 0; i < option_count; ++i)
        printf("%s--%s", i ? " " : "", options[i].name);
    printf("\"\n");
    for (size_t i = 0; i < option_count; ++i) {
        if (options[i].flag)
            continue;
        printf("_%s_values[%s--%s]=\"", program, command, options[i].name);
        if (options[i].file || options[i].directory)
            fputs(options[i].file ? "words /file" : "words /directory", stdout);
        else if (options[i].choice)
            write_choices(options[i].choices);
        else
            write_kind(option_argument(&options[i], described));
        printf("\"\n");
    }
    if (operand_name) {
        printf("_%s_values[%s]=\"", program, command);
        write_kind(operand_name);
        printf("\"\n");
    }
}

void help_write(help_format format, const char *program, const char *command, const char *operand_name,
                const sr_option *options, size_t option_count)
{
    usage_writer writer = {.indentation = 6};
    if (format == HELP_USAGE)
        write_usage(&writer, program, command, operand_name, options, option_count);
    else if (format == HELP_MANUAL)
        write_manual(program, command, operand_name, options, option_count);
    else if (format == HELP_MARKDOWN)
        write_markdown(program, command, operand_name, options, option_count);
    else if (format == HELP_COMPLETION)
        write_completion(program, command, operand_name, options, option_count);
    else
        write_text(program, command, operand_name, options, option_count);
}

/* ---- programs ---- */

static sr_status check_output(sr_error *error)
{
    return fflush(stdout) != 0 || ferror(stdout)
               ? sr_fail(error, SR_ERROR_RUNTIME, "help cannot be written: %s", strerror(errno))
               : SR_OK;
}

static void write_title(const sr_program *program)
{
    char upper[64];
    size_t i = 0;
    for (; program->name[i] && i + 1 < sizeof upper; ++i)
        upper[i] = (char)toupper((unsigned char)program->name[i]);
    upper[i] = '\0';
    printf(".TH %s 1 \"\" \"srtrain %s\" \"User Commands\"\n.SH NAME\n%s \\- ", upper, program->version, program->name);
    sr_manual_text(stdout, program->summary);
    fputs("\n", stdout);
}

static sr_status write_program_manual(const sr_program *program, sr_error *error)
{
    write_title(program);
    printf(".SH SYNOPSIS\n.B %s\n.I COMMAND\n[\\fIOPTION\\fR ...]\n.PP\n.B %s \\-\\-version\n.SH COMMANDS\n", program->name,
           program->name);
    for (size_t i = 0; i < program->command_count; ++i) {
        printf(".SS %s\n", program->commands[i].name);
        sr_manual_text(stdout, program->commands[i].help);
        fputs("\n", stdout);
        SR_TRY(program->describe(program->commands[i].name, "--help=man", error));
    }
    fputs(program->manual_sections, stdout);
    return check_output(error);
}

static sr_status write_program_markdown(const sr_program *program, sr_error *error)
{
    printf("## %s\n", program->name);
    for (size_t i = 0; i < program->command_count; ++i) {
        printf("\n### %s %s\n\n%s\n", program->name, program->commands[i].name, program->commands[i].help);
        SR_TRY(program->describe(program->commands[i].name, "--help=markdown", error));
    }
    return check_output(error);
}

sr_status sr_program_usage(const sr_program *program, sr_error *error)
{
    for (size_t i = 0; i < program->command_count; ++i) {
        fputs("  ", stdout);
        SR_TRY(program->describe(program->commands[i].name, "--help=usage", error));
    }
    return check_output(error);
}

/* The function is the same for every program; what it completes stands in the arrays. */
static const char completion_function[] =
    "_%s()\n"
    "{\n"
    "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\" command=\"\" kind=\"\" word i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; ++i)); do\n"
    "        word=\"${COMP_WORDS[i]}\"\n"
    "        [ -n \"${_%s_options[$word]+known}\" ] && command=\"$word\" && break\n"
    "        case \"$word\" in *.yaml | *.yml) command=train && break ;; esac\n"
    "    done\n"
    "    # The shell splits key=value at \"=\".\n"
    "    [ \"$current\" = = ] && current=\"\" && previous== && word=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
    "    if [ \"$previous\" = = ]; then\n"
    "        word=\"${COMP_WORDS[COMP_CWORD-2]}\"\n"
    "        [ \"${COMP_WORDS[COMP_CWORD]}\" = = ] && word=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
    "        COMPREPLY=($(compgen -W \"${_%s_choices[$word]:-}\" -- \"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ -z \"$command\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"${!_%s_options[*]} --help --version\" -- \"$current\") $(compgen -f -X '!*.y*ml' -- "
    "\"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    case \"$previous\" in\n"
    "    --*) kind=\"${_%s_values[$command$previous]:-}\" ;;\n"
    "    esac\n"
    "    if [ -z \"$kind\" ]; then\n"
    "        case \"$current\" in\n"
    "        -*) COMPREPLY=($(compgen -W \"${_%s_options[$command]} --help\" -- \"$current\")) && return ;;\n"
    "        *) kind=\"${_%s_values[$command]:-}\" ;;\n"
    "        esac\n"
    "    fi\n"
    "    case \"$kind\" in\n"
    "    keys)\n"
    "        compopt -o nospace 2>/dev/null\n"
    "        COMPREPLY=($(compgen -S = -W \"${!_%s_choices[*]}\" -- \"$current\"))\n"
    "        return\n"
    "        ;;\n"
    "    esac\n"
    "    for word in ${kind#words}; do\n"
    "        case \"$word\" in\n"
    "        /file) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- \"$current\")) ;;\n"
    "        /directory) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- \"$current\")) ;;\n"
    "        *) COMPREPLY+=($(compgen -W \"$word\" -- \"$current\")) ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "complete -F _%s %s\n";

/* Writes a text in which each %s is the name of the program. */
static void write_with_name(const char *text, const char *name)
{
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, "%");
        fwrite(at, 1, length, stdout);
        at += length;
        if (strncmp(at, "%s", 2) == 0) {
            fputs(name, stdout);
            at += 2;
        } else if (*at) {
            fputc(*at++, stdout);
        }
    }
}

static sr_status write_program_completion(const sr_program *program, sr_error *error)
{
    const char *name = program->name;
    printf("# bash completion for %s; written by \"%s --help=completion\" from the tables of its options.\n", name, name);
    printf("declare -gA _%s_options=() _%s_values=() _%s_choices=()\n", name, name, name);
    for (size_t i = 0; i < program->command_count; ++i)
        SR_TRY(program->describe(program->commands[i].name, "--help=completion", error));
    if (program->write_choices)
        program->write_choices(stdout);
    write_with_name(completion_function, name);
    return check_output(error);
}

sr_status sr_program_help(const sr_program *program, const char *argument, bool *written, sr_error *error)
{
    const help_format format = help_format_of(argument);
    *written = format == HELP_MANUAL || format == HELP_MARKDOWN || format == HELP_COMPLETION;
    if (format == HELP_MANUAL)
        return write_program_manual(program, error);
    if (format == HELP_MARKDOWN)
        return write_program_markdown(program, error);
    return format == HELP_COMPLETION ? write_program_completion(program, error) : SR_OK;
}
