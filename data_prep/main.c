/* srprep: raw interactions in, HDF5 shards out. */
#include "commands.h"
#include "readers/reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    sr_status (*function)(int argument_count, char **arguments, sr_error *error);
} commands[] = {{"convert", command_convert}, {"synth", command_synth}, {"info", command_info}};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *file)
{
    fputs("Turns raw interactions into data sets for srtrain.\n\n"
          "usage:\n"
          "  srprep convert --format FORMAT --input FILE... --output DIR [--shards N] [--min-user K] [--min-item K]\n"
          "                 [--deduplicate first|last|none] [--min-rating X]\n"
          "                 [--split leave-one-out|ratio:0.8,0.1,0.1|time:T1,T2]\n"
          "                 [--input-list FILE] [--strict] [--na-values NA,null] [--time-decimals N]\n"
          "                 [--time-unit auto|none|number|seconds|milliseconds|microseconds|nanoseconds|iso]\n"
          "                 [--columns user=0,item=1,time=3,rating=2] [--delimiter ,] [--header] [--no-quotes]   (format csv)\n"
          "                 [--columns user=KEY,item=KEY,time=KEY,rating=KEY]   (format json)\n"
          "  srprep synth --users N --items N --mean-length X --seed S --output DIR [--shards N]\n"
          "               [--clusters N] [--exponent X] [--transition P]\n"
          "  srprep info DIR [--json]\n"
          "  srprep --version\n\n"
          "formats (plain, gzip or zstd; a directory is all files in it; \"-\" is standard input):\n",
          file);
    for (size_t i = 0; i < reader_count; ++i)
        fprintf(file, "  %-16s %s\n", readers[i].name, readers[i].help);
    fputs("\nExit codes: 0 done, 1 failed at run time, 2 usage error, 3 the input is damaged or does not fit.\n", file);
}

static sr_status unknown_command(const char *name, sr_error *error)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; ++i)
        names[i] = commands[i].name;
    const char *nearest = sr_nearest_name(name, names, COMMANDS);
    return sr_fail(error, SR_ERROR_USAGE, "srprep: \"%s\" is no command%s%s%s; known are convert, synth, info", name,
                   nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static sr_status run(int argument_count, char **arguments, sr_error *error)
{
    for (size_t i = 0; i < COMMANDS; ++i)
        if (strcmp(arguments[1], commands[i].name) == 0)
            return commands[i].function(argument_count - 1, arguments + 1, error);
    return unknown_command(arguments[1], error);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        print_usage(stderr);
        return SR_ERROR_USAGE;
    }
    for (int i = 1; i < argument_count; ++i)
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            print_usage(stdout);
            return SR_OK;
        }
    if (strcmp(arguments[1], "--version") == 0) {
        puts("srprep " SRTRAIN_PROGRAM_VERSION);
        return SR_OK;
    }
    sr_error error = {.status = SR_OK};
    sr_status status = run(argument_count, arguments, &error);
    if (fflush(stdout) != 0 && status == SR_OK)
        status = sr_fail(&error, SR_ERROR_RUNTIME, "cannot write to standard output");
    if (status != SR_OK)
        fprintf(stderr, "srprep: error: %s\n", error.message);
    /* HDF5 would crash in its exit handler over a file that could not be written: the exit code is worth more than that
     * handler. */
    if (status == SR_ERROR_RUNTIME)
        _exit((int)status);
    return (int)status;
}
