/* Elements from every rank to every rank, and from every thread of ranks. */
#include "rank_world.h"
#include "srtrain/status.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 12, LARGE = 700000 };

typedef struct {
    int32_t from, to, number;
} element;

/* Messages that this process has sent. Only the first of its threads sends. */
static size_t messages;

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm communicator, MPI_Request *request)
{
    ++messages;
    return PMPI_Isend(data, count, type, to, tag, communicator, request);
}

/* Some pairs exchange nothing; with `large`, the first rank sends the last one more than fits into a message. */
static size_t count_between(size_t from, size_t to, size_t ranks, bool large)
{
    if (large && from == 0 && to == ranks - 1)
        return LARGE;
    return (from * 5 + to * 3) % 4;
}

/* Returns how many elements were wrong: threads must not leave a parallel region by a failed assertion. */
static size_t exchange(sr_parallel *member, bool large)
{
    const size_t rank = (size_t)sr_parallel_rank(member), ranks = (size_t)sr_parallel_size(member);
    size_t counts[MOST], found[MOST], sent[MOST + 1] = {0}, received[MOST + 1] = {0}, wrong = 0;
    for (size_t other = 0; other < ranks; ++other) {
        counts[other] = count_between(rank, other, ranks, large);
        sent[other + 1] = sent[other] + counts[other];
    }
    if (sr_parallel_exchange_counts(member, SR_OK, counts, found, NULL) != SR_OK)
        return SIZE_MAX;
    for (size_t other = 0; other < ranks; ++other) {
        wrong += found[other] != count_between(other, rank, ranks, large);
        received[other + 1] = received[other] + found[other];
    }
    element *data = malloc((sent[ranks] + 1) * sizeof *data), *room = malloc((received[ranks] + 1) * sizeof *room);
    for (size_t other = 0; other < ranks; ++other)
        for (size_t i = 0; i < counts[other]; ++i)
            data[sent[other] + i] = (element){(int32_t)rank, (int32_t)other, (int32_t)i};
    wrong += sr_parallel_exchange_elements(member, data, sent, room, received, sizeof *data, NULL) != SR_OK;
    for (size_t other = 0; other < ranks; ++other)
        for (size_t i = 0; i < found[other]; ++i) {
            const element *one = &room[received[other] + i];
            wrong += one->from != (int32_t)other || one->to != (int32_t)rank || one->number != (int32_t)i;
        }
    free(data);
    free(room);
    return wrong;
}

static void every_rank_gets_what_the_others_have_for_it(void **state)
{
    const world *w = *state;
    assert_int_equal(exchange(w->parallel, false), 0);
    assert_int_equal(exchange(w->parallel, true), 0);
}

static void threads_exchange_like_ranks(void **state)
{
    const world *w = *state;
    for (size_t threads = 2; threads <= 3; ++threads) {
        size_t wrong = 0;
        assert_int_equal(sr_parallel_use_threads(w->parallel, threads, NULL), SR_OK);
#pragma omp parallel num_threads((int)threads) reduction(+ : wrong)
        {
            sr_parallel *member = sr_parallel_member(w->parallel, (size_t)omp_get_thread_num());
            for (int large = 0; large < 2; ++large)
                wrong += exchange(member, large);
        }
        assert_int_equal(wrong, 0);
    }
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
}

static void a_process_sends_another_one_message_for_all_its_threads(void **state)
{
    enum { THREADS = 3 };
    const world *w = *state;
    const size_t others = (size_t)sr_parallel_size(w->parallel) - 1;
    size_t wrong = 0;
    assert_int_equal(sr_parallel_use_threads(w->parallel, THREADS, NULL), SR_OK);
    messages = 0;
#pragma omp parallel num_threads(THREADS) reduction(+ : wrong)
    wrong += exchange(sr_parallel_member(w->parallel, (size_t)omp_get_thread_num()), false);
    assert_int_equal(wrong, 0);
    assert_int_equal(messages, others);
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
}

static void a_rank_that_has_failed_ends_an_exchange_on_all(void **state)
{
    const world *w = *state;
    const size_t counts[MOST] = {0};
    size_t found[MOST];
    for (size_t threads = 1; threads <= 2; ++threads) {
        size_t wrong = 0;
        assert_int_equal(sr_parallel_use_threads(w->parallel, threads, NULL), SR_OK);
#pragma omp parallel num_threads((int)threads) reduction(+ : wrong)
        {
            sr_parallel *member = sr_parallel_member(w->parallel, (size_t)omp_get_thread_num());
            sr_error error = {.message = ""};
            sr_status status = SR_OK;
            if (sr_parallel_rank(member) == sr_parallel_size(member) - 1)
                status = sr_fail(&error, SR_ERROR_DATA, "the last one has failed");
            wrong += sr_parallel_exchange_counts(member, status, counts, found, &error) != SR_ERROR_DATA;
            wrong += strstr(error.message, "the last one has failed") == NULL;
        }
        assert_int_equal(wrong, 0);
    }
    assert_int_equal(sr_parallel_use_threads(w->parallel, 1, NULL), SR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rank_gets_what_the_others_have_for_it),
        cmocka_unit_test(threads_exchange_like_ranks),
        cmocka_unit_test(a_process_sends_another_one_message_for_all_its_threads),
        cmocka_unit_test(a_rank_that_has_failed_ends_an_exchange_on_all),
    };
    /* A rank whose test fails must take the others with it: they are waiting for its messages. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
