/* Rows that a model takes over from a checkpoint of other items: which they are, and that each arrives where it belongs, of
 * values and of the optimizer's state, whoever has the rows. */
#include "divided_rows.h"
#include "files.h"
#include "rank_counts.h"
#include "srtrain/checkpoint.h"
#include "srtrain/row_moves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check(sr_status status, const sr_error *error)
{
    if (status != SR_OK)
        fail_msg("%s", error->message);
}

/* ---- which rows ---- */

/* A data set of one user with these items, in this order. */
static sr_dataset *dataset_of(const char *directory, const char *const *names, size_t items)
{
    static const char *const users[] = {"user"};
    const int64_t offsets[] = {0, 3};
    const int32_t ids[] = {1, 2, 3}, train_end[] = {1}, valid_end[] = {2};
    const sr_dataset_contents contents = {.users = 1,
                                          .items = items,
                                          .interactions = 3,
                                          .offsets = offsets,
                                          .item_ids = ids,
                                          .train_end = train_end,
                                          .valid_end = valid_end,
                                          .user_names = users,
                                          .item_names = names,
                                          .split = "leave-one-out",
                                          .origin = "{}"};
    sr_dataset *dataset;
    sr_error error;
    check(sr_dataset_write(directory, &contents, 1, &error), &error);
    check(sr_dataset_open(&dataset, directory, &error), &error);
    return dataset;
}

typedef struct {
    sr_dataset *before, *now;
    sr_item_names *names_before, *names_now;
} two_catalogues;

static void open_catalogues(two_catalogues *c, const char *directory)
{
    static const char *const before[] = {"a", "b", "c", "dd"}, *const now[] = {"c", "x", "a", "d", "dd"};
    char path[FILES_PATH_SIZE];
    sr_error error;
    files_path(path, directory, "before");
    c->before = dataset_of(path, before, 4);
    files_path(path, directory, "now");
    c->now = dataset_of(path, now, 5);
    check(sr_item_names_of_dataset(&c->names_before, c->before, &error), &error);
    check(sr_item_names_of_dataset(&c->names_now, c->now, &error), &error);
}

static void close_catalogues(two_catalogues *c)
{
    sr_item_names_free(c->names_before);
    sr_item_names_free(c->names_now);
    sr_dataset_close(c->before);
    sr_dataset_close(c->now);
}

static void assert_moves(const sr_row_moves *moves, const sr_row_move *expected, size_t count)
{
    assert_int_equal(moves->count, count);
    for (size_t i = 0; i < count; ++i) {
        assert_int_equal(moves->list[i].from, expected[i].from);
        assert_int_equal(moves->list[i].to, expected[i].to);
    }
}

static void rows_are_found_by_their_identifiers(void **state)
{
    const rank_counts *counts = *state;
    if (sr_parallel_rank(counts->all.parallel) == 0) {
        two_catalogues c;
        sr_row_moves moves;
        sr_error error;
        open_catalogues(&c, counts->all.directory);
        /* Padding, items, and a row behind them. */
        const sr_row_numbers all[] = {{.count = 7}};
        sr_row_search search = {.before = c.names_before, .now = c.names_now, .more = 1, .here = all, .parts = 1};
        check(sr_row_moves_find(&moves, &search, &error), &error);
        assert_moves(&moves, (sr_row_move[]){{0, 0}, {1, 3}, {3, 1}, {4, 5}, {5, 6}}, 5);
        assert_int_equal(moves.kept, 3);
        assert_int_equal(moves.old_count, 4);
        assert_int_equal(moves.old_rows, 6);
        assert_int_equal(moves.fresh_count, 2);
        assert_int_equal(moves.fresh[0], 2);
        assert_int_equal(moves.fresh[1], 4);
        sr_row_moves_free(&moves);
        /* Some of them, in two parts. */
        const sr_row_numbers some[] = {{.count = 2, .first = 3, .step = 3}, {.count = 2, .first = 1, .step = 3}};
        search.here = some;
        search.parts = 2;
        check(sr_row_moves_find(&moves, &search, &error), &error);
        assert_moves(&moves, (sr_row_move[]){{1, 3}, {3, 1}, {5, 6}}, 3);
        assert_int_equal(moves.kept, 2);
        assert_int_equal(moves.fresh_count, 1);
        assert_int_equal(moves.fresh[0], 4);
        sr_row_moves_free(&moves);
        /* None. */
        search.parts = 0;
        check(sr_row_moves_find(&moves, &search, &error), &error);
        assert_int_equal(moves.count + moves.fresh_count, 0);
        assert_int_equal(moves.old_rows, 6);
        sr_row_moves_free(&moves);
        close_catalogues(&c);
    }
    rank_counts_wait(counts);
}

/* ---- what they hold ---- */

/* Tables of several blocks of checksums, which end within rows: `ITEMS` items and a row behind them. */
enum { OLD_ITEMS = 21998, NEW_ITEMS = 22501, WIDTH = 50, OTHER = 300, GROUPS = 3, STRIDE = 13 };
enum { OLD_SIZE = (OLD_ITEMS + 2) * WIDTH, NEW_SIZE = (NEW_ITEMS + 2) * WIDTH };
static const char table_name[] = "item_embedding.weight";

typedef struct {
    sr_parameters parameters;
    sr_state state;
    bool is_divided;
    divided_rows rows;
} state_of_training;

static void declare(sr_parameters *parameters, const char *name, const size_t *shape, size_t rank, size_t *index)
{
    sr_error error;
    check(sr_parameters_declare(parameters, name, shape, rank, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                                SR_PARAMETERS_ORDINARY, index, &error),
          &error);
}

static void make_state(state_of_training *s, sr_parallel *parallel, size_t items, bool is_divided)
{
    static const char *const names[] = {"first_moment", "second_moment"};
    static const size_t other[] = {OTHER};
    const size_t shape[] = {items + 2, WIDTH};
    sr_error error;
    size_t index;
    *s = (state_of_training){.is_divided = is_divided, .state = {.count = GROUPS - 1}};
    sr_parameters_initialise(&s->parameters);
    if (is_divided) {
        divided_rows_make(&s->rows, &s->parameters, table_name, shape, (size_t)sr_parallel_rank(parallel),
                          (size_t)sr_parallel_size(parallel));
        for (size_t b = 0; b < DIVIDED_BLOCKS; ++b)
            sr_parameters_assign_rows(&s->rows.blocks[b].parameters, 0, SR_ROWS_OF_ITEMS);
    } else {
        declare(&s->parameters, table_name, shape, 2, &index);
        sr_parameters_assign_rows(&s->parameters, index, SR_ROWS_OF_ITEMS);
    }
    declare(&s->parameters, "encoder.weight", other, 1, NULL);
    check(sr_parameters_allocate(&s->parameters, &error), &error);
    for (size_t i = 0; i < s->state.count; ++i) {
        s->state.blocks[i] = (sr_state_block){names[i], calloc(s->parameters.block_size, sizeof(sr_real))};
        assert_non_null(s->state.blocks[i].values);
    }
}

static void free_state(state_of_training *s)
{
    if (s->is_divided)
        divided_rows_free(&s->rows, &s->parameters);
    for (size_t i = 0; i < s->state.count; ++i)
        free(s->state.blocks[i].values);
    sr_parameters_free(&s->parameters);
}

static sr_real value_of(size_t group, size_t row, size_t column)
{
    return (sr_real)((row * WIDTH + column) % 65521 + 100000 * group);
}

static sr_real *values_of(state_of_training *s, size_t group)
{
    return group == 0 ? s->parameters.values : s->state.blocks[group - 1].values;
}

/* A checkpoint of the old items. */
static void write_old(sr_parallel *parallel, const char *path)
{
    static char text[] = "text";
    const sr_checkpoint checkpoint = {
        .configuration = text, .program_version = text, .data_fingerprint = text, .data_directory = text};
    state_of_training s;
    sr_error error;
    make_state(&s, parallel, OLD_ITEMS, false);
    for (size_t group = 0; group < GROUPS; ++group) {
        for (size_t i = 0; i < OLD_SIZE; ++i)
            values_of(&s, group)[s.parameters.list[0].offset + i] = value_of(group, i / WIDTH, i % WIDTH);
        for (size_t i = 0; i < OTHER; ++i)
            values_of(&s, group)[s.parameters.list[1].offset + i] = (sr_real)(i + group);
    }
    check(sr_checkpoint_write(parallel, path, &checkpoint, &s.parameters, &s.state, &error), &error);
    free_state(&s);
}

/* The old item that is the new one `item`: 0 where it is none, as each seventh of the old ones is gone. */
static size_t old_of(size_t item)
{
    static size_t of[NEW_ITEMS + 1];
    if (of[1] == 0)
        for (size_t old = 1; old <= NEW_ITEMS; ++old)
            of[1 + (old - 1) * STRIDE % NEW_ITEMS] = old;
    return of[item] <= OLD_ITEMS && of[item] % 7 != 0 ? of[item] : 0;
}

/* The row of the old table that becomes row `row`; SIZE_MAX: none. */
static size_t old_row_of(size_t row)
{
    if (row == 0 || row == NEW_ITEMS + 1)
        return row == 0 ? 0 : OLD_ITEMS + 1;
    return old_of(row) ? old_of(row) : SIZE_MAX;
}

static int by_from(const void *left, const void *right)
{
    return ((const sr_row_move *)left)->from - ((const sr_row_move *)right)->from;
}

/* Of the rows that this process has. */
static void make_moves(sr_row_moves *moves, state_of_training *s, bool is_root)
{
    *moves = (sr_row_moves){.old_count = OLD_ITEMS,
                            .old_rows = OLD_ITEMS + 2,
                            .list = calloc(NEW_ITEMS + 2, sizeof *moves->list),
                            .fresh = calloc(NEW_ITEMS + 2, sizeof *moves->fresh)};
    for (size_t row = 0; row < NEW_ITEMS + 2; ++row) {
        size_t place;
        if (s->is_divided ? !sr_row_blocks_find(&s->parameters, row, &place) : !is_root)
            continue;
        if (old_row_of(row) == SIZE_MAX)
            moves->fresh[moves->fresh_count++] = (int32_t)row;
        else
            moves->list[moves->count++] = (sr_row_move){(int32_t)old_row_of(row), (int32_t)row};
    }
    qsort(moves->list, moves->count, sizeof *moves->list, by_from);
}

/* The first values of a fresh row. */
static void expect_fresh(const state_of_training *s, size_t row, bool mean, sr_real expected[WIDTH])
{
    const sr_parameters *parameters = s->is_divided ? &s->rows.blocks[0].parameters : &s->parameters;
    sr_parameters_initial_values(parameters, 0, 77, row * WIDTH, WIDTH, expected);
    for (size_t column = 0; mean && column < WIDTH; ++column) {
        double sum = 0;
        for (size_t old = 1; old <= OLD_ITEMS; ++old)
            sum += value_of(0, old, column);
        expected[column] = (sr_real)(sum / OLD_ITEMS);
    }
}

static void assert_taken(state_of_training *s, bool mean)
{
    sr_real fresh[WIDTH];
    size_t seen = 0;
    for (size_t group = 0; group < GROUPS; ++group)
        for (size_t row = 0; row < NEW_ITEMS + 2; ++row) {
            size_t place;
            const sr_row_block *block = s->is_divided ? sr_row_blocks_find(&s->parameters, row, &place) : NULL;
            if (s->is_divided && !block)
                continue;
            const sr_real *found = block ? sr_row_block_row(block, 0, group == 0 ? SIZE_MAX : group - 1, place)
                                         : values_of(s, group) + s->parameters.list[0].offset + row * WIDTH;
            const size_t old = old_row_of(row);
            if (old == SIZE_MAX && group == 0 && (!mean || seen++ == 0))
                expect_fresh(s, row, mean, fresh);
            for (size_t column = 0; column < WIDTH; ++column) {
                const sr_real expected = old != SIZE_MAX ? value_of(group, old, column) : group == 0 ? fresh[column] : 0;
                if (found[column] != expected)
                    fail_msg("column %zu of row %zu in group %zu is %g, not %g", column, row, group, (double)found[column],
                             (double)expected);
            }
        }
    for (size_t group = 0; group < GROUPS; ++group)
        for (size_t i = 0; i < OTHER; ++i)
            assert_true(values_of(s, group)[s->parameters.list[s->is_divided ? 0 : 1].offset + i] == (sr_real)(i + group));
}

static void take_and_compare(const shared_dataset *data, const char *path, bool is_divided, bool mean)
{
    state_of_training s;
    sr_row_moves moves;
    sr_error error;
    sr_state_found found;
    make_state(&s, data->parallel, NEW_ITEMS, is_divided);
    make_moves(&moves, &s, sr_parallel_rank(data->parallel) == 0);
    const sr_taking taking = {.moves = {[SR_ROWS_OF_ITEMS] = &moves}, .mean = mean, .seed = 77};
    check(sr_checkpoint_look_at_state(data->parallel, path, &s.state, &found, &error), &error);
    assert_int_equal(found, SR_STATE_FITS);
    check(sr_checkpoint_take(data->parallel, path, &taking, &s.parameters, &s.state, &error), &error);
    assert_taken(&s, mean);
    sr_row_moves_free(&moves);
    free_state(&s);
}

static void rows_and_their_state_arrive_whoever_has_them(void **state)
{
    const rank_counts *counts = *state;
    char path[FILES_PATH_SIZE];
    files_path(path, counts->all.directory, "old.h5");
    shared_dataset data;
    if (rank_counts_take_part(counts, 1, &data))
        write_old(data.parallel, path);
    rank_counts_wait(counts);
    for (int ranks = 1; ranks <= 3; ranks += 2) {
        if (rank_counts_take_part(counts, ranks, &data))
            for (int kind = 0; kind < 4; ++kind)
                take_and_compare(&data, path, kind / 2 == 1, kind % 2 == 1);
        rank_counts_wait(counts);
    }
}

static void other_shapes_are_named(void **state)
{
    const rank_counts *counts = *state;
    const shared_dataset *data = &counts->all;
    char path[FILES_PATH_SIZE];
    sr_error error = {.message = ""};
    files_path(path, data->directory, "old.h5"); /* which the test before has left */
    for (int is_divided = 0; is_divided < 2; ++is_divided) {
        state_of_training s;
        sr_row_moves moves;
        make_state(&s, data->parallel, NEW_ITEMS, is_divided);
        make_moves(&moves, &s, sr_parallel_rank(data->parallel) == 0);
        moves.old_rows -= 1; /* as if the file had other rows than its identifiers say */
        const sr_taking taking = {.moves = {[SR_ROWS_OF_ITEMS] = &moves}};
        assert_int_equal(sr_checkpoint_take(data->parallel, path, &taking, &s.parameters, NULL, &error), SR_ERROR_DATA);
        assert_non_null(strstr(error.message, "item_embedding.weight is [22000, 50], expected [21999, 50]"));
        sr_row_moves_free(&moves);
        free_state(&s);
    }
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_their_identifiers),
        cmocka_unit_test(rows_and_their_state_arrive_whoever_has_them),
        cmocka_unit_test(other_shapes_are_named),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}
