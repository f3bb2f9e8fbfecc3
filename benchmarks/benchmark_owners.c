/* benchmark_owners CONFIG.yaml RANKS THREADS [STEPS [section.key=value ...]]: how evenly the owners of a divided item table are
 * asked for rows.
 *
 * Draws the parts of STEPS (default 16) global batches of the configured run, for RANKS processes of THREADS threads,
 * and counts the distinct rows that each process asks each owner for. Prints the share of rows of other processes that
 * several threads of a process read, and the largest load over the mean: of all steps together, and of each step, on
 * average. This for rows that owners have in turn, and with popular ones placed as the program places them. Needs no
 * MPI. */
#include "benchmark.h"

#include "base/sizes.h"
#include "base/units.h"
#include "srtrain/dataset.h"
#include "srtrain/item_table.h"
#include "srtrain/memory.h"
#include "srtrain/row_placement.h"
#include "srtrain/sampler.h"
#include "srtrain/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_TURN, PLACED, PLACEMENTS };
static const char *const placement_names[] = {"all rows in turn", "popular rows placed"};

typedef struct {
    const sr_settings *settings;
    const sr_dataset *dataset;
    size_t ranks, threads, steps, rows;
} request;

typedef struct {
    sr_row_placement *placements[PLACEMENTS];
    double *loads[PLACEMENTS];     /* [workers]: of a step */
    double *all_loads[PLACEMENTS]; /* [workers]: of all steps */
    double step_ratios[PLACEMENTS];
    uint32_t *seen, *seen_here; /* [rows]: number of the last process, and of the last worker, that reads it */
    double read, fetched;       /* rows of other processes: of all threads, and each once a process */
} counts;

static size_t workers_of(const request *r)
{
    return r->ranks * r->threads;
}

static sr_status allocate(counts *c, const request *r, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&c->seen, r->rows, "rows", error));
    SR_TRY(SR_ALLOCATE_ZERO(&c->seen_here, r->rows, "rows", error));
    for (size_t p = 0; p < PLACEMENTS; ++p) {
        const sr_placement_request wanted = {.rows = r->rows,
                                             .owners = workers_of(r),
                                             .popularity = p == PLACED ? sr_dataset_popularity(r->dataset) : NULL,
                                             .counted = sr_dataset_items(r->dataset) + 1};
        SR_TRY(sr_row_placement_create(&c->placements[p], &wanted, error));
        SR_TRY(SR_ALLOCATE_ZERO(&c->loads[p], workers_of(r), "loads", error));
        SR_TRY(SR_ALLOCATE_ZERO(&c->all_loads[p], workers_of(r), "loads", error));
    }
    return SR_OK;
}

static void release(counts *c)
{
    free(c->seen);
    free(c->seen_here);
    for (size_t p = 0; p < PLACEMENTS; ++p) {
        sr_row_placement_free(c->placements[p]);
        free(c->loads[p]);
        free(c->all_loads[p]);
    }
}

/* ---- counting ---- */

/* `process` and `worker` number those of all steps, from 1. */
static void count_reads(counts *c, const request *r, const sr_item_reads *reads, size_t rank, uint32_t process, uint32_t worker)
{
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i) {
            const size_t row = (size_t)reads->lists[list].ids[i];
            const bool is_elsewhere = sr_row_placement_owner(c->placements[PLACED], (int32_t)row) / r->threads != rank;
            c->read += is_elsewhere && c->seen_here[row] != worker;
            c->seen_here[row] = worker;
            if (c->seen[row] == process)
                continue;
            c->seen[row] = process;
            c->fetched += is_elsewhere;
            for (size_t p = 0; p < PLACEMENTS; ++p)
                ++c->loads[p][sr_row_placement_owner(c->placements[p], (int32_t)row)];
        }
}

static sr_status count_process(counts *c, const request *r, const sr_sampler *sampler, size_t step, size_t rank,
                               sr_error *error)
{
    const size_t batches = larger(sr_sampler_batches(sampler) - 1, 1); /* the last one may be smaller */
    sr_arena *arena;
    sr_status status = sr_arena_create(&arena, (size_t)4 << 20, error);
    for (size_t thread = 0; thread < r->threads && status == SR_OK; ++thread) {
        const size_t worker = rank * r->threads + thread;
        sr_batch batch;
        sr_totals totals;
        status = sr_sampler_batch(sampler, step / batches, step % batches, (sr_part){.rank = worker, .ranks = workers_of(r)},
                                  arena, &batch, &totals, error);
        if (status != SR_OK)
            break;
        const sr_item_reads reads = sr_batch_item_reads(&batch);
        count_reads(c, r, &reads, rank, (uint32_t)(1 + step * r->ranks + rank), (uint32_t)(1 + step * workers_of(r) + worker));
    }
    sr_arena_free(arena);
    return status;
}

static double largest_over_mean(const double *loads, size_t count)
{
    double most = 0, sum = 0;
    for (size_t i = 0; i < count; ++i) {
        most = fmax(most, loads[i]);
        sum += loads[i];
    }
    return sum > 0 ? most * (double)count / sum : 0;
}

static sr_status count_steps(counts *c, const request *r, const sr_sampler *sampler, sr_error *error)
{
    const size_t workers = workers_of(r);
    for (size_t step = 0; step < r->steps; ++step) {
        for (size_t p = 0; p < PLACEMENTS; ++p)
            memset(c->loads[p], 0, workers * sizeof *c->loads[p]);
        for (size_t rank = 0; rank < r->ranks; ++rank)
            SR_TRY(count_process(c, r, sampler, step, rank, error));
        for (size_t p = 0; p < PLACEMENTS; ++p) {
            c->step_ratios[p] += largest_over_mean(c->loads[p], workers) / (double)r->steps;
            for (size_t worker = 0; worker < workers; ++worker)
                c->all_loads[p][worker] += c->loads[p][worker];
        }
    }
    return SR_OK;
}

static void print(const counts *c, const request *r)
{
    printf("%zu ranks of %zu threads, %zu steps of %lld examples\n", r->ranks, r->threads, r->steps,
           (long long)r->settings->training.batch_size);
    printf("rows of other processes that a process reads in a step: %.0f, of %.0f that its threads read\n",
           c->fetched / (double)(r->steps * r->ranks), c->read / (double)(r->steps * r->ranks));
    printf("%-34s %12s %12s\n", "largest load over mean", "all steps", "of a step");
    for (size_t p = 0; p < PLACEMENTS; ++p)
        printf("%-34s %12.3f %12.3f\n", placement_names[p], largest_over_mean(c->all_loads[p], workers_of(r)),
               c->step_ratios[p]);
}

static sr_status measure(request *r, sr_error *error)
{
    counts c = {.read = 0};
    sr_sampler *sampler;
    r->rows = sr_dataset_items(r->dataset) + 2; /* padding, and a token for masks */
    SR_TRY(sr_settings_sampler(&sampler, r->dataset, r->settings, error));
    sr_status status = allocate(&c, r, error);
    if (status == SR_OK)
        status = count_steps(&c, r, sampler, error);
    if (status == SR_OK)
        print(&c, r);
    release(&c);
    sr_sampler_free(sampler);
    return status;
}

static sr_status run(int argument_count, char **arguments, sr_error *error)
{
    static sr_settings settings;
    uint64_t ranks, threads, steps = 16;
    if (argument_count < 4 || !sr_read_whole(arguments[2], &ranks) || !sr_read_whole(arguments[3], &threads) ||
        (argument_count > 4 && !sr_read_whole(arguments[4], &steps)) || ranks * threads * steps == 0)
        return sr_fail(error, SR_ERROR_USAGE,
                       "usage: benchmark_owners CONFIG.yaml RANKS THREADS [STEPS [section.key=value ...]]");
    const size_t assignments = argument_count > 5 ? (size_t)argument_count - 5 : 0;
    SR_TRY(sr_settings_read(&settings, arguments[1], (const char *const *)arguments + 5, assignments, error));
    request r = {.settings = &settings, .ranks = ranks, .threads = threads, .steps = steps};
    sr_dataset *dataset;
    SR_TRY(sr_dataset_open(&dataset, settings.data.path, error));
    r.dataset = dataset;
    const sr_status status = measure(&r, error);
    sr_dataset_close(dataset);
    return status;
}

int main(int argument_count, char **arguments)
{
    sr_error error = {.status = SR_OK};
    return benchmark_end("benchmark_owners", run(argument_count, arguments, &error), &error);
}
