/* benchmark_scaling scaling CONFIG.yaml [options]     strong and weak scaling of training, and a projection to more ranks
 * benchmark_scaling reduction [CONFIG.yaml] [options] the reduction of gradients on several numbers of ranks
 *
 * benchmarks/README.md says what the options are and how to read the results. */
#include "benchmark.h"
#include "scaling/report.h"

#include "srtrain/dataset.h"
#include "srtrain/memory.h"
#include "srtrain/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Options as text. */
typedef struct {
    const char *configuration, *data, *ranks, *project, *batch, *batch_per_rank, *steps, *repetitions, *output, *launcher,
        *latency, *bandwidth, *node_latency, *node_bandwidth, *ranks_per_node, *algorithm, *bytes;
    sr_text_list set;
    bool measure_only;
} texts;

static sr_status read_command_line(int argument_count, char **arguments, texts *t, sr_error *error)
{
    const sr_option known[] = {{.name = "config", .value = &t->configuration},
                               {.name = "set", .list = &t->set, .assignments = true},
                               {.name = "ranks", .value = &t->ranks},
                               {.name = "batch", .value = &t->batch},
                               {.name = "batch-per-rank", .value = &t->batch_per_rank},
                               {.name = "steps", .value = &t->steps},
                               {.name = "repetitions", .value = &t->repetitions},
                               {.name = "output", .value = &t->output},
                               {.name = "launcher", .value = &t->launcher},
                               {.name = "measure-only", .flag = &t->measure_only},
                               {.name = "project", .value = &t->project},
                               {.name = "latency", .value = &t->latency},
                               {.name = "bandwidth", .value = &t->bandwidth},
                               {.name = "ranks-per-node", .value = &t->ranks_per_node},
                               {.name = "node-latency", .value = &t->node_latency},
                               {.name = "node-bandwidth", .value = &t->node_bandwidth},
                               {.name = "algorithm", .value = &t->algorithm},
                               {.name = "bytes", .value = &t->bytes}};
    return sr_command_line_read(NULL, argument_count, arguments, NULL, NULL, known, sizeof known / sizeof *known, error);
}

/* ---- numbers ---- */

static sr_status read_count(const char *option, const char *text, size_t *count, sr_error *error)
{
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end || number == 0 || number > 100000000 || text[0] == '-')
        return sr_fail(error, SR_ERROR_USAGE, "--%s %s: a whole number from 1 to 100000000 is allowed", option, text);
    *count = number;
    return SR_OK;
}

/* Above 0, in the unit of the option times `unit`. */
static sr_status read_number(const char *option, const char *text, double unit, double *number, sr_error *error)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value <= 0)
        return sr_fail(error, SR_ERROR_USAGE, "--%s %s: a number above 0 is allowed", option, text);
    *number = unit * value;
    return SR_OK;
}

/* "1,2,4", ascending. */
static sr_status read_counts(const char *option, const char *text, count_list *list, sr_error *error)
{
    *list = (count_list){.count = 0};
    while (*text) {
        char *end;
        const unsigned long long number = strtoull(text, &end, 10);
        const bool ascending = list->count == 0 || number > list->values[list->count - 1];
        if (end == text || (*end && *end != ',') || number == 0 || number > 10000000 || !ascending || text[0] == '-' ||
            list->count == COUNTS_MAXIMUM)
            return sr_fail(error, SR_ERROR_USAGE, "--%s: up to %d ascending numbers of ranks are allowed, as in 1,2,4", option,
                           COUNTS_MAXIMUM);
        list->values[list->count++] = number;
        text = *end ? end + 1 : end;
    }
    return list->count ? SR_OK : sr_fail(error, SR_ERROR_USAGE, "--%s is empty", option);
}

/* Powers of two, and as many as there are. */
static void choose_ranks(size_t most, count_list *list)
{
    for (size_t ranks = 1; ranks < most && list->count + 1 < COUNTS_MAXIMUM; ranks *= 2)
        list->values[list->count++] = ranks;
    list->values[list->count++] = most;
}

/* ---- options ---- */

static sr_status read_network(const texts *t, scaling_options *o, sr_error *error)
{
    network_model *n = &o->network;
    SR_TRY(read_number("latency", t->latency, 1e-6, &n->latency, error));
    SR_TRY(read_number("bandwidth", t->bandwidth, 1e9, &n->bandwidth, error));
    SR_TRY(read_count("ranks-per-node", t->ranks_per_node, &n->ranks_of_node, error));
    if (t->node_latency)
        SR_TRY(read_number("node-latency", t->node_latency, 1e-6, &n->node_latency, error));
    if (t->node_bandwidth)
        SR_TRY(read_number("node-bandwidth", t->node_bandwidth, 1e9, &n->node_bandwidth, error));
    if (strcmp(t->algorithm, "halving") != 0 && strcmp(t->algorithm, "ring") != 0)
        return sr_fail(error, SR_ERROR_USAGE, "--algorithm %s: halving and ring are allowed", t->algorithm);
    o->algorithm = strcmp(t->algorithm, "ring") == 0 ? NETWORK_RING : NETWORK_HALVING;
    return read_counts("project", t->project, &o->projected, error);
}

/* benchmark_step takes training.threads 0 for one thread. */
static sr_status read_launching(const texts *t, scaling_options *o, sr_error *error)
{
    const size_t threads = o->settings.training.threads > 0 ? (size_t)o->settings.training.threads : 1;
    SR_TRY(launcher_find(&o->launcher, t->launcher, threads, error));
    if (t->ranks)
        return read_counts("ranks", t->ranks, &o->ranks, error);
    choose_ranks(o->launcher.ranks, &o->ranks);
    return SR_OK;
}

static sr_status read_options(const texts *t, scaling_options *o, sr_error *error)
{
    *o = (scaling_options){.configuration = t->configuration,
                           .output = t->output,
                           .set = t->set,
                           .bytes = t->bytes,
                           .measure_only = t->measure_only};
    SR_TRY(read_count("steps", t->steps, &o->steps, error));
    SR_TRY(read_count("repetitions", t->repetitions, &o->repetitions, error));
    SR_TRY(read_network(t, o, error));
    if (!t->configuration)
        return read_launching(t, o, error);
    SR_TRY(sr_settings_read(&o->settings, t->configuration, o->set.texts, o->set.count, error));
    SR_TRY(read_launching(t, o, error));
    o->batch = (size_t)o->settings.training.batch_size;
    if (t->batch)
        SR_TRY(read_count("batch", t->batch, &o->batch, error));
    o->batch_of_rank = o->batch;
    return t->batch_per_rank ? read_count("batch-per-rank", t->batch_per_rank, &o->batch_of_rank, error) : SR_OK;
}

/* A batch larger than an epoch would be cut to it without a word. */
static sr_status check_examples(const scaling_options *o, sr_error *error)
{
    sr_dataset *dataset;
    sr_sampler *sampler;
    const size_t most = o->ranks.values[o->ranks.count - 1], weak = most * o->batch_of_rank;
    SR_TRY(sr_dataset_open(&dataset, o->settings.data.path, error));
    sr_status status = sr_settings_sampler(&sampler, dataset, &o->settings, error);
    if (status == SR_OK) {
        const size_t examples = sr_sampler_examples(sampler);
        if (weak > examples || o->batch > examples)
            status = sr_fail(
                error, SR_ERROR_USAGE,
                "%zu examples on all ranks and %zu on each of %zu are asked for, and an epoch of %s has %zu: choose a "
                "smaller --batch or --batch-per-rank",
                o->batch, o->batch_of_rank, most, o->settings.data.path, examples);
        sr_sampler_free(sampler);
    }
    sr_dataset_close(dataset);
    return status;
}

/* ---- commands ---- */

static sr_status scaling(const scaling_options *o, sr_error *error)
{
    measurements measured;
    projection *projected = NULL;
    SR_TRY(check_examples(o, error));
    const char *refusal = o->measure_only ? NULL : projection_refusal(o);
    sr_status status = measure_scaling(o, &measured, error);
    if (status == SR_OK && !o->measure_only && !refusal) {
        status = SR_ALLOCATE(&projected, 1, "a projection", error);
        if (status == SR_OK)
            status = project(o, &measured, projected, error);
    }
    if (status == SR_OK)
        status = report_scaling(o, &measured, projected, refusal, error);
    free(projected);
    measurements_free(&measured);
    return status;
}

static sr_status reduction(const scaling_options *o, sr_error *error)
{
    measurements measured;
    const sr_status status = measure_reductions(o, &measured, error);
    measurements_free(&measured);
    return status;
}

static sr_status run(int argument_count, char **arguments, sr_error *error)
{
    static scaling_options options;
    texts t = {.steps = "50",
               .repetitions = "3",
               .output = "runs/scaling",
               .project = "64,128,256,512,1024,2048,4096",
               .latency = "2",
               .bandwidth = "12.5",
               .ranks_per_node = "64",
               .algorithm = "halving"};
    const bool scales = argument_count > 1 && strcmp(arguments[1], "scaling") == 0;
    if (argument_count < 2 || (!scales && strcmp(arguments[1], "reduction") != 0))
        return sr_fail(error, SR_ERROR_USAGE, "usage: benchmark_scaling (scaling | reduction) --config CONFIG.yaml [options]");
    SR_TRY(read_command_line(argument_count - 1, arguments + 1, &t, error));
    if (scales ? !t.configuration || t.bytes : !t.configuration == !t.bytes)
        return sr_fail(error, SR_ERROR_USAGE, "%s",
                       scales ? "scaling needs --config CONFIG.yaml" : "reduction needs either --config or --bytes");
    SR_TRY(read_options(&t, &options, error));
    return scales ? scaling(&options, error) : reduction(&options, error);
}

int main(int argument_count, char **arguments)
{
    sr_error error = {.status = SR_OK};
    return benchmark_end("benchmark_scaling", run(argument_count, arguments, &error), &error);
}
