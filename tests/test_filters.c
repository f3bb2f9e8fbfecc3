/* From interactions to sequences: rating threshold, order and ties, duplicates, k-core, order of users, splits. */
#include "filters.h"
#include "split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    const char *user, *item;
    int64_t time;
    float rating;
} row;

static void load(interactions *all, const row *rows, size_t count)
{
    assert_int_equal(interactions_create(all, NULL), SR_OK);
    for (size_t i = 0; i < count; ++i)
        assert_int_equal(interactions_add(all, rows[i].user, strlen(rows[i].user), rows[i].item, strlen(rows[i].item),
                                          rows[i].time, rows[i].rating, NULL),
                         SR_OK);
}

/* Compares with "user:item user:item ..." and releases. */
static void assert_is(interactions *all, const char *expected)
{
    char found[1024] = "";
    for (size_t i = 0; i < all->count; ++i)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s:%s", i ? " " : "",
                 all->users.texts[all->list[i].user], all->items.texts[all->list[i].item]);
    assert_string_equal(found, expected);
    interactions_free(all);
}

static void sorting_is_by_user_and_time_and_ties_keep_the_input_order(void **state)
{
    (void)state;
    const row rows[] = {{"b", "1", 9, 0}, {"a", "2", 5, 0},  {"b", "3", 3, 0}, {"b", "4", 9, 0},
                        {"a", "5", 5, 0}, {"b", "6", -1, 0}, {"a", "7", 4, 0}, {"b", "8", 3, 0}};
    interactions all;
    load(&all, rows, 8);
    assert_int_equal(sort_interactions(&all, NULL), SR_OK);
    assert_int_equal(count_ties(&all), 3);
    assert_is(&all, "b:6 b:3 b:8 b:1 b:4 a:7 a:2 a:5");
}

static void ratings_below_the_threshold_go(void **state)
{
    (void)state;
    const row rows[] = {{"a", "1", 0, 3.5F}, {"a", "2", 0, 4}, {"b", "3", 0, 5}, {"b", "4", 0, 0.5F}};
    interactions all;
    filter_report report = {0};
    load(&all, rows, 4);
    filter_ratings(&all, 4, &report);
    assert_int_equal(report.low_rating, 2);
    assert_is(&all, "a:2 b:3");
}

static void duplicates_keep_the_first_or_the_last_in_time(void **state)
{
    (void)state;
    const row rows[] = {{"a", "x", 7, 0}, {"a", "y", 2, 0}, {"a", "x", 1, 0},
                        {"b", "x", 1, 0}, {"a", "x", 5, 0}, {"a", "y", 2, 0}};
    const struct {
        deduplication which;
        const char *expected;
        size_t dropped;
    } cases[] = {{DEDUPLICATE_NONE, "a:x a:y a:y a:x a:x b:x", 0},
                 {DEDUPLICATE_FIRST, "a:x a:y b:x", 3},
                 {DEDUPLICATE_LAST, "a:y a:x b:x", 3}};
    for (size_t i = 0; i < 3; ++i) {
        interactions all;
        filter_report report = {0};
        load(&all, rows, 6);
        assert_int_equal(sort_interactions(&all, NULL), SR_OK);
        assert_int_equal(remove_duplicates(&all, cases[i].which, &report, NULL), SR_OK);
        assert_int_equal(report.duplicates, cases[i].dropped);
        assert_is(&all, cases[i].expected);
    }
}

static void the_core_is_repeated_until_nothing_changes(void **state)
{
    (void)state;
    /* d has one interaction, without which z has one, without which c has one, ...: one pass is not enough. */
    const row rows[] = {{"a", "x", 0, 0}, {"a", "y", 0, 0}, {"b", "x", 0, 0}, {"b", "y", 0, 0},
                        {"c", "x", 0, 0}, {"c", "z", 0, 0}, {"d", "z", 0, 0}};
    interactions all;
    filter_report report = {0};
    load(&all, rows, 7);
    assert_int_equal(repeat_core(&all, 2, 2, &report, NULL), SR_OK);
    assert_int_equal(report.core, 3);
    assert_int_equal(report.core_rounds, 4);
    assert_is(&all, "a:x a:y b:x b:y");
}

static void a_core_for_users_alone_leaves_items_alone(void **state)
{
    (void)state;
    const row rows[] = {{"a", "x", 0, 0}, {"a", "y", 0, 0}, {"b", "z", 0, 0}};
    interactions all;
    filter_report report = {0};
    load(&all, rows, 3);
    assert_int_equal(repeat_core(&all, 2, 0, &report, NULL), SR_OK);
    assert_is(&all, "a:x a:y");
}

/* The k-core by the letter of its definition on random data: what is left satisfies both bounds, and is the largest such set,
 * because it is what dropping one interaction at a time leaves, too. */
static void the_core_is_that_of_dropping_one_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 400, USERS = 60, ITEMS = 50, LEAST = 5 };
    int user_of[COUNT], item_of[COUNT], alive[COUNT], left = COUNT;
    interactions all;
    assert_int_equal(interactions_create(&all, NULL), SR_OK);
    uint32_t random = 12345;
    for (int i = 0; i < COUNT; ++i) {
        char user[8], item[8];
        random = random * 1664525u + 1013904223u;
        user_of[i] = (int)((random >> 8) % USERS * ((random >> 20) % 3) / 2);
        random = random * 1664525u + 1013904223u;
        item_of[i] = (int)((random >> 8) % ITEMS * ((random >> 20) % 3) / 2);
        alive[i] = 1;
        const int user_length = snprintf(user, sizeof user, "%d", user_of[i]),
                  item_length = snprintf(item, sizeof item, "%d", item_of[i]);
        assert_int_equal(interactions_add(&all, user, (size_t)user_length, item, (size_t)item_length, 0, 0, NULL), SR_OK);
    }
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < COUNT && !changed; ++i) {
            int user_count = 0, item_count = 0;
            for (int j = 0; j < COUNT; ++j) {
                user_count += alive[j] && user_of[j] == user_of[i];
                item_count += alive[j] && item_of[j] == item_of[i];
            }
            if (alive[i] && (user_count < LEAST || item_count < LEAST)) {
                alive[i] = 0;
                --left;
                changed = 1;
            }
        }
    }
    filter_report report = {0};
    assert_int_equal(repeat_core(&all, LEAST, LEAST, &report, NULL), SR_OK);
    assert_true(left > 0 && left < COUNT && report.core_rounds > 2);
    assert_int_equal(all.count, left);
    for (size_t i = 0; i < all.count; ++i)
        assert_true(alive[all.list[i].order]);
    interactions_free(&all);
}

static void users_come_in_the_order_of_what_remains(void **state)
{
    (void)state;
    const row rows[] = {{"a", "x", 9, 1}, {"b", "y", 5, 5}, {"a", "z", 1, 5}, {"b", "x", 4, 5}};
    interactions all;
    filter_report report = {0};
    load(&all, rows, 4);
    filter_ratings(&all, 2, &report); /* now b appears before a */
    assert_int_equal(sort_interactions(&all, NULL), SR_OK);
    assert_int_equal(order_users(&all, NULL), SR_OK);
    assert_is(&all, "b:x b:y a:z");
}

/* ---- splits ---- */

static void assert_split(const char *text, const int64_t *times, size_t length, int train_end, int valid_end)
{
    split_rule rule;
    sr_error error;
    int32_t train, valid;
    if (split_parse(text, &rule, &error) != SR_OK)
        fail_msg("%s", error.message);
    split_sequence(&rule, times, length, &train, &valid);
    assert_int_equal(train, train_end);
    assert_int_equal(valid, valid_end);
}

static void leave_one_out_needs_three_interactions(void **state)
{
    (void)state;
    assert_split("leave-one-out", NULL, 1, 1, 1);
    assert_split("leave-one-out", NULL, 2, 2, 2);
    assert_split("leave-one-out", NULL, 3, 1, 2);
    assert_split("leave-one-out", NULL, 50, 48, 49);
}

static void ratios_cut_each_sequence(void **state)
{
    (void)state;
    assert_split("ratio:0.8,0.1,0.1", NULL, 10, 8, 9);
    assert_split("ratio:0.8,0.1,0.1", NULL, 5, 4, 4);
    assert_split("ratio:0.8,0.1,0.1", NULL, 1, 1, 1);
    assert_split("ratio:0.1,0.1,0.8", NULL, 2, 1, 1);
    assert_split("ratio:0.8,0.2,0", NULL, 1000000000, 800000000, 1000000000);
    assert_split("ratio:0.8000004,0.2000004,0", NULL, 1000000000, 800000400, 1000000000);
}

static void times_cut_all_sequences_at_the_same_moment(void **state)
{
    (void)state;
    const int64_t times[] = {-5, 10, 10, 20, 30};
    assert_split("time:10,20", times, 5, 1, 3);
    assert_split("time:11,21", times, 5, 3, 4);
    assert_split("time:-9,-8", times, 5, 0, 0);
    assert_split("time:99,99", times, 5, 5, 5);
}

static void unknown_splits_are_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {"leave-two-out",
                                 "ratio:0.8,0.1",
                                 "ratio:0.8,0.1,0.2",
                                 "ratio:0,0.5,0.5",
                                 "ratio:nan,0,0",
                                 "ratio:2,-1,0",
                                 "time:5",
                                 "time:9,5",
                                 "time:a,b",
                                 "time:1,2,3",
                                 ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        split_rule rule;
        sr_error error;
        if (split_parse(wrong[i], &rule, &error) != SR_ERROR_USAGE)
            fail_msg("--split %s was accepted", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_is_by_user_and_time_and_ties_keep_the_input_order),
        cmocka_unit_test(ratings_below_the_threshold_go),
        cmocka_unit_test(duplicates_keep_the_first_or_the_last_in_time),
        cmocka_unit_test(the_core_is_repeated_until_nothing_changes),
        cmocka_unit_test(a_core_for_users_alone_leaves_items_alone),
        cmocka_unit_test(the_core_is_that_of_dropping_one_at_a_time),
        cmocka_unit_test(users_come_in_the_order_of_what_remains),
        cmocka_unit_test(leave_one_out_needs_three_interactions),
        cmocka_unit_test(ratios_cut_each_sequence),
        cmocka_unit_test(times_cut_all_sequences_at_the_same_moment),
        cmocka_unit_test(unknown_splits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
