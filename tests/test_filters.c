/* From interactions to sequences: every filter, the order of users and items, and the same result within little memory; splits.
 */
#include "engine/engine.h"
#include "files.h"

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
    uint64_t line; /* 0: a line of its own */
} row;

/* What is asked for beside the interactions. */
typedef struct {
    entry_filter entry;
    user_rules rules;
    uint64_t memory; /* 0: plenty */
    uint64_t range;  /* items in a table at a time; 0: all */
    bool long_list;  /* entry.items come from a file that is too long for the memory */
} request;

enum { PLENTY = 1 << 26, TEXT_SIZE = 1 << 20 };

/* Reads a list from a file within so little memory that it takes several runs. */
static void read_long_list(item_list *list, workplace *place, const name_table *items)
{
    char path[FILES_PATH_SIZE];
    const uint64_t memory = place->memory;
    files_path(path, place->base, "list.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int copy = 0; copy < 2; ++copy) /* what is there twice does no harm */
        for (uint32_t i = 0; i < items->count; ++i) {
            const identifier item = names_get(items, i);
            assert_true(fprintf(file, "%.*s\n", (int)item.length, item.bytes) > 0);
        }
    assert_int_equal(fclose(file), 0);
    place->memory = 16 * 14000;
    assert_int_equal(item_list_read(list, place, path, NULL), SR_OK);
    place->memory = memory;
    assert_true(list->is_long && list->count > 2);
    assert_int_equal(remove(path), 0);
}

static const time_format any_times;

/* Runs the engine on a data set's worth of rows; the result is at DIRECTORY/out if it returns SR_OK. */
static sr_status run(const char *directory, const row *rows, size_t count, const request *r, engine_counts *counts,
                     sr_error *error)
{
    char output[FILES_PATH_SIZE];
    files_path(output, directory, "out");
    sr_parallel *parallel;
    workplace place;
    collector from;
    assert_int_equal(sr_parallel_start_alone(&parallel, error), SR_OK);
    assert_int_equal(workplace_open(&place, parallel, NULL, output, r->memory ? r->memory : PLENTY, error), SR_OK);
    place.range = r->range;
    entry_filter entry = r->entry;
    item_list list = {.file = {.descriptor = -1}};
    if (r->long_list) {
        read_long_list(&list, &place, r->entry.items);
        entry.items = NULL;
        entry.too_long = &list;
    }
    assert_int_equal(collector_create(&from, &place, r->rules.one_line_a_user, &entry, error), SR_OK);
    collector_begin_part(&from, 0);
    for (size_t i = 0; i < count; ++i) {
        const interaction added = {.user = rows[i].user,
                                   .user_length = strlen(rows[i].user),
                                   .item = rows[i].item,
                                   .item_length = strlen(rows[i].item),
                                   .time = rows[i].time,
                                   .rating = rows[i].rating,
                                   .line = rows[i].line ? rows[i].line : i + 1};
        assert_int_equal(collector_add(&from, &added, error), SR_OK);
    }
    const uint64_t start = 0;
    const engine_plan plan = {.rules = r->rules,
                              .split = {.kind = SPLIT_LEAVE_ONE_OUT},
                              .split_text = "leave-one-out",
                              .origin = "{}",
                              .directory = output,
                              .shards = 1,
                              .has_times = !r->rules.one_line_a_user,
                              .part_starts = &start,
                              .read = collector_part_size(&from)};
    const sr_status status = engine_run(&place, &from, &plan, counts, error);
    collector_free(&from);
    item_list_free(&list);
    workplace_close(&place);
    sr_parallel_finish(parallel);
    return status;
}

/* Appends "user:item@number" for each interaction. */
static void describe(const sr_dataset *dataset, char *text)
{
    size_t user_length, item_length, used = 0;
    text[0] = '\0';
    for (size_t user = 0; user < sr_dataset_users(dataset); ++user) {
        const sr_sequence one = sr_dataset_sequence(dataset, user);
        const char *name = sr_dataset_user_name(dataset, user, &user_length);
        for (size_t i = 0; i < one.length; ++i) {
            const char *item = sr_dataset_item_name(dataset, (size_t)one.items[i], &item_length);
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%.*s:%.*s@%d", used ? " " : "", (int)user_length, name,
                                     (int)item_length, item, one.items[i]);
            assert_true(used < TEXT_SIZE);
        }
    }
}

/* Runs the engine, verifies the data set, and describes it in `text` [TEXT_SIZE]. */
static void run_and_describe(const char *directory, const row *rows, size_t count, const request *r, engine_counts *counts,
                             char *text)
{
    char output[FILES_PATH_SIZE];
    sr_error error = {.status = SR_OK};
    sr_dataset *dataset = NULL;
    files_path(output, directory, "out");
    if (run(directory, rows, count, r, counts, &error) != SR_OK || sr_dataset_open(&dataset, output, &error) != SR_OK)
        fail_msg("%s", error.message);
    if (sr_dataset_verify(dataset, 0, 1, &error) != SR_OK)
        fail_msg("%s", error.message);
    describe(dataset, text);
    sr_dataset_close(dataset);
    files_remove(output);
    assert_int_equal(files_count(directory), 0); /* no temporary file stays */
}

static engine_counts assert_is(const char *directory, const row *rows, size_t count, const request *r, const char *expected)
{
    engine_counts counts;
    char *text = malloc(TEXT_SIZE);
    assert_non_null(text);
    run_and_describe(directory, rows, count, r, &counts, text);
    assert_string_equal(text, expected);
    free(text);
    return counts;
}

static void sorting_is_by_user_and_time_and_ties_keep_the_input_order(void **state)
{
    const row rows[] = {{"b", "1", 9, 0, 0}, {"a", "2", 5, 0, 0},  {"b", "3", 3, 0, 0}, {"b", "4", 9, 0, 0},
                        {"a", "5", 5, 0, 0}, {"b", "6", -1, 0, 0}, {"a", "7", 4, 0, 0}, {"b", "8", 3, 0, 0}};
    const engine_counts counts = assert_is(*state, rows, 8, &(request){.memory = 0},
                                           "b:6@1 b:3@2 b:8@3 b:1@4 b:4@5 a:7@6 a:2@7 a:5@8");
    assert_int_equal(counts.ties, 3);
    assert_int_equal(counts.interactions, 8);
}

static void ratings_below_the_threshold_go(void **state)
{
    const row rows[] = {{"a", "1", 0, 3.5F, 0}, {"a", "2", 0, 4, 0}, {"b", "3", 0, 5, 0}, {"b", "4", 0, 0.5F, 0}};
    const request r = {.entry = {.has_min_rating = true, .min_rating = 4}};
    assert_int_equal(assert_is(*state, rows, 4, &r, "a:2@1 b:3@2").low_rating, 2);
}

static void the_time_range_holds_its_first_moment_and_not_its_last(void **state)
{
    const row rows[] = {{"a", "1", 9, 0, 0}, {"a", "2", 10, 0, 0}, {"b", "3", 19, 0, 0}, {"b", "4", 20, 0, 0}};
    const request both = {.entry = {.has_after = true, .after = 10, .has_before = true, .before = 20}},
                  from = {.entry = {.has_after = true, .after = 19}}, until = {.entry = {.has_before = true, .before = 10}};
    assert_int_equal(assert_is(*state, rows, 4, &both, "a:2@1 b:3@2").out_of_time, 2);
    assert_int_equal(assert_is(*state, rows, 4, &from, "b:3@1 b:4@2").out_of_time, 2);
    assert_int_equal(assert_is(*state, rows, 4, &until, "a:1@1").out_of_time, 3);
}

static void only_listed_items_stay(void **state)
{
    const row rows[] = {{"a", "x", 1, 0, 0}, {"a", "y", 2, 0, 0}, {"b", "xx", 3, 0, 0}, {"b", "z", 4, 0, 0}};
    name_table list;
    uint32_t number;
    assert_int_equal(names_create(&list, NULL), SR_OK);
    assert_int_equal(names_number(&list, "z", 1, &number, NULL), SR_OK);
    assert_int_equal(names_number(&list, "x", 1, &number, NULL), SR_OK);
    const request r = {.entry = {.items = &list}};
    assert_int_equal(assert_is(*state, rows, 4, &r, "a:x@1 b:z@2").not_listed, 2);
    names_free(&list);
}

static void duplicates_keep_the_first_or_the_last_in_time(void **state)
{
    const row rows[] = {{"a", "x", 7, 0, 0}, {"a", "y", 2, 0, 0}, {"a", "x", 1, 0, 0},
                        {"b", "x", 1, 0, 0}, {"a", "x", 5, 0, 0}, {"a", "y", 2, 0, 0}};
    const struct {
        deduplication which;
        const char *expected;
        size_t dropped;
    } cases[] = {{DEDUPLICATE_NONE, "a:x@1 a:y@2 a:y@2 a:x@1 a:x@1 b:x@1", 0},
                 {DEDUPLICATE_FIRST, "a:x@1 a:y@2 b:x@1", 3},
                 {DEDUPLICATE_LAST, "a:y@1 a:x@2 b:x@2", 3}};
    for (size_t i = 0; i < 3; ++i) {
        const request r = {.rules = {.duplicates = cases[i].which}};
        assert_int_equal(assert_is(*state, rows, 6, &r, cases[i].expected).users.duplicates, cases[i].dropped);
    }
}

static void the_core_is_repeated_until_nothing_changes(void **state)
{
    /* d has one interaction, without which z has one, without which c has one, ...: one pass is not enough. */
    const row rows[] = {{"a", "x", 0, 0, 0}, {"a", "y", 0, 0, 0}, {"b", "x", 0, 0, 0}, {"b", "y", 0, 0, 0},
                        {"c", "x", 0, 0, 0}, {"c", "z", 0, 0, 0}, {"d", "z", 0, 0, 0}};
    const request r = {.rules = {.min_user = 2, .min_item = 2}};
    const engine_counts counts = assert_is(*state, rows, 7, &r, "a:x@1 a:y@2 b:x@1 b:y@2");
    assert_int_equal(counts.users.core, 3);
    assert_int_equal(counts.users.core_rounds, 4);
}

static void a_core_for_users_alone_leaves_items_alone(void **state)
{
    const row rows[] = {{"a", "x", 0, 0, 0}, {"a", "y", 0, 0, 0}, {"b", "z", 0, 0, 0}};
    (void)assert_is(*state, rows, 3, &(request){.rules = {.min_user = 2}}, "a:x@1 a:y@2");
}

static void only_the_last_interactions_of_a_user_stay_after_the_core(void **state)
{
    const row rows[] = {{"a", "x", 5, 0, 0}, {"a", "y", 1, 0, 0}, {"b", "y", 1, 0, 0}, {"a", "z", 3, 0, 0},
                        {"b", "z", 2, 0, 0}, {"b", "x", 3, 0, 0}, {"c", "q", 1, 0, 0}};
    const request r = {.rules = {.min_item = 2, .max_length = 2}};
    const engine_counts counts = assert_is(*state, rows, 7, &r, "a:z@1 a:x@2 b:z@1 b:x@2");
    assert_int_equal(counts.users.too_long, 2);
    assert_int_equal(counts.users.core, 1);
}

static void users_come_in_the_order_of_what_remains(void **state)
{
    const row rows[] = {{"a", "x", 9, 1, 0}, {"b", "y", 5, 5, 0}, {"a", "z", 1, 5, 0}, {"b", "x", 4, 5, 0}};
    const request r = {.entry = {.has_min_rating = true, .min_rating = 2}}; /* now b appears before a */
    (void)assert_is(*state, rows, 4, &r, "b:x@1 b:y@2 a:z@3");
}

static void a_second_line_of_a_user_is_found_wherever_it_is(void **state)
{
    const row rows[] = {{"a", "x", 0, 0, 1}, {"a", "y", 0, 0, 1}, {"b", "x", 0, 0, 2}, {"a", "z", 0, 0, 3}};
    const request r = {.rules = {.one_line_a_user = true}};
    engine_counts counts;
    sr_error error = {.status = SR_OK};
    (void)assert_is(*state, rows, 3, &r, "a:x@1 a:y@2 b:x@1");
    assert_int_equal(run(*state, rows, 4, &r, &counts, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "user \"a\" has had a line before"));
    const row adjacent[] = {{"b", "x", 0, 0, 1}, {"a", "x", 0, 0, 2}, {"a", "y", 0, 0, 3}};
    assert_int_equal(run(*state, adjacent, 3, &r, &counts, &error), SR_ERROR_DATA);
}

static void nothing_left_is_an_error_that_says_why(void **state)
{
    const row rows[] = {{"a", "x", 0, 1, 0}, {"a", "y", 0, 5, 0}};
    const request r = {.entry = {.has_min_rating = true, .min_rating = 2}, .rules = {.min_user = 2}};
    engine_counts counts;
    sr_error error = {.status = SR_OK};
    assert_int_equal(run(*state, rows, 2, &r, &counts, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "nothing is left of 2 interactions: 1 were rated too low"));
    assert_non_null(strstr(error.message, "1 outside the core"));
}

/* ---- everything at once, by the letter of docs/data.md ---- */

enum { MANY = 3000, USERS = 240, ITEMS = 130 };

typedef struct {
    row rows[MANY];
    char names[USERS + ITEMS][16];
    int user_of[MANY], item_of[MANY];
    char stays[MANY];
} random_data;

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static void fill_random(random_data *d, uint32_t seed)
{
    for (int i = 0; i < USERS + ITEMS; ++i)
        snprintf(d->names[i], sizeof d->names[i], "%c%d", i < USERS ? 'u' : 'i', i);
    for (int i = 0; i < MANY; ++i) {
        d->user_of[i] = (int)(next_random(&seed) % USERS * (next_random(&seed) % 3) / 2);
        d->item_of[i] = (int)(next_random(&seed) % ITEMS * (next_random(&seed) % 3) / 2);
        d->rows[i] = (row){d->names[d->user_of[i]], d->names[USERS + d->item_of[i]], next_random(&seed) % 50,
                           (float)(next_random(&seed) % 5), 0};
        d->stays[i] = 1;
    }
}

/* Whether interaction `a` comes before `b` in a user's sequence. */
static bool comes_before(const random_data *d, int a, int b)
{
    return d->rows[a].time != d->rows[b].time ? d->rows[a].time < d->rows[b].time : a < b;
}

static void drop_at_entry(random_data *d, const request *r)
{
    for (int i = 0; i < MANY; ++i) {
        const row *one = &d->rows[i];
        d->stays[i] = (!r->entry.has_min_rating || (double)one->rating >= r->entry.min_rating) &&
                      (!r->entry.has_after || one->time >= r->entry.after) &&
                      (!r->entry.has_before || one->time < r->entry.before) &&
                      (!r->entry.items || names_find(r->entry.items, one->item, strlen(one->item)) != NAMES_NONE);
    }
}

static void drop_duplicates(random_data *d, deduplication which)
{
    for (int i = 0; i < MANY; ++i)
        for (int j = 0; j < MANY && which != DEDUPLICATE_NONE; ++j)
            if (i != j && d->stays[i] && d->stays[j] && d->user_of[i] == d->user_of[j] && d->item_of[i] == d->item_of[j])
                d->stays[comes_before(d, i, j) == (which == DEDUPLICATE_FIRST) ? j : i] = 0;
}

/* One interaction after the other, until all that are left satisfy both bounds. */
static void drop_outside_core(random_data *d, const user_rules *rules)
{
    for (int changed = 1; changed;) {
        uint64_t users[USERS] = {0}, items[ITEMS] = {0};
        changed = 0;
        for (int i = 0; i < MANY; ++i) {
            users[d->user_of[i]] += (uint64_t)d->stays[i];
            items[d->item_of[i]] += (uint64_t)d->stays[i];
        }
        for (int i = 0; i < MANY && !changed; ++i)
            if (d->stays[i] && (users[d->user_of[i]] < rules->min_user || items[d->item_of[i]] < rules->min_item)) {
                d->stays[i] = 0;
                changed = 1;
            }
    }
}

static void drop_in_front(random_data *d, uint64_t most)
{
    char stays[MANY];
    memcpy(stays, d->stays, sizeof stays);
    for (int i = 0; i < MANY && most > 0; ++i) {
        uint64_t behind = 0;
        for (int j = 0; j < MANY; ++j)
            behind += d->stays[j] && d->user_of[j] == d->user_of[i] && comes_before(d, i, j);
        stays[i] = (char)(stays[i] && behind < most);
    }
    memcpy(d->stays, stays, sizeof stays);
}

static void describe_random(const random_data *d, char *text)
{
    char done[USERS] = {0};
    int numbers[ITEMS] = {0}, count = 0;
    size_t used = 0;
    text[0] = '\0';
    for (int first = 0; first < MANY; ++first) {
        if (!d->stays[first] || done[d->user_of[first]])
            continue;
        done[d->user_of[first]] = 1;
        for (int last = -1, next;; last = next) {
            next = -1;
            for (int i = 0; i < MANY; ++i)
                if (d->stays[i] && d->user_of[i] == d->user_of[first] && (last < 0 || comes_before(d, last, i)) &&
                    (next < 0 || comes_before(d, i, next)))
                    next = i;
            if (next < 0)
                break;
            int *number = &numbers[d->item_of[next]];
            *number = *number ? *number : ++count;
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s:%s@%d", used ? " " : "", d->rows[next].user,
                                     d->rows[next].item, *number);
        }
    }
}

static void all_filters_together_do_what_is_documented_within_any_memory(void **state)
{
    name_table list;
    assert_int_equal(names_create(&list, NULL), SR_OK);
    for (uint32_t i = 0, number; i < ITEMS; i += 1 + i % 3) {
        char item[16];
        const int length = snprintf(item, sizeof item, "i%u", USERS + i);
        assert_int_equal(names_number(&list, item, (size_t)length, &number, NULL), SR_OK);
    }
    const request requests[] = {
        {.memory = 0},
        {.rules = {.duplicates = DEDUPLICATE_LAST, .min_user = 4, .min_item = 3, .max_length = 6}},
        {.rules = {.duplicates = DEDUPLICATE_FIRST, .max_length = 1}},
        {.entry = {.has_min_rating = true, .min_rating = 1, .has_after = true, .after = 3, .has_before = true, .before = 47},
         .rules = {.min_user = 5, .min_item = 5}},
        {.entry = {.items = &list}, .rules = {.min_item = 12}},
        {.entry = {.items = &list, .has_after = true, .after = 9}, .rules = {.min_user = 3}, .long_list = true}};
    random_data *d = malloc(sizeof *d);
    char *expected = malloc(TEXT_SIZE), *found = malloc(TEXT_SIZE);
    assert_true(d && expected && found);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; ++i) {
        request r = requests[i];
        engine_counts counts;
        fill_random(d, (uint32_t)i);
        drop_at_entry(d, &r);
        drop_duplicates(d, r.rules.duplicates);
        drop_outside_core(d, &r.rules);
        drop_in_front(d, r.rules.max_length);
        describe_random(d, expected);
        assert_true(strlen(expected) > 1000);
        const uint64_t memories[] = {PLENTY, 200000, 130000, PLENTY, 130000}, ranges[] = {0, 0, 1000, 7, ITEMS / 2};
        for (size_t k = 0; k < 5; ++k) {
            /* Runs of a list need buffers, too. */
            r.memory = r.long_list && memories[k] < 200000 ? 200000 : memories[k];
            r.range = ranges[k];
            run_and_describe(*state, d->rows, MANY, &r, &counts, found);
            assert_string_equal(found, expected);
        }
    }
    free(d);
    free(expected);
    free(found);
    names_free(&list);
}

static void too_little_memory_is_an_error(void **state)
{
    random_data *d = malloc(sizeof *d);
    engine_counts counts;
    sr_error error = {.status = SR_OK};
    assert_non_null(d);
    fill_random(d, 1);
    assert_int_equal(run(*state, d->rows, MANY, &(request){.memory = 30000}, &counts, &error), SR_ERROR_RUNTIME);
    assert_non_null(strstr(error.message, "--memory: 30000 bytes are too few to merge"));
    assert_int_equal(files_count(*state), 0);
    free(d);
}

/* ---- splits ---- */

static void assert_split(const char *text, const int64_t *times, size_t length, int train_end, int valid_end)
{
    split_rule rule;
    sr_error error;
    uint32_t train, valid;
    if (split_parse(text, &any_times, &rule, &error) != SR_OK)
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
        if (split_parse(wrong[i], &any_times, &rule, &error) != SR_ERROR_USAGE)
            fail_msg("--split %s was accepted", wrong[i]);
    }
}

/* Fails the test unless a split by time is refused with these words: by itself, or for an input with such time stamps. */
static void assert_no_times(const char *text, const time_format *format, const char *says)
{
    split_rule rule;
    sr_error error = {.status = SR_OK};
    sr_status status = split_parse(text, &any_times, &rule, &error);
    if (format) {
        assert_int_equal(status, SR_OK);
        status = split_set_times(&rule, format, &error);
    }
    assert_int_equal(status, SR_ERROR_USAGE);
    if (!strstr(error.message, says))
        fail_msg("--split %s: \"%s\" does not say \"%s\"", text, error.message, says);
}

static void a_split_by_time_that_is_refused_says_why(void **state)
{
    (void)state;
    const time_format numbers = {.unit = TIME_NUMBER, .has_decimals = true}, dates = {.unit = TIME_ISO, .has_decimals = true};
    assert_no_times("time:5", NULL, "expected two time stamps, as in");
    assert_no_times("time:1,2,3", NULL, "expected two time stamps, as in");
    assert_no_times("time:9,5", NULL, "\"9\" is later than \"5\": the earlier one comes first");
    assert_no_times("time:2017-01-01,2016-01-01", NULL, "\"2017-01-01\" is later than \"2016-01-01\"");
    assert_no_times("time:2016-02-30,2016-03-01", NULL, "\"2016-02-30\" is neither a number nor a date");
    assert_no_times("time:5,2016-03-01", NULL, "one is a number and one a date");
    assert_no_times("time:5,1e30", NULL, "\"1e30\" is too large for a 64-bit integer");
    assert_no_times("time:2016-01-01,2017-01-01", &numbers,
                    "\"2016-01-01\" is a date, and the time stamps of the input are "
                    "numbers");
    assert_no_times("time:5,9", &dates, "\"5\" is a number, and the time stamps of the input are dates");
}

static void moments_between_time_stamps_cut_where_they_lie(void **state)
{
    (void)state;
    const time_format whole = {.unit = TIME_NUMBER, .has_decimals = true},
                      seconds = {.unit = TIME_SECONDS, .has_decimals = true};
    const int64_t times[] = {-2, -1, 0, 1, 2, 3};
    split_rule rule;
    uint32_t train, valid;
    assert_int_equal(split_parse("time:-1.5,1.5", &any_times, &rule, NULL), SR_OK);
    assert_int_equal(split_set_times(&rule, &whole, NULL), SR_OK);
    split_sequence(&rule, times, 6, &train, &valid);
    assert_int_equal(train, 1);
    assert_int_equal(valid, 4);
    assert_int_equal(split_parse("time:1970-01-01,1970-01-01T00:00:02Z", &any_times, &rule, NULL), SR_OK);
    assert_int_equal(split_set_times(&rule, &seconds, NULL), SR_OK);
    split_sequence(&rule, times, 6, &train, &valid);
    assert_int_equal(train, 2);
    assert_int_equal(valid, 4);
}

static void times_of_a_split_are_what_they_are_in_the_input(void **state)
{
    (void)state;
    const time_format dates = {.unit = TIME_ISO, .has_decimals = true, .decimals = 0},
                      fractions = {.unit = TIME_NUMBER, .has_decimals = true, .decimals = 3};
    split_rule rule;
    assert_int_equal(split_parse("time:2017-10-01,2017-10-02 00:00:10", &any_times, &rule, NULL), SR_OK);
    assert_int_equal(split_set_times(&rule, &dates, NULL), SR_OK);
    assert_int_equal(rule.times[0], 1506816000);
    assert_int_equal(rule.times[1], 1506816000 + 86410);
    assert_int_equal(split_set_times(&rule, &fractions, NULL), SR_ERROR_USAGE); /* the input has numbers */
    assert_int_equal(split_parse("time:0.5,1", &any_times, &rule, NULL), SR_OK);
    assert_int_equal(split_set_times(&rule, &fractions, NULL), SR_OK);
    assert_int_equal(rule.times[0], 500);
    assert_int_equal(rule.times[1], 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_is_by_user_and_time_and_ties_keep_the_input_order),
        cmocka_unit_test(ratings_below_the_threshold_go),
        cmocka_unit_test(the_time_range_holds_its_first_moment_and_not_its_last),
        cmocka_unit_test(only_listed_items_stay),
        cmocka_unit_test(duplicates_keep_the_first_or_the_last_in_time),
        cmocka_unit_test(the_core_is_repeated_until_nothing_changes),
        cmocka_unit_test(a_core_for_users_alone_leaves_items_alone),
        cmocka_unit_test(only_the_last_interactions_of_a_user_stay_after_the_core),
        cmocka_unit_test(users_come_in_the_order_of_what_remains),
        cmocka_unit_test(a_second_line_of_a_user_is_found_wherever_it_is),
        cmocka_unit_test(nothing_left_is_an_error_that_says_why),
        cmocka_unit_test(all_filters_together_do_what_is_documented_within_any_memory),
        cmocka_unit_test(too_little_memory_is_an_error),
        cmocka_unit_test(leave_one_out_needs_three_interactions),
        cmocka_unit_test(ratios_cut_each_sequence),
        cmocka_unit_test(times_cut_all_sequences_at_the_same_moment),
        cmocka_unit_test(times_of_a_split_are_what_they_are_in_the_input),
        cmocka_unit_test(unknown_splits_are_refused),
        cmocka_unit_test(a_split_by_time_that_is_refused_says_why),
        cmocka_unit_test(moments_between_time_stamps_cut_where_they_lie),
    };
    return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
