/* benchmark_all [--output DIR] [--data DIR ...] [--configurations DIR] [--models NAME ...] [--steps N] [--repetitions N]
 * [--ranks R] [--users N]
 *               [--items N] [--bytes N] [--launcher 'mpirun -np {ranks}']
 *
 * Runs every benchmark in one go and brings what they measured together in DIR/all.json and DIR/all.txt; what each of them
 * said and wrote lies in DIR/measurements. Data is made up (srprep synth, --users and --items), and each data set given by
 * --data is measured too:
 *
 *   steps       benchmark_step, one rank of one thread, for every model of the list below
 *   run         benchmark_run on R ranks: reading shards, evaluation, checkpoints
 *   reduction   benchmark_reduction on R ranks: N bytes of gradients in every mode
 *   operations  benchmark_operations: single operations against the roofline
 */
#include "benchmark.h"
#include "json.h"
#include "scaling/launcher.h"
#include "srtrain/clock.h"
#include "srtrain/command_line.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/directories.h"
#include "srtrain/kernels.h"
#include "srtrain/memory.h"
#include "srtrain/parallel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, WORDS_MAXIMUM = 64, SETTINGS_MAXIMUM = 6 };

/* A model: a configuration below --configurations, and what is changed in it. */
typedef struct {
    const char *name, *configuration;
    const char *settings[SETTINGS_MAXIMUM];
} model_case;

static const model_case models[] = {
    {"sasrec", "paper/sasrec-beauty.yaml", {NULL}},
    {"sasrec-bce", "paper/sasrec-beauty.yaml", {"training.loss=binary_cross_entropy", "training.objective=all"}},
    {"bsarec", "paper/bsarec-beauty.yaml", {NULL}},
    {"bert4rec", "paper/bert4rec-beauty.yaml", {NULL}},
    {"stosa", "paper/stosa-beauty.yaml", {NULL}},
    {"ac-sasrec", "paper/ac-sasrec-beauty.yaml", {NULL}},
    {"awrsr-sasrec", "paper/awrsr-sasrec-beauty.yaml", {NULL}},
    {"awrsr-stosa", "paper/awrsr-stosa-beauty.yaml", {NULL}},
    {"duorec", "paper/duorec-beauty.yaml", {NULL}},
    {"fearec", "paper/fearec-beauty.yaml", {NULL}},
    {"fmlprec", "paper/fmlprec-beauty.yaml", {NULL}},
    {"gru4rec", "paper/gru4rec-beauty.yaml", {NULL}},
    {"caser", "paper/caser-beauty.yaml", {NULL}},
    {"ssept", "synth.yaml", {"model.backbone=ssept", "model.user_hidden_size=32"}},
    {"tisasrec", "synth.yaml", {"model.backbone=tisasrec"}},
};
enum { MODELS = sizeof models / sizeof *models };

typedef struct {
    const char *output, *configurations, *steps, *repetitions, *users, *items, *bytes, *launcher;
    uint64_t ranks; /* 0: not given */
    sr_text_list data, models;
    launch_method method;
    size_t rank_count;
    cJSON *document;
    FILE *table;
    char programs[PATH_SIZE - 256]; /* the directory of this program */
} benchmark;

/* ---- words and files ---- */

typedef struct {
    const char *words[WORDS_MAXIMUM];
    size_t count;
} command_line;

static void add_word(command_line *line, const char *word)
{
    if (line->count + 1 < WORDS_MAXIMUM)
        line->words[line->count++] = word;
    line->words[line->count] = NULL;
}

static __attribute__((format(printf, 2, 3))) void say(const benchmark *b, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    va_start(list, format);
    vfprintf(b->table, format, list);
    va_end(list);
    fflush(stdout);
}

/* Runs a program of this build on `ranks` ranks (0: without a launcher); its output goes to measurements/NAME.log and what it
 * measured, if it takes --json, to measurements/NAME.json, which is read into *json (may be NULL). */
static sr_status run_program(const benchmark *b, const char *program, size_t ranks, const char *name, command_line *rest,
                             cJSON **json, sr_error *error)
{
    char path[PATH_SIZE], log[PATH_SIZE], made[PATH_SIZE];
    command_line line = {.count = 0};
    snprintf(path, sizeof path, "%s/%s", b->programs, program);
    snprintf(log, sizeof log, "%s/measurements/%s.log", b->output, name);
    snprintf(made, sizeof made, "%s/measurements/%s.json", b->output, name);
    add_word(&line, path);
    if (json) {
        add_word(&line, "--json");
        add_word(&line, made);
    }
    for (size_t i = 0; i < rest->count; ++i)
        add_word(&line, rest->words[i]);
    SR_TRY(ranks ? launcher_run(&b->method, ranks, line.words, log, error) : run_and_log(line.words, NULL, log, NULL, error));
    return json ? json_read(made, json, error) : SR_OK;
}

/* The last part of a path. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* ---- steps ---- */

static double median_of(const cJSON *list, double *room)
{
    const size_t count = (size_t)cJSON_GetArraySize(list);
    for (size_t i = 0; i < count; ++i)
        room[i] = cJSON_GetArrayItem(list, (int)i)->valuedouble;
    qsort(room, count, sizeof *room, sr_compare_doubles);
    return count ? room[count / 2] : 0;
}

/* What of benchmark_step's document goes into the common one: medians instead of every step. */
static sr_status add_step(const benchmark *b, cJSON *list, const char *data, const model_case *model, const cJSON *measured,
                          sr_error *error)
{
    static const char *const parts[] = {"step", "data", "forward", "loss", "backward", "reduction", "optimizer"};
    static const char *const numbers[] = {"examples_per_second", "peak_memory_mebibytes", "step_memory_mebibytes",
                                          "global_batch", "parameters"};
    const cJSON *times = cJSON_GetObjectItem(measured, "milliseconds");
    cJSON *row = cJSON_CreateObject(), *medians = NULL;
    double *room = NULL;
    SR_TRY(SR_ALLOCATE(&room, (size_t)json_number(measured, "steps") + 1, "times", error));
    bool complete = row && cJSON_AddItemToArray(list, row) && cJSON_AddStringToObject(row, "model", model->name) &&
                    cJSON_AddStringToObject(row, "data", data) &&
                    (medians = cJSON_AddObjectToObject(row, "milliseconds")) != NULL;
    say(b, "%-14s", model->name);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && complete; ++i) {
        const double median = median_of(cJSON_GetObjectItem(times, parts[i]), room);
        complete = cJSON_AddNumberToObject(medians, parts[i], median) != NULL;
        say(b, " %9.2f", median);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && complete; ++i)
        complete = cJSON_AddNumberToObject(row, numbers[i], json_number(measured, numbers[i])) != NULL;
    say(b, " %10.0f %8.0f\n", json_number(measured, numbers[0]), json_number(measured, numbers[1]));
    free(room);
    return complete ? SR_OK : sr_fail_memory(error, 0, "the results");
}

/* All, unless some are named. */
static bool is_wanted(const benchmark *b, const char *name)
{
    bool wanted = b->models.count == 0;
    for (size_t i = 0; i < b->models.count; ++i)
        wanted = wanted || strcmp(b->models.texts[i], name) == 0;
    return wanted;
}

static sr_status check_models(const benchmark *b, sr_error *error)
{
    for (size_t i = 0; i < b->models.count; ++i) {
        size_t k = 0;
        while (k < MODELS && strcmp(models[k].name, b->models.texts[i]) != 0)
            ++k;
        if (k == MODELS)
            return sr_fail(error, SR_ERROR_USAGE, "--models %s: there is none of that name; the first is %s",
                           b->models.texts[i], models[0].name);
    }
    return SR_OK;
}

static sr_status measure_steps(const benchmark *b, const char *data, sr_error *error)
{
    cJSON *list = cJSON_GetObjectItem(b->document, "steps");
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "data.path=%s", data);
    say(b, "\nSteps on %s, median ms over %s steps, one rank of one thread\n%-14s %9s %9s %9s %9s %9s %9s %9s %10s %8s\n",
        name_of(data), b->steps, "model", "step", "data", "forward", "loss", "backward", "reduction", "optimizer", "examples/s",
        "peak MiB");
    for (size_t i = 0; i < MODELS; ++i) {
        char configuration[PATH_SIZE], name[512];
        command_line rest = {.count = 0};
        cJSON *measured;
        if (!is_wanted(b, models[i].name))
            continue;
        snprintf(configuration, sizeof configuration, "%s/%s", b->configurations, models[i].configuration);
        snprintf(name, sizeof name, "step-%.200s-%s", name_of(data), models[i].name);
        add_word(&rest, configuration);
        add_word(&rest, b->steps);
        add_word(&rest, path);
        for (size_t k = 0; k < SETTINGS_MAXIMUM && models[i].settings[k]; ++k)
            add_word(&rest, models[i].settings[k]);
        SR_TRY(run_program(b, "benchmark_step", 0, name, &rest, &measured, error));
        const sr_status status = add_step(b, list, name_of(data), &models[i], measured, error);
        cJSON_Delete(measured);
        SR_TRY(status);
    }
    return SR_OK;
}

/* ---- the other benchmarks: their documents as they are ---- */

static sr_status measure_run(const benchmark *b, const char *data, sr_error *error)
{
    static const struct {
        const char *part, *rate, *unit;
        double scale;
    } rates[] = {{"verify_data", "bytes_per_second", "MB/s, checksums of shards", 1e-6},
                 {"read_sequences", "interactions_per_second", "million interactions/s read from shards", 1e-6},
                 {"evaluate", "test_cases_per_second", "users/s evaluated (SASRec)", 1},
                 {"write_checkpoint", "bytes_per_second", "MB/s, checkpoint written", 1e-6},
                 {"verify_checkpoint", "bytes_per_second", "MB/s, checkpoint verified", 1e-6},
                 {"read_checkpoint", "bytes_per_second", "MB/s, checkpoint read", 1e-6}};
    char configuration[PATH_SIZE], path[PATH_SIZE + 64], scratch[PATH_SIZE], name[512];
    command_line rest = {.count = 0};
    cJSON *measured;
    snprintf(configuration, sizeof configuration, "%s/paper/sasrec-beauty.yaml", b->configurations);
    snprintf(path, sizeof path, "data.path=%s", data);
    snprintf(scratch, sizeof scratch, "%s/scratch", b->output);
    snprintf(name, sizeof name, "run-%.200s", name_of(data));
    const char *const words[] = {configuration, "--output", scratch, "--repetitions", b->repetitions, "--set", path};
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        add_word(&rest, words[i]);
    SR_TRY(run_program(b, "benchmark_run", b->rank_count, name, &rest, &measured, error));
    say(b, "\nA run besides its steps, on %s, %zu rank%s, median of %s\n", name_of(data), b->rank_count,
        b->rank_count > 1 ? "s" : "", b->repetitions);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; ++i)
        say(b, "%14.1f %s\n", rates[i].scale * json_number(cJSON_GetObjectItem(measured, rates[i].part), rates[i].rate),
            rates[i].unit);
    if (!cJSON_AddStringToObject(measured, "data", name_of(data)) ||
        !cJSON_AddItemToArray(cJSON_GetObjectItem(b->document, "run"), measured)) {
        cJSON_Delete(measured);
        return sr_fail_memory(error, 0, "the results");
    }
    return SR_OK;
}

static sr_status keep(const benchmark *b, const char *name, cJSON *measured, sr_error *error)
{
    if (cJSON_AddItemToObject(b->document, name, measured))
        return SR_OK;
    cJSON_Delete(measured);
    return sr_fail_memory(error, 0, "the results");
}

static sr_status measure_reduction(const benchmark *b, sr_error *error)
{
    command_line rest = {.count = 0};
    cJSON *measured;
    const cJSON *one;
    const char *const words[] = {"--bytes", b->bytes, "--repetitions", b->repetitions};
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        add_word(&rest, words[i]);
    SR_TRY(run_program(b, "benchmark_reduction", b->rank_count, "reduction", &rest, &measured, error));
    say(b, "\nReduction of %.1f MB of gradients over %zu ranks, median ms: alone, and added to a backward pass of %.1f ms\n",
        1e-6 * json_number(measured, "bytes"), b->rank_count,
        json_number(cJSON_GetObjectItem(measured, "backward_milliseconds"), "median"));
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(measured, "cases"))
    {
        const char *mode = cJSON_GetStringValue(cJSON_GetObjectItem(one, "mode"));
        say(b, "%-12s %6.2f MiB %10.3f %10.3f\n", mode ? mode : "", json_number(one, "bucket_mebibytes"),
            json_number(cJSON_GetObjectItem(one, "alone_milliseconds"), "median"),
            json_number(cJSON_GetObjectItem(one, "behind_backward_milliseconds"), "median") -
                json_number(cJSON_GetObjectItem(measured, "backward_milliseconds"), "median"));
    }
    return keep(b, "reduction", measured, error);
}

static sr_status measure_operations(const benchmark *b, sr_error *error)
{
    command_line rest = {.count = 0};
    cJSON *measured;
    const cJSON *one;
    SR_TRY(run_program(b, "benchmark_operations", 0, "operations", &rest, &measured, error));
    const double peak = json_number(measured, "peak_operations_per_second"),
                 copy = json_number(measured, "copy_bytes_per_second");
    say(b, "\nSingle operations on one core, of %.0f Gflop/s and %.1f GB/s that it reached\n", 1e-9 * peak, 1e-9 * copy);
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(measured, "products"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(one, "name"));
        const char *taken = cJSON_GetStringValue(cJSON_GetObjectItem(one, "taken"));
        const double rate = taken ? json_number(cJSON_GetObjectItem(one, "operations_per_second"), taken) : 0;
        say(b, "%-32s %10.1f Gflop/s %6.0f%%\n", name ? name : "", 1e-9 * rate, peak > 0 ? 100 * rate / peak : 0);
    }
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(measured, "element_wise"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(one, "name"));
        const double rate = json_number(one, "bytes_per_second");
        say(b, "%-32s %10.1f GB/s    %6.0f%%\n", name ? name : "", 1e-9 * rate, copy > 0 ? 100 * rate / copy : 0);
    }
    return keep(b, "operations", measured, error);
}

/* ---- together ---- */

static sr_status make_data(const benchmark *b, char data[PATH_SIZE], sr_error *error)
{
    char index[PATH_SIZE + 64];
    command_line rest = {.count = 0};
    snprintf(data, PATH_SIZE, "%s/data/synth-%s-%s", b->output, b->users, b->items);
    snprintf(index, sizeof index, "%s/index.h5", data);
    if (access(index, R_OK) == 0)
        return SR_OK; /* of an earlier run: the same numbers give the same data */
    SR_TRY(sr_make_parent_directories(data, error));
    const char *const words[] = {"synth", "--users", b->users, "--items",  b->items, "--mean-length",
                                 "12",    "--seed",  "1",      "--output", data};
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        add_word(&rest, words[i]);
    return run_program(b, "../srprep", 0, "synth", &rest, NULL, error);
}

static sr_status describe(benchmark *b, sr_error *error)
{
    sr_cpu cpu;
    char host[256] = "", library[MPI_MAX_LIBRARY_VERSION_STRING];
    SR_TRY(benchmark_begin(&cpu, NULL, error));
    (void)gethostname(host, sizeof host - 1);
    sr_parallel_library_version(library, sizeof library);
    cJSON *root = b->document;
    const bool complete = root && cJSON_AddStringToObject(root, "program", "benchmark_all") &&
                          cJSON_AddStringToObject(root, "host", host) &&
                          cJSON_AddNumberToObject(root, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN)) &&
                          cJSON_AddStringToObject(root, "kernels", cpu.kernels->level) &&
                          cJSON_AddStringToObject(root, "mpi", library) &&
                          cJSON_AddNumberToObject(root, "ranks", (double)b->rank_count) &&
                          cJSON_AddArrayToObject(root, "steps") && cJSON_AddArrayToObject(root, "run");
    if (!complete)
        return sr_fail_memory(error, 0, "the results");
    say(b, "%s, %ld cores, %s kernels, %s\n", host, sysconf(_SC_NPROCESSORS_ONLN), cpu.kernels->level, library);
    return SR_OK;
}

static sr_status measure(benchmark *b, sr_error *error)
{
    char synthetic[PATH_SIZE];
    SR_TRY(make_data(b, synthetic, error));
    for (size_t i = 0; i <= b->data.count; ++i) {
        const char *data = i == 0 ? synthetic : b->data.texts[i - 1];
        SR_TRY(measure_steps(b, data, error));
        SR_TRY(measure_run(b, data, error));
    }
    SR_TRY(measure_reduction(b, error));
    return measure_operations(b, error);
}

static sr_status write_document(const benchmark *b, sr_error *error)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/all.json", b->output);
    return json_write(path, b->document, error);
}

static sr_status find_programs(benchmark *b, sr_error *error)
{
    const ssize_t length = readlink("/proc/self/exe", b->programs, sizeof b->programs - 1);
    if (length <= 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read /proc/self/exe: %s", strerror(errno));
    b->programs[length] = '\0';
    *strrchr(b->programs, '/') = '\0';
    return SR_OK;
}

static sr_status run(benchmark *b, sr_error *error)
{
    char path[PATH_SIZE];
    const size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    SR_TRY(check_models(b, error));
    SR_TRY(find_programs(b, error));
    SR_TRY(launcher_find(&b->method, b->launcher, 1, error));
    b->rank_count = b->ranks > 0 ? b->ranks : cores > 1 ? 2 : 1;
    snprintf(path, sizeof path, "%s/measurements", b->output);
    SR_TRY(sr_make_directories(path, error));
    snprintf(path, sizeof path, "%s/all.txt", b->output);
    b->table = fopen(path, "w");
    if (!b->table)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    b->document = cJSON_CreateObject();
    const double start = sr_seconds();
    sr_status status = describe(b, error);
    if (status == SR_OK)
        status = measure(b, error);
    if (status == SR_OK)
        status = write_document(b, error);
    if (status == SR_OK)
        say(b, "\n%.0f s; %s/all.json\n", sr_seconds() - start, b->output);
    if (fclose(b->table) != 0 && status == SR_OK)
        status = sr_fail(error, SR_ERROR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
    cJSON_Delete(b->document);
    return status;
}

int main(int argument_count, char **arguments)
{
    static benchmark b = {.output = "runs/benchmarks",
                          .configurations = "configs",
                          .steps = "30",
                          .repetitions = "5",
                          .users = "20000",
                          .items = "12000",
                          .bytes = "16000000"};
    const sr_option known[] = {{.name = "output", .value = &b.output},
                               {.name = "data", .list = &b.data},
                               {.name = "models", .list = &b.models, .greedy = true},
                               {.name = "configurations", .value = &b.configurations},
                               {.name = "steps", .value = &b.steps},
                               {.name = "repetitions", .value = &b.repetitions},
                               {.name = "ranks", .count = &b.ranks, .least = 1},
                               {.name = "users", .value = &b.users},
                               {.name = "items", .value = &b.items},
                               {.name = "bytes", .value = &b.bytes},
                               {.name = "launcher", .value = &b.launcher}};
    sr_error error = {.status = SR_OK};
    sr_status status = sr_command_line_read(NULL, argument_count, arguments, NULL, NULL, known, sizeof known / sizeof *known,
                                            &error);
    if (status == SR_OK)
        status = run(&b, &error);
    return benchmark_end("benchmark_all", status, &error);
}
