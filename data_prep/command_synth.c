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
#include <string.h>

typedef struct {
    synthesis process;
    const char *output, *temporary;
    uint64_t shards, memory;
} synth_options;

/* As many clusters as were asked for, or a fortieth of the items. */
static sr_status choose_clusters(synthesis *process, bool asked, sr_error *error)
{
    if (process->kind == SYNTHESIS_ZIPF)
        return asked ? sr_fail(error, SR_ERROR_USAGE, "srprep synth: --clusters: with --popularity zipf there are none")
                     : SR_OK;
    if (process->ranked)
        return sr_fail(error, SR_ERROR_USAGE, "srprep synth: --item-order popularity: only with --popularity zipf");
    if (!asked)
        process->clusters = process->items < 40 ? 1 : process->items / 40;
    return process->clusters <= process->items
               ? SR_OK
               : sr_fail(error, SR_ERROR_USAGE,
                         "srprep synth: --clusters %llu: allowed is a whole number from 1 to %llu, the items",
                         (unsigned long long)process->clusters, (unsigned long long)process->items);
}

static sr_status read_options(int argument_count, char **arguments, synth_options *o, sr_error *error)
{
    static const char *const kinds[] = {[SYNTHESIS_CLUSTERS] = "clusters", [SYNTHESIS_ZIPF] = "zipf", NULL};
    static const char *const orders[] = {"random", "popularity", NULL};
    synthesis *process = &o->process;
    bool has_clusters;
    int kind, order;
    const sr_option options[] = {
        {.name = "users",
         .count = &process->users,
         .least = 1,
         .most = INT32_MAX - 1,
         .required = true,
         .help = "how many users"},
        {.name = "items",
         .count = &process->items,
         .least = 1,
         .most = INT32_MAX - 1,
         .required = true,
         .help = "how many items"},
        {.name = "mean-length",
         .number = &process->mean_length,
         .lowest = SYNTHESIS_SHORTEST,
         .highest = 1e6,
         .required = true,
         .help = "mean length of the sequences"},
        {.name = "seed", .count = &process->seed, .required = true, .argument = "S", .help = "of the random process"},
        {.name = "output", .directory = &o->output, .required = true, .help = "the data set to be written"},
        shards_option(&o->shards),
        {.name = "popularity",
         .choice = &kind,
         .choices = kinds,
         .standard = "clusters",
         .help = "of items: within clusters of interest, or by Zipf's law over all of them, in memory that does not grow with "
                 "them"},
        {.name = "item-order",
         .choice = &order,
         .choices = orders,
         .standard = "random",
         .help = "with --popularity zipf: whether numbers of items follow their popularity"},
        {.name = "clusters",
         .count = &process->clusters,
         .least = 1,
         .given = &has_clusters,
         .help = "groups of items that follow each other; a fortieth of the items by default"},
        {.name = "exponent",
         .number = &process->exponent,
         .highest = 10,
         .standard = "1",
         .help = "of the power law of popularity"},
        {.name = "transition",
         .number = &process->transition,
         .highest = 1,
         .standard = "0.6",
         .argument = "P",
         .help = "probability that an item comes from the successors of the one before"},
        memory_option(&o->memory),
        temporary_option(&o->temporary)};
    SR_TRY(sr_command_line_read("srprep", argument_count, arguments, NULL, NULL, options, sizeof options / sizeof *options,
                                error));
    process->kind = (synthesis_kind)kind;
    process->ranked = order == 1;
    SR_TRY(choose_clusters(process, has_clusters, error));
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

#define ITEMS_FILE "items"

/* The identifiers of this rank's items, as the engine keeps them. */
static sr_status name_items(workplace *place, uint64_t first, uint64_t end, store *names, sr_error *error)
{
    store_writer to;
    store_in_memory(names);
    if (place->ranks > 1 || (end - first) * 32 > place->memory / 16)
        SR_TRY(workplace_store(place, names, ITEMS_FILE, place->ranks > 1, error));
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

/* How the data set was made, as JSON. */
static void describe(const synthesis *p, char *text, size_t size)
{
    char own[128];
    if (p->kind == SYNTHESIS_ZIPF)
        snprintf(own, sizeof own, "\"popularity\":\"zipf\",\"item_order\":\"%s\"", p->ranked ? "popularity" : "random");
    else
        snprintf(own, sizeof own, "\"clusters\":%llu", (unsigned long long)p->clusters);
    snprintf(text, size,
             "{\"command\":\"synth\",\"users\":%llu,\"items\":%llu,\"mean_length\":%g,\"seed\":%llu,%s,"
             "\"exponent\":%g,\"transition\":%g}",
             (unsigned long long)p->users, (unsigned long long)p->items, p->mean_length, (unsigned long long)p->seed, own,
             p->exponent, p->transition);
}

static void name_item(uint64_t item, char *to, size_t width)
{
    char name[32];
    const size_t length = synthesis_item_name(item, name);
    memcpy(to, name, length);
    memset(to + length, 0, width - length);
}

/* The part of the items that this rank names. Collective. */
static sr_status take_items(workplace *place, const synthesis *p, column_plan *plan, store *names, sr_error *error)
{
    char name[32];
    *names = (store){.descriptor = -1};
    plan->all_items = p->items;
    if (p->kind == SYNTHESIS_ZIPF) {
        plan->name_item = name_item;
        plan->item_width = synthesis_item_name(p->items - 1, name);
        return SR_OK;
    }
    plan->items = names;
    plan->items_file = ITEMS_FILE;
    plan->first_item = part_begin(place, p->items, place->rank);
    plan->own_items = part_begin(place, p->items, place->rank + 1) - plan->first_item;
    return sr_parallel_agree(place->parallel,
                             name_items(place, plan->first_item, plan->first_item + plan->own_items, names, error), error);
}

static void release_synthesiser(void *synthesiser_of_rank)
{
    synthesis_end(synthesiser_of_rank);
}

static sr_status write_data_set(const synth_options *o, workplace *place, synthesiser *s, sr_error *error)
{
    char origin[512];
    store names;
    column_plan plan = {.next = synthesis_next,
                        .release = release_synthesiser,
                        .context = s,
                        .has_times = true,
                        .split_text = "leave-one-out",
                        .origin = origin,
                        .directory = o->output,
                        .shards = o->shards};
    describe(&o->process, origin, sizeof origin);
    SR_TRY(total_up(place, s, &plan.totals, error));
    sr_status status = take_items(place, &o->process, &plan, &names, error);
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

/* What is kept for each item by every process must fit. */
static sr_status check_memory(const synthesis *p, const workplace *place, sr_error *error)
{
    const uint64_t needed = p->items * SYNTHESIS_ITEM_BYTES;
    return p->kind == SYNTHESIS_ZIPF || needed <= place->memory
               ? SR_OK
               : sr_fail(error, SR_ERROR_RUNTIME,
                         "--memory: clusters of %llu items need %llu bytes in every process, allowed are %llu; --popularity "
                         "zipf needs none",
                         (unsigned long long)p->items, (unsigned long long)needed, (unsigned long long)place->memory);
}

static sr_status synth(const synth_options *o, workplace *place, sr_error *error)
{
    synthesiser s;
    SR_TRY(sr_parallel_agree(place->parallel, check_memory(&o->process, place, error), error));
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
    synth_options options = {.output = NULL};
    workplace place = {.parallel = parallel};
    sr_status status = sr_parallel_agree(parallel, read_options(argument_count, arguments, &options, error), error);
    if (status == SR_OK)
        status = workplace_open(&place, parallel, options.temporary, options.output, options.memory, error);
    if (status == SR_OK)
        status = synth(&options, &place, error);
    workplace_close(&place);
    return status;
}
