/* Gradients that travel between ranks as bf16: sums are right, the same on every rank, and lose nothing in the long run. */
#include "small_training.h"
#include "srtrain/random.h"
#include "step/reduction.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROWS = 300, WIDTH = 8, OTHERS = 5003, RANKS = 8, USERS = 80, ITEMS = 300, LENGTH = 14, STEPS = 40 };

typedef struct {
    shared_dataset data;
    sr_parallel *parallel; /* of the data set */
    sr_parameters parameters;
    sr_table_list tables;
} world;

/* What each rank brings of each number: the same in every step. */
static float gradients[RANKS][ROWS * WIDTH + OTHERS + 64];

static void draw_gradients(void)
{
    for (size_t rank = 0; rank < RANKS; ++rank)
        for (size_t i = 0; i < sizeof gradients[0] / sizeof gradients[0][0]; ++i)
            gradients[rank][i] = (float)sr_random_normal(sr_random_open(11, SR_RANDOM_TEST, rank), i, 0);
}

static size_t item_of(size_t user, size_t i)
{
    return user * 13 + 7 * i;
}

static void write_data(const char *directory)
{
    small_dataset_write_equal(
        directory, &(equal_sequences){.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 1, .item_of = item_of});
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_error error = {.message = ""};
    assert_non_null(w);
    shared_dataset_open(&w->data, write_data);
    w->parallel = w->data.parallel;
    const size_t table[] = {ROWS, WIDTH}, others[] = {OTHERS};
    sr_parameters_initialise(&w->parameters);
    assert_int_equal(sr_parameters_declare(&w->parameters, "items", table, 2, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, &error),
                     SR_OK);
    assert_int_equal(sr_parameters_declare(&w->parameters, "others", others, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                                           SR_PARAMETERS_ORDINARY, NULL, &error),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&w->parameters, &error), SR_OK);
    w->tables.count = 1;
    assert_true(sr_parallel_size(w->parallel) <= RANKS);
    draw_gradients();
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_parameters_free(&w->parameters);
    const int result = shared_dataset_close(&w->data);
    free(w);
    return result;
}

/* ---- sums ---- */

static void set_gradients(world *w, const sr_touched_rows *touched)
{
    memset(w->parameters.gradients, 0, w->parameters.block_size * sizeof(sr_real));
    for (size_t p = 0; p < 2; ++p)
        for (size_t i = 0; i < w->parameters.list[p].size; ++i) {
            const size_t at = w->parameters.list[p].offset + i;
            w->parameters.gradients[at] = gradients[sr_parallel_rank(w->parallel)][at];
        }
    if (!touched)
        return;
    for (size_t row = 0, next = 0; row < ROWS; ++row)
        if (next < touched->count && (size_t)touched->rows[next] == row)
            ++next;
        else
            memset(w->parameters.gradients + row * WIDTH, 0, WIDTH * sizeof(sr_real));
}

static double exact_sum(const world *w, size_t i)
{
    double sum = 0;
    for (int rank = 0; rank < sr_parallel_size(w->parallel); ++rank)
        sum += (double)gradients[rank][i];
    return sum;
}

static void assert_same_bits(world *w, const sr_real *values, size_t count)
{
    int64_t bounds[2] = {0, 0};
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bounds[0] = (int64_t)((uint64_t)bounds[0] * 31 + bits) & INT64_MAX >> 8;
    }
    bounds[1] = -bounds[0];
    assert_int_equal(sr_parallel_maximum_int64(w->parallel, bounds, 2, NULL), SR_OK);
    assert_true(bounds[0] == -bounds[1]);
}

/* The largest error of the mean of many reductions, of numbers of the size 1. */
static double error_of_mean(world *w, bool keeps_rest, const sr_touched_rows *touched, int times)
{
    static double sums[ROWS * WIDTH + OTHERS + 64];
    const sr_reduction_settings settings = {
        .message_bytes = 3000, .tables = w->tables, .most_rows = ROWS / 2, .rounded = true, .keeps_rest = keeps_rest};
    sr_reduction *reduction;
    assert_int_equal(sr_reduction_create(&reduction, w->parallel, &w->parameters, &settings, NULL), SR_OK);
    memset(sums, 0, sizeof sums);
    for (int step = 0; step < times; ++step) {
        set_gradients(w, touched);
        assert_int_equal(sr_reduction_run(reduction, touched, NULL), SR_OK);
        if (step % 20 == 0)
            assert_same_bits(w, w->parameters.gradients, w->parameters.block_size);
        for (size_t i = 0; i < w->parameters.block_size; ++i)
            sums[i] += (double)w->parameters.gradients[i];
    }
    sr_reduction_free(reduction);
    double largest = 0;
    set_gradients(w, touched);
    for (size_t i = 0; i < w->parameters.block_size; ++i) {
        const double expected = w->parameters.gradients[i] != 0 ? exact_sum(w, i) : 0;
        const double error = fabs(sums[i] / times - expected);
        largest = error > largest || isnan(error) ? error : largest;
    }
    return largest;
}

static void check_errors(world *w, const sr_touched_rows *touched)
{
    enum { TIMES = 60 };
    const double once = error_of_mean(w, true, touched, 1);
    const double kept = error_of_mean(w, true, touched, TIMES), lost = error_of_mean(w, false, touched, TIMES);
    if (sr_parallel_size(w->parallel) == 1) {
        assert_true(once < 1e-6 && kept < 1e-6 && lost < 1e-6); /* nothing travels, nothing is rounded */
        return;
    }
    assert_true(once > 1e-3 && once < 0.15); /* eight bits of numbers up to 10 */
    assert_true(lost > 1e-3);                /* the same error in every step */
    assert_true(kept < 20 * once / TIMES && kept < lost / 10);
}

static void what_rounding_takes_comes_with_the_next_step(void **state)
{
    check_errors(*state, NULL);
}

static void rows_of_tables_are_rounded_likewise(void **state)
{
    static int32_t rows[ROWS / 2];
    world *w = *state;
    for (size_t i = 0; i < ROWS / 3; ++i)
        rows[i] = (int32_t)(3 * i + i % 2);
    const sr_touched_rows touched = {.tables = w->tables, .rows = rows, .count = ROWS / 3};
    check_errors(w, &touched);
}

static void what_is_no_number_arrives_and_leaves_no_trace(void **state)
{
    world *w = *state;
    const sr_reduction_settings settings = {.message_bytes = 3000, .rounded = true, .keeps_rest = true};
    sr_reduction *reduction;
    assert_int_equal(sr_reduction_create(&reduction, w->parallel, &w->parameters, &settings, NULL), SR_OK);
    for (int step = 0; step < 2; ++step) {
        set_gradients(w, NULL);
        if (step == 0 && sr_parallel_rank(w->parallel) == 0) {
            w->parameters.gradients[5] = NAN;
            w->parameters.gradients[ROWS * WIDTH + 7] = INFINITY;
        }
        assert_int_equal(sr_reduction_run(reduction, NULL, NULL), SR_OK);
        assert_int_equal(isnan(w->parameters.gradients[5]) != 0, step == 0);
        assert_int_equal(isfinite(w->parameters.gradients[ROWS * WIDTH + 7]) == 0, step == 0);
    }
    sr_reduction_free(reduction);
}

/* ---- training ---- */

/* The mean loss of the last ten steps. */
static double train(world *w, const char *precision, const char *loss)
{
    char chosen[64], chosen_loss[64];
    snprintf(chosen, sizeof chosen, "training.reduction_precision=%s", precision);
    snprintf(chosen_loss, sizeof chosen_loss, "training.loss=%s", loss);
    const char *const assignments[] = {"data.path=none",
                                       "model.max_length=10",
                                       "model.hidden_size=16",
                                       "model.layers=1",
                                       "training.batch_size=64",
                                       "training.learning_rate=0.005",
                                       "training.reduction=blocking",
                                       chosen,
                                       chosen_loss};
    sr_error error = {.message = ""};
    static small_training t;
    small_training_begin(&t, &w->data, assignments, sizeof assignments / sizeof *assignments, STEPS);
    double sum = 0;
    for (int64_t step = 0; step < STEPS; ++step) {
        sr_step_result result;
        if (small_training_step(&t, step, &result, &error) != SR_OK)
            fail_msg("%s", error.message);
        sum += step >= STEPS - 10 ? sr_step_loss(&result) / 10 : 0;
    }
    assert_same_bits(w, sr_model_parameters(t.model)->values, sr_model_parameters(t.model)->block_size);
    small_training_end(&t);
    return sum;
}

static void training_follows_that_with_exact_sums(void **state)
{
    static const char *const losses[] = {"cross_entropy", "bpr"};
    world *w = *state;
    for (size_t i = 0; i < 2; ++i) {
        const double exact = train(w, "fp32", losses[i]), rounded = train(w, "bf16", losses[i]);
        if (!(fabs(rounded - exact) < 0.01 * exact) || (rounded == exact) != (sr_parallel_size(w->parallel) == 1))
            fail_msg("%s: the loss is %.6f with bf16, %.6f without", losses[i], rounded, exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rounding_takes_comes_with_the_next_step),
        cmocka_unit_test(rows_of_tables_are_rounded_likewise),
        cmocka_unit_test(what_is_no_number_arrives_and_leaves_no_trace),
        cmocka_unit_test(training_follows_that_with_exact_sums),
    };
    /* A rank whose test fails must take the others with it: they are waiting for its messages. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
