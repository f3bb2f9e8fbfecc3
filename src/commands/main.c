/* srtrain: the command line. Finds the command, starts MPI for those that need it, and turns the outcome into an exit code. */
#include "commands/command.h"
#include "srtrain/clock.h"
#include "srtrain/train.h"
#include "tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    command_function function;
    bool parallel; /* runs on all ranks */
    const char *usage;
} command;

static const command commands[] = {
    {"train", command_train, true,
     "[train] CONFIG.yaml [--set section.key=value ...] [--output DIR] [--resume auto|never|PATH]\n"
     "      [--time-limit DURATION|auto] [--stall-timeout DURATION|0]"},
    {"plan", command_plan, false,
     "plan CONFIG.yaml --ranks P [--set section.key=value ...] [--threads T] [--ranks-per-node Q] [--memory GIB]\n"
     "      [--measure [--latency MICROSECONDS] [--bandwidth GB_A_SECOND] | --rate EXAMPLES_A_SECOND] [--json]"},
    {"evaluate", command_evaluate, true,
     "evaluate CHECKPOINT [--data DIR] [--split valid|test] [--json FILE] [--set evaluation.key=value ...]"},
    {"recommend", command_recommend, true,
     "recommend CHECKPOINT [--data DIR] [--users FILE | --histories FILE] [--top-k K] [--history exclude|keep]\n"
     "      [--output FILE.tsv|FILE.h5]"},
    {"analyze", command_analyze, true,
     "analyze CHECKPOINT [--data DIR] [--output DIR] [--user NAME ...] [--split valid|test] [--pictures svg|png|none]\n"
     "      [--set evaluation.batch_size=N]"},
    {"import", command_import, true,
     "import WEIGHTS.h5 --config CONFIG.yaml [--set section.key=value ...] [--data DIR | --items N [--users N]]\n"
     "      --output CHECKPOINT.h5 [--force]"},
    {"models", command_models, false, "models [--markdown]"},
    {"config", command_config, false, "config CONFIG.yaml [--set section.key=value ...]"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *file)
{
    fprintf(file, "Trains transformer sequential recommenders, data-parallel by MPI.\n\nusage:\n");
    for (size_t i = 0; i < COMMANDS; ++i)
        fprintf(file, "  %ssrtrain %s\n", commands[i].parallel ? "mpirun -np P " : "", commands[i].usage);
    fprintf(file, "  srtrain --version\n  srtrain --help\n\n"
                  "Exit codes: 0 done, 1 failed at run time, 2 usage or configuration error, 3 damaged or unfitting data,\n"
                  "75 stopped on request after a checkpoint (run the same command again to go on).\n");
}

static sr_status print_versions(sr_error *error)
{
    char *text;
    SR_TRY(sr_versions(SRTRAIN_PROGRAM_VERSION, &text, error));
    fputs(text, stdout);
    free(text);
    return SR_OK;
}

/* The command that a first argument names: an own name, or that of a configuration file for "train". NULL if it is neither. */
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

static sr_status run_parallel(const command *found, int argument_count, char **arguments, sr_error *error)
{
    command_context context = {.started = sr_seconds()};
    sr_status status = sr_parallel_start(&context.parallel, &argument_count, &arguments, error);
    if (status != SR_OK) {
        report(error);
        return status;
    }
    const bool is_root = sr_parallel_rank(context.parallel) == 0;
    if (is_root)
        status = sr_log_open(&context.log, error);
    status = sr_parallel_agree(context.parallel, status, error);
    if (status == SR_OK)
        status = run_command(found, &context, argument_count, arguments, error);
    if (status != SR_OK && context.log)
        sr_log_information(context.log, "srtrain: %s%s", status == SR_STOPPED ? "" : "error: ", error->message);
    else if (status != SR_OK && is_root)
        report(error);
    sr_log_close(context.log);
    sr_parallel_finish(context.parallel);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_blas_use_one_thread();
    sr_error error = {.status = SR_OK};
    sr_status status;
    if (argument_count < 2) {
        print_usage(stderr);
        return SR_ERROR_USAGE;
    }
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0) {
        print_usage(stdout);
        return SR_OK;
    }
    const command *found = find_command(arguments[1]);
    if (found && found->parallel)
        return (int)run_parallel(found, argument_count, arguments, &error);
    command_context context = {0};
    if (strcmp(arguments[1], "--version") == 0)
        status = print_versions(&error);
    else if (found)
        status = run_command(found, &context, argument_count, arguments, &error);
    else
        status = unknown_command(arguments[1], &error);
    if (status != SR_OK)
        report(&error);
    return (int)status;
}
