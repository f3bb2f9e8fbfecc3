#include "scaling/measure.h"

#include "json.h"
#include "srtrain/directories.h"
#include "srtrain/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, ARGUMENTS_MAXIMUM = 256 };

/* ---- JSON ---- */

/* The times of a part of every step, as object.statistic.part: `values` has room for `steps`. */
static sr_status read_times(const cJSON *json, const char *statistic, const char *part, double *values, size_t steps,
                            sr_error *error)
{
    const cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(json, statistic), part), *item;
    size_t count = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (count < steps)
            values[count] = item->valuedouble;
        ++count;
    }
    return count == steps ? SR_OK
                          : sr_fail(error, SR_ERROR_RUNTIME, "benchmark_step wrote %zu times %s.%s, not %zu", count, statistic,
                                    part, steps);
}

static sr_status median_of(const cJSON *json, const char *statistic, const char *part, size_t steps, double *median,
                           sr_error *error)
{
    double *values;
    SR_TRY(SR_ALLOCATE(&values, steps, "times", error));
    const sr_status status = read_times(json, statistic, part, values, steps, error);
    if (status == SR_OK)
        *median = spread_of(values, steps).median;
    free(values);
    return status;
}

/* The figures that combine several parts of each step; `t` has room for four of them. */
static sr_status combine_parts(const cJSON *json, size_t steps, double *t, double figures[FIGURES], sr_error *error)
{
    double *step = t, *data = t + steps, *mean = t + 2 * steps, *least = t + 3 * steps;
    SR_TRY(read_times(json, "maximum_over_ranks", "step", step, steps, error));
    SR_TRY(read_times(json, "maximum_over_ranks", "data", data, steps, error));
    SR_TRY(read_times(json, "mean_over_ranks", "reduction", mean, steps, error));
    SR_TRY(read_times(json, "minimum_over_ranks", "reduction", least, steps, error));
    for (size_t i = 0; i < steps; ++i) {
        step[i] -= data[i] + least[i];
        mean[i] -= least[i];
    }
    figures[OF_BUSY] = spread_of(step, steps).median;
    figures[OF_WAITING] = spread_of(mean, steps).median;
    return SR_OK;
}

static sr_status read_figures(const cJSON *json, size_t steps, double figures[FIGURES], sr_error *error)
{
    static const struct {
        figure figure;
        const char *statistic, *part;
    } medians[] = {{OF_STEP, "maximum_over_ranks", "step"},         {OF_DATA, "maximum_over_ranks", "data"},
                   {OF_FORWARD, "maximum_over_ranks", "forward"},   {OF_LOSS, "maximum_over_ranks", "loss"},
                   {OF_BACKWARD, "maximum_over_ranks", "backward"}, {OF_OPTIMIZER, "maximum_over_ranks", "optimizer"},
                   {OF_REDUCTION, "mean_over_ranks", "reduction"},  {OF_SUMMING, "minimum_over_ranks", "reduction"}};
    for (size_t i = 0; i < sizeof medians / sizeof *medians; ++i)
        SR_TRY(median_of(json, medians[i].statistic, medians[i].part, steps, &figures[medians[i].figure], error));
    figures[OF_RATE] = json_number(json, "examples_per_second");
    figures[OF_MEMORY] = json_number(json, "peak_memory_mebibytes_of_a_rank");
    double *room;
    SR_TRY(SR_ALLOCATE(&room, 4 * steps, "times", error));
    const sr_status status = combine_parts(json, steps, room, figures, error);
    free(room);
    return status;
}

/* ---- programs ---- */

/* Words of a command line; texts are borrowed. */
typedef struct {
    const char *words[ARGUMENTS_MAXIMUM];
    size_t count;
} command_line;

static void add_word(command_line *line, const char *word)
{
    if (line->count + 1 < ARGUMENTS_MAXIMUM)
        line->words[line->count++] = word;
    line->words[line->count] = NULL;
}

/* The program NAME beside this one. */
static sr_status find_program(const char *name, char path[PATH_SIZE], sr_error *error)
{
    char own[PATH_SIZE - 64];
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read /proc/self/exe: %s", strerror(errno));
    own[length] = '\0';
    *(strrchr(own, '/') + 1) = '\0';
    snprintf(path, PATH_SIZE, "%s%s", own, name);
    return access(path, X_OK) == 0 ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "there is no program %s: build it", path);
}

static sr_status run_step(const scaling_options *o, const measured_run *run, const char *json, const char *log, sr_error *error)
{
    char program[PATH_SIZE], steps[32], batch[64];
    command_line line = {.count = 0};
    SR_TRY(find_program("benchmark_step", program, error));
    snprintf(steps, sizeof steps, "%zu", o->steps);
    snprintf(batch, sizeof batch, "training.batch_size=%zu", run->batch);
    const char *const first[] = {program, "--json", json, o->configuration, steps};
    for (size_t i = 0; i < sizeof first / sizeof *first; ++i)
        add_word(&line, first[i]);
    for (size_t i = 0; i < o->set.count; ++i)
        add_word(&line, o->set.texts[i]);
    add_word(&line, batch);
    return launcher_run(&o->launcher, run->ranks, line.words, log, error);
}

static sr_status measure_once(const scaling_options *o, measured_run *run, size_t repetition, char *libraries, size_t size,
                              sr_error *error)
{
    char json_path[PATH_SIZE], log[PATH_SIZE];
    cJSON *json;
    double figures[FIGURES];
    snprintf(json_path, sizeof json_path, "%s/measurements/ranks-%zu-batch-%zu-run-%zu.json", o->output, run->ranks, run->batch,
             repetition + 1);
    snprintf(log, sizeof log, "%.*s.log", (int)strlen(json_path) - 5, json_path);
    (void)remove(json_path); /* of an earlier benchmark */
    SR_TRY(run_step(o, run, json_path, log, error));
    SR_TRY(json_read(json_path, &json, error));
    const sr_status status = read_figures(json, o->steps, figures, error);
    if (status == SR_OK && (size_t)json_number(json, "ranks") != run->ranks) {
        const size_t found = (size_t)json_number(json, "ranks");
        cJSON_Delete(json);
        return sr_fail(error, SR_ERROR_RUNTIME,
                       "the launcher started a job of %zu ranks, not %zu: does it belong to the MPI library of the program?",
                       found, run->ranks);
    }
    for (size_t i = 0; i < FIGURES && status == SR_OK; ++i)
        run->samples[i * o->repetitions + repetition] = figures[i];
    run->nodes = json_number(json, "nodes");
    run->ranks_of_node = json_number(json, "ranks_of_node");
    run->cores_of_node = json_number(json, "cores_of_node");
    run->bytes_reduced = json_number(json, "bytes_reduced");
    run->parameters = json_number(json, "parameters");
    snprintf(libraries, size, "%s; CPU kernels %s", cJSON_GetStringValue(cJSON_GetObjectItem(json, "libraries")),
             cJSON_GetStringValue(cJSON_GetObjectItem(json, "kernels")));
    cJSON_Delete(json);
    return status;
}

/* ---- the plan ---- */

const measured_run *find_run(const measurements *made, size_t ranks, size_t batch)
{
    for (size_t i = 0; i < made->run_count; ++i)
        if (made->runs[i].ranks == ranks && made->runs[i].batch == batch)
            return &made->runs[i];
    return NULL;
}

/* There is room for all. */
static void add_run(measurements *made, size_t ranks, size_t batch)
{
    if (!find_run(made, ranks, batch))
        made->runs[made->run_count++] = (measured_run){.ranks = ranks, .batch = batch};
}

static sr_status plan(const scaling_options *o, measurements *made, sr_error *error)
{
    enum { HALVINGS = 64 };
    SR_TRY(SR_ALLOCATE_ZERO(&made->runs, 2 * o->ranks.count + HALVINGS + 2, "runs", error));
    for (size_t i = 0; i < o->ranks.count; ++i) {
        add_run(made, o->ranks.values[i], o->batch);
        add_run(made, o->ranks.values[i], o->ranks.values[i] * o->batch_of_rank);
    }
    for (size_t batch = o->batch > o->batch_of_rank ? o->batch : o->batch_of_rank; batch > 0 && !o->measure_only; batch /= 2)
        add_run(made, 1, batch);
    for (size_t i = 0; i < made->run_count; ++i)
        SR_TRY(SR_ALLOCATE_ZERO(&made->runs[i].samples, FIGURES * o->repetitions, "results", error));
    return SR_OK;
}

static sr_status measure_repetition(const scaling_options *o, measurements *made, size_t repetition, sr_error *error)
{
    for (size_t i = 0; i < made->run_count; ++i) {
        measured_run *run = &made->runs[i];
        fprintf(stderr, "repetition %zu of %zu: %zu of %zu, %zu rank%s, global batch %zu\n", repetition + 1, o->repetitions,
                i + 1, made->run_count, run->ranks, run->ranks == 1 ? "" : "s", run->batch);
        SR_TRY(measure_once(o, run, repetition, made->libraries, sizeof made->libraries, error));
    }
    return SR_OK;
}

static sr_status make_output(const scaling_options *o, sr_error *error)
{
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/measurements", o->output) >= PATH_SIZE - 128)
        return sr_fail(error, SR_ERROR_USAGE, "--output is too long");
    return sr_make_directories(path, error);
}

/* ---- reductions ---- */

static sr_status run_reduction(const scaling_options *o, size_t ranks, const char *json, const char *log, sr_error *error)
{
    char program[PATH_SIZE], repetitions[32];
    command_line line = {.count = 0};
    SR_TRY(find_program("benchmark_reduction", program, error));
    snprintf(repetitions, sizeof repetitions, "%zu", o->steps);
    const char *const first[] = {program, "--json", json, "--repetitions", repetitions};
    for (size_t i = 0; i < sizeof first / sizeof *first; ++i)
        add_word(&line, first[i]);
    add_word(&line, o->bytes ? "--bytes" : "--config");
    add_word(&line, o->bytes ? o->bytes : o->configuration);
    for (size_t i = 0; i < o->set.count && !o->bytes; ++i) {
        add_word(&line, "--set");
        add_word(&line, o->set.texts[i]);
    }
    return launcher_run(&o->launcher, ranks, line.words, log, error);
}

static sr_status measure_reduction(const scaling_options *o, size_t ranks, measurements *made, char log[PATH_SIZE],
                                   sr_error *error)
{
    char json_path[PATH_SIZE];
    cJSON *json;
    snprintf(json_path, sizeof json_path, "%s/measurements/reduction-ranks-%zu.json", o->output, ranks);
    snprintf(log, PATH_SIZE, "%.*s.log", (int)strlen(json_path) - 5, json_path);
    (void)remove(json_path);
    fprintf(stderr, "reduction on %zu rank%s\n", ranks, ranks == 1 ? "" : "s");
    SR_TRY(run_reduction(o, ranks, json_path, log, error));
    SR_TRY(json_read(json_path, &json, error));
    made->reductions[made->reduction_count++] = (measured_reduction){
        .ranks = ranks,
        .bytes = json_number(json, "bytes"),
        .small_sum = json_number(cJSON_GetObjectItem(json, "small_sum_milliseconds"), "minimum"),
        .plain = json_number(cJSON_GetObjectItem(json, "plain_milliseconds"), "minimum"),
    };
    cJSON_Delete(json);
    return SR_OK;
}

static sr_status show(const char *path, sr_error *error)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return sr_fail(error, SR_ERROR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    char block[4096];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        fwrite(block, 1, got, stdout);
    fclose(file);
    printf("\n");
    return SR_OK;
}

/* ---- all ---- */

sr_status measure_reductions(const scaling_options *o, measurements *made, sr_error *error)
{
    *made = (measurements){.runs = NULL};
    SR_TRY(make_output(o, error));
    for (size_t i = 0; i < o->ranks.count; ++i) {
        char log[PATH_SIZE];
        SR_TRY(measure_reduction(o, o->ranks.values[i], made, log, error));
        SR_TRY(show(log, error));
    }
    return SR_OK;
}

sr_status measure_scaling(const scaling_options *o, measurements *made, sr_error *error)
{
    *made = (measurements){.runs = NULL};
    if (o->set.count + 16 > ARGUMENTS_MAXIMUM)
        return sr_fail(error, SR_ERROR_USAGE, "more than %d --set", ARGUMENTS_MAXIMUM - 16);
    SR_TRY(make_output(o, error));
    SR_TRY(plan(o, made, error));
    for (size_t repetition = 0; repetition < o->repetitions; ++repetition)
        SR_TRY(measure_repetition(o, made, repetition, error));
    for (size_t i = 0; i < made->run_count; ++i)
        for (size_t f = 0; f < FIGURES; ++f)
            made->runs[i].figures[f] = spread_of(made->runs[i].samples + f * o->repetitions, o->repetitions);
    char log[PATH_SIZE];
    for (size_t i = 0; i < o->ranks.count && !o->measure_only; ++i)
        if (o->ranks.values[i] > 1)
            SR_TRY(measure_reduction(o, o->ranks.values[i], made, log, error));
    return SR_OK;
}

void measurements_free(measurements *made)
{
    for (size_t i = 0; made->runs && i < made->run_count; ++i)
        free(made->runs[i].samples);
    free(made->runs);
    *made = (measurements){.runs = NULL};
}
