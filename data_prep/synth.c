/* srprep synth: a synthetic data set. */
#include "commands.h"
#include "engine/columns.h"
#include "measure.h"
#include "srtrain/command_line.h"
#include "srtrain/memory.h"
#include "storage/output_directory.h"
#include "synthesis.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    synthesis process;
    const char *output, *temporary;
    uint64_t shards, memory;
} synth_options;

static sr_status require(const char *option, const char *text, sr_error *error)
{
    return text ? SR_OK : sr_fail(error, SR_ERROR_USAGE, "srprep synth: %s is missing", option);
}

static sr_status read_options(int argument_count, char **arguments, synth_options *o, sr_error *error)
{
    const char *users = NULL, *items = NULL, *length = NULL, *seed = NULL, *shards = NULL, *clusters = NULL, *exponent = NULL,
               *transition = NULL, *memory = NULL;
    const sr_option options[] = {
        {.name = "users", .value = &users, .argument = "N", .help = "how many users; required"},
        {.name = "items", .value = &items, .argument = "N", .help = "how many items; required"},
        {.name = "mean-length", .value = &length, .argument = "X", .help = "mean length of the sequences; required"},
        {.name = "seed", .value = &seed, .argument = "S", .help = "of the random process; required"},
        {.name = "output", .value = &o->output, .argument = "DIR", .help = "the data set to be written; required"},
        {.name = "shards", .value = &shards, .argument = "N", .help = "files that sequences are divided among; 1 by default"},
        {.name = "clusters",
         .value = &clusters,
         .argument = "N",
         .help = "groups of items that follow each other; a fortieth of the items by default"},
        {.name = "exponent", .value = &exponent, .argument = "X", .help = "of the power law of popularity"},
        {.name = "transition",
         .value = &transition,
         .argument = "P",
         .help = "probability that an item comes from the successors of the one before"},
        {.name = "memory", .value = &memory, .argument = "SIZE", .help = "memory of each process, as 512M or 8G"},
        {.name = "temporary",
         .value = &o->temporary,
         .argument = "DIR",
         .help = "where runs that do not fit into memory are kept"}};
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
    SR_TRY(read_size("--memory", memory, &o->memory, error));
    SR_TRY(read_real("--transition", transition, 0, 1, &process->transition, error));
    if (o->shards > process->users)
        return sr_fail(error, SR_ERROR_USAGE, "--shards %llu: there are only %llu users", (unsigned long long)o->shards,
                       (unsigned long long)process->users);
    return sr_output_directory_check(o->output, error);
}

/* A part of `all` things for each rank. */
static uint64_t part_begin(const workplace *place, uint64_t all, size_t rank)
{
    return (uint64_t)((double)all * (double)rank / (double)place->ranks);
}

/* The identifiers of this rank's items, as the engine keeps them. */
static sr_status name_items(workplace *place, uint64_t first, uint64_t end, store *names, sr_error *error)
{
    store_writer to;
    store_in_memory(names);
    if ((end - first) * 32 > place->memory / 16)
        SR_TRY(workplace_store(place, names, "items", false, error));
    SR_TRY(writer_begin(&to, names, 0, 1 << 16, error));
    sr_status status = SR_OK;
    for (uint64_t item = first; item < end && status == SR_OK; ++item) {
        char bytes[NAME_HEADER + 32] = {0};
        const uint16_t length = (uint16_t)synthesis_item_name(item, bytes + NAME_HEADER);
        memcpy(bytes + sizeof(uint64_t), &length, sizeof length);
        status = writer_put(&to, bytes, NAME_HEADER + (size_t)length, error);
    }
    return writer_end(&to, status, error);
}

/* How much this rank's users have, and where they begin in the whole. Collective. */
static sr_status total_up(workplace *place, const synthesiser *s, sequence_totals *totals, sr_error *error)
{
    char name[32];
    uint64_t *counts;
    *totals = (sequence_totals){
        .users = s->process.users,
        .first_user = s->next,
        .own_users = s->end - s->next,
        .user_width = (uint64_t)snprintf(name, sizeof name, "u%llu", (unsigned long long)s->process.users - 1)};
    for (uint64_t user = s->next; user < s->end; ++user)
        totals->own_interactions += synthesis_length(s, user);
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &counts, place->ranks, "counts", error));
    const sr_status status = workplace_share(place, totals->own_interactions, counts, error);
    for (size_t rank = 0; rank < place->ranks && status == SR_OK; ++rank) {
        totals->interactions += counts[rank];
        totals->first_interaction += rank < place->rank ? counts[rank] : 0;
    }
    free(counts);
    return status;
}

static sr_status write_data_set(const synth_options *o, workplace *place, synthesiser *s, sr_error *error)
{
    const synthesis *p = &o->process;
    const split_rule rule = {.kind = SPLIT_LEAVE_ONE_OUT};
    const uint64_t first_item = part_begin(place, p->items, place->rank);
    char origin[512];
    store names;
    snprintf(origin, sizeof origin,
             "{\"command\":\"synth\",\"users\":%llu,\"items\":%llu,\"mean_length\":%g,\"seed\":%llu,\"clusters\":%llu,"
             "\"exponent\":%g,\"transition\":%g}",
             (unsigned long long)p->users, (unsigned long long)p->items, p->mean_length, (unsigned long long)p->seed,
             (unsigned long long)p->clusters, p->exponent, p->transition);
    column_plan plan = {.next = synthesis_next,
                        .context = s,
                        .has_times = true,
                        .all_items = p->items,
                        .items = &names,
                        .first_item = first_item,
                        .own_items = part_begin(place, p->items, place->rank + 1) - first_item,
                        .split = &rule,
                        .split_text = "leave-one-out",
                        .origin = origin,
                        .directory = o->output,
                        .shards = o->shards};
    SR_TRY(total_up(place, s, &plan.totals, error));
    sr_status status = name_items(place, first_item, first_item + plan.own_items, &names, error);
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = columns_write(place, &plan, error);
    store_close(&names);
    return status;
}

static sr_status print_report(const synth_options *o, sr_error *error)
{
    sr_dataset *dataset;
    measures found;
    SR_TRY(sr_dataset_open(&dataset, o->output, error));
    const sr_status status = measure(dataset, &found, error);
    if (status == SR_OK) {
        printf("written to    %s (%llu shard%s)\n", o->output, (unsigned long long)o->shards, o->shards == 1 ? "" : "s");
        measures_print(dataset, &found);
    }
    sr_dataset_close(dataset);
    return status;
}

static sr_status synth(const synth_options *o, workplace *place, sr_error *error)
{
    synthesiser s;
    if (place->ranks > 1)
        SR_TRY(workplace_make_directory(place, error));
    sr_status status = synthesis_begin(&s, &o->process, part_begin(place, o->process.users, place->rank),
                                       part_begin(place, o->process.users, place->rank + 1), error);
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = write_data_set(o, place, &s, error);
    synthesis_end(&s);
    return status == SR_OK && place->rank == 0 ? print_report(o, error) : status;
}

sr_status command_synth(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    synth_options options = {.process = {.exponent = 1, .transition = 0.6}, .shards = 1};
    workplace place = {.parallel = parallel};
    sr_status status = sr_parallel_agree(parallel, read_options(argument_count, arguments, &options, error), error);
    if (status == SR_OK)
        status = workplace_open(&place, parallel, options.temporary, options.output, options.memory, error);
    if (status == SR_OK)
        status = synth(&options, &place, error);
    workplace_close(&place);
    return status;
}
