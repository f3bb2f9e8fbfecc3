/* benchmark_division --config CONFIG.yaml [--set section.key=value ...] [--divide PARTS,BATCH,FIRST,COUNT ...] --json FILE
 *
 * How the batches of an epoch are divided, for the projection of benchmarks/scaling.py. FILE says what the configuration comes
 * to (batch, threads, data, examples of an epoch, whether a step couples its whole batch by contrast), and for each --divide,
 * with global batches of BATCH examples for PARTS threads of ranks:
 *
 *   loads         for each of COUNT batches from the FIRST on, pairs [work in tokens, how many parts have it], ascending
 *   milliseconds  what it takes one rank to draw and divide a batch, a mean over these
 */
#include "benchmark.h"
#include "json.h"
#include "srtrain/clock.h"
#include "srtrain/command_line.h"
#include "srtrain/dataset.h"
#include "srtrain/memory.h"
#include "srtrain/sampler.h"
#include "srtrain/settings.h"

#include <stdlib.h>

typedef struct {
    size_t parts, batch, first, count;
} division;

typedef struct {
    const sr_dataset *dataset;
    const sr_settings *settings;
    sr_arena *arena;
    cJSON *document;
} benchmark;

static sr_status read_division(const char *text, division *d, sr_error *error)
{
    int end = 0;
    if (sscanf(text, "%zu,%zu,%zu,%zu%n", &d->parts, &d->batch, &d->first, &d->count, &end) != 4 || text[end] || !d->parts ||
        !d->batch || !d->count)
        return sr_fail(error, SR_ERROR_USAGE, "--divide %s: PARTS,BATCH,FIRST,COUNT is allowed, as in 64,256,0,8", text);
    return SR_OK;
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Adds the loads of one batch to `list`; the loads get sorted. */
static bool add_loads(cJSON *list, size_t *loads, size_t count)
{
    cJSON *pairs = cJSON_CreateArray();
    bool complete = cJSON_AddItemToArray(list, pairs);
    qsort(loads, count, sizeof *loads, compare_sizes);
    for (size_t begin = 0, end; begin < count && complete; begin = end) {
        for (end = begin; end < count && loads[end] == loads[begin];)
            ++end;
        const double pair[] = {(double)loads[begin], (double)(end - begin)};
        complete = cJSON_AddItemToArray(pairs, cJSON_CreateDoubleArray(pair, 2));
    }
    return complete;
}

static sr_status time_batch(const benchmark *b, const sr_sampler *sampler, size_t batch, size_t parts, double *milliseconds,
                            sr_error *error)
{
    const size_t batches = sr_sampler_batches(sampler);
    sr_batch made;
    sr_totals totals;
    sr_arena_reset(b->arena);
    const double start = sr_seconds();
    SR_TRY(sr_sampler_batch(sampler, batch / batches, batch % batches, (sr_part){.rank = 0, .ranks = parts}, b->arena, &made,
                            &totals, error));
    *milliseconds = 1e3 * (sr_seconds() - start);
    return SR_OK;
}

static sr_status measure_batches(const benchmark *b, const sr_sampler *sampler, const division *d, cJSON *made, sr_error *error)
{
    const size_t batches = sr_sampler_batches(sampler);
    cJSON *list = cJSON_AddArrayToObject(made, "loads");
    double time, sum = 0;
    SR_TRY(time_batch(b, sampler, d->first, d->parts, &time, error)); /* does not count: memory is touched for the first time */
    for (size_t i = d->first; i < d->first + d->count; ++i) {
        sr_arena_reset(b->arena);
        size_t *loads = sr_arena_take(b->arena, d->parts * sizeof *loads);
        if (!loads)
            return sr_fail_memory(error, d->parts * sizeof *loads, "loads");
        SR_TRY(sr_sampler_loads(sampler, i / batches, i % batches, d->parts, b->arena, loads, error));
        if (!list || !add_loads(list, loads, d->parts))
            return sr_fail_memory(error, d->parts * sizeof *loads, "loads");
        SR_TRY(time_batch(b, sampler, i, d->parts, &time, error));
        sum += time;
    }
    return cJSON_AddNumberToObject(made, "milliseconds", sum / (double)d->count) ? SR_OK
                                                                                 : sr_fail_memory(error, 0, "a division");
}

static sr_status measure(const benchmark *b, const division *d, sr_error *error)
{
    sr_settings settings = *b->settings;
    sr_sampler *sampler;
    cJSON *made = cJSON_CreateObject();
    settings.training.batch_size = (int64_t)d->batch;
    if (!made || !cJSON_AddItemToArray(cJSON_GetObjectItem(b->document, "divisions"), made))
        return sr_fail_memory(error, 0, "a division");
    SR_TRY(sr_settings_sampler(&sampler, b->dataset, &settings, error));
    const sr_status status = measure_batches(b, sampler, d, made, error);
    sr_sampler_free(sampler);
    return status;
}

static sr_status describe(const benchmark *b, sr_error *error)
{
    sr_sampler *sampler;
    const sr_training_settings *training = &b->settings->training;
    SR_TRY(sr_settings_sampler(&sampler, b->dataset, b->settings, error));
    const size_t examples = sr_sampler_examples(sampler);
    sr_sampler_free(sampler);
    cJSON *root = b->document;
    const bool complete = root && cJSON_AddNumberToObject(root, "batch", (double)training->batch_size) &&
                          cJSON_AddNumberToObject(root, "threads", (double)(training->threads ? training->threads : 1)) &&
                          cJSON_AddStringToObject(root, "data", b->settings->data.path) &&
                          cJSON_AddNumberToObject(root, "examples", (double)examples) &&
                          cJSON_AddBoolToObject(root, "contrastive", b->settings->model.contrastive.in_use) &&
                          cJSON_AddArrayToObject(root, "divisions");
    return complete ? SR_OK : sr_fail_memory(error, 0, "a description");
}

static sr_status run(int argument_count, char **arguments, sr_error *error)
{
    static sr_text_list set, divisions;
    static sr_settings settings;
    const char *config = NULL, *json = NULL;
    const sr_option known[] = {{.name = "config", .value = &config},
                               {.name = "set", .list = &set, .assignments = true},
                               {.name = "divide", .list = &divisions},
                               {.name = "json", .value = &json}};
    division d;
    sr_dataset *dataset;
    SR_TRY(sr_command_line_read(NULL, argument_count, arguments, NULL, NULL, known, sizeof known / sizeof *known, error));
    if (!config || !json)
        return sr_fail(error, SR_ERROR_USAGE, "--config CONFIG.yaml and --json FILE are needed");
    SR_TRY(sr_settings_read(&settings, config, set.texts, set.count, error));
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    benchmark b = {.dataset = dataset, .settings = &settings, .document = cJSON_CreateObject()};
    sr_status status = sr_arena_create(&b.arena, (size_t)4 << 20, error);
    if (status == SR_OK)
        status = describe(&b, error);
    for (size_t i = 0; i < divisions.count && status == SR_OK; ++i) {
        status = read_division(divisions.texts[i], &d, error);
        if (status == SR_OK)
            status = measure(&b, &d, error);
    }
    if (status == SR_OK)
        status = json_write(json, b.document, error);
    cJSON_Delete(b.document);
    sr_arena_free(b.arena);
    sr_dataset_close(dataset);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_error error = {.status = SR_OK};
    return benchmark_end("benchmark_division", run(argument_count, arguments, &error), &error);
}
