/* srprep: raw interactions in, HDF5 shards out. */
#include "base/program_commit.h"
#include "commands.h"
#include "readers/reader.h"
#include "srtrain/command_line.h"
#include "srtrain/standard_streams.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    sr_status (*function)(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);
    const char *help;
} commands[] = {
    {"convert", command_convert, "Reads raw interactions, filters them, splits each sequence, and writes a data set."},
    {"formats", command_formats, "Lists the raw formats that convert reads."},
    {"synth", command_synth, "Makes a data set by a random process whose next items can partly be predicted."},
    {"info", command_info, "Verifies a data set and tells its counts and lengths."},
    {"export", command_export, "Writes a data set as text."}};
enum { COMMANDS = sizeof commands / sizeof *commands };

static sr_status unknown_command(const char *name, sr_error *error)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; ++i)
        names[i] = commands[i].name;
    const char *nearest = sr_nearest_name(name, names, COMMANDS);
    return sr_fail(error, SR_ERROR_USAGE, "srprep: \"%s\" is no command%s%s%s; known are convert, formats, synth, info, export",
                   name, nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static sr_status run(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    for (size_t i = 0; i < COMMANDS; ++i)
        if (strcmp(arguments[1], commands[i].name) == 0)
            return commands[i].function(parallel, argument_count - 1, arguments + 1, error);
    return unknown_command(arguments[1], error);
}

/* ---- help ---- */

/* Help needs no other rank. */
static sr_status run_alone(int argument_count, char **arguments, sr_error *error)
{
    sr_parallel *parallel = NULL;
    sr_status status = sr_parallel_start_alone(&parallel, error);
    if (status == SR_OK)
        status = run(parallel, argument_count, arguments, error);
    sr_parallel_finish(parallel);
    return status == SR_HELP_GIVEN ? SR_OK : status;
}

static sr_status describe(const char *name, const char *help, sr_error *error)
{
    char program[] = "srprep", command_name[32], argument[32];
    char *arguments[] = {program, command_name, argument, NULL};
    snprintf(command_name, sizeof command_name, "%s", name);
    snprintf(argument, sizeof argument, "%s", help);
    return run_alone(3, arguments, error);
}

static sr_status print_usage(const sr_program *program, sr_error *error)
{
    fputs("Turns raw interactions into data sets for srtrain.\n\nusage:\n", stdout);
    SR_TRY(sr_program_usage(program, error));
    fputs("  srprep --version\n\n"
          "\"mpirun -n P\" in front of convert and synth divides the work among P processes; the data set is the same.\n"
          "\"srprep COMMAND --help\" explains the options of a command.\n\n"
          "formats (plain, gzip or zstd; a directory is all files in it; \"-\" is standard input):\n",
          stdout);
    raw_formats_describe(stdout, false);
    fputs("\nExit codes: 0 done, 1 failed at run time, 2 usage error, 3 the input is damaged or does not fit.\n", stdout);
    return SR_OK;
}

static sr_status print_help(const char *argument, sr_error *error)
{
    static const char manual_sections[] = ".SH EXIT STATUS\n"
                                          ".TP\n.B 0\ndone\n.TP\n.B 1\nfailed at run time\n.TP\n.B 2\nusage error\n"
                                          ".TP\n.B 3\nthe input is damaged or does not fit\n"
                                          ".SH SEE ALSO\n.BR srtrain (1)\n";
    sr_command_help help[COMMANDS];
    bool written = false;
    for (size_t i = 0; i < COMMANDS; ++i)
        help[i] = (sr_command_help){commands[i].name, commands[i].help};
    const sr_program program = {.name = "srprep",
                                .version = SRTRAIN_PROGRAM_VERSION,
                                .summary = "turn raw interactions into data sets for srtrain",
                                .commands = help,
                                .command_count = COMMANDS,
                                .manual_sections = manual_sections,
                                .describe = describe};
    SR_TRY(sr_program_help(&program, argument, &written, error));
    return written ? SR_OK : print_usage(&program, error);
}

/* ---- ranks ---- */

/* The same command line on every rank: of several they would make a data set that nobody has asked for, or hang. */
static sr_status compare_arguments(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    sr_status status = stream ? SR_OK : sr_fail_memory(error, 1, "the text of a command line");
    for (int i = 1; stream && i < argument_count; ++i)
        fprintf(stream, "argument %d is %s\n", i, arguments[i]);
    if (stream && fclose(stream) != 0)
        status = sr_fail_memory(error, 1, "the text of a command line");
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_compare(parallel, text, "all ranks need the same command line", error);
    free(text);
    return status;
}

/* A process that no launcher has started is a world of its own, for which MPI is not even started: that would take longer than
 * most conversions. Rank 0 says what is wrong before any rank may end: launchers end all when one ends with an error. */
static sr_status run_on_ranks(int argument_count, char **arguments, sr_error *error)
{
    sr_parallel *parallel = NULL;
    const bool is_launched = sr_parallel_is_launched();
    sr_status status = is_launched ? SR_OK : sr_parallel_check_alone(error);
    if (status == SR_OK)
        status = is_launched ? sr_parallel_start(&parallel, &argument_count, &arguments, error)
                             : sr_parallel_start_alone(&parallel, error);
    const bool started = status == SR_OK, is_root = !started || sr_parallel_rank(parallel) == 0;
    if (started) {
        sr_standard_output_buffer();
        status = compare_arguments(parallel, argument_count, arguments, error);
        if (status == SR_OK)
            status = run(parallel, argument_count, arguments, error);
        status = sr_parallel_agree(parallel, sr_standard_output_finish(status, error), error);
    }
    if (status != SR_OK && is_root)
        fprintf(stderr, "srprep: error: %s\n", error->message);
    if (started)
        (void)sr_parallel_barrier(parallel, NULL);
    sr_parallel_finish(parallel);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_standard_streams_reserve();
    if (argument_count < 2) {
        fputs("srprep: error: a command is missing (srprep --help)\n", stderr);
        return SR_ERROR_USAGE;
    }
    sr_error error = {.status = SR_OK};
    const bool wants_version = strcmp(arguments[1], "--version") == 0;
    const bool is_alone = wants_version || sr_help_is_wanted(argument_count, arguments);
    sr_status status = SR_OK;
    if (is_alone && !sr_parallel_is_first()) /* of several processes one prints */
        return SR_OK;
    if (wants_version)
        printf("srprep %s (%s)\n", SRTRAIN_PROGRAM_VERSION, sr_program_commit);
    else if (sr_help_is_wanted(2, arguments))
        status = print_help(arguments[1], &error);
    else if (is_alone)
        status = run_alone(argument_count, arguments, &error);
    else
        status = run_on_ranks(argument_count, arguments, &error);
    if (is_alone)
        status = sr_standard_output_finish(status, &error);
    if (is_alone && status != SR_OK)
        fprintf(stderr, "srprep: error: %s\n", error.message);
    /* HDF5 would crash in its exit handler over a file that could not be written: the exit code is worth more than that
     * handler. */
    if (status == SR_ERROR_RUNTIME)
        _exit((int)status);
    return (int)status;
}
