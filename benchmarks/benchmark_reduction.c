/* benchmark_reduction (--config CONFIG.yaml [--set section.key=value ...] | --bytes N) [--repetitions N] [--backward MS]
 *                     [--json FILE]
 *
 * Sums the gradient block of a model over ranks, as training does it (src/step/reduction.c), as it is and as bf16, in messages
 * of 0.25 to 64 MiB, beside one plain MPI_Allreduce of the whole block. Without a model the block is N bytes: an item table of
 * seven eighths and 16 equal parameters. Two figures each: `alone`, the reduction by itself, and `exposed`, what it adds to an
 * emulated backward pass of MS milliseconds: the difference of the medians with and without it, and of the minima. All cases
 * take turns in each repetition; a time is that of the slowest rank.
 */
#include "benchmark.h"
#include "json.h"
#include "srtrain/clock.h"
#include "srtrain/command_line.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/dataset.h"
#include "srtrain/memory.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"
#include "srtrain/settings.h"
#include "step/reduction.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 9, MODES = 2, CASES = SIZES * MODES, WARM_UP = 2, SMALL_MESSAGE = 8 };
enum { ROUNDED = 1 }; /* the mode besides the blocking one */
static const double message_mebibytes[SIZES] = {0.25, 0.5, 1, 2, 4, 8, 16, 32, 64};
static const char *const mode_names[MODES] = {"blocking", "bf16"};

typedef struct {
    const char *config, *json;
    uint64_t bytes, repetitions; /* bytes 0: not given */
    double backward;             /* milliseconds */
    sr_text_list set;
} options;

/* Milliseconds, [repetitions] each. */
typedef struct {
    double *alone, *behind; /* by itself; with the backward pass in front of it */
} samples;

typedef struct {
    sr_parallel *parallel;
    sr_parameters *parameters;
    size_t repetitions;
    double backward;         /* milliseconds */
    size_t loops;            /* of the emulated backward pass */
    double *small, *nothing; /* [repetitions]: a sum of 8 numbers; the emulated backward pass by itself */
    samples plain, of_case[CASES];
} benchmark;

/* ---- emulated backward ---- */

static volatile double sink;

/* Arithmetic that keeps the core busy and touches no memory: a chain of dependent products. */
static void work(size_t loops)
{
    double x = 1.000000001;
    for (size_t i = 0; i < loops; ++i)
        x = x * 1.0000000001 + 1e-12;
    sink = x;
}

/* The same amount of work on every rank: what took rank 0 `backward` milliseconds. */
static sr_status choose_loops(benchmark *b, sr_error *error)
{
    enum { TRIAL = 2000000 };
    double loops = 0;
    for (int trial = 0; trial < 5; ++trial) {
        const double start = sr_seconds();
        work(TRIAL);
        const double here = b->backward * 1e-3 / (sr_seconds() - start) * TRIAL;
        loops = here > loops ? here : loops; /* the fastest trial is the least disturbed */
    }
    b->loops = (size_t)loops;
    return sr_parallel_broadcast(b->parallel, &b->loops, sizeof b->loops, error);
}

/* ---- one measurement ---- */

static sr_status slowest(sr_parallel *parallel, double start, double *milliseconds, sr_error *error)
{
    int64_t nanoseconds = (int64_t)(1e9 * (sr_seconds() - start));
    SR_TRY(sr_parallel_maximum_int64(parallel, &nanoseconds, 1, error));
    *milliseconds = (double)nanoseconds * 1e-6;
    return SR_OK;
}

/* `reduction` NULL: only the backward pass. */
static sr_status time_reduction(benchmark *b, sr_reduction *reduction, size_t loops, double *milliseconds, sr_error *error)
{
    SR_TRY(sr_parallel_barrier(b->parallel, error));
    const double start = sr_seconds();
    work(loops);
    if (reduction)
        SR_TRY(sr_reduction_run(reduction, NULL, error));
    return slowest(b->parallel, start, milliseconds, error);
}

/* Counts are int: a longer block goes in as few operations as that allows. */
static sr_status reduce_plainly(benchmark *b, sr_error *error)
{
    enum { LONGEST = 1 << 30 };
    const size_t size = b->parameters->block_size;
    for (size_t begin = 0; begin < size; begin += LONGEST) {
        const int count = (int)(size - begin < LONGEST ? size - begin : LONGEST);
        if (MPI_Allreduce(MPI_IN_PLACE, b->parameters->gradients + begin, count, MPI_FLOAT, MPI_SUM,
                          sr_parallel_communicator(b->parallel)) != MPI_SUCCESS)
            return sr_fail(error, SR_ERROR_RUNTIME, "MPI_Allreduce of %d numbers failed", count);
    }
    return SR_OK;
}

static sr_status time_plain(benchmark *b, double *milliseconds, sr_error *error)
{
    SR_TRY(sr_parallel_barrier(b->parallel, error));
    const double start = sr_seconds();
    SR_TRY(reduce_plainly(b, error));
    return slowest(b->parallel, start, milliseconds, error);
}

/* Many in a row: one alone is shorter than the clock and the barrier are exact. */
static sr_status time_small(benchmark *b, double *milliseconds, sr_error *error)
{
    enum { TIMES = 100 };
    double values[SMALL_MESSAGE] = {0};
    SR_TRY(sr_parallel_barrier(b->parallel, error));
    const double start = sr_seconds();
    for (int i = 0; i < TIMES; ++i)
        SR_TRY(sr_parallel_sum_double(b->parallel, values, SMALL_MESSAGE, error));
    SR_TRY(slowest(b->parallel, start, milliseconds, error));
    *milliseconds /= TIMES;
    return SR_OK;
}

/* ---- all of them ---- */

static sr_status check_sums(const benchmark *b, const char *what, sr_error *error)
{
    const sr_real expected = (sr_real)sr_parallel_size(b->parallel);
    for (size_t p = 0; p < b->parameters->count; ++p)
        for (size_t i = 0; i < b->parameters->list[p].size; ++i)
            if (b->parameters->gradients[b->parameters->list[p].offset + i] != expected)
                return sr_fail(error, SR_ERROR_RUNTIME, "%s: a sum of ones over %d ranks is %g", what,
                               sr_parallel_size(b->parallel),
                               (double)b->parameters->gradients[b->parameters->list[p].offset + i]);
    return SR_OK;
}

static void set_gradients(benchmark *b, sr_real value)
{
    for (size_t i = 0; i < b->parameters->block_size; ++i)
        b->parameters->gradients[i] = value;
}

/* What is measured is also right: sums of ones. */
static sr_status check_case(benchmark *b, sr_reduction *reduction, const char *what, sr_error *error)
{
    double unused;
    set_gradients(b, 1);
    SR_TRY(reduction ? time_reduction(b, reduction, 0, &unused, error) : time_plain(b, &unused, error));
    const sr_status status = sr_parallel_agree(b->parallel, check_sums(b, what, error), error);
    set_gradients(b, 0); /* zeros stay zeros, however often they are summed */
    return status;
}

/* Repetitions before `WARM_UP` are overwritten. */
static sr_status repeat(benchmark *b, sr_reduction *const reductions[CASES], size_t at, sr_error *error)
{
    SR_TRY(time_small(b, &b->small[at], error));
    SR_TRY(time_plain(b, &b->plain.alone[at], error));
    SR_TRY(time_reduction(b, NULL, b->loops, &b->nothing[at], error));
    for (size_t i = 0; i < CASES; ++i) {
        SR_TRY(time_reduction(b, reductions[i], 0, &b->of_case[i].alone[at], error));
        SR_TRY(time_reduction(b, reductions[i], b->loops, &b->of_case[i].behind[at], error));
    }
    return SR_OK;
}

static sr_status measure(benchmark *b, sr_reduction *reductions[CASES], sr_error *error)
{
    SR_TRY(choose_loops(b, error));
    SR_TRY(check_case(b, NULL, "plain MPI_Allreduce", error));
    for (size_t i = 0; i < CASES; ++i) {
        const size_t bytes = (size_t)(message_mebibytes[i / MODES] * 0x1p20);
        const sr_reduction_settings settings = {.rounded = i % MODES == ROUNDED, .keeps_rest = true, .message_bytes = bytes};
        SR_TRY(sr_reduction_create(&reductions[i], b->parallel, b->parameters, &settings, error));
        SR_TRY(check_case(b, reductions[i], mode_names[i % MODES], error));
    }
    for (size_t i = 0; i < WARM_UP + b->repetitions; ++i)
        SR_TRY(repeat(b, reductions, i < WARM_UP ? 0 : i - WARM_UP, error));
    return SR_OK;
}

/* ---- reports ---- */

typedef struct {
    double median, minimum, maximum;
} spread;

static spread spread_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, sr_compare_doubles);
    return (spread){(values[(count - 1) / 2] + values[count / 2]) / 2, values[0], values[count - 1]};
}

/* Everything as spreads, which sorts the samples. */
typedef struct {
    spread small, nothing, plain, alone[CASES], behind[CASES];
} summary;

static summary summarise(benchmark *b)
{
    summary s = {.small = spread_of(b->small, b->repetitions),
                 .nothing = spread_of(b->nothing, b->repetitions),
                 .plain = spread_of(b->plain.alone, b->repetitions)};
    for (size_t i = 0; i < CASES; ++i) {
        s.alone[i] = spread_of(b->of_case[i].alone, b->repetitions);
        s.behind[i] = spread_of(b->of_case[i].behind, b->repetitions);
    }
    return s;
}

static double block_bytes(const benchmark *b)
{
    return (double)b->parameters->block_size * sizeof(sr_real);
}

static void print_table(const benchmark *b, const summary *s)
{
    printf("%.2f MiB of gradients in %zu parameters, %d ranks, %zu repetitions; emulated backward pass %.2f ms, a sum of %d "
           "numbers %.4f ms\n",
           block_bytes(b) / 0x1p20, b->parameters->count, sr_parallel_size(b->parallel), b->repetitions, s->nothing.median,
           SMALL_MESSAGE, s->small.median);
    printf("%-20s %9s   %9s %9s %9s %7s   %9s %11s\n", "ms", "message", "alone", "minimum", "maximum", "GB/s", "exposed",
           "of minima");
    printf("%-20s %9s   %9.3f %9.3f %9.3f %7.2f\n", "plain MPI_Allreduce", "whole", s->plain.median, s->plain.minimum,
           s->plain.maximum, 1e-6 * block_bytes(b) / s->plain.median);
    for (size_t mode = 0; mode < MODES; ++mode)
        for (size_t size = 0; size < SIZES; ++size) {
            const size_t i = size * MODES + mode;
            const spread *alone = &s->alone[i], *behind = &s->behind[i];
            printf("%-20s %5.2f MiB   %9.3f %9.3f %9.3f %7.2f   %9.3f %11.3f\n", mode_names[mode], message_mebibytes[size],
                   alone->median, alone->minimum, alone->maximum, 1e-6 * block_bytes(b) / alone->median,
                   behind->median - s->nothing.median, behind->minimum - s->nothing.minimum);
        }
}

static bool add_spread(cJSON *object, const char *name, const spread *s)
{
    cJSON *made = cJSON_AddObjectToObject(object, name);
    return made && cJSON_AddNumberToObject(made, "median", s->median) && cJSON_AddNumberToObject(made, "minimum", s->minimum) &&
           cJSON_AddNumberToObject(made, "maximum", s->maximum);
}

static bool add_cases(cJSON *root, const summary *s)
{
    cJSON *list = cJSON_AddArrayToObject(root, "cases");
    bool complete = list != NULL;
    for (size_t i = 0; i < CASES && complete; ++i) {
        cJSON *one = cJSON_CreateObject();
        complete = one && cJSON_AddItemToArray(list, one) && cJSON_AddStringToObject(one, "mode", mode_names[i % MODES]) &&
                   cJSON_AddNumberToObject(one, "bucket_mebibytes", message_mebibytes[i / MODES]) &&
                   add_spread(one, "alone_milliseconds", &s->alone[i]) &&
                   add_spread(one, "behind_backward_milliseconds", &s->behind[i]);
    }
    return complete;
}

static sr_status write_json(const char *path, const benchmark *b, const summary *s, sr_error *error)
{
    char library[256];
    sr_parallel_library_version(library, sizeof library);
    cJSON *root = cJSON_CreateObject();
    const bool complete = root && cJSON_AddStringToObject(root, "program", "benchmark_reduction") &&
                          cJSON_AddStringToObject(root, "library", library) &&
                          cJSON_AddNumberToObject(root, "ranks", sr_parallel_size(b->parallel)) &&
                          cJSON_AddNumberToObject(root, "bytes", block_bytes(b)) &&
                          cJSON_AddNumberToObject(root, "parameters", (double)b->parameters->count) &&
                          cJSON_AddNumberToObject(root, "repetitions", (double)b->repetitions) &&
                          add_spread(root, "backward_milliseconds", &s->nothing) &&
                          add_spread(root, "small_sum_milliseconds", &s->small) &&
                          add_spread(root, "plain_milliseconds", &s->plain) && add_cases(root, s);
    const sr_status status = json_write(path, complete ? root : NULL, error);
    cJSON_Delete(root);
    return status;
}

/* ---- set-up ---- */

static sr_status allocate_samples(benchmark *b, double **all, sr_error *error)
{
    const size_t n = b->repetitions;
    SR_TRY(SR_ALLOCATE_ZERO(all, (3 + 2 * CASES) * n, "samples", error));
    b->small = *all;
    b->nothing = *all + n;
    b->plain.alone = *all + 2 * n;
    for (size_t i = 0; i < CASES; ++i)
        b->of_case[i] = (samples){.alone = *all + (3 + 2 * i) * n, .behind = *all + (4 + 2 * i) * n};
    return SR_OK;
}

static sr_status measure_and_report(sr_parallel *parallel, sr_parameters *parameters, const options *o, sr_error *error)
{
    benchmark b = {.parallel = parallel, .parameters = parameters, .repetitions = o->repetitions, .backward = o->backward};
    double *all = NULL;
    sr_reduction *reductions[CASES] = {NULL};
    SR_TRY(sr_parallel_agree(parallel, allocate_samples(&b, &all, error), error));
    sr_status status = measure(&b, reductions, error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0) {
        const summary s = summarise(&b);
        print_table(&b, &s);
        status = o->json ? write_json(o->json, &b, &s, error) : SR_OK;
    }
    for (size_t i = 0; i < CASES; ++i)
        sr_reduction_free(reductions[i]);
    free(all);
    return status;
}

static sr_status run_with_model(sr_parallel *parallel, const options *o, sr_error *error)
{
    static sr_settings settings;
    sr_dataset *dataset;
    sr_model *model;
    SR_TRY(sr_settings_read(&settings, o->config, o->set.texts, o->set.count, error));
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    sr_status status = sr_model_create(&model, &settings.model, sr_dataset_items(dataset), sr_dataset_users(dataset), error);
    if (status == SR_OK) {
        status = measure_and_report(parallel, sr_model_parameters(model), o, error);
        sr_model_free(model);
    }
    sr_dataset_close(dataset);
    return status;
}

static sr_status declare_block(sr_parameters *parameters, size_t elements, sr_error *error)
{
    enum { LAYERS = 16 };
    const size_t layer = elements / 8 / LAYERS, table = elements - LAYERS * layer;
    SR_TRY(sr_parameters_declare(parameters, "items", &table, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                 SR_PARAMETERS_ORDINARY, NULL, error));
    for (int i = 0; i < LAYERS; ++i) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", i);
        SR_TRY(sr_parameters_declare(parameters, name, &layer, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                     SR_PARAMETERS_ORDINARY, NULL, error));
    }
    return sr_parameters_allocate(parameters, error);
}

static sr_status run_with_block(sr_parallel *parallel, const options *o, sr_error *error)
{
    sr_parameters parameters;
    sr_parameters_initialise(&parameters);
    sr_status status = sr_parallel_agree(parallel, declare_block(&parameters, o->bytes / sizeof(sr_real), error), error);
    if (status == SR_OK)
        status = measure_and_report(parallel, &parameters, o, error);
    sr_parameters_free(&parameters);
    return status;
}

static sr_status run(sr_parallel *parallel, const sr_cpu *cpu, int argument_count, char **arguments, sr_error *error)
{
    (void)cpu; /* its sums are not the kernels' */
    options o = {.config = NULL};
    const sr_option known[] = {
        {.name = "config", .file = &o.config, .help = "the model whose gradient is reduced"},
        {.name = "set", .list = &o.set, .assignments = true, .argument = "section.key=value", .help = "overrides a key"},
        {.name = "bytes", .count = &o.bytes, .least = 1024, .help = "instead of a model: the size of a gradient"},
        {.name = "repetitions", .count = &o.repetitions, .least = 1, .most = 1000000, .standard = "30", .help = "how often"},
        {.name = "backward",
         .number = &o.backward,
         .lowest = 1e-6,
         .highest = 1e6,
         .standard = "10",
         .help = "milliseconds of the emulated backward pass"},
        {.name = "json", .file = &o.json, .help = "also writes the figures as JSON"}};
    SR_TRY(sr_command_line_read(NULL, argument_count, arguments, NULL, NULL, known, sizeof known / sizeof *known, error));
    if (!o.config == (o.bytes == 0))
        return sr_fail(error, SR_ERROR_USAGE, "give either --config or --bytes");
    return o.config ? run_with_model(parallel, &o, error) : run_with_block(parallel, &o, error);
}

int main(int argument_count, char **arguments)
{
    return benchmark_on_ranks("benchmark_reduction", run, argument_count, arguments);
}
