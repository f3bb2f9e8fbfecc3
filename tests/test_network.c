/* What srtrain plan takes reductions between nodes to cost. */
#include "plan/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_close(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.12g instead of %.12g", actual, expected);
}

/* 1 us and 10 GB/s between nodes of 4 ranks, 0.1 us and 1 GB/s within one. */
static const network_model example = {
    .latency = 1e-6, .bandwidth = 1e10, .node_latency = 1e-7, .node_bandwidth = 1e9, .ranks_of_node = 4};

static void an_all_reduce_costs_what_the_published_formula_says(void **state)
{
    (void)state;
    assert_true(network_reduction(&example, 1, 1e6, 1e6) == 0);
    assert_true(network_small_sum(&example, 1) == 0);
    /* Within a node: two doublings there and back, 3/4 of the bytes each time. */
    assert_close(network_reduction(&example, 4, 1e6, 1e6), 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9);
    assert_close(network_small_sum(&example, 4), 2e-7);
    /* Eight nodes, of which the last has one rank. */
    assert_close(network_reduction(&example, 29, 1e6, 1e6),
                 4 * 1e-7 + 2 * 0.75 * 1e6 / 1e9 + 6 * 1e-6 + 2 * 0.875 * 1e6 / 1e10);
    assert_close(network_small_sum(&example, 29), 2e-7 + 3e-6);
}

static void a_reduction_goes_in_messages(void **state)
{
    (void)state;
    const double whole = network_reduction(&example, 8, 1000, 1000), rest = network_reduction(&example, 8, 500, 1000);
    assert_close(network_reduction(&example, 8, 3500, 1000), 3 * whole + rest);
    assert_close(network_reduction(&example, 8, 3000, 1000), 3 * whole);
}

static void an_exchange_costs_its_messages_and_shares_the_link_of_a_node(void **state)
{
    (void)state;
    assert_true(network_exchange(&example, 1, 1e6, 1) == 0);
    /* Within a node: three messages, and all bytes. */
    assert_close(network_exchange(&example, 4, 1e6, 1), 3 * 1e-7 + 1e6 / 1e9);
    /* 8 nodes: of 31 partners 3 are on the node, and 28 are met in two rounds. Four ranks share the link. */
    assert_close(network_exchange(&example, 32, 1e6, 2),
                 31 * 2 * 1e-7 + 2 * 1e-6 + 3.0 / 31 * 1e6 / 1e9 + 4 * 28.0 / 31 * 1e6 / 1e10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_all_reduce_costs_what_the_published_formula_says),
        cmocka_unit_test(a_reduction_goes_in_messages),
        cmocka_unit_test(an_exchange_costs_its_messages_and_shares_the_link_of_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
