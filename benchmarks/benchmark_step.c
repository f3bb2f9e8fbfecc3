/* benchmark_step CONFIG.yaml [STEPS [section.key=value ...]]: whole training steps and their parts.
 *
 * Takes STEPS (default 60) optimizer steps of the configured run after 10 that are not counted, without evaluation or
 * checkpoints, and prints for the whole step and each part the median, the minimum and the maximum over steps in milliseconds,
 * examples per second, peak resident memory and the part of it that the tensors of the largest step take. Runs under mpirun as
 * well; the figures are those of rank 0. */
#include "srtrain/clock.h"
#include "srtrain/memory.h"
#include "srtrain/train.h"
#include "tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PARTS = 6, WARM_UP = 10 };
static const char *const part_names[PARTS] = {"step", "data", "forward", "backward", "reduction", "optimizer"};

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void times_of(const sr_step_times *times, double seconds, double parts[PARTS])
{
    const double list[PARTS] = {seconds, times->data, times->forward, times->backward, times->reduction, times->optimizer};
    memcpy(parts, list, sizeof list);
}

static void print_results(double *samples, size_t steps, double examples, size_t most_memory, const sr_parallel *parallel)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double total = 0;
    printf("%-10s %10s %10s %10s   (ms, %zu steps, %d ranks)\n", "part", "median", "minimum", "maximum", steps,
           sr_parallel_size(parallel));
    for (size_t part = 0; part < PARTS; ++part) {
        double *of_part = samples + part * steps;
        for (size_t i = 0; part == 0 && i < steps; ++i)
            total += of_part[i];
        qsort(of_part, steps, sizeof *of_part, compare_doubles);
        printf("%-10s %10.3f %10.3f %10.3f\n", part_names[part], 1e3 * of_part[steps / 2], 1e3 * of_part[0],
               1e3 * of_part[steps - 1]);
    }
    printf("examples/s %10.0f\npeak resident memory %.0f MiB, of which a step's tensors %.0f MiB\n", examples / total,
           (double)usage.ru_maxrss / 1024, (double)most_memory / 0x1p20);
}

static sr_status measure(sr_stepper *stepper, size_t steps, sr_error *error)
{
    double *samples, examples = 0;
    size_t most_memory = 0;
    const size_t batches = sr_sampler_batches(stepper->sampler);
    SR_TRY(SR_ALLOCATE(&samples, PARTS * steps, "samples", error));
    sr_status status = SR_OK;
    for (size_t step = 0; step < WARM_UP + steps && status == SR_OK; ++step) {
        const bool flags[2] = {false, false};
        sr_step_result result;
        double parts[PARTS];
        stepper->times = (sr_step_times){0};
        const double start = sr_seconds();
        status = sr_train_step(stepper, (int64_t)(step / batches), (int64_t)(step % batches), (int64_t)step, flags, &result,
                               error);
        times_of(&stepper->times, sr_seconds() - start, parts);
        for (size_t part = 0; part < PARTS && step >= WARM_UP; ++part)
            samples[part * steps + step - WARM_UP] = parts[part];
        examples += step >= WARM_UP ? result.examples : 0;
        most_memory = sr_tape_memory(stepper->tape) > most_memory ? sr_tape_memory(stepper->tape) : most_memory;
    }
    if (status == SR_OK && sr_parallel_rank(stepper->parallel) == 0)
        print_results(samples, steps, examples, most_memory, stepper->parallel);
    free(samples);
    return status;
}

static sr_status run(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error)
{
    static sr_settings settings;
    const size_t steps = argument_count > 2 ? (size_t)strtoul(arguments[2], NULL, 10) : 60;
    if (argument_count < 2 || steps == 0)
        return sr_fail(error, SR_ERROR_USAGE, "usage: benchmark_step CONFIG.yaml [STEPS [section.key=value ...]]");
    const size_t assignments = argument_count > 3 ? (size_t)argument_count - 3 : 0;
    SR_TRY(sr_settings_read(&settings, arguments[1], (const char *const *)arguments + 3, assignments, error));
    sr_dataset *dataset;
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    sr_sampler *sampler;
    sr_model *model;
    sr_stepper stepper;
    SR_TRY(sr_sampler_create(&sampler, dataset, &settings, error));
    SR_TRY(sr_model_create(&model, &settings.model, sr_dataset_items(dataset), sr_dataset_users(dataset), error));
    SR_TRY(sr_stepper_create(&stepper, parallel, &settings, sr_kernels_choose(NULL), sampler, model, 1000000, error));
    sr_parameters_draw(sr_model_parameters(model), (uint64_t)settings.training.seed);
    const sr_status status = measure(&stepper, steps, error);
    sr_stepper_free(&stepper);
    sr_model_free(model);
    sr_sampler_free(sampler);
    sr_dataset_close(dataset);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_blas_use_one_thread();
    sr_error error;
    sr_parallel *parallel;
    sr_status status = sr_parallel_start(&parallel, &argument_count, &arguments, &error);
    if (status == SR_OK)
        status = run(parallel, argument_count, arguments, &error);
    if (status != SR_OK)
        fprintf(stderr, "benchmark_step: %s\n", error.message);
    sr_parallel_finish(parallel);
    return (int)status;
}
