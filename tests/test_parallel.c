/* Failing together, small collectives and the reduction of gradients, on whatever number of ranks this is run with. */
#include "srtrain/parallel.h"

#include "srtrain/clock.h"
#include "srtrain/run.h"
#include "srtrain/watchdog.h"
#include "tensor/gemm.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct {
    sr_parallel *parallel;
    int rank, size;
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error;
    if (sr_parallel_start(&w->parallel, NULL, NULL, &error) != SR_OK)
        fail_msg("%s", error.message);
    w->rank = sr_parallel_rank(w->parallel);
    w->size = sr_parallel_size(w->parallel);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_parallel_finish(w->parallel);
    free(w);
    return 0;
}

/* ---- failing together ---- */

static void all_agree_when_nobody_failed(void **state)
{
    world *w = *state;
    sr_error error = {.message = "untouched"};
    for (int i = 0; i < 100; ++i)
        assert_int_equal(sr_parallel_agree(w->parallel, SR_OK, &error), SR_OK);
    assert_string_equal(error.message, "untouched");
}

static void the_lowest_failing_rank_speaks_for_all(void **state)
{
    world *w = *state;
    sr_error error = {.message = ""};
    const int first = w->size > 1 ? 1 : 0; /* and the last one fails too, for another reason */
    sr_status mine = SR_OK;
    if (w->rank == first)
        mine = sr_fail(&error, SR_ERROR_DATA, "shard-%05d.h5 is damaged", w->rank);
    else if (w->rank == w->size - 1)
        mine = sr_fail(&error, SR_ERROR_USAGE, "something else");
    assert_int_equal(sr_parallel_agree(w->parallel, mine, &error), SR_ERROR_DATA);
    assert_int_equal(error.status, SR_ERROR_DATA);
    char expected[SR_ERROR_MESSAGE_SIZE];
    if (w->size > 1)
        /* All ranks of a test run on one host. */
        snprintf(expected, sizeof expected, "rank 1 on %s: shard-00001.h5 is damaged", sr_parallel_host(w->parallel));
    else
        snprintf(expected, sizeof expected, "shard-00000.h5 is damaged");
    assert_string_equal(error.message, expected);
}

/* ---- collectives ---- */

static void sums_and_maxima_are_over_all_ranks(void **state)
{
    world *w = *state;
    sr_error error;
    const int64_t ranks = w->size, triangle = ranks * (ranks + 1) / 2;
    double numbers[] = {w->rank + 1, 0.5, -1e300 * (w->rank == 0)};
    assert_int_equal(sr_parallel_sum_double(w->parallel, numbers, 3, &error), SR_OK);
    assert_true(numbers[0] == (double)triangle && numbers[1] == 0.5 * w->size && numbers[2] == -1e300);
    int64_t counts[] = {w->rank + 1, INT64_C(1) << 40};
    assert_int_equal(sr_parallel_sum_int64(w->parallel, counts, 2, &error), SR_OK);
    assert_true(counts[0] == triangle && counts[1] == ranks << 40);
    int64_t extremes[] = {w->rank, -w->rank};
    assert_int_equal(sr_parallel_maximum_int64(w->parallel, extremes, 2, &error), SR_OK);
    assert_true(extremes[0] == w->size - 1 && extremes[1] == 0);
    assert_int_equal(sr_parallel_sum_double(w->parallel, NULL, 0, &error), SR_OK);
    assert_int_equal(sr_parallel_barrier(w->parallel, &error), SR_OK);
}

static void a_broadcast_brings_the_bytes_of_rank_0(void **state)
{
    world *w = *state;
    sr_error error;
    char text[64];
    snprintf(text, sizeof text, "from rank %d", w->rank);
    assert_int_equal(sr_parallel_broadcast(w->parallel, text, sizeof text, &error), SR_OK);
    assert_string_equal(text, "from rank 0");
    assert_int_equal(sr_parallel_broadcast(w->parallel, NULL, 0, &error), SR_OK);
}

static void what_differs_from_rank_0_fails_on_all_ranks(void **state)
{
    world *w = *state;
    const int ranks = sr_parallel_size(w->parallel), rank = sr_parallel_rank(w->parallel);
    sr_error error;
    char text[64];
    void *root;
    size_t bytes;
    snprintf(text, sizeof text, "of rank %d", rank);
    assert_int_equal(sr_parallel_share_root(w->parallel, text, strlen(text), &root, &bytes, &error), SR_OK);
    assert_int_equal(bytes, strlen("of rank 0"));
    assert_string_equal(root, "of rank 0");
    free(root);
    assert_int_equal(sr_parallel_compare(w->parallel, "one\ntwo\n", "advice", &error), SR_OK);
    assert_int_equal(sr_parallel_compare(w->parallel, "", "advice", &error), SR_OK);
    if (ranks == 1)
        return;
    /* The last rank has another second line, or none. */
    assert_int_equal(
        sr_parallel_compare(w->parallel, rank == ranks - 1 ? "one\nthree\n" : "one\ntwo\n", "all need the same", &error),
        SR_ERROR_USAGE);
    snprintf(text, sizeof text, "rank %d on ", ranks - 1);
    assert_true(strncmp(error.message, text, strlen(text)) == 0);
    assert_non_null(strstr(error.message, ": three, but rank 0 has two: all need the same"));
    assert_int_equal(sr_parallel_compare(w->parallel, rank == ranks - 1 ? "one\n" : "one\ntwo\n", "all need the same", &error),
                     SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, ": nothing, but rank 0 has two: all need the same"));
}

/* Rank r contributes r * scale bytes of value r: nothing from rank 0. */
static void check_gather(world *w, size_t scale)
{
    sr_error error;
    const size_t bytes = (size_t)w->rank * scale;
    unsigned char *mine = malloc(bytes + 1), *gathered;
    size_t *offsets;
    memset(mine, w->rank, bytes + 1);
    assert_int_equal(sr_parallel_gather(w->parallel, mine, bytes, (void **)&gathered, &offsets, &error), SR_OK);
    free(mine);
    if (w->rank != 0) {
        assert_null(gathered);
        assert_null(offsets);
        return;
    }
    assert_int_equal(offsets[0], 0);
    for (size_t rank = 0; rank < (size_t)w->size; ++rank) {
        assert_int_equal(offsets[rank + 1] - offsets[rank], rank * scale);
        for (size_t i = offsets[rank]; i < offsets[rank + 1]; ++i)
            assert_true(gathered[i] == rank);
    }
    free(gathered);
    free(offsets);
}

static void a_gather_joins_blocks_of_different_size(void **state)
{
    check_gather(*state, 1);
    check_gather(*state, 100003);
    check_gather(*state, 0);
}

/* Rank r contributes 3 r elements of 8 bytes. */
static void every_rank_gets_the_blocks_of_all(void **state)
{
    world *w = *state;
    sr_error error;
    const size_t count = 3 * (size_t)w->rank;
    double *mine = malloc((count + 1) * sizeof *mine), *gathered;
    size_t *offsets;
    for (size_t i = 0; i < count; ++i)
        mine[i] = w->rank + 0.25;
    assert_int_equal(sr_parallel_gather_all(w->parallel, SR_OK, count ? mine : NULL, count, sizeof *mine, (void **)&gathered,
                                            &offsets, &error),
                     SR_OK);
    free(mine);
    assert_int_equal(offsets[0], 0);
    for (size_t rank = 0; rank < (size_t)w->size; ++rank) {
        assert_int_equal(offsets[rank + 1] - offsets[rank], 3 * rank);
        for (size_t i = offsets[rank]; i < offsets[rank + 1]; ++i)
            assert_true(gathered[i] == (double)rank + 0.25);
    }
    free(gathered);
    free(offsets);
}

static void a_rank_that_failed_before_a_gather_fails_it_on_all(void **state)
{
    world *w = *state;
    sr_error error = {.message = ""};
    const double number = 1;
    void *gathered;
    size_t *offsets;
    sr_status status = SR_OK;
    if (w->rank == w->size - 1)
        status = sr_fail(&error, SR_ERROR_DATA, "no rows");
    status = sr_parallel_gather_all(w->parallel, status, &number, 1, sizeof number, &gathered, &offsets, &error);
    assert_int_equal(status, SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "no rows"));
    assert_null(gathered);
    assert_null(offsets);
}

static void more_elements_than_mpi_counts_are_refused_on_all_ranks(void **state)
{
    world *w = *state;
    sr_error error = {.message = ""};
    void *gathered;
    size_t *offsets;
    const size_t count = w->rank == 0 ? (size_t)1 << 31 : 0;
    assert_int_equal(sr_parallel_gather_all(w->parallel, SR_OK, NULL, count, 1, &gathered, &offsets, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "more than 2147483647"));
}

/* Rank r is to get r * scale bytes of value r. */
static void check_scatter(world *w, size_t scale)
{
    sr_error error;
    size_t offsets[65] = {0}, bytes;
    unsigned char *data = NULL, *part;
    for (size_t rank = 0; rank < (size_t)w->size; ++rank)
        offsets[rank + 1] = offsets[rank] + rank * scale;
    if (w->rank == 0) {
        data = malloc(offsets[w->size] + 1);
        for (size_t rank = 0; rank < (size_t)w->size; ++rank)
            memset(data + offsets[rank], (int)rank, rank * scale);
    }
    assert_int_equal(sr_parallel_scatter(w->parallel, data, w->rank == 0 ? offsets : NULL, (void **)&part, &bytes, &error),
                     SR_OK);
    free(data);
    assert_int_equal(bytes, (size_t)w->rank * scale);
    for (size_t i = 0; i < bytes; ++i)
        assert_true(part[i] == w->rank);
    free(part);
}

static void a_scatter_deals_out_blocks_of_different_size(void **state)
{
    check_scatter(*state, 1);
    check_scatter(*state, 100003);
    check_scatter(*state, 0);
}

/* ---- threads ---- */

enum { THREADS = 3 };

/* What one thread found wrong; CMocka's assertions are for the main thread. */
typedef struct {
    const char *wrong;
} finding;

static void expect(finding *found, bool right, const char *what)
{
    if (!right && !found->wrong)
        found->wrong = what;
}

static void check_member_sums(const world *w, sr_parallel *member, finding *found)
{
    const int rank = sr_parallel_rank(member), size = sr_parallel_size(member);
    const size_t thread = sr_parallel_thread(member);
    double values[] = {rank + 1, 0.5};
    int64_t counts[] = {rank + 1};
    double here[] = {(double)thread};
    expect(found, rank == w->rank * THREADS + (int)thread && size == w->size * THREADS, "the rank of a member");
    expect(found, sr_parallel_sum_double(member, values, 2, NULL) == SR_OK, "a sum of numbers");
    expect(found, values[0] == size * (size + 1) / 2.0 && values[1] == 0.5 * size, "the value of a sum of numbers");
    expect(found, sr_parallel_sum_int64(member, counts, 1, NULL) == SR_OK, "a sum of counts");
    expect(found, counts[0] == size * (size + 1) / 2, "the value of a sum of counts");
    sr_parallel_sum_over_threads(member, here, 1);
    expect(found, here[0] == THREADS * (THREADS - 1) / 2.0, "the sum over the threads of a process");
    expect(found, sr_parallel_barrier(member, NULL) == SR_OK, "a barrier");
}

/* Member r brings r % 4 elements. */
static void check_member_gather(sr_parallel *member, finding *found)
{
    const size_t rank = (size_t)sr_parallel_rank(member), ranks = (size_t)sr_parallel_size(member);
    int32_t mine[16];
    for (size_t i = 0; i < 16; ++i)
        mine[i] = (int32_t)(100 * rank + i);
    void *gathered;
    size_t *offsets;
    if (sr_parallel_gather_all(member, SR_OK, mine, rank % 4, sizeof *mine, &gathered, &offsets, NULL) != SR_OK) {
        expect(found, false, "a gather");
        return;
    }
    for (size_t r = 0; r < ranks; ++r) {
        expect(found, offsets[r + 1] - offsets[r] == r % 4, "the size of a gathered block");
        for (size_t i = 0; i < r % 4; ++i)
            expect(found, ((const int32_t *)gathered)[offsets[r] + i] == (int32_t)(100 * r + i), "a gathered element");
    }
    free(gathered);
    free(offsets);
}

/* The last thread of the last process fails. */
static void check_member_failures(sr_parallel *member, finding *found)
{
    sr_error error = {.message = ""};
    const bool fails = sr_parallel_rank(member) == sr_parallel_size(member) - 1;
    sr_status status = fails ? sr_fail(&error, SR_ERROR_DATA, "a bad shard") : SR_OK;
    expect(found, sr_parallel_agree(member, status, &error) == SR_ERROR_DATA, "the status that all agree on");
    expect(found, strstr(error.message, "a bad shard") != NULL, "the message that all get");
    expect(found, sr_parallel_agree(member, SR_OK, &error) == SR_OK, "an agreement after a failure");
    void *gathered;
    size_t *offsets;
    status = fails ? sr_fail(&error, SR_ERROR_RUNTIME, "no rows") : SR_OK;
    expect(found, sr_parallel_gather_all(member, status, NULL, 0, 4, &gathered, &offsets, &error) == SR_ERROR_RUNTIME,
           "the status of a gather that failed");
    expect(found, !gathered && !offsets && strstr(error.message, "no rows") != NULL, "what a gather that failed leaves");
}

static void threads_take_part_like_ranks(void **state)
{
    world *w = *state;
    finding found[THREADS] = {{NULL}};
    assert_int_equal(sr_parallel_use_threads(w->parallel, THREADS, NULL), SR_OK);
    assert_int_equal(sr_parallel_threads(w->parallel), THREADS);
#pragma omp parallel num_threads(THREADS)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_parallel *member = sr_parallel_member(w->parallel, thread);
        for (int round = 0; round < 20; ++round) {
            check_member_sums(w, member, &found[thread]);
            check_member_gather(member, &found[thread]);
            check_member_failures(member, &found[thread]);
        }
    }
    for (size_t thread = 0; thread < THREADS; ++thread)
        if (found[thread].wrong)
            fail_msg("thread %zu: wrong is %s", thread, found[thread].wrong);
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
    assert_ptr_equal(sr_parallel_member(w->parallel, 0), w->parallel);
}

/* Members are numbered by it, so that different numbers would give two of them the same part of a batch. */
static void every_rank_has_equally_many_threads(void **state)
{
    const world *w = *state;
    sr_error error = {.message = ""};
    const size_t asked = w->rank == 0 ? 1 : 2;
    const sr_status status = sr_parallel_use_threads(w->parallel, asked, &error);
    if (w->size == 1) {
        assert_int_equal(status, SR_OK);
    } else {
        assert_int_equal(status, SR_ERROR_RUNTIME);
        assert_non_null(strstr(error.message, "some have 1 and others 2"));
        assert_int_equal(sr_parallel_threads(w->parallel), 1);
    }
}

/* Environments of ranks may say different things, as may their bindings: the least counts. */
static void threads_are_as_many_as_every_rank_can_have(void **state)
{
    const world *w = *state;
    const sr_training_settings settings = {.threads = 0};
    const char *said = getenv("OMP_NUM_THREADS");
    char former[32] = "";
    if (said)
        snprintf(former, sizeof former, "%s", said);
    if (sr_blas_is_thread_safe()) {
        assert_int_equal(setenv("OMP_NUM_THREADS", w->rank == w->size - 1 ? "2" : "3", 1), 0);
        assert_int_equal(sr_use_threads(w->parallel, &settings, NULL), SR_OK);
        assert_int_equal(sr_parallel_threads(w->parallel), 2);
        assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
    }
    assert_int_equal(said ? setenv("OMP_NUM_THREADS", former, 1) : unsetenv("OMP_NUM_THREADS"), 0);
}

static void gradients_of_threads_are_summed_into_those_of_the_first(void **state)
{
    world *w = *state;
    enum { SIZE = 40 };
    sr_parameters parameters[THREADS];
    finding found[THREADS] = {{NULL}};
    const size_t shape[] = {SIZE};
    assert_int_equal(sr_parallel_use_threads(w->parallel, THREADS, NULL), SR_OK);
    for (size_t t = 0; t < THREADS; ++t) {
        sr_parameters_initialise(&parameters[t]);
        assert_int_equal(sr_parameters_declare(&parameters[t], "weight", shape, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                               SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
        assert_int_equal(sr_parameters_allocate(&parameters[t], NULL), SR_OK);
    }
#pragma omp parallel num_threads(THREADS)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_parallel *member = sr_parallel_member(w->parallel, thread);
        sr_reduction_engine *engine = NULL;
        expect(&found[thread],
               sr_reduction_create(&engine, member, &parameters[thread], &(sr_reduction_settings){.bucket_bytes = 64}, NULL) ==
                   SR_OK,
               "making a reduction");
        for (size_t i = 0; i < SIZE; ++i)
            parameters[thread].gradients[i] = (sr_real)((sr_parallel_rank(member) + 1) * (int)(i + 1));
        sr_reduction_begin(engine, NULL);
        sr_reduction_ready(engine, 0);
        expect(&found[thread], sr_reduction_finish(engine, NULL) == SR_OK, "finishing a reduction");
        sr_reduction_free(engine);
    }
    const int members = w->size * THREADS;
    for (size_t i = 0; i < SIZE; ++i)
        assert_true(parameters[0].gradients[i] == (sr_real)(members * (members + 1) / 2 * (int)(i + 1)));
    for (size_t t = 0; t < THREADS; ++t) {
        assert_null(found[t].wrong);
        sr_parameters_free(&parameters[t]);
    }
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
}

static void a_rank_has_at_least_one_core(void **state)
{
    world *w = *state;
    size_t cores = 0;
    assert_int_equal(sr_parallel_own_cores(w->parallel, &cores, NULL), SR_OK);
    assert_true(cores >= 1 && cores <= (size_t)sysconf(_SC_NPROCESSORS_CONF));
}

/* ---- reduction ---- */

enum { PARAMETERS = 7, STEPS = 3 };

static void make_parameters(sr_parameters *parameters)
{
    static const size_t sizes[PARAMETERS] = {600001, 64, 1, 300000, 16, 700, 5}; /* the largest are longer than a message */
    sr_error error;
    sr_parameters_initialise(parameters);
    for (size_t i = 0; i < PARAMETERS; ++i) {
        char name[16];
        snprintf(name, sizeof name, "p%zu", i);
        assert_int_equal(sr_parameters_declare(parameters, name, &sizes[i], 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                               SR_PARAMETERS_ORDINARY, NULL, &error),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(parameters, &error), SR_OK);
}

/* Small whole numbers, whose sum is exact in any order. */
static double gradient(int rank, int step, size_t parameter, size_t element)
{
    return (rank + 1) * (double)((element + 3 * parameter + (size_t)step) % 17) - 5;
}

static void fill_gradients(sr_parameters *parameters, int rank, int step)
{
    for (size_t p = 0; p < PARAMETERS; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i)
            parameters->gradients[parameters->list[p].offset + i] = (sr_real)gradient(rank, step, p, i);
}

static void check_sums(const world *w, const sr_parameters *parameters, int step)
{
    for (size_t p = 0; p < PARAMETERS; ++p)
        for (size_t i = 0; i < parameters->list[p].size; ++i) {
            double expected = 0;
            for (int rank = 0; rank < w->size; ++rank)
                expected += gradient(rank, step, p, i);
            if ((double)parameters->gradients[parameters->list[p].offset + i] != expected)
                fail_msg("step %d, parameter %zu, element %zu: %g, expected %g", step, p, i,
                         (double)parameters->gradients[parameters->list[p].offset + i], expected);
        }
}

/* Reports in an order of the rank's own; parameter 3 never, and parameter 5 twice. */
static void report(const world *w, sr_reduction_engine *engine, int step)
{
    for (size_t i = 0; i < PARAMETERS; ++i) {
        const size_t forward = (i * (size_t)(w->rank % 2 ? 3 : 1) + (size_t)(w->rank + step)) % PARAMETERS;
        const size_t index = w->rank % 3 == 0 ? PARAMETERS - 1 - forward : forward;
        if (index != 3)
            sr_reduction_ready(engine, index);
        if (index == 5)
            sr_reduction_ready(engine, index);
    }
}

static void check_reduction(world *w, bool overlapped, size_t bucket_bytes)
{
    sr_error error;
    sr_parameters parameters;
    sr_reduction_engine *engine;
    make_parameters(&parameters);
    assert_int_equal(sr_reduction_create(&engine, w->parallel, &parameters,
                                         &(sr_reduction_settings){.overlapped = overlapped, .bucket_bytes = bucket_bytes},
                                         &error),
                     SR_OK);
    for (int step = 0; step < STEPS; ++step) {
        sr_reduction_begin(engine, NULL);
        fill_gradients(&parameters, w->rank, step);
        report(w, engine, step);
        assert_int_equal(sr_reduction_finish(engine, &error), SR_OK);
        check_sums(w, &parameters, step);
    }
    sr_reduction_free(engine);
    sr_parameters_free(&parameters);
}

/* A bucket for each parameter, buckets of several parameters, and one bucket for all. */
static const size_t bucket_sizes[] = {1, 3000, 1000000, (size_t)1 << 40};

static void gradients_are_summed_after_backward(void **state)
{
    for (size_t i = 0; i < sizeof bucket_sizes / sizeof *bucket_sizes; ++i)
        check_reduction(*state, false, bucket_sizes[i]);
}

static void gradients_are_summed_during_backward_in_any_order_of_reports(void **state)
{
    for (size_t i = 0; i < sizeof bucket_sizes / sizeof *bucket_sizes; ++i)
        check_reduction(*state, true, bucket_sizes[i]);
}

/* A gradient that is reported while others are still being computed must not be touched by them, nor they by it: in the
 * overlapped mode only buckets that are complete may be on their way. */
static void an_incomplete_bucket_waits(void **state)
{
    world *w = *state;
    sr_error error;
    sr_parameters parameters;
    sr_reduction_engine *engine;
    make_parameters(&parameters);
    assert_int_equal(sr_reduction_create(&engine, w->parallel, &parameters,
                                         &(sr_reduction_settings){.overlapped = true, .bucket_bytes = 1}, &error),
                     SR_OK);
    sr_reduction_begin(engine, NULL);
    fill_gradients(&parameters, w->rank, 1); /* not the final values */
    const size_t last = parameters.list[PARAMETERS - 1].offset;
    for (size_t i = 0; i < parameters.list[PARAMETERS - 1].size; ++i)
        parameters.gradients[last + i] = (sr_real)gradient(w->rank, 0, PARAMETERS - 1, i);
    sr_reduction_ready(engine, PARAMETERS - 1);
    sr_reduction_ready(engine, 2); /* out of turn: its bucket may not start before those behind it */
    assert_int_equal(sr_parallel_barrier(w->parallel, &error), SR_OK);
    for (size_t p = 0; p < PARAMETERS - 1; ++p)
        for (size_t i = 0; i < parameters.list[p].size; ++i)
            parameters.gradients[parameters.list[p].offset + i] = (sr_real)gradient(w->rank, 0, p, i);
    assert_int_equal(sr_reduction_finish(engine, &error), SR_OK);
    check_sums(w, &parameters, 0);
    sr_reduction_free(engine);
    sr_parameters_free(&parameters);
}

/* Beside the ranks that MPI has started, which it does not disturb. */
static void a_process_may_be_a_world_of_its_own(void **state)
{
    const world *w = *state;
    sr_parallel *alone;
    sr_error error = {.status = SR_OK};
    int64_t sums[] = {3, -4}, blocks[] = {7, 8};
    void *gathered;
    size_t *offsets;
    assert_int_equal(sr_parallel_start_alone(&alone, &error), SR_OK);
    assert_int_equal(sr_parallel_rank(alone), 0);
    assert_int_equal(sr_parallel_size(alone), 1);
    assert_int_equal(sr_parallel_agree(alone, SR_OK, &error), SR_OK);
    (void)sr_fail(&error, SR_ERROR_DATA, "mine");
    assert_int_equal(sr_parallel_agree(alone, SR_ERROR_DATA, &error), SR_ERROR_DATA);
    assert_string_equal(error.message, "mine");
    assert_int_equal(sr_parallel_barrier(alone, &error), SR_OK);
    assert_int_equal(sr_parallel_sum_int64(alone, sums, 2, &error), SR_OK);
    assert_int_equal(sr_parallel_maximum_int64(alone, sums, 2, &error), SR_OK);
    assert_int_equal(sr_parallel_broadcast(alone, sums, sizeof sums, &error), SR_OK);
    assert_int_equal(sums[0], 3);
    assert_int_equal(sums[1], -4);
    assert_int_equal(sr_parallel_gather_all(alone, SR_OK, blocks, 2, sizeof *blocks, &gathered, &offsets, &error), SR_OK);
    assert_int_equal(offsets[1], 2);
    assert_memory_equal(gathered, blocks, sizeof blocks);
    free(gathered);
    free(offsets);
    sr_parallel_finish(alone);
    assert_int_equal(sr_parallel_barrier(w->parallel, &error), SR_OK);
    assert_true(sr_parallel_size(w->parallel) == 1 || sr_parallel_is_launched());
}

/* ---- the watchdog ---- */

/* It looks once a second, but nobody waits for that: five ends would take almost five seconds. */
static void a_watchdog_ends_at_once(void **state)
{
    const world *w = *state;
    const sr_watchdog_options options = {.stall_seconds = 1800, .vote_seconds = 30, .directory = "/tmp"};
    double seconds = 0;
    for (int i = 0; i < 5; ++i) {
        sr_watchdog *watchdog;
        sr_error error;
        assert_int_equal(sr_watchdog_start(&watchdog, w->parallel, &options, &error), SR_OK);
        const double start = sr_seconds();
        sr_watchdog_stop(watchdog);
        seconds += sr_seconds() - start;
    }
    assert_true(seconds < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_agree_when_nobody_failed),
        cmocka_unit_test(the_lowest_failing_rank_speaks_for_all),
        cmocka_unit_test(sums_and_maxima_are_over_all_ranks),
        cmocka_unit_test(a_broadcast_brings_the_bytes_of_rank_0),
        cmocka_unit_test(what_differs_from_rank_0_fails_on_all_ranks),
        cmocka_unit_test(a_gather_joins_blocks_of_different_size),
        cmocka_unit_test(every_rank_gets_the_blocks_of_all),
        cmocka_unit_test(a_rank_that_failed_before_a_gather_fails_it_on_all),
        cmocka_unit_test(more_elements_than_mpi_counts_are_refused_on_all_ranks),
        cmocka_unit_test(a_scatter_deals_out_blocks_of_different_size),
        cmocka_unit_test(a_process_may_be_a_world_of_its_own),
        cmocka_unit_test(threads_take_part_like_ranks),
        cmocka_unit_test(every_rank_has_equally_many_threads),
        cmocka_unit_test(threads_are_as_many_as_every_rank_can_have),
        cmocka_unit_test(gradients_of_threads_are_summed_into_those_of_the_first),
        cmocka_unit_test(a_rank_has_at_least_one_core),
        cmocka_unit_test(gradients_are_summed_after_backward),
        cmocka_unit_test(gradients_are_summed_during_backward_in_any_order_of_reports),
        cmocka_unit_test(an_incomplete_bucket_waits),
        cmocka_unit_test(a_watchdog_ends_at_once),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
