/* The sum of gradients over ranks and threads, on whatever number of ranks this is run with. */
#include "rank_world.h"
#include "step/reduction.h"
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
        sr_reduction *reduction = NULL;
        const sr_reduction_settings settings = {.message_bytes = 64};
        expect(&found[thread], sr_reduction_create(&reduction, member, &parameters[thread], &settings, NULL) == SR_OK,
               "making a reduction");
        for (size_t i = 0; i < SIZE; ++i)
            parameters[thread].gradients[i] = (sr_real)((sr_parallel_rank(member) + 1) * (int)(i + 1));
        expect(&found[thread], sr_reduction_run(reduction, NULL, NULL) == SR_OK, "summing gradients");
        sr_reduction_free(reduction);
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
    static const size_t sizes[PARAMETERS] = {300001, 64, 1, 30000, 16, 700, 5}; /* the largest are longer than a message */
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

/* The shortest message, one that ends within parameters, the usual one, and one for all. */
static void gradients_are_summed_over_ranks_in_messages_of_any_size(void **state)
{
    static const size_t message_sizes[] = {1, 100000, 0, (size_t)1 << 40};
    world *w = *state;
    sr_error error;
    sr_parameters parameters;
    make_parameters(&parameters);
    for (size_t i = 0; i < sizeof message_sizes / sizeof *message_sizes; ++i) {
        const sr_reduction_settings settings = {.message_bytes = message_sizes[i]};
        sr_reduction *reduction;
        assert_int_equal(sr_reduction_create(&reduction, w->parallel, &parameters, &settings, &error), SR_OK);
        for (int step = 0; step < STEPS; ++step) {
            fill_gradients(&parameters, w->rank, step);
            assert_int_equal(sr_reduction_run(reduction, NULL, &error), SR_OK);
            check_sums(w, &parameters, step);
        }
        sr_reduction_free(reduction);
    }
    sr_parameters_free(&parameters);
}

/* Two tables of different width beside other parameters. Rows that nobody touches keep what they have: elsewhere it is 0. */
static void of_tables_the_rows_that_are_touched_are_summed_and_no_others(void **state)
{
    enum { ROWS = 50, BETWEEN = 30 };
    static const size_t first[] = {ROWS, 3}, between[] = {BETWEEN}, second[] = {ROWS, 7};
    static const int32_t rows[] = {0, 7, 8, 31, ROWS - 1};
    world *w = *state;
    sr_parameters parameters;
    sr_reduction *reduction;
    sr_touched_rows touched = {.tables = {.count = 2}, .rows = rows, .count = sizeof rows / sizeof *rows};
    sr_parameters_initialise(&parameters);
    size_t *index = touched.tables.index;
    assert_int_equal(sr_parameters_declare(&parameters, "a", first, 2, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, &index[0], NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_declare(&parameters, "b", between, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_declare(&parameters, "c", second, 2, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, &index[1], NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&parameters, NULL), SR_OK);
    const sr_reduction_settings settings = {.tables = touched.tables, .most_rows = touched.count};
    assert_int_equal(sr_reduction_create(&reduction, w->parallel, &parameters, &settings, NULL), SR_OK);
    for (size_t p = 0; p < 3; ++p)
        for (size_t i = 0; i < parameters.list[p].size; ++i)
            parameters.gradients[parameters.list[p].offset + i] = (sr_real)gradient(w->rank, 0, p, i);
    assert_int_equal(sr_reduction_run(reduction, &touched, NULL), SR_OK);
    for (size_t p = 0; p < 3; ++p)
        for (size_t i = 0; i < parameters.list[p].size; ++i) {
            bool summed = p == 1;
            for (size_t row = 0; row < touched.count && p != 1; ++row)
                summed = summed || i / parameters.list[p].shape[1] == (size_t)rows[row];
            double expected = summed ? 0 : gradient(w->rank, 0, p, i);
            for (int rank = 0; summed && rank < w->size; ++rank)
                expected += gradient(rank, 0, p, i);
            assert_true((double)parameters.gradients[parameters.list[p].offset + i] == expected);
        }
    sr_reduction_free(reduction);
    sr_parameters_free(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_threads_are_summed_into_those_of_the_first),
        cmocka_unit_test(gradients_are_summed_over_ranks_in_messages_of_any_size),
        cmocka_unit_test(of_tables_the_rows_that_are_touched_are_summed_and_no_others),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
