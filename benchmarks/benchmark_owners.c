/* benchmark_owners CONFIG.yaml RANKS THREADS [STEPS [section.key=value ...]]: how evenly the owners of a divided item table are
 * asked for rows.
 *
 * Draws the parts of STEPS (default 16) global batches of the configured run, for RANKS processes of THREADS threads, and
 * counts the distinct rows that each process asks each owner for. Prints the share of rows of other processes that several
 * threads of a process read, and for some ways to place rows the largest load over the mean: of all steps together, and of each
 * step, on average. The ways: cyclic, as the program does it; and each of the most popular rows placed where least is asked
 * for, by the popularity that the data set knows, the others cyclic. Needs no MPI. */
#include "benchmark.h"

#include "base/sizes.h"
#include "base/units.h"
#include "srtrain/dataset.h"
#include "srtrain/item_table.h"
#include "srtrain/memory.h"
#include "srtrain/sampler.h"
#include "srtrain/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACEMENTS = 4 };
static const size_t placed_rows[PLACEMENTS] = {0, 64, 1024, 65536};

typedef struct {
    const sr_settings *settings;
    const sr_dataset *dataset;
    size_t ranks, threads, steps, rows;
} request;

typedef struct {
    double *requests;              /* [rows]: of a step, by popularity */
    uint32_t *owners[PLACEMENTS];  /* [rows] */
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
    SR_TRY(SR_ALLOCATE_ZERO(&c->requests, r->rows, "requests", error));
    SR_TRY(SR_ALLOCATE_ZERO(&c->seen, r->rows, "rows", error));
    SR_TRY(SR_ALLOCATE_ZERO(&c->seen_here, r->rows, "rows", error));
    for (size_t p = 0; p < PLACEMENTS; ++p) {
        SR_TRY(SR_ALLOCATE_ZERO(&c->owners[p], r->rows, "owners", error));
        SR_TRY(SR_ALLOCATE_ZERO(&c->loads[p], workers_of(r), "loads", error));
        SR_TRY(SR_ALLOCATE_ZERO(&c->all_loads[p], workers_of(r), "loads", error));
    }
    return SR_OK;
}

static void release(counts *c)
{
    free(c->requests);
    free(c->seen);
    free(c->seen_here);
    for (size_t p = 0; p < PLACEMENTS; ++p) {
        free(c->owners[p]);
        free(c->loads[p]);
        free(c->all_loads[p]);
    }
}

/* ---- placing ---- */

typedef struct {
    double requests;
    size_t row;
} popular_row;

static int by_requests(const void *left, const void *right)
{
    const popular_row *a = left, *b = right;
    return a->requests != b->requests ? (a->requests < b->requests) - (a->requests > b->requests)
                                      : (a->row > b->row) - (a->row < b->row);
}

/* A process with n draws by popularity asks for a row of share p with probability 1 - (1 - p)^n. */
static void expect_requests(counts *c, const request *r)
{
    const int64_t *popularity = sr_dataset_popularity(r->dataset);
    const double all = (double)sr_dataset_interactions(r->dataset), users = (double)sr_dataset_users(r->dataset);
    const double draws = (double)r->settings->training.batch_size / (double)r->ranks *
                         fmin(all / users, (double)r->settings->model.max_length);
    for (size_t item = 1; item <= sr_dataset_items(r->dataset); ++item)
        c->requests[item] = -(double)r->ranks * expm1(draws * log1p(-fmin((double)popularity[item] / all, 0.999999)));
}

static void place(counts *c, const request *r, popular_row *order, size_t placement)
{
    const size_t workers = workers_of(r), placed = smaller(placed_rows[placement], r->rows);
    double *loads = c->loads[placement];
    for (size_t row = 0; row < r->rows; ++row)
        c->owners[placement][row] = (uint32_t)(row % workers);
    for (size_t i = placed; i < r->rows; ++i)
        loads[order[i].row % workers] += order[i].requests;
    for (size_t i = 0; i < placed; ++i) {
        size_t least = 0;
        for (size_t worker = 1; worker < workers; ++worker)
            least = loads[worker] < loads[least] ? worker : least;
        c->owners[placement][order[i].row] = (uint32_t)least;
        loads[least] += order[i].requests;
    }
}

static sr_status place_rows(counts *c, const request *r, sr_error *error)
{
    popular_row *order;
    SR_TRY(SR_ALLOCATE(&order, r->rows, "rows by popularity", error));
    expect_requests(c, r);
    for (size_t row = 0; row < r->rows; ++row)
        order[row] = (popular_row){c->requests[row], row};
    qsort(order, r->rows, sizeof *order, by_requests);
    for (size_t placement = 0; placement < PLACEMENTS; ++placement)
        place(c, r, order, placement);
    free(order);
    return SR_OK;
}

/* ---- counting ---- */

/* `process` and `worker` number those of all steps, from 1. */
static void count_reads(counts *c, const request *r, const sr_item_reads *reads, size_t rank, uint32_t process, uint32_t worker)
{
    for (size_t list = 0; list < reads->count; ++list)
        for (size_t i = 0; i < reads->lists[list].count; ++i) {
            const size_t row = (size_t)reads->lists[list].ids[i];
            const bool is_elsewhere = c->owners[0][row] / r->threads != rank;
            c->read += is_elsewhere && c->seen_here[row] != worker;
            c->seen_here[row] = worker;
            if (c->seen[row] == process)
                continue;
            c->seen[row] = process;
            c->fetched += is_elsewhere;
            for (size_t p = 0; p < PLACEMENTS; ++p)
                ++c->loads[p][c->owners[p][row]];
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
    for (size_t p = 0; p < PLACEMENTS; ++p) {
        char name[64];
        snprintf(name, sizeof name, p == 0 ? "cyclic" : "%zu most popular rows placed", placed_rows[p]);
        printf("%-34s %12.3f %12.3f\n", name, largest_over_mean(c->all_loads[p], workers_of(r)), c->step_ratios[p]);
    }
}

static sr_status measure(request *r, sr_error *error)
{
    counts c = {.read = 0};
    sr_sampler *sampler;
    r->rows = sr_dataset_items(r->dataset) + 2; /* padding, and a token for masks */
    SR_TRY(sr_settings_sampler(&sampler, r->dataset, r->settings, error));
    sr_status status = allocate(&c, r, error);
    if (status == SR_OK)
        status = place_rows(&c, r, error);
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
