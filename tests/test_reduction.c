/* The sum of gradients over ranks and threads, on whatever number of ranks this is run with. */
#include "rank_world.h"
#include "thread_finding.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_threads_are_summed_into_those_of_the_first),
        cmocka_unit_test(gradients_are_summed_after_backward),
        cmocka_unit_test(gradients_are_summed_during_backward_in_any_order_of_reports),
        cmocka_unit_test(an_incomplete_bucket_waits),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
