/* srtrain plan CONFIG.yaml --ranks P: what a training will need, without running it. */
#include "commands/command.h"
#include "srtrain/memory.h"
#include "srtrain/plan.h"
#include "srtrain/step.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const char *path, *ranks, *threads, *ranks_per_node, *memory, *rate, *latency, *bandwidth;
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

static sr_status read_number(const char *name, const char *text, double least, double most, bool whole, double *value,
                             sr_error *error)
{
    char *end;
    if (!text)
        return SR_OK;
    const double read = strtod(text, &end);
    if (end == text || *end || !(read >= least && read <= most) || (whole && read != floor(read)))
        return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --%s %s: allowed is a %snumber from %.15g to %.15g", name, text,
                       whole ? "whole " : "", least, most);
    *value = read;
    return SR_OK;
}

/* As a run finds its threads: what is configured, or OMP_NUM_THREADS, or the cores that a rank has to itself. */
static size_t usual_threads(const sr_settings *settings, size_t cores, size_t ranks_of_node)
{
    const char *text = getenv("OMP_NUM_THREADS");
    const long said = text ? strtol(text, NULL, 10) : 0;
    if (settings->training.threads > 0)
        return (size_t)settings->training.threads;
    if (said > 0)
        return (size_t)said;
    return cores > ranks_of_node ? cores / ranks_of_node : 1;
}

static sr_status read_numbers(const plan_options *o, const sr_settings *settings, plan_numbers *n, sr_error *error)
{
    double ranks = 0, threads = 0, ranks_of_node = 0, memory = 0, latency = 2, bandwidth = 12.5;
    sr_machine_look(&n->node, NULL);
    if (!o->ranks)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --ranks is missing (srtrain --help)");
    if (o->measure && o->rate)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --measure and --rate exclude each other");
    if ((o->latency || o->bandwidth) && !o->measure)
        return sr_fail(error, SR_ERROR_USAGE, "srtrain plan: --%s belongs to --measure, which is not given",
                       o->latency ? "latency" : "bandwidth");
    SR_TRY(read_number("ranks", o->ranks, 1, 1e6, true, &ranks, error));
    SR_TRY(read_number("threads", o->threads, 1, 4096, true, &threads, error));
    SR_TRY(read_number("ranks-per-node", o->ranks_per_node, 1, 4096, true, &ranks_of_node, error));
    SR_TRY(read_number("memory", o->memory, 1e-3, 1e6, false, &memory, error));
    SR_TRY(read_number("rate", o->rate, 1e-6, 1e12, false, &n->rate, error));
    SR_TRY(read_number("latency", o->latency, 0, 1e6, false, &latency, error));
    SR_TRY(read_number("bandwidth", o->bandwidth, 1e-3, 1e6, false, &bandwidth, error));
    n->ranks = (size_t)ranks;
    n->ranks_of_node = ranks_of_node > 0 ? (size_t)ranks_of_node : n->node.cores;
    if (n->ranks_of_node > n->ranks)
        n->ranks_of_node = n->ranks;
    n->threads = threads > 0 ? (size_t)threads : usual_threads(settings, n->node.cores, n->ranks_of_node);
    if (memory > 0) {
        n->node.memory = (size_t)(memory * 0x1p30);
        snprintf(n->node.limit, sizeof n->node.limit, "--memory");
    }
    n->network = (sr_plan_network){1e-6 * latency, 1e9 * bandwidth, n->ranks_of_node};
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
    SR_TRY(sr_plan_make(&plan, request, error));
    SR_TRY(sr_plan_check_memory(&plan, n->ranks_of_node, n->node.memory, n->node.limit, "a node", &tight, error));
    if (o->measure)
        SR_TRY(sr_plan_measure(&plan, request, &n->network, error));
    if (n->rate > 0)
        sr_plan_use_rate(&plan, n->rate);
    warn_of(n, &plan, tight, o->memory || o->threads);
    return o->json ? sr_plan_print_json(&plan, n->ranks_of_node, &n->node, stdout, error) : sr_plan_print(&plan, stdout, error);
}

static sr_status plan_data(const plan_options *o, const plan_numbers *n, sr_plan_request *request, sr_error *error)
{
    sr_sampler *sampler;
    if (n->ranks > sr_dataset_users(request->dataset))
        return sr_fail(error, SR_ERROR_USAGE, "%zu ranks are more than the %zu users of %s", n->ranks,
                       sr_dataset_users(request->dataset), request->settings->data.path);
    SR_TRY(sr_settings_sampler(&sampler, request->dataset, request->settings, error));
    request->sampler = sampler;
    const sr_status status = plan_run(o, n, request, error);
    sr_sampler_free(sampler);
    return status;
}

sr_status command_plan(command_context *context, sr_error *error)
{
    plan_options o = {.path = NULL};
    const sr_option options[] = {
        {.name = "ranks", .value = &o.ranks, .argument = "P", .help = "the ranks of the job; required"},
        {.name = "set",
         .list = &o.assignments,
         .assignments = true,
         .argument = "section.key=value",
         .help = "overrides a key of the configuration"},
        {.name = "threads",
         .value = &o.threads,
         .argument = "T",
         .help = "threads of a rank; by default what training would use on this machine"},
        {.name = "ranks-per-node",
         .value = &o.ranks_per_node,
         .argument = "Q",
         .help = "by default as many as this machine has cores"},
        {.name = "memory", .value = &o.memory, .argument = "GIB", .help = "memory of a node; that of this machine by default"},
        {.name = "measure",
         .flag = &o.measure,
         .help = "times some steps of one thread here and projects the time of the training"},
        {.name = "rate",
         .value = &o.rate,
         .argument = "EXAMPLES_A_SECOND",
         .help = "projects the time from the rate of the whole job"},
        {.name = "latency",
         .value = &o.latency,
         .argument = "MICROSECONDS",
         .help = "of the network, for --measure; 2 by default"},
        {.name = "bandwidth",
         .value = &o.bandwidth,
         .argument = "GB_A_SECOND",
         .help = "of a node in one direction, for --measure; 12.5 by default"},
        {.name = "json", .flag = &o.json, .help = "writes a JSON object instead of a table"}};
    sr_settings settings;
    plan_numbers numbers = {.rate = 0};
    sr_plan_request request = {.settings = &settings, .program = sr_resident_memory()};
    sr_cpu cpu;
    SR_TRY(sr_command_line_read("srtrain", context->argument_count, context->arguments, "CONFIG.yaml", &o.path, options,
                                sizeof options / sizeof *options, error));
    SR_TRY(sr_settings_read(&settings, o.path, o.assignments.texts, o.assignments.count, error));
    SR_TRY(sr_cpu_agree(&cpu, NULL, error));
    request.kernels = cpu.kernels;
    SR_TRY(read_numbers(&o, &settings, &numbers, error));
    request.ranks = numbers.ranks;
    request.threads = numbers.threads;
    request.shares = numbers.ranks_of_node > 1 && numbers.ranks % numbers.ranks_of_node == 0 &&
                     sr_training_shares(&settings.training);
    sr_dataset *dataset;
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    request.dataset = dataset;
    const sr_status status = plan_data(&o, &numbers, &request, error);
    sr_dataset_close(dataset);
    return status;
}
