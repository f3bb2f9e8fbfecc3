/* benchmark_step [--json FILE] CONFIG.yaml [STEPS [section.key=value ...]]: whole training steps and their parts.
 *
 * Takes STEPS (default 60) optimizer steps of the configured run after 10 that are not counted, without evaluation or
 * checkpoints, and prints for the whole step and each part the median, the minimum and the maximum over steps in milliseconds,
 * examples per second, bytes that a rank sends by what they are for, peak resident memory and the part of it that the tensors
 * of the largest step take. With --json the same and the time of every step go into FILE, in the form of benchmarks/README.md.
 * Runs under mpirun as well; the figures are those of rank 0, and FILE has the mean, minimum and maximum over ranks besides. */
#include "benchmark.h"

#include "base/units.h"
#include "json.h"
#include "srtrain/clock.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"
#include "srtrain/run.h"
#include "srtrain/step.h"
#include "tensor/gemm.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = 8, WARM_UP = 10 };
static const char *const part_names[PARTS] = {"step",     "data",      "forward",   "loss",
                                              "backward", "reduction", "optimizer", "processor"};

/* What was measured on this rank. */
typedef struct {
    const char *configuration; /* its file */
    const char *level;         /* of the kernels */
    size_t steps, ranks, threads, most_memory;
    double *milliseconds; /* [PARTS, steps], in the order of the steps */
    double examples, losses, seconds;
    sr_traffic sent;                         /* by this rank, in all counted steps */
    size_t batch, parameters, bytes_reduced; /* examples of a global batch; of the model; of the gradient block */
} results;

enum { MEAN, MINIMUM, MAXIMUM, STATISTICS };
static const char *const statistic_names[STATISTICS] = {"mean_over_ranks", "minimum_over_ranks", "maximum_over_ranks"};

/* Of all ranks, on rank 0. */
typedef struct {
    double *milliseconds[STATISTICS];     /* [PARTS, steps] each */
    double peak_mebibytes, all_mebibytes; /* resident, of the rank that has most, and of all together */
    int64_t nodes, ranks_of_node;         /* the latter on the node that has most */
} rank_results;

/* Seconds that the threads of this process have had a processor. */
static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* What a step has added to the times. */
static void times_of(const sr_step_times *before, const sr_step_times *after, double seconds, double processor,
                     double parts[PARTS])
{
    const double list[PARTS] = {seconds,
                                after->data - before->data,
                                after->forward - before->forward,
                                after->loss - before->loss,
                                after->backward - before->backward,
                                after->reduction - before->reduction,
                                after->optimizer - before->optimizer,
                                processor};
    for (size_t part = 0; part < PARTS; ++part)
        parts[part] = 1e3 * list[part];
}

static double peak_mebibytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* ---- reports ---- */

/* Each step's time as a list, part by part. */
static bool add_times(cJSON *root, const char *name, const double *milliseconds, size_t steps)
{
    cJSON *parts = cJSON_AddObjectToObject(root, name);
    bool complete = parts != NULL;
    for (size_t part = 0; part < PARTS && complete; ++part)
        complete = cJSON_AddItemToObject(parts, part_names[part],
                                         cJSON_CreateDoubleArray(milliseconds + part * steps, (int)steps));
    return complete;
}

static bool add_ranks(cJSON *root, const results *r, const rank_results *ranks)
{
    bool complete = cJSON_AddNumberToObject(root, "nodes", (double)ranks->nodes) &&
                    cJSON_AddNumberToObject(root, "ranks_of_node", (double)ranks->ranks_of_node) &&
                    cJSON_AddNumberToObject(root, "cores_of_node", (double)sysconf(_SC_NPROCESSORS_ONLN)) &&
                    cJSON_AddNumberToObject(root, "peak_memory_mebibytes_of_a_rank", ranks->peak_mebibytes) &&
                    cJSON_AddNumberToObject(root, "peak_memory_mebibytes_of_all", ranks->all_mebibytes);
    for (size_t i = 0; i < STATISTICS && complete; ++i)
        complete = add_times(root, statistic_names[i], ranks->milliseconds[i], r->steps);
    return complete;
}

/* Bytes that a rank sends in a step, on average. */
static bool add_traffic(cJSON *root, const results *r)
{
    cJSON *sent = cJSON_AddObjectToObject(root, "sent_bytes_per_step");
    bool complete = sent != NULL;
    for (size_t kind = 0; kind < SR_TRAFFICS && complete; ++kind)
        complete = cJSON_AddNumberToObject(sent, sr_traffic_name((sr_traffic_kind)kind),
                                           r->sent.bytes[kind] / (double)(r->steps * r->ranks)) != NULL;
    return complete;
}

/* NULL when memory is too short. */
static cJSON *make_document(const results *r, const rank_results *ranks)
{
    char blas[256];
    sr_blas_description(blas, sizeof blas);
    cJSON *root = cJSON_CreateObject();
    const bool complete = root && cJSON_AddStringToObject(root, "program", "srtrain") &&
                          cJSON_AddStringToObject(root, "libraries", blas) &&
                          cJSON_AddStringToObject(root, "kernels", r->level) &&
                          cJSON_AddStringToObject(root, "configuration", r->configuration) &&
                          cJSON_AddNumberToObject(root, "ranks", (double)r->ranks) &&
                          cJSON_AddNumberToObject(root, "threads", (double)r->threads) &&
                          cJSON_AddNumberToObject(root, "steps", (double)r->steps) &&
                          cJSON_AddNumberToObject(root, "examples_per_second", r->examples / r->seconds) &&
                          cJSON_AddNumberToObject(root, "mean_loss", r->losses / (double)r->steps) &&
                          cJSON_AddNumberToObject(root, "peak_memory_mebibytes", peak_mebibytes()) &&
                          cJSON_AddNumberToObject(root, "step_memory_mebibytes", (double)r->most_memory / 0x1p20) &&
                          cJSON_AddNumberToObject(root, "global_batch", (double)r->batch) &&
                          cJSON_AddNumberToObject(root, "parameters", (double)r->parameters) &&
                          cJSON_AddNumberToObject(root, "bytes_reduced", (double)r->bytes_reduced) &&
                          add_times(root, "milliseconds", r->milliseconds, r->steps) && add_traffic(root, r) &&
                          add_ranks(root, r, ranks);
    if (complete)
        return root;
    cJSON_Delete(root);
    return NULL;
}

static sr_status write_document(const char *path, const results *r, const rank_results *ranks, sr_error *error)
{
    cJSON *document = make_document(r, ranks);
    const sr_status status = json_write(path, document, error);
    cJSON_Delete(document);
    return status;
}

/* ---- over ranks ---- */

/* `all` holds every rank's [PARTS, steps], one after the other. */
static void combine_times(const results *r, const double *all, rank_results *ranks)
{
    const size_t count = PARTS * r->steps;
    for (size_t i = 0; i < count; ++i) {
        double sum = 0, least = all[i], most = all[i];
        for (size_t rank = 0; rank < r->ranks; ++rank) {
            const double here = all[rank * count + i];
            sum += here;
            least = here < least ? here : least;
            most = here > most ? here : most;
        }
        ranks->milliseconds[MEAN][i] = sum / (double)r->ranks;
        ranks->milliseconds[MINIMUM][i] = least;
        ranks->milliseconds[MAXIMUM][i] = most;
    }
}

static sr_status gather_times(sr_parallel *parallel, const results *r, rank_results *ranks, sr_error *error)
{
    double *all;
    size_t *offsets;
    SR_TRY(sr_parallel_gather(parallel, r->milliseconds, PARTS * r->steps * sizeof *all, (void **)&all, &offsets, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) == 0) {
        for (size_t i = 0; i < STATISTICS && status == SR_OK; ++i)
            status = SR_ALLOCATE(&ranks->milliseconds[i], PARTS * r->steps, "times over ranks", error);
        if (status == SR_OK)
            combine_times(r, all, ranks);
    }
    free(all);
    free(offsets);
    return sr_parallel_agree(parallel, status, error);
}

/* Collective. */
static sr_status combine_ranks(sr_parallel *parallel, const results *r, rank_results *ranks, sr_error *error)
{
    const double peak = peak_mebibytes();
    int64_t most[] = {(int64_t)(peak * 1024), sr_parallel_node_rank(parallel) + 1};
    double sums[] = {peak, sr_parallel_node_rank(parallel) == 0};
    SR_TRY(sr_parallel_maximum_int64(parallel, most, 2, error));
    SR_TRY(sr_parallel_sum_double(parallel, sums, 2, error));
    ranks->peak_mebibytes = (double)most[0] / 1024;
    ranks->ranks_of_node = most[1];
    ranks->all_mebibytes = sums[0];
    ranks->nodes = (int64_t)sums[1];
    return gather_times(parallel, r, ranks, error);
}

/* Sorts the times. */
static void print_table(results *r)
{
    printf("%-10s %10s %10s %10s   (ms, %zu steps, %zu ranks of %zu threads)\n", "part", "median", "minimum", "maximum",
           r->steps, r->ranks, r->threads);
    for (size_t part = 0; part < PARTS; ++part) {
        double *of_part = r->milliseconds + part * r->steps;
        qsort(of_part, r->steps, sizeof *of_part, sr_compare_doubles);
        printf("%-10s %10.3f %10.3f %10.3f\n", part_names[part], of_part[r->steps / 2], of_part[0], of_part[r->steps - 1]);
    }
    printf("examples/s %10.0f\npeak resident memory %.0f MiB, of which a step's tensors %.0f MiB\n", r->examples / r->seconds,
           peak_mebibytes(), (double)r->most_memory / 0x1p20);
    if (r->ranks == 1)
        return;
    printf("bytes that a rank sends in a step\n");
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind)
        printf("  %-30s %12.0f\n", sr_traffic_words((sr_traffic_kind)kind),
               r->sent.bytes[kind] / (double)(r->steps * r->ranks));
}

/* ---- measuring ---- */

/* What a step has sent, beside what had been sent before. */
static void add_sent(sr_traffic *sum, const sr_traffic *before, const sr_stepper *stepper)
{
    const sr_traffic after = sr_stepper_traffic(stepper);
    for (size_t kind = 0; kind < SR_TRAFFICS; ++kind)
        sum->bytes[kind] += after.bytes[kind] - before->bytes[kind];
}

static sr_status measure(sr_stepper *stepper, results *r, sr_error *error)
{
    const size_t batches = sr_sampler_batches(stepper->sampler);
    for (size_t step = 0; step < WARM_UP + r->steps; ++step) {
        const bool votes[SR_VOTES] = {false};
        sr_step_result result;
        double parts[PARTS];
        const sr_step_times before = stepper->times;
        const sr_traffic sent = sr_stepper_traffic(stepper);
        const double processor = processor_seconds(), start = sr_seconds();
        SR_TRY(
            sr_train_step(stepper, (int64_t)(step / batches), (int64_t)(step % batches), (int64_t)step, votes, &result, error));
        const double seconds = sr_seconds() - start, used = processor_seconds() - processor;
        r->most_memory = sr_stepper_memory(stepper) > r->most_memory ? sr_stepper_memory(stepper) : r->most_memory;
        if (step < WARM_UP)
            continue;
        add_sent(&r->sent, &sent, stepper);
        times_of(&before, &stepper->times, seconds, used, parts);
        for (size_t part = 0; part < PARTS; ++part)
            r->milliseconds[part * r->steps + step - WARM_UP] = parts[part];
        r->seconds += seconds;
        r->examples += result.examples;
        r->losses += sr_step_loss(&result);
    }
    return SR_OK;
}

static sr_status report(sr_parallel *parallel, results *r, const char *json, sr_error *error)
{
    rank_results ranks = {.nodes = 0};
    SR_TRY(sr_parallel_sum_double(parallel, r->sent.bytes, SR_TRAFFICS, error));
    sr_status status = json ? combine_ranks(parallel, r, &ranks, error) : SR_OK;
    if (status == SR_OK && sr_parallel_rank(parallel) == 0) {
        status = json ? write_document(json, r, &ranks, error) : SR_OK;
        print_table(r);
    }
    for (size_t i = 0; i < STATISTICS; ++i)
        free(ranks.milliseconds[i]);
    return status;
}

static sr_status measure_and_report(sr_stepper *stepper, const char *configuration, size_t steps, const char *json,
                                    sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(stepper->model);
    results r = {.configuration = configuration,
                 .level = stepper->kernels->level,
                 .steps = steps,
                 .ranks = (size_t)sr_parallel_size(stepper->parallel),
                 .threads = sr_parallel_threads(stepper->parallel),
                 .batch = (size_t)stepper->settings->training.batch_size,
                 .bytes_reduced = parameters->block_size * sizeof(sr_real)};
    for (size_t i = 0; i < parameters->count; ++i)
        r.parameters += parameters->list[i].size;
    SR_TRY(SR_ALLOCATE(&r.milliseconds, PARTS * steps, "samples", error));
    sr_status status = measure(stepper, &r, error);
    if (status == SR_OK)
        status = report(stepper->parallel, &r, json, error);
    free(r.milliseconds);
    return status;
}

static sr_status run(sr_parallel *parallel, const sr_cpu *cpu, int argument_count, char **arguments, sr_error *error)
{
    static sr_settings settings;
    const char *json = NULL;
    if (argument_count > 2 && strcmp(arguments[1], "--json") == 0) {
        json = arguments[2];
        argument_count -= 2;
        arguments += 2;
    }
    uint64_t steps = 60;
    if (argument_count < 2 || (argument_count > 2 && !sr_read_whole(arguments[2], &steps)) || steps == 0)
        return sr_fail(error, SR_ERROR_USAGE,
                       "usage: benchmark_step [--json FILE] CONFIG.yaml [STEPS [section.key=value ...]]");
    const size_t assignments = argument_count > 3 ? (size_t)argument_count - 3 : 0;
    SR_TRY(sr_settings_read(&settings, arguments[1], (const char *const *)arguments + 3, assignments, error));
    if (settings.training.threads == 0)
        settings.training.threads = 1; /* figures are to mean the same on every machine */
    SR_TRY(sr_use_threads(parallel, &settings.training, error));
    sr_dataset *dataset;
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    sr_sampler *sampler;
    sr_model *model;
    sr_stepper stepper;
    SR_TRY(sr_settings_sampler(&sampler, dataset, &settings, error));
    const sr_item_division division = {.rank = (size_t)sr_parallel_rank(parallel),
                                       .ranks = (size_t)sr_parallel_size(parallel),
                                       .threads = sr_parallel_threads(parallel),
                                       .popularity = sr_dataset_popularity(dataset)};
    const size_t items = sr_dataset_items(dataset), users = sr_dataset_users(dataset);
    SR_TRY(settings.model.item_table == SR_ITEM_TABLE_DIVIDED
               ? sr_model_declare_divided(&model, &settings.model, items, users, &division, error)
               : sr_model_declare(&model, &settings.model, items, users, error));
    SR_TRY(sr_stepper_create(&stepper, parallel, &settings, cpu->kernels, sampler, model, 1000000, error));
    const sr_status status = measure_and_report(&stepper, arguments[1], steps, json, error);
    sr_stepper_free(&stepper);
    sr_model_free(model);
    sr_sampler_free(sampler);
    sr_dataset_close(dataset);
    return status;
}

int main(int argument_count, char **arguments)
{
    return benchmark_on_ranks("benchmark_step", run, argument_count, arguments);
}
