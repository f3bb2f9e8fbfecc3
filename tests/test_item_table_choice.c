/* Which item table a plan takes, and plans for catalogues that nobody has. */
#include "srtrain/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { MEGABYTE = 1 << 20 };

/* ---- the choice ---- */

/* A plan of `ranks` ranks, which take so many megabytes and seconds a step with either table. */
static sr_plan plan_of(size_t ranks, size_t replicated, double seconds, size_t divided, double divided_seconds)
{
    sr_plan plan = {.ranks = ranks, .threads = 1, .message = MEGABYTE};
    plan.tables[SR_PLAN_REPLICATED] = (sr_plan_table){
        .memory = {.total = replicated * MEGABYTE, .certain = replicated * MEGABYTE}, .item_seconds = seconds};
    plan.tables[SR_PLAN_DIVIDED] = (sr_plan_table){.memory = {.total = divided * MEGABYTE, .certain = divided * MEGABYTE},
                                                   .item_seconds = divided_seconds,
                                                   .reduced = 5 * MEGABYTE / 2};
    return plan;
}

static sr_plan_table_kind chosen(sr_plan *plan, sr_item_table_choice choice)
{
    /* 100 MB a rank on the first node, 50 on the second. */
    static const sr_plan_room nodes[] = {{.ranks = 2, .memory = 200 * MEGABYTE, .limit = "cgroup", .node = "large"},
                                         {.ranks = 2, .memory = 100 * MEGABYTE, .limit = "physical", .node = "small"}};
    sr_plan_choose_table(plan, choice, nodes, 2);
    assert_true(plan->memory.total == plan->tables[plan->table].memory.total);
    assert_true(plan->reduced == plan->tables[plan->table].reduced);
    return plan->table;
}

static void a_table_that_does_not_fit_on_some_node_is_divided(void **state)
{
    (void)state;
    sr_plan plan = plan_of(4, 60, 0.001, 40, 0.001);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_DIVIDED);
    assert_non_null(strstr(plan.why, "of small"));
    assert_non_null(strstr(plan.why, "(physical)"));
    assert_int_equal(plan.messages, 3);
    plan = plan_of(4, 50, 0.001, 40, 0.001);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
    assert_int_equal(plan.messages, 0);
    /* Where neither fits, the smaller one is refused. */
    plan = plan_of(4, 600, 0.001, 400, 0.001);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_DIVIDED);
}

static void a_table_that_fits_is_divided_where_that_is_much_faster(void **state)
{
    (void)state;
    sr_plan plan = plan_of(4, 40, 0.100, 40, 0.010);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_DIVIDED);
    assert_non_null(strstr(plan.why, "100 ms"));
    plan = plan_of(4, 40, 0.100, 40, 0.060); /* not by half */
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
    plan = plan_of(4, 40, 0.030, 40, 0.006); /* by 24 ms only */
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
    plan = plan_of(4, 40, 0.100, 60, 0.010); /* there is no room for it */
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
    plan = plan_of(1, 40, 0.100, 40, 0.010); /* one rank keeps its losses to the bit */
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
}

static void settings_and_what_is_impossible_go_before(void **state)
{
    (void)state;
    sr_plan plan = plan_of(4, 600, 0.100, 40, 0.010);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_REPLICATED), SR_PLAN_REPLICATED);
    plan = plan_of(4, 40, 0.010, 600, 0.100);
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_DIVIDED), SR_PLAN_DIVIDED);
    plan = plan_of(4, 600, 0.100, 40, 0.010);
    snprintf(plan.tables[SR_PLAN_DIVIDED].why_not, sizeof plan.tables[SR_PLAN_DIVIDED].why_not, "of the moon");
    assert_int_equal(chosen(&plan, SR_ITEM_TABLE_AUTO), SR_PLAN_REPLICATED);
    assert_non_null(strstr(plan.why, "of the moon"));
}

/* ---- imagined data sets ---- */

static const sr_plan_sizes huge = {.users = 100000000, .items = 1000000000, .mean_length = 60};
enum { RANKS = 1024, OF_NODE = 64, WIDTH = 64 };

static void make_plan(sr_plan *plan, const char *const *options, size_t count)
{
    const char *assignments[16] = {"data.path=none", "model.hidden_size=64", "model.max_length=50", "training.batch_size=4096"};
    sr_settings settings;
    sr_dataset *dataset = NULL;
    sr_sampler *sampler = NULL;
    sr_error error = {.message = ""};
    memcpy(assignments + 4, options, count * sizeof *options);
    if (sr_settings_parse(&settings, "data:\n", "test", assignments, 4 + count, &error) != SR_OK ||
        sr_plan_imagine(&dataset, &huge, &settings, &error) != SR_OK ||
        sr_settings_sampler(&sampler, dataset, &settings, &error) != SR_OK)
        fail_msg("%s", error.message);
    assert_true(sr_sampler_examples(sampler) >= 4096);
    const sr_plan_request request = {.settings = &settings,
                                     .dataset = dataset,
                                     .sampler = sampler,
                                     .kernels = sr_kernels_choose(NULL),
                                     .ranks = RANKS,
                                     .threads = 1,
                                     .network = {SR_PLAN_NETWORK_LATENCY, SR_PLAN_NETWORK_BANDWIDTH, OF_NODE},
                                     .imagined = huge};
    if (sr_plan_make(plan, &request, &error) != SR_OK)
        fail_msg("%s", error.message);
    sr_sampler_free(sampler);
    sr_dataset_close(dataset);
}

static void a_catalogue_that_no_machine_holds_is_planned_in_little_memory(void **state)
{
    (void)state;
    static const char *const options[] = {"training.loss=sampled_softmax", "training.negatives=256"};
    struct rusage before, after;
    sr_plan plan;
    getrusage(RUSAGE_SELF, &before);
    make_plan(&plan, options, 2);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 400 << 10);
    assert_true(plan.items == huge.items && plan.users == huge.users && plan.rows_are_expected);
    /* Prefixes of histories less two, whose lengths have this mean. */
    assert_true(fabs((double)plan.examples - 57 * 1e8) < 0.05 * 57 * 1e8);
    const sr_plan_table *replicated = &plan.tables[SR_PLAN_REPLICATED], *divided = &plan.tables[SR_PLAN_DIVIDED];
    const double row = WIDTH * 4, rows = 1e9 + 1;
    assert_true((double)replicated->memory.item_table == rows * row);
    assert_true((double)divided->memory.item_table == ceil(rows / RANKS) * row);
    /* Values, two moments, what steps rows have taken; all else is small. */
    assert_true((double)divided->memory.certain < 1.15 * (3 * row + 8) * rows / RANKS + 2e8);
    assert_true(replicated->traffic.bytes[SR_TRAFFIC_GRADIENTS] >= rows * row);
    assert_true(divided->traffic.bytes[SR_TRAFFIC_ROWS] < 1e7);
    assert_true(divided->network_seconds < 0.01 * replicated->network_seconds);
    const sr_plan_room room = {.ranks = OF_NODE, .memory = (size_t)256 << 30, .limit = "limit", .node = "node"};
    sr_plan_choose_table(&plan, SR_ITEM_TABLE_AUTO, &room, 1);
    assert_int_equal(plan.table, SR_PLAN_DIVIDED);
}

/* A loss over all items sends states instead, as many whatever the catalogue. */
static void a_loss_over_the_whole_catalogue_sends_states(void **state)
{
    (void)state;
    static const char *const options[] = {"training.loss=cross_entropy"};
    sr_plan plan;
    make_plan(&plan, options, 1);
    const double states = plan.tables[SR_PLAN_DIVIDED].traffic.bytes[SR_TRAFFIC_STATES];
    const double expected = 4096 * (2 * WIDTH * 4 + 4 + 16);
    assert_true(fabs(states - expected) < 0.1 * expected);
    assert_true(plan.tables[SR_PLAN_REPLICATED].traffic.bytes[SR_TRAFFIC_STATES] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_does_not_fit_on_some_node_is_divided),
        cmocka_unit_test(a_table_that_fits_is_divided_where_that_is_much_faster),
        cmocka_unit_test(settings_and_what_is_impossible_go_before),
        cmocka_unit_test(a_catalogue_that_no_machine_holds_is_planned_in_little_memory),
        cmocka_unit_test(a_loss_over_the_whole_catalogue_sends_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
