/* srtrain plan for data sets that are not there. */
#include "world.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int set_up(void **state)
{
    return world_set_up(state,
                        "data: {path: none}\n"
                        "model: {hidden_size: 8, inner_size: 8, max_length: 8}\n"
                        "training: {epochs: 1, batch_size: 8, threads: 1, loss: bpr}\n",
                        "--users 40 --items 30 --mean-length 8 --seed 3");
}

static cJSON *planned(world *w, const char *options)
{
    run_srtrain(&w->result, 0, "plan %s --json --ranks 4 --ranks-per-node 4 %s 2>/dev/null", w->configuration, options);
    assert_code(&w->result, 0);
    cJSON *object = cJSON_Parse(w->result.output);
    assert_non_null(object);
    return object;
}

static const char *text_in(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static void sizes_come_from_options(void **state)
{
    cJSON *plan = planned(*state, "--items 1e8 --users 1e6 --mean-length 20 --memory 16");
    const cJSON *tables = cJSON_GetObjectItem(plan, "item_table"), *divided = cJSON_GetObjectItem(tables, "divided"),
                *replicated = cJSON_GetObjectItem(tables, "replicated");
    assert_true(number_in(plan, "items") == 1e8 && number_in(plan, "users") == 1e6);
    assert_string_equal(text_in(tables, "chosen"), "divided");
    assert_non_null(strstr(text_in(tables, "why"), "--memory"));
    assert_string_equal(text_in(tables, "rows_read_source"), "expected");
    assert_true(number_in(cJSON_GetObjectItem(divided, "sent_bytes_per_step"), "rows") > 0);
    assert_true(number_in(cJSON_GetObjectItem(replicated, "sent_bytes_per_step"), "rows") == 0);
    assert_true(number_in(replicated, "node_memory_bytes") > 4 * number_in(divided, "node_memory_bytes") / 2);
    assert_true(number_in(plan, "node_memory_bytes") == number_in(divided, "node_memory_bytes"));
    cJSON_Delete(plan);
}

static void what_options_leave_open_comes_from_the_data_set(void **state)
{
    world *w = *state;
    char options[512];
    snprintf(options, sizeof options, "--items 1e6 --set data.path=%s", w->data);
    cJSON *plan = planned(w, options);
    assert_true(number_in(plan, "items") == 1e6 && number_in(plan, "users") == 40);
    cJSON_Delete(plan);
    run_srtrain(&w->result, 0, "plan %s --ranks 4 --items 1e6 --users 1e6", w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, " --mean-length is not said");
    assert_null(strstr(w->result.output, " --users is"));
}

static void both_tables_stand_side_by_side(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 0, "plan %s --ranks 2 --set data.path=%s", w->configuration, w->data);
    assert_code(&w->result, 0);
    assert_says(&w->result, "the item table is replicated: a replicated one fits");
    assert_says(&w->result, "of batches of the data set");
    assert_says(&w->result, "rows of items, fetched");
    run_srtrain(&w->result, 0, "plan %s --ranks 2 --set data.path=%s model.item_table=divided", w->configuration, w->data);
    assert_code(&w->result, 0);
    assert_says(&w->result, "the item table is divided: model.item_table says so");
}

static void what_cannot_fit_divided_is_refused(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 0, "plan %s --ranks 4 --ranks-per-node 4 --items 1e9 --users 1e6 --mean-length 20 --memory 16",
                w->configuration);
    assert_code(&w->result, 2);
    assert_says(&w->result, "4 ranks on a node need ");
}

static void steps_with_all_items_cannot_be_timed(void **state)
{
    world *w = *state;
    run_srtrain(&w->result, 0,
                "plan %s --ranks 4 --items 1e6 --users 1e6 --mean-length 20 --memory 100 --measure --set model.item_table=%s",
                w->configuration, "replicated");
    assert_code(&w->result, 2);
    assert_says(&w->result, "goes through the whole catalogue");
    cJSON *plan = planned(w, "--items 1e6 --users 1e6 --mean-length 20 --measure --set model.item_table=divided");
    assert_true(number_in(plan, "step_seconds") > 0);
    cJSON_Delete(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_come_from_options),
        cmocka_unit_test(what_options_leave_open_comes_from_the_data_set),
        cmocka_unit_test(both_tables_stand_side_by_side),
        cmocka_unit_test(what_cannot_fit_divided_is_refused),
        cmocka_unit_test(steps_with_all_items_cannot_be_timed),
    };
    return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
