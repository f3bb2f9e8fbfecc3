/* Sums of long arrays over ranks, and what the threads of a rank show each other. */
#include "parallel/parallel_internal.h"
#include "rank_world.h"
#include "srtrain/range.h"
#include "thread_finding.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { COUNT = 10007 }; /* no whole number of messages of 4096 */

static float values[COUNT], rest[COUNT];

/* Small whole numbers, whose sum is exact in any order. */
static double value(int rank, size_t i)
{
    return (rank + 1) * (double)(i % 17) - 5;
}

static double sum_of(const world *w, size_t i)
{
    double sum = 0;
    for (int rank = 0; rank < w->size; ++rank)
        sum += value(rank, i);
    return sum;
}

static void fill(const world *w)
{
    for (size_t i = 0; i < COUNT; ++i)
        values[i] = (float)value(w->rank, i);
}

static void arrays_are_summed_in_messages_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 20000, SR_MESSAGE_BYTES, SIZE_MAX};
    world *w = *state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        sr_array_sum *sum;
        assert_int_equal(sr_array_sum_create(&sum, w->parallel, sizes[s], false, NULL), SR_OK);
        fill(w);
        assert_int_equal(sr_array_sum_run(sum, values, NULL, COUNT, NULL), SR_OK);
        for (size_t i = 0; i < COUNT; ++i)
            assert_true(values[i] == sum_of(w, i));
        assert_int_equal(sr_array_sum_run(sum, values, NULL, 0, NULL), SR_OK);
        sr_array_sum_free(sum);
    }
}

/* Where each rank has a node of its own, slices of a message go around all ranks. */
static void ranks_of_different_nodes_add_around_a_ring(void **state)
{
    world *w = *state;
    assert_int_equal(parallel_pretend_nodes(w->parallel, 1, NULL), SR_OK);
    arrays_are_summed_in_messages_of_any_size(state);
    sr_array_sum *sum;
    assert_int_equal(sr_array_sum_create(&sum, w->parallel, SR_MESSAGE_BYTES, false, NULL), SR_OK);
    for (size_t i = 0; i < COUNT; ++i)
        values[i] = 1.0F / (float)(3 + (size_t)w->rank + i % 5);
    assert_int_equal(sr_array_sum_run(sum, values, NULL, COUNT, NULL), SR_OK);
    for (size_t slice = 0; slice < (size_t)w->size; ++slice) {
        const sr_element_range range = sr_part_of_range((sr_element_range){0, COUNT}, slice, (size_t)w->size);
        for (size_t i = range.begin; i < range.end; ++i) {
            float expected = 0;
            for (size_t shift = 0; shift < (size_t)w->size; ++shift)
                expected += 1.0F / (float)(3 + (slice + shift) % (size_t)w->size + i % 5);
            assert_true(values[i] == expected);
        }
    }
    sr_array_sum_free(sum);
    assert_int_equal(parallel_pretend_nodes(w->parallel, w->size, NULL), SR_OK);
}

/* Numbers keep eight bits on their way, twice; what that takes is kept beside them on the ranks. */
static void what_rounded_sums_lose_is_their_rest(void **state)
{
    world *w = *state;
    sr_array_sum *sum;
    static double rests[COUNT];
    assert_int_equal(sr_array_sum_create(&sum, w->parallel, 1, true, NULL), SR_OK);
    fill(w);
    for (size_t i = 0; i < COUNT; ++i)
        values[i] += 1.0F / 1024;
    memset(rest, 0, sizeof rest);
    assert_int_equal(sr_array_sum_run(sum, values, rest, COUNT, NULL), SR_OK);
    for (size_t i = 0; i < COUNT; ++i)
        rests[i] = (double)rest[i];
    assert_int_equal(sr_parallel_sum_double(w->parallel, rests, COUNT, NULL), SR_OK);
    for (size_t i = 0; i < COUNT; ++i) {
        const double exact = sum_of(w, i) + w->size / 1024.0;
        assert_true(fabs(values[i] + rests[i] - exact) < 1e-4);
        assert_true(fabs(values[i] - exact) <= fabs(exact) / 64 + w->size);
    }
    sr_array_sum_free(sum);
}

static void threads_see_what_each_of_them_brings(void **state)
{
    world *w = *state;
    finding found[THREADS] = {{NULL}};
    int brought[THREADS];
    assert_int_equal(sr_parallel_use_threads(w->parallel, THREADS, NULL), SR_OK);
    assert_true(sr_parallel_process(w->parallel) == w->parallel);
#pragma omp parallel num_threads(THREADS)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_parallel *member = sr_parallel_member(w->parallel, thread);
        sr_error error = {.message = ""};
        expect(&found[thread], sr_parallel_process(member) == w->parallel, "the process of a member");
        brought[thread] = 7 * (int)thread;
        void *const *all = sr_parallel_exchange(member, &brought[thread]);
        for (size_t t = 0; t < THREADS; ++t)
            expect(&found[thread], *(const int *)all[t] == 7 * (int)t, "what a thread brings");
        sr_parallel_wait_for_threads(member);
        const sr_status said = thread == 0 ? sr_fail(&error, SR_ERROR_DATA, "the first") : SR_OK;
        const sr_status status = sr_parallel_agree_in_process(member, said, &error);
        expect(&found[thread], status == SR_ERROR_DATA && strcmp(error.message, "the first") == 0, "what the first one says");
    }
    for (size_t t = 0; t < THREADS; ++t)
        if (found[t].wrong)
            fail_msg("thread %zu: %s", t, found[t].wrong);
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
    assert_int_equal(sr_parallel_agree_in_process(w->parallel, SR_ERROR_DATA, NULL), SR_ERROR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_summed_in_messages_of_any_size),
        cmocka_unit_test(ranks_of_different_nodes_add_around_a_ring),
        cmocka_unit_test(what_rounded_sums_lose_is_their_rest),
        cmocka_unit_test(threads_see_what_each_of_them_brings),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
