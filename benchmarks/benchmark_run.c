/* benchmark_run --output DIR [--json FILE] [--repetitions N] [--set section.key=value ...] CONFIG.yaml
 *
 * What a run does besides its steps, N (default 5) times each, on as many ranks as it is started with: opening the data set,
 * verifying it and reading all sequences; evaluating the validation split with untrained parameters; writing, verifying and
 * reading a checkpoint with the state of the optimizer, in DIR. Files are in the page cache by then, unless they are too large
 * for it. A time is that of the slowest rank; figures are medians. */
#include "benchmark.h"
#include "json.h"
#include "srtrain/checkpoint.h"
#include "srtrain/clock.h"
#include "srtrain/command_line.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/directories.h"
#include "srtrain/evaluate.h"
#include "srtrain/memory.h"
#include "srtrain/step.h"
#include "tensor/gemm.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

typedef enum { OPENING, VERIFYING, READING, EVALUATING, WRITING, CHECKING, LOADING, PARTS } part;
static const char *const part_names[PARTS] = {"open_data",        "verify_data",       "read_sequences", "evaluate",
                                              "write_checkpoint", "verify_checkpoint", "read_checkpoint"};
static const char *const unit_names[PARTS] = {NULL, "bytes", "interactions", "test_cases", "bytes", "bytes", "bytes"};

typedef struct {
    sr_parallel *parallel;
    const sr_kernels *kernels;
    sr_settings settings;
    const char *output;
    size_t repetitions;
    double *seconds[PARTS]; /* [repetitions] each */
    double units[PARTS];    /* done in that time */
    sr_dataset *dataset;
    sr_model *model;
    sr_optimizer optimizer;
    volatile int64_t sink;
} benchmark;

/* ---- parts ---- */

static sr_status open_again(benchmark *b, sr_error *error)
{
    sr_dataset *dataset;
    SR_TRY(sr_dataset_open(&dataset, b->settings.data.path, error));
    sr_dataset_close(dataset);
    return SR_OK;
}

static sr_status verify_data(benchmark *b, sr_error *error)
{
    return sr_dataset_verify(b->dataset, (size_t)sr_parallel_rank(b->parallel), (size_t)sr_parallel_size(b->parallel), error);
}

/* Each rank the sequences of its part of the users. */
static sr_status read_sequences(benchmark *b, sr_error *error)
{
    (void)error;
    const size_t users = sr_dataset_users(b->dataset), rank = (size_t)sr_parallel_rank(b->parallel),
                 ranks = (size_t)sr_parallel_size(b->parallel);
    int64_t sum = 0;
    for (size_t user = users * rank / ranks; user < users * (rank + 1) / ranks; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(b->dataset, user);
        for (size_t i = 0; i < sequence.length; ++i)
            sum += sequence.items[i];
    }
    b->sink = sum;
    return SR_OK;
}

static sr_status evaluate(benchmark *b, sr_error *error)
{
    sr_ranking_metrics metrics;
    SR_TRY(sr_evaluate_model(
        b->parallel, b->model,
        &(sr_evaluation){
            .dataset = b->dataset, .settings = &b->settings.evaluation, .split = SR_SPLIT_VALID, .kernels = b->kernels},
        &metrics, error));
    b->units[EVALUATING] = (double)metrics.cases;
    return SR_OK;
}

static void checkpoint_path(const benchmark *b, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/step-0000000001.h5", b->output);
}

static sr_status write_checkpoint(benchmark *b, sr_error *error)
{
    char path[PATH_SIZE], *configuration = NULL, none[] = "";
    checkpoint_path(b, path);
    SR_TRY(sr_settings_text(&b->settings, &configuration, error));
    const sr_checkpoint checkpoint = {.progress = {.step = 1},
                                      .configuration = configuration,
                                      .program_version = none,
                                      .data_fingerprint = none,
                                      .data_directory = none,
                                      .users = (int64_t)sr_dataset_users(b->dataset),
                                      .items = (int64_t)sr_dataset_items(b->dataset)};
    const sr_status status = sr_checkpoint_write(b->parallel, path, &checkpoint, sr_model_parameters(b->model),
                                                 &b->optimizer.state, error);
    free(configuration);
    return status;
}

/* As a run does that looks for something to go on from. */
static sr_status verify_checkpoint(benchmark *b, sr_error *error)
{
    char *path = NULL;
    SR_TRY(sr_checkpoint_newest(b->parallel, b->output, &path, NULL, NULL, error));
    const bool found = path != NULL;
    free(path);
    return found ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "the checkpoint in %s is not accepted", b->output);
}

static sr_status read_checkpoint(benchmark *b, sr_error *error)
{
    char path[PATH_SIZE];
    checkpoint_path(b, path);
    return sr_checkpoint_read_state(b->parallel, path, sr_model_parameters(b->model), &b->optimizer.state, error);
}

/* ---- measuring ---- */

static sr_status time_part(benchmark *b, part which, size_t repetition, sr_error *error)
{
    static sr_status (*const functions[PARTS])(benchmark *, sr_error *) = {
        open_again, verify_data, read_sequences, evaluate, write_checkpoint, verify_checkpoint, read_checkpoint};
    SR_TRY(sr_parallel_barrier(b->parallel, error));
    const double start = sr_seconds();
    SR_TRY(sr_parallel_agree(b->parallel, functions[which](b, error), error));
    int64_t nanoseconds = (int64_t)(1e9 * (sr_seconds() - start));
    SR_TRY(sr_parallel_maximum_int64(b->parallel, &nanoseconds, 1, error));
    b->seconds[which][repetition] = 1e-9 * (double)nanoseconds;
    return SR_OK;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, sr_compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static sr_status measure(benchmark *b, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(b->model);
    const double interactions = (double)sr_dataset_interactions(b->dataset);
    size_t elements = 0;
    for (size_t i = 0; i < parameters->count; ++i)
        elements += parameters->list[i].size;
    b->units[VERIFYING] = interactions * (sr_dataset_has_times(b->dataset) ? 12 : 4); /* the sequences, without names */
    b->units[READING] = interactions;
    b->units[WRITING] = b->units[CHECKING] = b->units[LOADING] = 3 * (double)elements * sizeof(sr_real);
    for (size_t repetition = 0; repetition < b->repetitions; ++repetition)
        for (part which = 0; which < PARTS; ++which)
            SR_TRY(time_part(b, which, repetition, error));
    return SR_OK;
}

/* ---- reports ---- */

/* The medians, which sorts the times. */
static void print_table(benchmark *b)
{
    printf("%-18s %12s %12s %12s %16s   (%zu times, %d ranks)\n", "part", "median ms", "minimum", "maximum", "a second",
           b->repetitions, sr_parallel_size(b->parallel));
    for (part which = 0; which < PARTS; ++which) {
        const double middle = median(b->seconds[which], b->repetitions);
        printf("%-18s %12.3f %12.3f %12.3f", part_names[which], 1e3 * middle, 1e3 * b->seconds[which][0],
               1e3 * b->seconds[which][b->repetitions - 1]);
        if (unit_names[which])
            printf(" %16.4g %s", b->units[which] / middle, unit_names[which]);
        printf("\n");
    }
}

static bool add_part(cJSON *root, const benchmark *b, part which)
{
    const double middle = (b->seconds[which][(b->repetitions - 1) / 2] + b->seconds[which][b->repetitions / 2]) / 2;
    cJSON *made = cJSON_AddObjectToObject(root, part_names[which]);
    bool complete = made && cJSON_AddNumberToObject(made, "seconds", middle) &&
                    cJSON_AddNumberToObject(made, "minimum_seconds", b->seconds[which][0]) &&
                    cJSON_AddNumberToObject(made, "maximum_seconds", b->seconds[which][b->repetitions - 1]);
    if (complete && unit_names[which]) {
        char rate[64];
        snprintf(rate, sizeof rate, "%s_per_second", unit_names[which]);
        complete = cJSON_AddNumberToObject(made, unit_names[which], b->units[which]) &&
                   cJSON_AddNumberToObject(made, rate, b->units[which] / middle);
    }
    return complete;
}

static sr_status write_json(const char *path, const benchmark *b, sr_error *error)
{
    cJSON *root = cJSON_CreateObject();
    bool complete = root && cJSON_AddStringToObject(root, "program", "benchmark_run") &&
                    cJSON_AddNumberToObject(root, "ranks", sr_parallel_size(b->parallel)) &&
                    cJSON_AddNumberToObject(root, "repetitions", (double)b->repetitions);
    for (part which = 0; which < PARTS && complete; ++which)
        complete = add_part(root, b, which);
    const sr_status status = json_write(path, complete ? root : NULL, error);
    cJSON_Delete(root);
    return status;
}

/* ---- set-up ---- */

static sr_status prepare(benchmark *b, sr_error *error)
{
    SR_TRY(sr_make_directories(b->output, error));
    for (part which = 0; which < PARTS; ++which)
        SR_TRY(SR_ALLOCATE_ZERO(&b->seconds[which], b->repetitions, "samples", error));
    SR_TRY(sr_dataset_open(&b->dataset, b->settings.data.path, error));
    SR_TRY(sr_model_create(&b->model, &b->settings.model, sr_dataset_items(b->dataset), sr_dataset_users(b->dataset), error));
    sr_parameters_draw(sr_model_parameters(b->model), 1);
    return sr_optimizer_create(&b->optimizer, sr_model_parameters(b->model), &b->settings.training, error);
}

static void release(benchmark *b)
{
    char path[PATH_SIZE];
    for (part which = 0; which < PARTS; ++which)
        free(b->seconds[which]);
    sr_optimizer_free(&b->optimizer);
    sr_model_free(b->model);
    sr_dataset_close(b->dataset);
    checkpoint_path(b, path);
    if (sr_parallel_rank(b->parallel) == 0)
        (void)unlink(path);
}

static sr_status run(sr_parallel *parallel, const sr_cpu *cpu, int argument_count, char **arguments, sr_error *error)
{
    static sr_text_list set;
    static benchmark b;
    const char *configuration = NULL, *json = NULL, *output = NULL;
    uint64_t repetitions;
    const sr_option known[] = {{.name = "output", .directory = &output, .required = true, .help = "where checkpoints go"},
                               {.name = "json", .file = &json, .help = "also writes the figures as JSON"},
                               {.name = "repetitions",
                                .count = &repetitions,
                                .least = 1,
                                .most = 100000,
                                .standard = "5",
                                .help = "how often each part is timed"},
                               {.name = "set", .list = &set, .assignments = true}};
    SR_TRY(sr_command_line_read(NULL, argument_count, arguments, "CONFIG.yaml", &configuration, known,
                                sizeof known / sizeof *known, error));
    b = (benchmark){.parallel = parallel, .kernels = cpu->kernels, .output = output, .repetitions = repetitions};
    SR_TRY(sr_settings_read(&b.settings, configuration, set.texts, set.count, error));
    sr_status status = sr_parallel_agree(parallel, prepare(&b, error), error);
    if (status == SR_OK)
        status = measure(&b, error);
    if (status == SR_OK && sr_parallel_rank(parallel) == 0) {
        print_table(&b);
        status = json ? write_json(json, &b, error) : SR_OK;
    }
    release(&b);
    return status;
}

int main(int argument_count, char **arguments)
{
    return benchmark_on_ranks("benchmark_run", run, argument_count, arguments);
}
