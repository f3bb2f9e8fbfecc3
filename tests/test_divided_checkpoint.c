/* Checkpoints of an item table that is divided among ranks: the bytes of one that every rank has, and training goes on from
 * either with the other kind and on any number of ranks. */
#include "divided_rows.h"
#include "files.h"
#include "rank_counts.h"
#include "small_training.h"
#include "srtrain/checkpoint.h"

#include <math.h>
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

static sr_checkpoint contents(int64_t step)
{
    static char text[] = "text";
    return (sr_checkpoint){.progress = {.step = step},
                           .configuration = text,
                           .program_version = text,
                           .data_fingerprint = text,
                           .data_directory = text};
}

static unsigned char *read_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

/* ---- bytes ---- */

/* A table of several blocks of checksums, which end within rows, and an array that all ranks write. */
enum { ROWS = 22000, WIDTH = 50, SIZE = ROWS * WIDTH, OTHER = 20000, GROUPS = 3, TABLE = 0 };
static const char table_name[] = "item_embedding.weight";
static const size_t table_shape[] = {ROWS, WIDTH};

typedef struct {
    sr_parameters parameters;
    sr_state state; /* of what is not divided */
    bool is_divided;
    divided_rows rows;
} state_of_training;

static void declare(sr_parameters *parameters, const char *name, const size_t *shape, size_t rank)
{
    sr_error error;
    check(sr_parameters_declare(parameters, name, shape, rank, (sr_initial_values){SR_INITIAL_NORMAL, 0.02},
                                SR_PARAMETERS_ORDINARY, NULL, &error),
          &error);
}

static void make_state(state_of_training *s, sr_parallel *parallel, bool is_divided)
{
    static const char *const names[] = {"first_moment", "second_moment"};
    static const size_t other[] = {OTHER}, small[] = {3};
    sr_error error;
    *s = (state_of_training){.is_divided = is_divided, .state = {.count = GROUPS - 1}};
    sr_parameters_initialise(&s->parameters);
    if (!is_divided)
        declare(&s->parameters, table_name, table_shape, 2);
    declare(&s->parameters, "encoder.weight", other, 1);
    declare(&s->parameters, "output.bias", small, 1);
    if (is_divided)
        divided_rows_make(&s->rows, &s->parameters, table_name, table_shape, (size_t)sr_parallel_rank(parallel),
                          (size_t)sr_parallel_size(parallel));
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

static sr_real value_of(size_t group, size_t array, size_t element)
{
    return (sr_real)((element * 2654435761U + 7919 * group + 104729 * array) % 16777213) / 1024;
}

static sr_real *values_of(state_of_training *s, size_t group)
{
    return group == 0 ? s->parameters.values : s->state.blocks[group - 1].values;
}

/* Gives every element the value that it has in this test, or compares it with that. */
static void fill_or_compare(state_of_training *s, bool fills)
{
    sr_real *table = malloc(SIZE * sizeof *table), *found = calloc(SIZE, sizeof *found);
    assert_true(table && found);
    for (size_t group = 0; group < GROUPS; ++group) {
        for (size_t i = 0; i < SIZE; ++i)
            table[i] = value_of(group, TABLE, i);
        const size_t state = group == 0 ? SIZE_MAX : group - 1;
        if (s->is_divided && fills)
            sr_row_blocks_set(&s->parameters, 0, state, 0, SIZE, table);
        for (size_t p = 0; p < s->parameters.count; ++p) {
            const size_t array = p + (s->is_divided ? 1 : 0);
            sr_real *values = values_of(s, group) + s->parameters.list[p].offset;
            for (size_t i = 0; i < s->parameters.list[p].size; ++i)
                if (fills)
                    values[i] = value_of(group, array, i);
                else if (values[i] != value_of(group, array, i))
                    fail_msg("element %zu of array %zu in group %zu is %g", i, array, group, (double)values[i]);
        }
        if (s->is_divided && !fills) {
            memcpy(found, table, SIZE * sizeof *table); /* rows of others stay */
            sr_row_blocks_get(&s->parameters, 0, state, 0, SIZE, found);
            assert_memory_equal(found, table, SIZE * sizeof *table);
        }
    }
    free(table);
    free(found);
}

/* On the first rank: that both files have the same bytes. */
static void assert_same_file(const char *path, const char *expected_path, int ranks)
{
    size_t size, expected_size;
    unsigned char *bytes = read_bytes(path, &size), *expected = read_bytes(expected_path, &expected_size);
    assert_int_equal(size, expected_size);
    for (size_t i = 0; i < size; ++i)
        if (bytes[i] != expected[i])
            fail_msg("byte %zu of %zu differs from that of one rank where %d ranks divide the table", i, size, ranks);
    free(bytes);
    free(expected);
}

static void write_and_compare(const shared_dataset *data, int ranks, bool is_divided, const char *path, const char *expected)
{
    state_of_training s;
    sr_error error;
    const sr_checkpoint checkpoint = contents(0);
    make_state(&s, data->parallel, is_divided);
    fill_or_compare(&s, true);
    check(sr_checkpoint_write(data->parallel, path, &checkpoint, &s.parameters, &s.state, &error), &error);
    if (is_divided && sr_parallel_rank(data->parallel) == 0)
        assert_same_file(path, expected, ranks);
    check(sr_parallel_barrier(data->parallel, &error), &error);
    free_state(&s);
}

static void read_and_compare(const shared_dataset *data, const char *path, bool is_divided)
{
    state_of_training s;
    sr_error error;
    make_state(&s, data->parallel, is_divided);
    check(sr_checkpoint_read_state(data->parallel, path, &s.parameters, &s.state, &error), &error);
    fill_or_compare(&s, false);
    free_state(&s);
}

static void files_and_values_are_the_same_whoever_has_the_rows(void **state)
{
    const rank_counts *counts = *state;
    char replicated[FILES_PATH_SIZE], divided[FILES_PATH_SIZE];
    files_path(replicated, counts->all.directory, "replicated.h5");
    files_path(divided, counts->all.directory, "divided.h5");
    shared_dataset data;
    if (rank_counts_take_part(counts, 1, &data))
        write_and_compare(&data, 1, false, replicated, replicated);
    rank_counts_wait(counts);
    for (int ranks = 1; ranks <= MOST_RANKS; ++ranks) {
        if (rank_counts_take_part(counts, ranks, &data)) {
            write_and_compare(&data, ranks, true, divided, replicated);
            read_and_compare(&data, replicated, true);
        }
        rank_counts_wait(counts);
    }
    if (rank_counts_take_part(counts, 2, &data))
        read_and_compare(&data, divided, false);
    rank_counts_wait(counts);
}

/* ---- failures ---- */

static void a_damaged_row_is_found_on_all_ranks(void **state)
{
    const rank_counts *counts = *state;
    const shared_dataset *data = &counts->all;
    char path[FILES_PATH_SIZE];
    sr_error error = {.message = ""};
    state_of_training s;
    files_path(path, data->directory, "divided.h5"); /* which the first test has left */
    check(sr_parallel_barrier(data->parallel, &error), &error);
    if (sr_parallel_rank(data->parallel) == 0) {
        size_t size;
        unsigned char *bytes = read_bytes(path, &size);
        const sr_real last[] = {value_of(2, TABLE, SIZE - 2), value_of(2, TABLE, SIZE - 1)};
        unsigned char *place = memmem(bytes, size, last, sizeof last);
        assert_non_null(place);
        *place ^= 4;
        files_write(path, bytes, size);
        free(bytes);
    }
    check(sr_parallel_barrier(data->parallel, &error), &error);
    make_state(&s, data->parallel, true);
    assert_int_equal(sr_checkpoint_read_state(data->parallel, path, &s.parameters, &s.state, &error), SR_ERROR_DATA);
    assert_non_null(strstr(error.message, "the checksum of /optimizer/second_moment/item_embedding.weight, elements from "));
    assert_int_equal(sr_checkpoint_verify(data->parallel, path, true, &error), SR_ERROR_DATA);
    free_state(&s);
}

static void rows_that_no_rank_has_are_an_error_on_all_ranks(void **state)
{
    const rank_counts *counts = *state;
    const shared_dataset *data = &counts->all;
    char path[FILES_PATH_SIZE];
    sr_error error = {.message = ""};
    state_of_training s;
    const sr_checkpoint checkpoint = contents(0);
    files_path(path, data->directory, "lacking.h5");
    make_state(&s, data->parallel, true);
    if (sr_parallel_rank(data->parallel) == 2)
        --s.rows.blocks[1].numbers.count;
    assert_int_equal(sr_checkpoint_write(data->parallel, path, &checkpoint, &s.parameters, &s.state, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "of item_embedding.weight, which a checkpoint must hold"));
    if (sr_parallel_rank(data->parallel) == 2)
        ++s.rows.blocks[1].numbers.count;
    free_state(&s);
}

/* ---- training ---- */

enum { THIRD = 6, STEPS = 3 * THIRD };

/* Who trains a third of the steps: ranks, threads of each, and the kind of table. */
typedef struct {
    int ranks, threads;
    bool is_divided;
} stage;

static const struct {
    stage stages[3];
    const char *loss;
} chains[] = {
    {{{1, 1, false}, {3, 1, true}, {2, 1, false}}, "bpr"},
    {{{2, 2, true}, {3, 1, false}, {4, 1, true}}, "bpr"},
    {{{4, 1, true}, {1, 2, true}, {2, 2, true}}, "cross_entropy"},
};

static void begin(small_training *t, const shared_dataset *data, const stage *who, const char *loss)
{
    char threads[64], chosen[64];
    snprintf(threads, sizeof threads, "training.threads=%d", who->threads);
    snprintf(chosen, sizeof chosen, "training.loss=%s", loss);
    const char *assignments[] = {"data.path=none",
                                 "model.hidden_size=8",
                                 "model.inner_size=16",
                                 "model.max_length=10",
                                 "model.hidden_dropout=0.3",
                                 "training.batch_size=48",
                                 "training.learning_rate=0.003",
                                 "training.adam_epsilon=1e-5",
                                 threads,
                                 chosen,
                                 who->is_divided ? "model.item_table=divided" : "model.item_table=replicated"};
    small_training_begin(t, data, assignments, sizeof assignments / sizeof *assignments, STEPS);
}

/* Steps [first, end), from the file of step `first` unless that is the first of all; and their file, unless `path` is NULL. */
static void train_stage(const shared_dataset *data, const stage *who, const char *loss, int64_t first, int64_t end,
                        const char *path, double *losses)
{
    small_training t;
    sr_error error = {.message = ""};
    begin(&t, data, who, loss);
    sr_parameters *parameters = sr_model_parameters(t.model);
    if (path && first > 0)
        check(sr_checkpoint_read_state(data->parallel, path, parameters, &t.stepper.optimizer.state, &error), &error);
    for (int64_t step = first; step < end; ++step) {
        sr_step_result result;
        check(small_training_step(&t, step, &result, &error), &error);
        losses[step] = sr_terms_total(&result.terms, SR_PARAMETERS_EVERY, result.targets);
        if ((step + 1) % THIRD == 0) /* a run that goes on has done so, too: it rounds */
            check(sr_stepper_settle(&t.stepper, &error), &error);
    }
    const sr_checkpoint checkpoint = contents(end);
    if (path)
        check(sr_checkpoint_write(data->parallel, path, &checkpoint, parameters, &t.stepper.optimizer.state, &error), &error);
    small_training_end(&t);
}

/* True on the first rank, which has the losses. */
static bool train(const rank_counts *counts, const stage *who, const char *loss, int64_t first, int64_t end, const char *path,
                  double *losses)
{
    shared_dataset data;
    const bool takes_part = rank_counts_take_part(counts, who->ranks, &data);
    if (takes_part)
        train_stage(&data, who, loss, first, end, path, losses);
    rank_counts_wait(counts);
    return takes_part && sr_parallel_rank(data.parallel) == 0;
}

static void training_goes_on_with_the_other_kind_on_other_ranks(void **state)
{
    const rank_counts *counts = *state;
    static const stage alone = {1, 1, false};
    char path[FILES_PATH_SIZE];
    files_path(path, counts->all.directory, "chain.h5");
    for (size_t c = 0; c < sizeof chains / sizeof *chains; ++c) {
        double expected[STEPS] = {0}, found[STEPS] = {0};
        bool is_first = train(counts, &alone, chains[c].loss, 0, STEPS, NULL, expected);
        for (int64_t i = 0; i < 3; ++i)
            is_first = train(counts, &chains[c].stages[i], chains[c].loss, THIRD * i, THIRD * (i + 1), path, found);
        for (size_t step = 0; is_first && step < STEPS; ++step)
            if (!(fabs(found[step] - expected[step]) <= 1e-5 * fabs(expected[step])))
                fail_msg("chain %zu: the loss of step %zu is %.9g instead of %.9g", c, step + 1, found[step], expected[step]);
    }
}

static void a_divided_training_goes_on_to_the_bit(void **state)
{
    const rank_counts *counts = *state;
    static const stage workers[] = {{3, 1, true}, {2, 2, true}};
    static const char *const losses[] = {"bpr", "cross_entropy"};
    char path[FILES_PATH_SIZE];
    files_path(path, counts->all.directory, "same.h5");
    for (size_t w = 0; w < 2; ++w) {
        double expected[STEPS] = {0}, found[STEPS] = {0};
        bool is_first = train(counts, &workers[w], losses[w], 0, STEPS, NULL, expected);
        for (int64_t i = 0; i < 3; ++i)
            is_first = train(counts, &workers[w], losses[w], THIRD * i, THIRD * (i + 1), path, found);
        if (is_first)
            assert_memory_equal(found, expected, sizeof expected);
    }
}

static int set_up(void **state)
{
    return rank_counts_set_up(state, write_short_histories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_values_are_the_same_whoever_has_the_rows),
        cmocka_unit_test(a_damaged_row_is_found_on_all_ranks),
        cmocka_unit_test(rows_that_no_rank_has_are_an_error_on_all_ranks),
        cmocka_unit_test(training_goes_on_with_the_other_kind_on_other_ranks),
        cmocka_unit_test(a_divided_training_goes_on_to_the_bit),
    };
    /* A rank that fails an assertion ends the whole job: the others would wait for it for ever. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, rank_counts_tear_down);
}
