/* srprep synth: a synthetic data set. */
#include "assemble.h"
#include "commands.h"
#include "filters.h"
#include "srtrain/command_line.h"
#include "storage/output_directory.h"
#include "synthesis.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    synthesis process;
    const char *output;
    uint64_t shards;
} synth_options;

static sr_status require(const char *option, const char *text, sr_error *error)
{
    return text ? SR_OK : sr_fail(error, SR_ERROR_USAGE, "srprep synth: %s is missing", option);
}

static sr_status read_options(int argument_count, char **arguments, synth_options *o, sr_error *error)
{
    const char *users = NULL, *items = NULL, *length = NULL, *seed = NULL, *shards = NULL, *clusters = NULL, *exponent = NULL,
               *transition = NULL;
    const sr_option options[] = {{.name = "users", .value = &users},          {.name = "items", .value = &items},
                                 {.name = "mean-length", .value = &length},   {.name = "seed", .value = &seed},
                                 {.name = "output", .value = &o->output},     {.name = "shards", .value = &shards},
                                 {.name = "clusters", .value = &clusters},    {.name = "exponent", .value = &exponent},
                                 {.name = "transition", .value = &transition}};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, sizeof options / sizeof *options,
                                error));
    SR_TRY(require("--users", users, error));
    SR_TRY(require("--items", items, error));
    SR_TRY(require("--mean-length", length, error));
    SR_TRY(require("--seed", seed, error));
    SR_TRY(require("--output", o->output, error));
    synthesis *process = &o->process;
    SR_TRY(read_count("--users", users, 1, INT32_MAX, &process->users, error));
    SR_TRY(read_count("--items", items, 1, INT32_MAX - 1, &process->items, error));
    SR_TRY(read_count("--seed", seed, 0, UINT64_MAX, &process->seed, error));
    SR_TRY(read_real("--mean-length", length, SYNTHESIS_SHORTEST, 1e6, &process->mean_length, error));
    SR_TRY(read_count("--shards", shards, 1, 99999, &o->shards, error));
    process->clusters = process->items < 40 ? 1 : process->items / 40;
    SR_TRY(read_count("--clusters", clusters, 1, process->items, &process->clusters, error));
    SR_TRY(read_real("--exponent", exponent, 0, 10, &process->exponent, error));
    SR_TRY(read_real("--transition", transition, 0, 1, &process->transition, error));
    if (o->shards > process->users)
        return sr_fail(error, SR_ERROR_USAGE, "--shards %llu: there are only %llu users", (unsigned long long)o->shards,
                       (unsigned long long)process->users);
    return sr_output_directory_check(o->output, error);
}

static sr_status synth(const synth_options *o, interactions *all, sr_error *error)
{
    const synthesis *p = &o->process;
    const split_rule rule = {.kind = SPLIT_LEAVE_ONE_OUT};
    assembly_report written;
    char origin[512];
    snprintf(origin, sizeof origin,
             "{\"command\":\"synth\",\"users\":%llu,\"items\":%llu,\"mean_length\":%g,\"seed\":%llu,\"clusters\":%llu,"
             "\"exponent\":%g,\"transition\":%g}",
             (unsigned long long)p->users, (unsigned long long)p->items, p->mean_length, (unsigned long long)p->seed,
             (unsigned long long)p->clusters, p->exponent, p->transition);
    SR_TRY(synthesise(p, all, error));
    SR_TRY(sort_interactions(all, error));
    SR_TRY(assemble(all, &rule, "leave-one-out", origin, o->output, o->shards, &written, error));
    printf("written to    %s (%llu shard%s)\n", o->output, (unsigned long long)o->shards, o->shards == 1 ? "" : "s");
    printf("users         %zu\nitems         %zu\ninteractions  %zu\n", written.users, written.items, written.interactions);
    printf("length        mean %.2f, least %zu, median %zu, most %zu\n", (double)written.interactions / (double)written.users,
           written.shortest, written.median, written.longest);
    return SR_OK;
}

sr_status command_synth(int argument_count, char **arguments, sr_error *error)
{
    synth_options options = {.process = {.exponent = 1, .transition = 0.6}, .shards = 1};
    interactions all;
    SR_TRY(read_options(argument_count, arguments, &options, error));
    sr_status status = interactions_create(&all, error);
    if (status == SR_OK)
        status = synth(&options, &all, error);
    interactions_free(&all);
    return status;
}
