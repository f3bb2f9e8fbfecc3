/* What rank 0 makes of what ranks see of their machines: memory, cores, bindings, and room for checkpoints. */
#include "plan/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MEGABYTE = 1 << 20 };

/* A plan of ranks with one thread, each of which needs 100 MB, of which so many are certain, with either item table. */
static sr_preflight planned_with(size_t certain)
{
    const sr_plan_table table = {.memory = {.total = (size_t)100 * MEGABYTE, .certain = certain * MEGABYTE}};
    return (sr_preflight){.plan = {.threads = 1, .checkpoints = 2, .tables = {table, table}}};
}

static sr_preflight planned(void)
{
    return planned_with(100);
}

/* A rank that may run on `cores` cores from `first` on. */
static rank_view view_of(const char *host, size_t first, size_t cores, size_t megabytes)
{
    rank_view view = {.machine = {.memory = megabytes * MEGABYTE, .limit = "its limit"}};
    snprintf(view.host, sizeof view.host, "%s", host);
    CPU_ZERO(&view.cores);
    for (size_t core = first; core < first + cores; ++core)
        CPU_SET(core, &view.cores);
    return view;
}

static void judge(sr_preflight *made, rank_view *views, size_t count)
{
    sr_error error = {.message = ""};
    if (preflight_judge(made, SR_ITEM_TABLE_AUTO, views, count, "/tmp", &error) != SR_OK)
        fail_msg("%s", error.message);
}

/* Fails the test unless there is one warning, which says `text`; NULL: none. Those about BLAS depend on the environment. */
static void assert_warning(const sr_preflight *made, const char *text)
{
    size_t others = 0;
    bool found = false;
    for (size_t i = 0; i < made->warning_count; ++i) {
        const bool is_it = text && strcmp(made->warnings[i], text) == 0;
        found = found || is_it;
        others += !is_it && strncmp(made->warnings[i], "BLAS ", 5) != 0;
    }
    if ((text && !found) || others > 0)
        fail_msg("expected the warning \"%s\", the last of %zu is \"%s\"", text ? text : "(none)", made->warning_count,
                 made->warning_count ? made->warnings[made->warning_count - 1] : "");
}

static void ranks_with_cores_of_their_own_are_as_they_should_be(void **state)
{
    (void)state;
    rank_view views[] = {view_of("a", 0, 1, 1000), view_of("b", 0, 1, 1000), view_of("a", 1, 1, 1000),
                         view_of("b", 1, 1, 1000)};
    sr_preflight made = planned();
    judge(&made, views, 4);
    assert_warning(&made, NULL);
}

static void more_threads_than_cores_are_said_once_for_all_nodes(void **state)
{
    (void)state;
    rank_view views[] = {view_of("b", 0, 2, 1000), view_of("a", 0, 2, 1000), view_of("a", 0, 2, 1000),
                         view_of("a", 0, 2, 1000), view_of("b", 0, 2, 1000), view_of("b", 0, 2, 1000)};
    sr_preflight made = planned();
    judge(&made, views, 6);
    assert_warning(&made, "3 ranks of 1 thread share 2 cores on a: start at most as many as there are cores");
    rank_view alone = view_of("c", 0, 1, 1000);
    made = planned();
    made.plan.threads = 2;
    judge(&made, &alone, 1);
    assert_warning(&made, "1 rank of 2 threads share 1 core on c: start at most as many as there are cores");
}

static void ranks_that_may_run_anywhere_are_told_to_be_bound(void **state)
{
    (void)state;
    rank_view views[] = {view_of("a", 0, 4, 1000), view_of("a", 0, 4, 1000)};
    sr_preflight made = planned();
    judge(&made, views, 2);
    assert_warning(&made,
                   "the ranks on a are not bound to cores: every one may run on all 4; bind them (mpirun --bind-to core, "
                   "srun --cpu-bind=cores)");
    rank_view alone = view_of("a", 0, 4, 1000); /* nobody takes its cores */
    made = planned();
    judge(&made, &alone, 1);
    assert_warning(&made, NULL);
}

static void memory_is_that_of_the_rank_with_the_least(void **state)
{
    (void)state;
    sr_error error = {.message = ""};
    sr_preflight made = planned_with(60); /* a quarter of the rest may turn out to be less */
    rank_view views[] = {view_of("a", 0, 1, 1000), view_of("a", 1, 1, 190)};
    judge(&made, views, 2);
    assert_int_equal(strncmp(made.warnings[0], "memory is tight on a: its ranks may need ", 41), 0);
    assert_non_null(strstr(made.warnings[0], "(its limit)"));
    made = planned();
    assert_int_equal(preflight_judge(&made, SR_ITEM_TABLE_AUTO, views, 2, "/tmp", &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, " a"));
    assert_non_null(strstr(error.message, "its limit"));
}

static void room_for_checkpoints_is_looked_for_where_their_directory_will_be(void **state)
{
    (void)state;
    sr_error error;
    rank_view alone = view_of("a", 0, 1, 1000);
    sr_preflight made = planned();
    made.plan.checkpoint = (size_t)1 << 60;
    assert_int_equal(preflight_judge(&made, SR_ITEM_TABLE_AUTO, &alone, 1, "/tmp/not/there/yet", &error), SR_OK);
    assert_int_equal(strncmp(made.warnings[0], "checkpoints may need ", 21), 0);
    const char *at = strstr(made.warnings[0], " is free at ");
    assert_non_null(at);
    assert_string_equal(at + 12, "/tmp");
    made = planned();
    made.plan.checkpoint = (size_t)1 << 60;
    assert_int_equal(preflight_judge(&made, SR_ITEM_TABLE_AUTO, &alone, 1, "not-there/yet", &error), SR_OK);
    assert_int_equal(strncmp(made.warnings[0], "checkpoints may need ", 21), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_with_cores_of_their_own_are_as_they_should_be),
        cmocka_unit_test(more_threads_than_cores_are_said_once_for_all_nodes),
        cmocka_unit_test(ranks_that_may_run_anywhere_are_told_to_be_bound),
        cmocka_unit_test(memory_is_that_of_the_rank_with_the_least),
        cmocka_unit_test(room_for_checkpoints_is_looked_for_where_their_directory_will_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
