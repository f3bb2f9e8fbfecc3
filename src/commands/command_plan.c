/* srtrain plan CONFIG.yaml --ranks P: what a training will need, without running it. */
#include "commands/command.h"
#include "srtrain/memory.h"
#include "srtrain/plan.h"
#include "srtrain/run.h"
#include "srtrain/step.h"

#include <unistd.h>

/* What is 0 was not said. */
typedef struct {
    const char *path;
    uint64_t ranks, threads, ranks_per_node;
    double memory, rate, latency, bandwidth; /* GiB, examples a second, microseconds, GB a second */
    double items, users, mean_length;        /* of an imagined data set */
    sr_text_list assignments;
    bool measure, json;
} plan_options;

/* The numbers of the options, with what is assumed where they are silent. */
typedef struct {
    size_t ranks, threads, ranks_of_node;
    double rate; /* examples a second; 0: not said */
    sr_plan_network network;
    sr_machine node;
} plan_numbers;

/* Reads the configuration as training does: --threads is one more assignment, so that a number that training would refuse is
 * refused here. */
static sr_status read_settings(const plan_options *o, sr_settings *settings, sr_error *error)
{
    char assignment[64];
    sr_text_list all = o->assignments;
    if (o->threads > 0) {
        if (all.count == SR_TEXT_LIST_MAXIMUM)
            return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --threads and %d times --set are too many",
                           SR_TEXT_LIST_MAXIMUM);
        snprintf(assignment, sizeof assignment, "training.threads=%llu", (unsigned long long)o->threads);
        all.texts[all.count++] = assignment;
    }
    return sr_settings_read(settings, o->path, all.texts, all.count, error);
}

static sr_status check_options(const plan_options *o, sr_error *error)
{
    if (o->measure && o->rate > 0)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --measure and --rate exclude each other");
    return SR_OK;
}

static sr_status find_numbers(const plan_options *o, const sr_settings *settings, plan_numbers *n, sr_error *error)
{
    sr_machine_look(&n->node, NULL);
    n->rate = o->rate;
    n->ranks = o->ranks;
    n->ranks_of_node = o->ranks_per_node > 0 ? o->ranks_per_node : n->node.cores;
    if (n->ranks_of_node > n->ranks)
        n->ranks_of_node = n->ranks;
    SR_TRY(sr_choose_threads(&settings->training, n->node.cores > n->ranks_of_node ? n->node.cores / n->ranks_of_node : 1,
                             &n->threads, error));
    if (o->memory > 0) {
        n->node.memory = (size_t)(o->memory * 0x1p30);
        snprintf(n->node.limit, sizeof n->node.limit, "--memory");
    }
    n->network = (sr_plan_network){1e-6 * o->latency, 1e9 * o->bandwidth, n->ranks_of_node};
    return SR_OK;
}

static void warn_of(const plan_numbers *n, const sr_plan *plan, bool tight, bool other_machine)
{
    if (tight) {
        char need[32], allowed[32];
        sr_format_bytes((double)sr_plan_memory_of_node(plan, n->ranks_of_node), need, sizeof need);
        sr_format_bytes((double)n->node.memory, allowed, sizeof allowed);
        fprintf(stderr, "srtrain: warning: memory is tight: %zu ranks may need %s of %s (%s)\n", n->ranks_of_node, need,
                allowed, n->node.limit);
    }
    if (!other_machine && n->ranks_of_node * n->threads > n->node.cores)
        fprintf(stderr, "srtrain: warning: %zu ranks of %zu threads on a node share the %zu cores that this machine has\n",
                n->ranks_of_node, n->threads, n->node.cores);
}

static sr_status plan_run(const plan_options *o, const plan_numbers *n, const sr_plan_request *request, sr_error *error)
{
    sr_plan plan;
    bool tight;
    const sr_plan_room room = {.ranks = n->ranks_of_node, .memory = n->node.memory, .limit = n->node.limit, .node = "a node"};
    SR_TRY(sr_plan_make(&plan, request, error));
    sr_plan_choose_table(&plan, request->settings->model.item_table, &room, 1);
    SR_TRY(sr_plan_check_memory(&plan, n->ranks_of_node, n->node.memory, n->node.limit, "a node", &tight, error));
    if (o->measure)
        SR_TRY(sr_plan_measure(&plan, request, error));
    if (n->rate > 0)
        sr_plan_use_rate(&plan, n->rate);
    warn_of(n, &plan, tight, o->memory > 0 || o->threads > 0);
    return o->json ? sr_plan_print_json(&plan, n->ranks_of_node, &n->node, stdout, error) : sr_plan_print(&plan, stdout, error);
}

static sr_status plan_data(const plan_options *o, const plan_numbers *n, sr_plan_request *request, sr_error *error)
{
    sr_sampler *sampler;
    const bool is_imagined = request->imagined.users > 0;
    const size_t users = is_imagined ? request->imagined.users : sr_dataset_users(request->dataset);
    if (n->ranks > users)
        return sr_fail(error, SR_ERROR_USAGE, "%zu ranks are more than the %zu users of %s", n->ranks, users,
                       is_imagined ? "the imagined data set" : request->settings->data.path);
    SR_TRY(sr_settings_sampler(&sampler, request->dataset, request->settings, error));
    request->sampler = sampler;
    const sr_status status = plan_run(o, n, request, error);
    sr_sampler_free(sampler);
    return status;
}

/* Sizes that no option says are those of data.path. */
static sr_status find_sizes(const plan_options *o, const sr_settings *settings, sr_plan_sizes *sizes, sr_error *error)
{
    *sizes = (sr_plan_sizes){.users = (size_t)o->users, .items = (size_t)o->items, .mean_length = o->mean_length};
    if (sizes->users > 0 && sizes->items > 0 && sizes->mean_length > 0)
        return SR_OK;
    sr_dataset *dataset;
    sr_error why;
    if (sr_dataset_open(&dataset, settings->data.path, &why) != SR_OK)
        return sr_fail(
            error, SR_ERROR_USAGE,
            "srtrain plan: of the imagined data set%s%s%s is not said, and data.path has no data set that says it: %s",
            sizes->items ? "" : " --items", sizes->users ? "" : " --users", sizes->mean_length > 0 ? "" : " --mean-length",
            why.message);
    const double length = (double)sr_dataset_interactions(dataset) / (double)sr_dataset_users(dataset);
    sizes->users = sizes->users ? sizes->users : sr_dataset_users(dataset);
    sizes->items = sizes->items ? sizes->items : sr_dataset_items(dataset);
    sizes->mean_length = sizes->mean_length > 0 ? sizes->mean_length : length;
    sr_dataset_close(dataset);
    return SR_OK;
}

/* The data set at data.path, or the sample of an imagined one. */
static sr_status open_data(const plan_options *o, const sr_settings *settings, sr_plan_request *request, sr_dataset **dataset,
                           sr_error *error)
{
    if (o->items > 0 || o->users > 0 || o->mean_length > 0) {
        SR_TRY(find_sizes(o, settings, &request->imagined, error));
        SR_TRY(sr_plan_imagine(dataset, &request->imagined, settings, error));
    } else {
        SR_TRY(sr_dataset_open(dataset, settings->data.path, error));
    }
    request->dataset = *dataset;
    return SR_OK;
}

static sr_status read_options(const command_context *context, plan_options *o, sr_error *error)
{
    const sr_option options[] = {{.name = "ranks",
                                  .count = &o->ranks,
                                  .least = 1,
                                  .most = 1000000,
                                  .required = true,
                                  .argument = "P",
                                  .help = "the ranks of the job"},
                                 {.name = "set",
                                  .list = &o->assignments,
                                  .assignments = true,
                                  .argument = "section.key=value",
                                  .help = "overrides a key of the configuration"},
                                 {.name = "threads",
                                  .count = &o->threads,
                                  .least = 1,
                                  .most = 1024,
                                  .argument = "T",
                                  .help = "threads of a rank, in place of any training.threads in CONFIG.yaml or --set; by "
                                          "default what training would use on this machine"},
                                 {.name = "ranks-per-node",
                                  .count = &o->ranks_per_node,
                                  .least = 1,
                                  .most = 4096,
                                  .argument = "Q",
                                  .help = "by default as many as this machine has cores"},
                                 {.name = "memory",
                                  .number = &o->memory,
                                  .lowest = 1e-3,
                                  .highest = 1e6,
                                  .argument = "GIB",
                                  .help = "memory of a node; that of this machine by default"},
                                 {.name = "measure",
                                  .flag = &o->measure,
                                  .help = "times some steps of one thread here and projects the time of the training"},
                                 {.name = "rate",
                                  .number = &o->rate,
                                  .lowest = 1e-6,
                                  .highest = 1e12,
                                  .argument = "EXAMPLES_A_SECOND",
                                  .help = "projects the time from the rate of the whole job"},
                                 {.name = "latency",
                                  .number = &o->latency,
                                  .highest = 1e6,
                                  .standard = "2",
                                  .argument = "MICROSECONDS",
                                  .help = "of the network"},
                                 {.name = "bandwidth",
                                  .number = &o->bandwidth,
                                  .lowest = 1e-3,
                                  .highest = 1e6,
                                  .standard = "12.5",
                                  .argument = "GB_A_SECOND",
                                  .help = "of a node in one direction"},
                                 {.name = "items",
                                  .number = &o->items,
                                  .lowest = 1,
                                  .highest = 2e9,
                                  .argument = "N",
                                  .help = "plans for an imagined data set of so many items (1e9); its other sizes are those of "
                                          "data.path where no option says them"},
                                 {.name = "users",
                                  .number = &o->users,
                                  .lowest = 1,
                                  .highest = 2e9,
                                  .argument = "N",
                                  .help = "likewise, of so many users"},
                                 {.name = "mean-length",
                                  .number = &o->mean_length,
                                  .lowest = 3,
                                  .highest = 1e5,
                                  .argument = "L",
                                  .help = "likewise, of so many interactions a user on average"},
                                 {.name = "json", .flag = &o->json, .help = "writes a JSON object instead of a table"}};
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "CONFIG.yaml", &o->path, options,
                                sizeof options / sizeof *options, error));
    return check_options(o, error);
}

sr_status command_plan(command_context *context, sr_error *error)
{
    plan_options o = {.path = NULL};
    sr_settings settings;
    plan_numbers numbers = {.rate = 0};
    sr_plan_request request = {.settings = &settings, .program = sr_resident_memory()};
    sr_cpu cpu;
    SR_TRY(read_options(context, &o, error));
    SR_TRY(read_settings(&o, &settings, error));
    SR_TRY(sr_cpu_agree(&cpu, NULL, error));
    request.kernels = cpu.kernels;
    SR_TRY(find_numbers(&o, &settings, &numbers, error));
    request.ranks = numbers.ranks;
    request.threads = numbers.threads;
    request.network = numbers.network;
    request.shares = numbers.ranks_of_node > 1 && numbers.ranks % numbers.ranks_of_node == 0 &&
                     sr_training_shares(&settings.training);
    sr_dataset *dataset;
    SR_TRY(open_data(&o, &settings, &request, &dataset, error));
    const sr_status status = plan_data(&o, &numbers, &request, error);
    sr_dataset_close(dataset);
    return status;
}
