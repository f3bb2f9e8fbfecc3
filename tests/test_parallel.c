/* Failing together and small collectives, on whatever number of ranks this is run with. */
#include "rank_world.h"
#include "srtrain/clock.h"
#include "srtrain/watchdog.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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

/* Rank r brings to list l the numbers r, r + size, ... below 20 that 1 + l does not divide, with scores of which many are
 * equal; what is missing is -infinity. */
static size_t fill_list(sr_scored_number *list, size_t length, size_t l, size_t first, size_t step)
{
    size_t count = 0;
    for (size_t score = 5; score-- > 0;)
        for (size_t number = first; number < 20; number += step)
            if (number * 3 % 5 == score && (l == 0 || number % (1 + l) > 0) && count < length)
                list[count++] = (sr_scored_number){(float)score - 2, (int32_t)number};
    for (size_t i = count; i < length; ++i)
        list[i] = (sr_scored_number){-INFINITY, INT32_MAX};
    return count;
}

static void lists_of_the_best_are_merged(void **state)
{
    world *w = *state;
    enum { LISTS = 5, LONGEST = 30 };
    for (size_t length = 1; length <= LONGEST; length += length < 4 ? 1 : 13) {
        sr_scored_number lists[LISTS * LONGEST], expected[LONGEST];
        for (size_t l = 0; l < LISTS; ++l)
            fill_list(lists + l * length, length, l, (size_t)w->rank, (size_t)w->size);
        assert_int_equal(sr_parallel_best(w->parallel, lists, LISTS, length, NULL), SR_OK);
        for (size_t l = 0; l < LISTS; ++l) {
            assert_true(fill_list(expected, length, l, 0, 1) > 0);
            assert_memory_equal(lists + l * length, expected, length * sizeof *expected);
        }
    }
    assert_int_equal(sr_parallel_best(w->parallel, NULL, 0, 7, NULL), SR_OK);
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
        cmocka_unit_test(lists_of_the_best_are_merged),
        cmocka_unit_test(a_broadcast_brings_the_bytes_of_rank_0),
        cmocka_unit_test(what_differs_from_rank_0_fails_on_all_ranks),
        cmocka_unit_test(a_gather_joins_blocks_of_different_size),
        cmocka_unit_test(every_rank_gets_the_blocks_of_all),
        cmocka_unit_test(a_rank_that_failed_before_a_gather_fails_it_on_all),
        cmocka_unit_test(more_elements_than_mpi_counts_are_refused_on_all_ranks),
        cmocka_unit_test(a_scatter_deals_out_blocks_of_different_size),
        cmocka_unit_test(a_process_may_be_a_world_of_its_own),
        cmocka_unit_test(a_watchdog_ends_at_once),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, rank_world_set_up, rank_world_tear_down);
}
