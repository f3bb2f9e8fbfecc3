#include "every_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LASTING = 3 }; /* of so many calls one is tried with all later ones */

static const char *const kind_names[] = {"none", "write", "short write", "sync", "name", "power"};

static void together(const faulty_work *work, int64_t *values, size_t count)
{
    sr_error error;
    if (sr_parallel_maximum_int64(work->parallel, values, count, &error) != SR_OK)
        fail_msg("%s", error.message);
}

static void run_with(const faulty_work *work, const fault *wanted, int rank)
{
    const fault none = {.kind = FAULT_NONE};
    sr_error error = {.message = ""};
    faults_arm(sr_parallel_rank(work->parallel) == rank ? wanted : &none);
    const sr_status status = work->work(work->context, &error);
    faults_arm(&none);
    int64_t extremes[] = {(int64_t)status, -(int64_t)status};
    together(work, extremes, 2);
    if (extremes[0] != -extremes[1])
        fail_msg("%s %ld on rank %d: some ranks end with %d, others with %d", kind_names[wanted->kind], wanted->at, rank,
                 (int)extremes[0], (int)-extremes[1]);
    const sr_status expected = wanted->kind == FAULT_SHORT ? SR_OK : SR_ERROR_RUNTIME;
    if (status != expected || (status != SR_OK && !*error.message))
        fail_msg("%s %ld on rank %d%s: ended with %d, \"%s\"", kind_names[wanted->kind], wanted->at, rank,
                 wanted->lasting ? " and all later ones" : "", (int)status, error.message);
    work->check(work->context, status);
    together(work, extremes, 2); /* nobody goes on while others still look */
}

/* How many such calls the work has on a rank. */
static long count_calls(const faulty_work *work, fault_kind kind, int rank)
{
    const fault none = {.kind = FAULT_NONE};
    sr_error error = {.message = ""};
    faults_arm(&none);
    if (work->work(work->context, &error) != SR_OK)
        fail_msg("%s", error.message);
    int64_t count = sr_parallel_rank(work->parallel) == rank ? faults_count(kind == FAULT_SHORT ? FAULT_WRITE : kind) : 0;
    work->check(work->context, SR_OK);
    together(work, &count, 1);
    return (long)count;
}

long try_every_fault(const faulty_work *work, fault_kind kind, int cause)
{
    long faults = 0;
    faults_watch(work->directory);
    for (int rank = 0; rank < sr_parallel_size(work->parallel); ++rank) {
        const long calls = count_calls(work, kind, rank);
        for (long at = 1; at <= calls; ++at)
            for (int lasting = 0; lasting <= (kind != FAULT_SHORT && at % LASTING == 1); ++lasting, ++faults)
                run_with(work, &(fault){.kind = kind, .at = at, .cause = cause, .lasting = lasting}, rank);
    }
    faults_watch(NULL);
    return faults;
}

/* ---- the tests ---- */

static void (*try_kind)(void *state, fault_kind kind, int cause);

static void every_write_may_fail(void **state)
{
    try_kind(*state, FAULT_WRITE, ENOSPC);
}

static void every_write_may_be_short(void **state)
{
    try_kind(*state, FAULT_SHORT, 0);
}

static void every_sync_may_fail(void **state)
{
    try_kind(*state, FAULT_SYNC, EIO);
}

static void every_name_may_be_refused(void **state)
{
    try_kind(*state, FAULT_NAME, EDQUOT);
}

int run_every_fault(void (*try_all)(void *state, fault_kind kind, int cause), int (*set_up)(void **state),
                    int (*tear_down)(void **state))
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_write_may_fail), cmocka_unit_test(every_write_may_be_short),
                                       cmocka_unit_test(every_sync_may_fail), cmocka_unit_test(every_name_may_be_refused)};
    try_kind = try_all;
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
