/* srtrain: the command line. Finds the command, starts MPI for those that need it, and turns the outcome into an exit
 * code. */
#include "base/program_commit.h"
#include "commands/command.h"
#include "commands/ending.h"
#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/settings.h"
#include "srtrain/standard_streams.h"
#include "srtrain/run.h"
#include "tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    command_function function;
    bool parallel; /* runs on all ranks */
    const char *name, *help;
} command;

static const command commands[] = {
    {command_train, true, "train",
     "Trains as configured, validates, stops early, tests the best parameters. Run again, it goes on where it was."},
    {command_plan, false, "plan",
     "Says what a training will need of memory, network, time and disk, and refuses what cannot fit."},
    {command_evaluate, true, "evaluate",
     "Ranks held-out interactions over the whole catalogue, beside popularity in all of training and in its last days."},
    {command_compare, false, "compare",
     "Compares two systems case by case: paired differences with intervals and tests, for all cases and for groups."},
    {command_recommend, true, "recommend", "Writes the best items for users of the data set or for new ones."},
    {command_similar, true, "similar", "Writes the items that are most like each item, by their vectors."},
    {command_encode, true, "encode", "Writes the state of each history as a vector, for an index of neighbours or a ranker."},
    {command_export, true, "export",
     "Writes parameters, vectors of items and states of histories for other programs, or the model as a graph that they run."},
    {command_analyze, true, "analyze", "Writes and draws what the layers and the attention of a model do."},
    {command_import, true, "import", "Makes a checkpoint of parameters that were trained elsewhere."},
    {command_report, false, "report",
     "Makes one page of runs, done or still going: curves, tests, times, settings and their differences, environment."},
    {command_models, false, "models", "Explains every backbone, calibrator and option."},
    {command_config, false, "config", "Prints a configuration with every default written out."},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* ---- help ---- */

static const char manual_sections[] =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\ndone\n"
    ".TP\n.B 1\nfailed at run time\n"
    ".TP\n.B 2\nusage or configuration error, or no room in memory: nothing was started or written\n"
    ".TP\n.B 3\nthe input data or a checkpoint is damaged or does not fit\n"
    ".TP\n.B 75\nstopped on request after a valid checkpoint was written: run the same command again\n"
    ".SH SIGNALS\n"
    "SIGUSR1, SIGTERM and SIGINT on any rank lead to a checkpoint after the step and exit code 75, SIGUSR2 to a checkpoint\n"
    "alone. A second SIGTERM or SIGINT ends the process at once.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B OMP_NUM_THREADS\nthreads of a rank, where training.threads leaves them open\n"
    ".TP\n.B SRTRAIN_CPU_LEVEL\nthe highest CPU level to use: generic, avx2, avx512, or amx (avx512 with products of bf16 by "
    "the\n"
    "matrix unit). Ranks agree on the lowest of all; by default each brings the highest of its machine\n"
    ".TP\n.B OPENBLAS_NUM_THREADS\nthreads of a call of BLAS; 1 is right\n"
    ".TP\n.B SRTRAIN_INDEPENDENT\n1: processes that a launcher starts together are meant to be independent runs\n"
    ".TP\n.B OPENBLAS_CORETYPE\nthe processor whose kernels OpenBLAS uses; srtrain then leaves its choice alone\n"
    ".SH SEE ALSO\n.BR srtrain\\-config (5),\n.BR srtrain\\-job (1),\n.BR srprep (1),\n.BR mpirun (1)\n";

/* A command asked for its help does nothing else: it needs neither ranks nor a log. */
static sr_status describe(const char *name, const char *help, sr_error *error)
{
    char command_name[32], argument[32];
    char *arguments[] = {command_name, argument, NULL};
    snprintf(command_name, sizeof command_name, "%s", name);
    snprintf(argument, sizeof argument, "%s", help);
    for (size_t i = 0; i < COMMANDS; ++i)
        if (strcmp(commands[i].name, name) == 0) {
            command_context context = {.argument_count = 2, .arguments = arguments};
            const sr_status status = commands[i].function(&context, error);
            return status == SR_HELP_GIVEN ? SR_OK : status;
        }
    return SR_OK;
}

static sr_status print_usage(const sr_program *program, sr_error *error)
{
    fputs("Trains transformer sequential recommenders, data-parallel by MPI.\n\nusage:\n", stdout);
    SR_TRY(sr_program_usage(program, error));
    fputs("  srtrain --version\n\n\"srtrain CONFIG.yaml\" is short for \"srtrain train CONFIG.yaml\".\n\"mpirun -n P\" in "
          "front of ",
          stdout);
    for (size_t i = 0, listed = 0; i < COMMANDS; ++i)
        if (commands[i].parallel)
            printf("%s%s", listed++ ? ", " : "", commands[i].name);
    fputs(" divides the work among P ranks.\n"
          "\"srtrain COMMAND --help\" explains the options of a command.\n\n"
          "Exit codes: 0 done, 1 failed at run time, 2 usage or configuration error, 3 damaged or unfitting data,\n"
          "75 stopped on request after a checkpoint (run the same command again to go on).\n",
          stdout);
    return SR_OK;
}

static sr_status print_help(const char *argument, sr_error *error)
{
    sr_command_help help[COMMANDS];
    bool written = false;
    for (size_t i = 0; i < COMMANDS; ++i)
        help[i] = (sr_command_help){commands[i].name, commands[i].help};
    const sr_program program = {.name = "srtrain",
                                .version = SRTRAIN_PROGRAM_VERSION,
                                .summary = "train transformer sequential recommenders, data-parallel by MPI",
                                .commands = help,
                                .command_count = COMMANDS,
                                .manual_sections = manual_sections,
                                .describe = describe,
                                .write_choices = sr_settings_completion};
    SR_TRY(sr_program_help(&program, argument, &written, error));
    return written ? SR_OK : print_usage(&program, error);
}

static sr_status print_versions(sr_error *error)
{
    char *text;
    sr_cpu cpu;
    SR_TRY(sr_cpu_agree(&cpu, NULL, error));
    SR_TRY(sr_versions(SRTRAIN_PROGRAM_VERSION, sr_program_commit, &cpu, &text, error));
    fputs(text, stdout);
    free(text);
    return SR_OK;
}

/* The command that a first argument names: an own name, or that of a configuration file for "train". NULL if it is
 * neither. */
static const command *find_command(const char *argument)
{
    for (size_t i = 0; i < COMMANDS; ++i)
        if (strcmp(commands[i].name, argument) == 0)
            return &commands[i];
    const size_t length = strlen(argument);
    const bool is_file = strchr(argument, '/') || (length > 5 && strcmp(argument + length - 5, ".yaml") == 0) ||
                         (length > 4 && strcmp(argument + length - 4, ".yml") == 0);
    return is_file ? &commands[0] : NULL;
}

static sr_status unknown_command(const char *argument, sr_error *error)
{
    const char *names[COMMANDS];
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < COMMANDS; ++i) {
        names[i] = commands[i].name;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = sr_nearest_name(argument, names, COMMANDS);
    return sr_fail(error, SR_ERROR_USAGE, "srtrain: \"%s\" is neither a command (%s) nor a .yaml file%s%s%s", argument, list,
                   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* The arguments of the command, its name first. "srtrain CONFIG.yaml" is short for "srtrain train CONFIG.yaml". */
static sr_status run_command(const command *found, command_context *context, int argument_count, char **arguments,
                             sr_error *error)
{
    char train[] = "train";
    const bool named = strcmp(arguments[1], found->name) == 0;
    context->argument_count = named ? argument_count - 1 : argument_count;
    context->arguments = arguments + (named ? 1 : 0);
    if (!named)
        arguments[0] = train;
    return found->function(context, error);
}

static void report(const sr_error *error)
{
    fprintf(stderr, "srtrain: %s%s\n", error->status == SR_STOPPED ? "" : "error: ", error->message);
}

/* How long MPI's start and end may take. On a busy machine a start alone takes seconds. */
static double guard_seconds(int argument_count, char *const *arguments)
{
    enum { LEAST = 60 };
    const double stall = stall_timeout_look(argument_count, arguments);
    return stall > 0 && stall < LEAST ? LEAST : stall;
}

static sr_status run_parallel(const command *found, int argument_count, char **arguments, sr_error *error)
{
    command_context context = {.started = sr_seconds()};
    const double stall_seconds = guard_seconds(argument_count, arguments);
    sr_watchdog_guard("the start of MPI", stall_seconds);
    sr_status status = sr_parallel_start(&context.parallel, &argument_count, &arguments, error);
    if (status != SR_OK) {
        report(error);
        return status;
    }
    sr_standard_output_buffer();
    const bool is_root = sr_parallel_rank(context.parallel) == 0;
    if (is_root)
        ending_expect();
    if (is_root)
        status = sr_log_open(&context.log, error);
    status = sr_parallel_agree(context.parallel, status, error);
    if (status == SR_OK)
        status = command_compare_programs(context.parallel, found->name, error);
    if (status == SR_OK)
        status = sr_cpu_agree(&context.cpu, context.parallel, error);
    if (status == SR_OK)
        status = run_command(found, &context, argument_count, arguments, error);
    if (status == SR_OK)
        status = sr_parallel_agree(context.parallel, is_root ? sr_standard_output_finish(status, error) : status, error);
    if (status != SR_OK && context.log)
        sr_log_information(context.log, "srtrain: %s%s", status == SR_STOPPED ? "" : "error: ", error->message);
    else if (status != SR_OK && is_root)
        report(error);
    sr_watchdog_stop(context.watchdog);
    sr_log_close(context.log);
    if (is_root)
        ending_note(status);
    sr_watchdog_guard("the end of MPI", stall_seconds);
    sr_parallel_finish(context.parallel);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_standard_streams_reserve();
    sr_flush_denormals();
    sr_blas_use_one_thread();
    sr_error error = {.status = SR_OK};
    sr_status status;
    if (argument_count < 2) {
        fputs("srtrain: error: CONFIG.yaml or a command is missing (srtrain --help)\n", stderr);
        return SR_ERROR_USAGE;
    }
    const bool wants_help = sr_help_is_wanted(argument_count, arguments);
    const command *found = find_command(arguments[1]);
    if (found && found->parallel && !wants_help)
        return (int)run_parallel(found, argument_count, arguments, &error);
    if (!sr_parallel_is_first()) /* of several processes one prints */
        return SR_OK;
    command_context context = {0};
    if (wants_help && !found)
        status = print_help(arguments[1], &error);
    else if (strcmp(arguments[1], "--version") == 0)
        status = print_versions(&error);
    else if (found)
        status = run_command(found, &context, argument_count, arguments, &error);
    else
        status = unknown_command(arguments[1], &error);
    status = sr_standard_output_finish(status, &error);
    if (status == SR_HELP_GIVEN)
        status = SR_OK;
    if (status != SR_OK)
        report(&error);
    return (int)status;
}
