/* Threads of ranks take part like ranks, on whatever number of ranks this is run with. */
#include "rank_world.h"
#include "srtrain/run.h"
#include "tensor/gemm.h"
#include "thread_finding.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

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
        assert_non_null(strstr(error.message, "some ranks have 1 threads and others 2"));
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

static void a_rank_has_at_least_one_core(void **state)
{
    world *w = *state;
    size_t cores = 0;
    assert_int_equal(sr_parallel_own_cores(w->parallel, &cores, NULL), SR_OK);
    assert_true(cores >= 1 && cores <= (size_t)sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_take_part_like_ranks),
        cmocka_unit_test(every_rank_has_equally_many_threads),
        cmocka_unit_test(threads_are_as_many_as_every_rank_can_have),
        cmocka_unit_test(a_rank_has_at_least_one_core),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
