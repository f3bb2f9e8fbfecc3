/* The engine on 1 to 4 ranks, with tables for a few items at a time: the same files to the byte. */
#include "engine/engine.h"
#include "rank_counts.h"
#include "srtrain/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { INTERACTIONS = 4000, USERS = 150, ITEMS = 250, PATH_SIZE = 256, LITTLE = 300000 };

typedef struct {
    uint64_t memory, range;
} bounds;

static void path_of(const shared_dataset *shared, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", shared->directory, name);
}

/* This rank's part of the interactions: a stretch of the input. */
static void collect(collector *to, size_t part, size_t parts)
{
    collector_begin_part(to, part);
    for (size_t i = part * INTERACTIONS / parts; i < (part + 1) * INTERACTIONS / parts; ++i) {
        char user[16], item[32];
        uint32_t words[4];
        sr_random_words(sr_random_open(7, SR_RANDOM_TEST, 0), i, 0, words);
        snprintf(user, sizeof user, "u%u", words[0] % USERS);
        const uint32_t number = words[1] % ITEMS * (words[2] % 3) / 2;
        snprintf(item, sizeof item, "%.*s%u", (int)(number % 4), "item", number);
        const interaction added = {.user = user,
                                   .user_length = strlen(user),
                                   .item = item,
                                   .item_length = strlen(item),
                                   .time = words[3] % 500,
                                   .line = i + 1};
        assert_int_equal(collector_add(to, &added, NULL), SR_OK);
    }
}

/* A list of every second item: a table where memory is plenty, runs where there is little. */
static void read_list(item_list *list, workplace *place, const char *path, sr_error *error)
{
    if (place->rank == 0) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        for (uint32_t number = 0; number < ITEMS; number += 2)
            assert_true(fprintf(file, "%.*s%u\n", (int)(number % 4), "item", number) > 0);
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(sr_parallel_barrier(place->parallel, error), SR_OK);
    assert_int_equal(item_list_read(list, place, path, error), SR_OK);
    assert_true(list->is_long == (place->memory == LITTLE));
}

/* Converts all interactions on the ranks of `parallel` to DIRECTORY/NAME. Collective. */
static void convert(const shared_dataset *shared, const user_rules *rules, bool listed, const bounds *b, const char *name)
{
    char output[PATH_SIZE], path[PATH_SIZE];
    workplace place;
    collector from;
    engine_counts counts;
    sr_error error = {.message = ""};
    uint64_t starts[MOST_RANKS];
    path_of(shared, name, output);
    assert_int_equal(workplace_open(&place, shared->parallel, NULL, output, b->memory, &error), SR_OK);
    place.range = b->range;
    if (place.ranks > 1)
        assert_int_equal(workplace_make_directory(&place, &error), SR_OK);
    item_list list = {.file = {.descriptor = -1}};
    if (listed) {
        path_of(shared, "list.txt", path);
        read_list(&list, &place, path, &error);
    }
    const entry_filter filter = {.items = listed && !list.is_long ? &list.table : NULL,
                                 .too_long = list.is_long ? &list : NULL};
    assert_int_equal(collector_create(&from, &place, false, &filter, &error), SR_OK);
    collect(&from, place.rank, place.ranks);
    for (size_t part = 0; part < place.ranks; ++part)
        starts[part] = part * INTERACTIONS / place.ranks;
    const engine_plan plan = {.rules = *rules,
                              .split = {.kind = SPLIT_LEAVE_ONE_OUT},
                              .split_text = "leave-one-out",
                              .origin = "{}",
                              .directory = output,
                              .shards = 1,
                              .has_times = true,
                              .part_starts = starts,
                              .read = INTERACTIONS};
    if (engine_run(&place, &from, &plan, &counts, &error) != SR_OK)
        fail_msg("%s", error.message);
    if (listed)
        assert_true(counts.not_listed > 1000 && counts.not_listed < INTERACTIONS);
    collector_free(&from);
    item_list_free(&list);
    workplace_close(&place);
}

static void assert_same(const shared_dataset *shared, const char *first, const char *second)
{
    char command[1024];
    const char *d = shared->directory;
    snprintf(command, sizeof command, "diff -r %s/%s %s/%s && rm -r %s/%s", d, first, d, second, d, second);
    if (sr_parallel_rank(shared->parallel) == 0)
        assert_int_equal(system(command), 0);
}

static void ranks_and_ranges_of_items_do_not_change_a_byte(void **state)
{
    const rank_counts *counts = *state;
    const struct {
        user_rules rules;
        bool listed;
    } cases[] = {{{.max_length = 0}, false},
                 {{.duplicates = DEDUPLICATE_LAST, .min_user = 6, .min_item = 7, .max_length = 30}, false},
                 {{.min_item = 3}, true}};
    const bounds all[] = {{1 << 26, 0}, {1 << 26, 7}, {LITTLE, 100}, {1 << 26, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char first[32];
        snprintf(first, sizeof first, "first-%zu", i);
        for (int ranks = 1; ranks <= MOST_RANKS; ++ranks) {
            shared_dataset data;
            const bool takes_part = rank_counts_take_part(counts, ranks, &data);
            /* One range as small as can be is enough for one number of ranks. */
            for (size_t k = 0; takes_part && k < (ranks == 3 ? 4 : 3); ++k) {
                const bool is_first = ranks == 1 && k == 0;
                convert(&data, &cases[i].rules, cases[i].listed, &all[k], is_first ? first : "again");
                if (!is_first)
                    assert_same(&data, first, "again");
            }
            rank_counts_wait(counts);
        }
    }
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranks_and_ranges_of_items_do_not_change_a_byte)};
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}
