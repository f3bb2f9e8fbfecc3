/* Attention by the time between items: what scores and context are, which rows are trained, what dropout is keyed by. */
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

/* Two sequences with the same columns and stamps. Queries and table are all ones, and each column is a head of its own: the
 * scores are the dropout factors. */
static const int64_t two_times[] = {0, 100, 200, 300, 0, 100, 200, 300};
static const sr_layout two = {.sequences = 2,
                              .offsets = two_offsets,
                              .leading = no_padding,
                              .trailing = no_padding,
                              .columns = two_columns,
                              .identity = identity,
                              .window = 4};

static const sr_tensor *factors_of(world *w, const sr_layout *layout, const sr_rows *queries)
{
    const sr_intervals intervals = {.times = two_times, .unit = 60, .span = SPAN, .cell_dropout = half_site()};
    const sr_attention_map *map = sr_attention_map_make(w->tape, layout, queries, sr_rows_all(w->tape, layout), CHANNELS);
    sr_tensor *query = filled(w, sr_rows_count(queries, layout), CHANNELS, 1);
    return sr_interval_scores(w->tape, query, filled(w, SPAN + 1, CHANNELS, 1), map, &intervals, 1);
}

/* The factor of a cell, from the factors of all queries of `two`. */
static sr_real factor_at(const sr_tensor *factors, size_t s, size_t query, size_t key, size_t channel)
{
    return factors->values[((s * CHANNELS + channel) * 4 + query) * 4 + key];
}

static void every_channel_of_every_cell_has_its_own_dropout(void **state)
{
    world *w = *state;
    const sr_tensor *factors = factors_of(w, &two, sr_rows_all(w->tape, &two));
    uint64_t kept[2 * 16];
    size_t cells = 0, count = 0;
    for (size_t s = 0; s < 2; ++s)
        for (size_t query = 0; query < 4; ++query)
            for (size_t key = 0; key < 4; ++key, ++cells) {
                kept[cells] = 0;
                for (size_t channel = 0; channel < CHANNELS; ++channel) {
                    const sr_real factor = factor_at(factors, s, query, key, channel);
                    assert_true(factor == 0 || factor == 2);
                    if (factor == 0)
                        continue;
                    kept[cells] |= UINT64_C(1) << channel;
                    ++count;
                }
                for (size_t other = 0; other < cells; ++other)
                    assert_true(kept[other] != kept[cells]);
            }
    assert_in_range(count, 2 * 16 * CHANNELS * 9 / 20, 2 * 16 * CHANNELS * 11 / 20);
}

static void cell_dropout_depends_on_the_sequence_alone(void **state)
{
    world *w = *state;
    const sr_tensor *together = factors_of(w, &two, sr_rows_all(w->tape, &two));
    sr_layout second = four;
    second.identity = &identity[1];
    second.causal = false;
    static const size_t read_offsets[] = {0, 2}, read_tokens[] = {1, 3};
    const sr_rows reads = {.offsets = read_offsets, .tokens = read_tokens};
    const sr_tensor *alone = factors_of(w, &second, &reads);
    for (size_t channel = 0; channel < CHANNELS; ++channel)
        for (size_t read = 0; read < 2; ++read)
            for (size_t key = 0; key < 4; ++key)
                assert_true(alone->values[(channel * 2 + read) * 4 + key] ==
                            factor_at(together, 1, read_tokens[read], key, channel));
}

/* The context with weight 1 on one key and 0 on the others reads one cell. */
static void scores_and_context_drop_the_same_channels_of_a_site(void **state)
{
    world *w = *state;
    const sr_tensor *factors = factors_of(w, &two, sr_rows_all(w->tape, &two));
    const sr_intervals intervals = {.times = two_times, .unit = 60, .span = SPAN, .cell_dropout = half_site()};
    sr_tensor *weights = filled(w, 2 * CHANNELS * 16, 1, 0);
    for (size_t row = 0; row < 2 * CHANNELS * 4; ++row)
        weights->values[row * 4 + 2] = 1;
    const sr_tensor *context = sr_interval_context(w->tape, weights, filled(w, SPAN + 1, CHANNELS, 1),
                                                   map_of(w, &two, CHANNELS), &intervals);
    for (size_t token = 0; token < EIGHT; ++token)
        for (size_t channel = 0; channel < CHANNELS; ++channel)
            assert_true(context->values[token * CHANNELS + channel] == factor_at(factors, token / 4, token % 4, 2, channel));
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
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_scores, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_the_context, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(every_channel_of_every_cell_has_its_own_dropout, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(cell_dropout_depends_on_the_sequence_alone, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(scores_and_context_drop_the_same_channels_of_a_site, operation_set_up,
                                        operation_tear_down),
    };
    return cmocka_run_group_tests_name("intervals", tests, NULL, NULL);
}
