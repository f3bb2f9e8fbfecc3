/* Attention by the time between items: what scores and context are, which rows are trained. */
#include "operation_world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Gaps of `four`. */
static const size_t four_gaps[4][4] = {{0, 0, 0, 0}, {3, 0, 0, 0}, {3, 3, 0, 0}, {3, 3, 0, 0}};

static void interval_scores_follow_their_definition(void **state)
{
    world *w = *state;
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH), *query = filled(w, 4, WIDTH, 0);
    for (size_t i = 0; i < 4 * WIDTH; ++i)
        query->values[i] = (sr_real)i - 7;
    const sr_attention_map *map = map_of(w, &four, HEADS);
    const sr_tensor *scores = sr_interval_scores(w->tape, query, table, map, &four_intervals, 0.5);
    for (size_t head = 0; head < HEADS; ++head)
        for (size_t i = 0; i < 4; ++i)
            for (size_t j = 0; j < 4; ++j) {
                const sr_real *q = query->values + i * WIDTH + head * 2;
                const sr_real *row = table->values + four_gaps[i][j] * WIDTH + head * 2;
                const double expected = j <= i ? 0.5 * (q[0] * row[0] + q[1] * row[1]) : 0;
                assert_true(fabs(scores->values[(head * 4 + i) * 4 + j] - expected) < 1e-12);
            }
}

static void interval_context_follows_its_definition(void **state)
{
    world *w = *state;
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH), *weights = filled(w, HEADS * 16, 1, 0);
    for (size_t i = 0; i < HEADS * 16; ++i)
        weights->values[i] = (sr_real)i - 7;
    const sr_attention_map *map = map_of(w, &four, HEADS);
    const sr_tensor *context = sr_interval_context(w->tape, weights, table, map, &four_intervals);
    for (size_t i = 0; i < 4; ++i)
        for (size_t column = 0; column < WIDTH; ++column) {
            double expected = 0;
            for (size_t j = 0; j <= i; ++j)
                expected += weights->values[(column / 2 * 4 + i) * 4 + j] * table->values[four_gaps[i][j] * WIDTH + column];
            assert_true(fabs(context->values[i * WIDTH + column] - expected) < 1e-12);
        }
}

/* Two sequences, the first with a padding token behind its items that is no key, of which three tokens are read. */
static const size_t two_offsets[] = {0, 4, 8}, some_offsets[] = {0, 1, 3}, some_tokens[] = {2, 5, 7};
static const uint32_t no_padding[] = {0, 0}, padded_trailing[] = {1, 0};
static const uint64_t identity[] = {11, 5};
static const int32_t two_columns[] = {0, 1, 2, 3, 0, 1, 2, 3};
static const int64_t padded_times[] = {0, 70, 200, 0, 10, 900, 1000, 1025};
static const sr_layout padded = {.sequences = 2,
                                 .offsets = two_offsets,
                                 .leading = no_padding,
                                 .trailing = padded_trailing,
                                 .columns = two_columns,
                                 .identity = identity,
                                 .window = 4,
                                 .causal = true};
static const sr_rows some = {.offsets = some_offsets, .tokens = some_tokens};

/* The keys of each token that is read, and their gaps; SPAN + 1 marks a key that is not seen. */
enum { UNSEEN = SPAN + 1, SOME = 3, SOME_CELLS = HEADS * (3 + 2 * 4) };
static const struct {
    size_t first_cell, cell_stride, keys, gaps[4]; /* the second head's cells lie cell_stride behind the first one's */
} some_cells[SOME] = {{0, 3, 3, {3, 2, 0}}, {6, 8, 4, {3, 0, UNSEEN, UNSEEN}}, {10, 8, 4, {3, 2, 0, 0}}};

static const sr_attention_map *map_of_some(world *w)
{
    return sr_attention_map_make(w->tape, &padded, &some, sr_rows_seen(w->tape, &padded, sr_rows_all(w->tape, &padded)), HEADS);
}

static void interval_scores_of_some_queries_follow_their_definition(void **state)
{
    world *w = *state;
    const sr_intervals intervals = {.times = padded_times, .unit = 60, .span = SPAN};
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH), *query = filled(w, SOME, WIDTH, 0);
    for (size_t i = 0; i < SOME * WIDTH; ++i)
        query->values[i] = (sr_real)i - 7;
    const sr_tensor *scores = sr_interval_scores(w->tape, query, table, map_of_some(w), &intervals, 0.5);
    assert_int_equal(scores->rows, SOME_CELLS);
    for (size_t i = 0; i < SOME; ++i)
        for (size_t head = 0; head < HEADS; ++head)
            for (size_t j = 0; j < some_cells[i].keys; ++j) {
                const size_t gap = some_cells[i].gaps[j];
                const sr_real *q = query->values + i * WIDTH + head * 2;
                const sr_real *row = table->values + (gap == UNSEEN ? 0 : gap) * WIDTH + head * 2;
                const double expected = gap == UNSEEN ? 0 : 0.5 * (q[0] * row[0] + q[1] * row[1]);
                const size_t cell = some_cells[i].first_cell + head * some_cells[i].cell_stride + j;
                assert_true(fabs(scores->values[cell] - expected) < 1e-12);
            }
}

static void interval_context_of_some_queries_follows_its_definition(void **state)
{
    world *w = *state;
    const sr_intervals intervals = {.times = padded_times, .unit = 60, .span = SPAN};
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH), *weights = filled(w, SOME_CELLS, 1, 0);
    for (size_t i = 0; i < SOME_CELLS; ++i)
        weights->values[i] = (sr_real)i - 7;
    const sr_tensor *context = sr_interval_context(w->tape, weights, table, map_of_some(w), &intervals);
    assert_int_equal(context->rows, SOME);
    for (size_t i = 0; i < SOME; ++i)
        for (size_t column = 0; column < WIDTH; ++column) {
            double expected = 0;
            for (size_t j = 0; j < some_cells[i].keys; ++j) {
                const size_t gap = some_cells[i].gaps[j];
                const size_t cell = some_cells[i].first_cell + column / 2 * some_cells[i].cell_stride + j;
                expected += gap == UNSEEN ? 0 : weights->values[cell] * table->values[gap * WIDTH + column];
            }
            assert_true(fabs(context->values[i * WIDTH + column] - expected) < 1e-12);
        }
}

static void check_gradient_rows(const world *w)
{
    for (size_t row = 0; row <= SPAN; ++row)
        for (size_t column = 0; column < WIDTH; ++column) {
            const bool trained = row == SPAN; /* gaps of four_times are 0 and SPAN */
            assert_int_equal(w->parameters.gradients[row * WIDTH + column] != 0, trained);
        }
}

static void the_row_of_gap_zero_gets_no_gradient_from_scores(void **state)
{
    world *w = *state;
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH);
    sr_tensor *query = filled(w, 4, WIDTH, 1);
    backward(w, sr_interval_scores(w->tape, query, table, map_of(w, &four, HEADS), &four_intervals, 1));
    check_gradient_rows(w);
}

static void the_row_of_gap_zero_gets_no_gradient_from_the_context(void **state)
{
    world *w = *state;
    sr_tensor *table = parameter(w, SPAN + 1, WIDTH);
    sr_tensor *weights = filled(w, HEADS * 16, 1, 1);
    backward(w, sr_interval_context(w->tape, weights, table, map_of(w, &four, HEADS), &four_intervals));
    check_gradient_rows(w);
}

/* ---- buckets of time ---- */

/* The definition, for gaps that long double tells apart. */
static size_t defined_bucket(uint64_t gap)
{
    return gap <= 1 ? 0 : (size_t)floor(log((double)gap) / 0.301);
}

static void buckets_of_time_follow_their_definition_at_every_boundary(void **state)
{
    enum { GAPS = 3 * 150, LARGEST = 65535 };
    world *w = *state;
    static uint64_t gaps[GAPS];
    static int64_t query_times[GAPS + 1], key_times[GAPS + 1];
    static int32_t columns[GAPS + 1];
    size_t count = 0;
    for (size_t b = 0; b < 147; ++b)
        for (int step = -1; step <= 1; ++step)
            gaps[count++] = (uint64_t)(ceil(exp((double)b * 0.301)) + step);
    gaps[count++] = UINT64_MAX;
    for (size_t i = 0; i < count; ++i) { /* key 0 stands INT64_MIN away from no query: token i + 1 is asked about it */
        columns[i + 1] = (int32_t)i + 1;
        query_times[i + 1] = (int64_t)(gaps[i] + (uint64_t)INT64_MIN);
    }
    key_times[0] = INT64_MIN;
    const size_t offsets[] = {0, count + 1};
    static const uint32_t none[] = {0};
    static const uint64_t identity_of[] = {1};
    const sr_layout one = {.sequences = 1,
                           .offsets = offsets,
                           .leading = none,
                           .trailing = none,
                           .columns = columns,
                           .identity = identity_of,
                           .window = count + 1,
                           .causal = true};
    const sr_bucketing by = {.query_times = query_times, .key_times = key_times, .unit = 1, .largest = LARGEST};
    const uint16_t *buckets = sr_time_buckets(w->tape, map_of(w, &one, 1), &by);
    assert_non_null(buckets);
    for (size_t i = 0; i < count; ++i) {
        assert_int_equal(buckets[(i + 1) * (count + 1)], defined_bucket(gaps[i]));
        assert_int_equal(sr_time_bucket(query_times[i + 1], INT64_MIN, 1, LARGEST), defined_bucket(gaps[i]));
    }
    assert_int_equal(sr_time_bucket(0, 86400, 1, 128), 37);
    assert_int_equal(sr_time_bucket(86400000, 0, 1000, 128), 37);
    assert_int_equal(sr_time_bucket(5, 5, 1, 128), 0);
    assert_int_equal(sr_time_bucket(0, INT64_MAX, 1, 128), 128);
}

static void pointwise_weights_follow_their_definition(void **state)
{
    world *w = *state;
    sr_tensor *positions = parameter(w, 1, 4), *scores = filled(w, HEADS * 16, 1, 0);
    static sr_real of_times[] = {0.3, -0.8, 0.5, 0.1, 1.2, -0.4, 0.9, 0.7};
    sr_tensor *times = sr_tape_constant(w->tape, of_times, 1, 8);
    for (size_t i = 0; i < HEADS * 16; ++i)
        scores->values[i] = ((sr_real)(i * 7 % 11) - 5) / 3;
    const sr_attention_map *map = map_of(w, &four, HEADS);
    const sr_bucketing by = {.query_times = four_intervals.times, .key_times = four_intervals.times, .unit = 60, .largest = 7};
    const sr_relative_biases biases = {.positions = positions, .times = times, .buckets = sr_time_buckets(w->tape, map, &by)};
    const sr_tensor *weights = sr_pointwise_attention(w->tape, scores, map, &biases, 5);
    for (size_t head = 0; head < HEADS; ++head)
        for (size_t i = 0; i < 4; ++i)
            for (size_t j = 0; j < 4; ++j) {
                const size_t cell = (head * 4 + i) * 4 + j;
                const size_t bucket = sr_time_bucket(four_intervals.times[i], four_intervals.times[j], 60, 7);
                const double b = j <= i ? scores->values[cell] + positions->values[i - j] + of_times[bucket] : 0;
                assert_true(fabs(weights->values[cell] - b / (1 + exp(-b)) / 5) < 1e-12);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(interval_scores_follow_their_definition, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(interval_context_follows_its_definition, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(interval_scores_of_some_queries_follow_their_definition, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(interval_context_of_some_queries_follows_its_definition, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(buckets_of_time_follow_their_definition_at_every_boundary, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(pointwise_weights_follow_their_definition, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_scores, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_the_context, operation_set_up,
                                        operation_tear_down),
    };
    return cmocka_run_group_tests_name("intervals", tests, NULL, NULL);
}
