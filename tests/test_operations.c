/* What operations promise besides gradients: which rows are read and trained, and what random numbers are keyed by. */
#include "cpu_level.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    sr_parameters parameters;
    sr_tape *tape;
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    sr_parameters_initialise(&w->parameters);
    assert_int_equal(sr_tape_create(&w->tape, tested_kernels(), true, NULL), SR_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    sr_tape_free(w->tape);
    sr_parameters_free(&w->parameters);
    free(w);
    return 0;
}

/* The only parameter of a test, drawn at random. */
static sr_tensor *parameter(world *w, size_t rows, size_t columns)
{
    const size_t shape[] = {rows, columns};
    assert_int_equal(sr_parameters_declare(&w->parameters, "x", shape, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.8},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&w->parameters, NULL), SR_OK);
    sr_parameters_draw(&w->parameters, 17);
    return sr_tape_parameter(w->tape, &w->parameters, 0);
}

static sr_tensor *filled(world *w, size_t rows, size_t columns, sr_real value)
{
    sr_real *values = sr_tape_take(w->tape, rows * columns, sizeof *values);
    for (size_t i = 0; i < rows * columns; ++i)
        values[i] = value;
    return sr_tape_constant(w->tape, values, rows, columns);
}

/* Backward from the sum of all elements. */
static void backward(world *w, sr_tensor *x)
{
    sr_tensor *weights = filled(w, x->rows, x->columns, 1);
    sr_tensor *loss = sr_weighted_sum(w->tape, x, weights->values);
    assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL, NULL, NULL), SR_OK);
}

static sr_dropout_site half_site(void)
{
    return (sr_dropout_site){sr_random_open(1, SR_RANDOM_TEST, 1), 0.5};
}

/* ---- intervals ---- */

/* One sequence of four items whose stamps are as far apart as they can be. */
static const size_t four_offsets[] = {0, 4};
static const uint32_t no_padding[] = {0, 0};
static const int32_t four_columns[] = {0, 1, 2, 3};
static const uint64_t identity[] = {11, 5};
static const int64_t four_times[] = {INT64_MIN, INT64_MAX, 59, 0};
static const sr_layout four = {.sequences = 1,
                               .offsets = four_offsets,
                               .leading = no_padding,
                               .trailing = no_padding,
                               .columns = four_columns,
                               .identity = identity,
                               .window = 4,
                               .causal = true};
enum { SPAN = 3, HEADS = 2, WIDTH = 4 };
static const sr_intervals four_intervals = {.times = four_times, .unit = 60, .span = SPAN};
static const size_t four_gaps[4][4] = {{0, 0, 0, 0}, {3, 0, 0, 0}, {3, 3, 0, 0}, {3, 3, 0, 0}};

static const sr_attention_map *map_of(world *w, const sr_layout *layout, size_t heads)
{
    const sr_rows *all = sr_rows_all(w->tape, layout);
    return sr_attention_map_make(w->tape, layout, all, all, heads);
}

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
static const uint32_t padded_trailing[] = {1, 0};
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
enum { CHANNELS = 64, EIGHT = 8 };
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

/* ---- dropout of tables ---- */

static void rows_of_a_table_drop_the_same_in_every_table(void **state)
{
    world *w = *state;
    const sr_dropout_site site = half_site();
    const sr_tensor *small = sr_table_dropout(w->tape, filled(w, 3, CHANNELS, 1), &site);
    const sr_tensor *large = sr_table_dropout(w->tape, filled(w, EIGHT, CHANNELS, 1), &site);
    const size_t row_size = CHANNELS * sizeof *small->values;
    assert_memory_equal(small->values, large->values, 3 * row_size);
    for (size_t row = 1; row < EIGHT; ++row)
        for (size_t other = 0; other < row; ++other)
            assert_memory_not_equal(large->values + row * CHANNELS, large->values + other * CHANNELS, row_size);
}

/* ---- classes ---- */

static void rows_behind_the_classes_do_not_change_the_loss(void **state)
{
    world *w = *state;
    static const int32_t targets[] = {4, 0, 2};
    sr_tensor *table = parameter(w, EIGHT, WIDTH), *x = filled(w, 3, WIDTH, 0.4);
    sr_tensor *first_rows = sr_tape_constant(w->tape, table->values, 5, WIDTH);
    const sr_tensor *expected = sr_catalogue_cross_entropy(w->tape, x, first_rows, 5, targets, 1);
    const sr_tensor *loss = sr_catalogue_cross_entropy(w->tape, x, table, 5, targets, 1);
    const sr_tensor *of_all = sr_catalogue_cross_entropy(w->tape, x, table, EIGHT, targets, 1);
    assert_true(loss->values[0] == expected->values[0]);
    assert_true(loss->values[0] < of_all->values[0]);
}

/* ---- contrastive ---- */

enum { PAIRS = 9, PARTS = 3 };
static const size_t pairs_of_part[PARTS] = {4, 0, 5};

/* InfoNCE as it is published: the mean over all 2 B rows of -ln( exp(s(row, partner)) / sum over all other rows ), from rows
 * where the partner of row i is i + B or i - B. */
static double published_info_nce(const sr_real *rows, double temperature)
{
    double mean = 0;
    for (size_t i = 0; i < 2 * PAIRS; ++i) {
        double sum = 0, positive = 0;
        for (size_t j = 0; j < 2 * PAIRS; ++j) {
            double product = 0;
            for (size_t c = 0; c < WIDTH; ++c)
                product += rows[i * WIDTH + c] * rows[j * WIDTH + c];
            if (j != i)
                sum += exp(product / temperature);
            if (j == (i + PAIRS) % (2 * PAIRS))
                positive = exp(product / temperature);
        }
        mean -= log(positive / sum) / (2 * PAIRS);
    }
    return mean;
}

/* The rows as ranks have them: for each part the first of its pairs, then the second. */
static void arrange_in_parts(const sr_real *rows, sr_real *arranged)
{
    size_t pair = 0;
    for (size_t part = 0; part < PARTS; ++part)
        for (size_t side = 0; side < 2; ++side) {
            memcpy(arranged, rows + (side * PAIRS + pair) * WIDTH, pairs_of_part[part] * WIDTH * sizeof *arranged);
            arranged += pairs_of_part[part] * WIDTH;
            pair += side ? pairs_of_part[part] : 0;
        }
}

static void parts_of_a_contrastive_loss_sum_to_the_published_one_and_have_its_gradient(void **state)
{
    world *w = *state;
    const double temperature = 0.8, step = 1e-6;
    sr_tensor *all = parameter(w, 2 * PAIRS, WIDTH);
    sr_real arranged[2 * PAIRS * WIDTH];
    double log_sums[2 * PAIRS], sum = 0;
    arrange_in_parts(all->values, arranged);
    sr_contrast parts[PARTS];
    for (size_t part = 0, first = 0; part < PARTS; first += 2 * pairs_of_part[part++]) {
        parts[part] = (sr_contrast){arranged, 2 * PAIRS, first, pairs_of_part[part], temperature};
        assert_true(sr_contrastive_log_sums(w->tape, &parts[part], WIDTH, log_sums + first));
    }
    for (size_t part = 0, pair = 0; part < PARTS; pair += pairs_of_part[part++]) {
        size_t left[PAIRS] = {0}, right[PAIRS] = {0};
        for (size_t i = 0; i < pairs_of_part[part]; ++i) {
            left[i] = pair + i;
            right[i] = PAIRS + pair + i;
        }
        sr_tensor *loss = sr_contrastive_loss(w->tape, sr_select_rows(w->tape, all, left, pairs_of_part[part]),
                                              sr_select_rows(w->tape, all, right, pairs_of_part[part]), &parts[part], log_sums,
                                              0.5 / PAIRS);
        sum += loss->values[0];
        assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL, NULL, NULL), SR_OK);
    }
    const double expected = published_info_nce(all->values, temperature);
    assert_true(expected > 0.1 && fabs(sum - expected) < 1e-12);
    for (size_t i = 0; i < 2 * PAIRS * WIDTH; ++i) {
        const sr_real original = all->values[i];
        all->values[i] = original + step;
        const double above = published_info_nce(all->values, temperature);
        all->values[i] = original - step;
        const double below = published_info_nce(all->values, temperature);
        all->values[i] = original;
        assert_true(fabs(w->parameters.gradients[w->parameters.list[0].offset + i] - (above - below) / (2 * step)) < 1e-8);
    }
}

/* ---- lags ---- */

static void check_lags(world *w, const double *values, size_t n, double bound, size_t count, const size_t *expected)
{
    size_t lags[8];
    assert_true(n <= 8 && sr_choose_lags(w->tape, values, n, bound, count, lags));
    assert_memory_equal(lags, expected, count * sizeof *lags);
}

static void the_largest_lags_are_chosen_and_the_smallest_of_equal_ones(void **state)
{
    world *w = *state;
    const double values[] = {0.5, NAN, 2, -1, 2, -INFINITY, 0.5, 7};
    static const size_t expected[8][8] = {{7},
                                          {2, 7},
                                          {2, 4, 7},
                                          {0, 2, 4, 7},
                                          {0, 2, 4, 6, 7},
                                          {0, 2, 3, 4, 6, 7},
                                          {0, 1, 2, 3, 4, 6, 7},
                                          {0, 1, 2, 3, 4, 5, 6, 7}};
    for (size_t count = 1; count <= 8; ++count)
        check_lags(w, values, 8, 1, count, expected[count - 1]);
    const double unknown[] = {NAN, NAN, NAN};
    static const size_t first[] = {0, 1};
    check_lags(w, unknown, 3, 1, 2, first);
    check_lags(w, values, 8, NAN, 2, first); /* nothing tells lags apart */
}

/* Lag 5, then a run of 1, 3, 4 and 6, then 2, 0 and 7. Neighbours of the run are `gap` apart, in either order. */
static void plant_run(double gap, double bound, bool falling, double values[8])
{
    static const size_t run[] = {1, 3, 4, 6};
    static const double others[] = {-0.8, 0, -0.5, 0, 0, 0.9, 0, -0.9};
    for (size_t lag = 0; lag < 8; ++lag)
        values[lag] = bound * others[lag];
    for (size_t i = 0; i < 4; ++i)
        values[run[i]] = bound * gap * (falling ? 3.0 - (double)i : (double)i);
}

static void a_run_of_values_that_are_close_is_equal_whatever_its_order(void **state)
{
    world *w = *state;
    static const double bounds[] = {1, 1e-6, 4096};
    /* However many of the run are taken, beside lag 5. */
    static const size_t close[5][5] = {{5}, {1, 5}, {1, 3, 5}, {1, 3, 4, 5}, {1, 3, 4, 5, 6}};
    static const size_t apart[5][5] = {{5}, {5, 6}, {4, 5, 6}, {3, 4, 5, 6}, {1, 3, 4, 5, 6}};
    double values[8];
    for (size_t b = 0; b < 3; ++b)
        for (size_t taken = 0; taken <= 4; ++taken) {
            plant_run(0x0.ffp-18, bounds[b], true, values);
            check_lags(w, values, 8, bounds[b], 1 + taken, close[taken]);
            plant_run(0x0.ffp-18, bounds[b], false, values);
            check_lags(w, values, 8, bounds[b], 1 + taken, close[taken]);
            plant_run(0x1.01p-18, bounds[b], true, values);
            check_lags(w, values, 8, bounds[b], 1 + taken, close[taken]);
            plant_run(0x1.01p-18, bounds[b], false, values);
            check_lags(w, values, 8, bounds[b], 1 + taken, apart[taken]);
        }
    /* What counts as equal on one side of the cut alone is no choice. */
    plant_run(0x1p-20, 1, false, values);
    static const size_t six[] = {1, 2, 3, 4, 5, 6};
    check_lags(w, values, 8, 1, 6, six);
}

static void no_correlation_is_larger_than_its_bound(void **state)
{
    world *w = *state;
    sr_tensor *query = filled(w, 4, WIDTH, 1), *key = filled(w, 4, WIDTH, 1);
    double squares = 0;
    for (size_t i = 0; i < 4 * WIDTH; ++i) {
        query->values[i] = cos(3.0 * (double)i);
        key->values[i] = sin(2.0 * (double)i);
        squares += key->values[i] * key->values[i];
    }
    const sr_tensor *r = sr_correlations(w->tape, query, key, &four, 0.5);
    const double bound = sr_correlation_bound(w->tape, query, key, &four, 0, 0.5);
    for (size_t lag = 0; lag < 4; ++lag)
        assert_true(fabs(r->values[lag]) < bound);
    const sr_tensor *own = sr_correlations(w->tape, key, key, &four, 0.5); /* at lag 0 it is as large as that */
    assert_true(fabs(own->values[0] - 0.5 * squares) < 1e-12);
    assert_true(fabs(sr_correlation_bound(w->tape, key, key, &four, 0, 0.5) - 0.5 * squares) < 1e-12);
}

/* ---- failure ---- */

static void missing_inputs_give_missing_outputs(void **state)
{
    world *w = *state;
    sr_tape *tape = w->tape;
    sr_tensor *x = filled(w, 4, WIDTH, 1), *table = filled(w, SPAN + 1, WIDTH, 1), *one = filled(w, 1, 1, 1);
    sr_tensor *weights = filled(w, HEADS * 16, 1, 1);
    const sr_attention_map *map = map_of(w, &four, HEADS);
    const sr_dropout_site site = half_site();
    assert_null(sr_interval_scores(tape, NULL, table, map, &four_intervals, 1));
    assert_null(sr_interval_scores(tape, x, NULL, map, &four_intervals, 1));
    assert_null(sr_interval_scores(tape, x, table, NULL, &four_intervals, 1));
    assert_null(sr_interval_context(tape, NULL, table, map, &four_intervals));
    assert_null(sr_interval_context(tape, weights, NULL, map, &four_intervals));
    assert_null(sr_interval_context(tape, weights, table, NULL, &four_intervals));
    assert_null(sr_table_dropout(tape, NULL, &site));
    assert_null(sr_weighted_add(tape, x, 1, NULL, 1));
    assert_null(sr_weighted_add(tape, NULL, 1, x, 1));
    assert_null(sr_mix(tape, NULL, x, one));
    assert_null(sr_mix(tape, x, NULL, one));
    assert_null(sr_mix(tape, x, x, NULL));
    assert_null(sr_concatenate_columns(tape, x, NULL));
    assert_null(sr_concatenate_columns(tape, NULL, x));
    assert_null(sr_select_columns(tape, NULL, 0, 1));
    assert_null(sr_correlations(tape, NULL, x, &four, 1));
    assert_null(sr_correlations(tape, x, NULL, &four, 1));
    assert_null(sr_lag_weights(tape, NULL, four_offsets, 1, false));
    assert_null(sr_lag_weights(tape, one, NULL, 1, false));
    assert_null(sr_shifted_sum(tape, NULL, x, &four, sr_rows_all(tape, &four)));
    assert_null(sr_shifted_sum(tape, x, NULL, &four, sr_rows_all(tape, &four)));
    assert_null(sr_spectral_distance(tape, NULL, NULL, x, &four, 1));
    assert_null(sr_spectral_distance(tape, NULL, x, NULL, &four, 1));
    const sr_contrast batch = {.rows = x->values, .count = 4, .pairs = 2, .temperature = 1};
    assert_null(sr_contrastive_loss(tape, NULL, x, &batch, NULL, 1));
    assert_null(sr_contrastive_loss(tape, x, NULL, &batch, NULL, 1));
}

/* ---- rows ---- */

static void items_see_items_and_an_empty_history_its_padding(void **state)
{
    world *w = *state;
    static const size_t offsets[] = {0, 4, 8, 10}, expected[] = {2, 3, 4, 5, 6, 7, 8, 9}, expected_offsets[] = {0, 2, 6, 8};
    static const uint32_t leading[] = {2, 4, 0}, none[] = {0, 0, 0};
    sr_layout padded_left = {.sequences = 3, .offsets = offsets, .leading = leading, .trailing = none, .window = 4};
    const sr_rows *all = sr_rows_all(w->tape, &padded_left);
    const sr_rows *rows = sr_rows_seen_by_items(w->tape, &padded_left, all);
    assert_memory_equal(rows->offsets, expected_offsets, sizeof expected_offsets);
    assert_memory_equal(rows->tokens, expected, sizeof expected);
    static const uint32_t only_empty[] = {0, 4, 0};
    padded_left.leading = only_empty;
    assert_ptr_equal(sr_rows_seen_by_items(w->tape, &padded_left, all), all);
}

/* ---- what losses over the catalogue keep ---- */

enum { CATALOGUE_ROWS = 300, CATALOGUE_ITEMS = 2500, CATALOGUE_WIDTH = 8 };

/* The loss and its gradients with `kept_bytes`, after `passes` passes backward. */
static double catalogue_gradients(size_t kept_bytes, int passes, sr_real *gradients, size_t size)
{
    static int32_t targets[CATALOGUE_ROWS];
    const size_t x[] = {CATALOGUE_ROWS, CATALOGUE_WIDTH}, table[] = {CATALOGUE_ITEMS, CATALOGUE_WIDTH};
    world w;
    sr_parameters_initialise(&w.parameters);
    assert_int_equal(sr_parameters_declare(&w.parameters, "x", x, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.8},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_declare(&w.parameters, "table", table, 2, (sr_initial_values){SR_INITIAL_NORMAL, 0.8},
                                           SR_PARAMETERS_ORDINARY, NULL, NULL),
                     SR_OK);
    assert_int_equal(sr_parameters_allocate(&w.parameters, NULL), SR_OK);
    sr_parameters_draw(&w.parameters, 3);
    assert_int_equal(sr_tape_create(&w.tape, tested_kernels(), true, NULL), SR_OK);
    sr_tape_set_kept_bytes(w.tape, kept_bytes);
    for (size_t i = 0; i < CATALOGUE_ROWS; ++i)
        targets[i] = (int32_t)(i * i % CATALOGUE_ITEMS);
    sr_tensor *loss = sr_catalogue_cross_entropy(w.tape, sr_tape_parameter(w.tape, &w.parameters, 0),
                                                 sr_tape_parameter(w.tape, &w.parameters, 1), CATALOGUE_ITEMS, targets, 0.01);
    const size_t planned = sr_catalogue_cross_entropy_memory(CATALOGUE_ROWS, CATALOGUE_ITEMS, kept_bytes);
    assert_true(planned <= kept_bytes + 320000 * sizeof(sr_real) && sr_tape_memory(w.tape) >= planned);
    for (int pass = 0; pass < passes; ++pass)
        assert_int_equal(sr_tape_backward(w.tape, loss, SR_PARAMETERS_ORDINARY, NULL, NULL, NULL), SR_OK);
    assert_int_equal(w.parameters.block_size, size);
    memcpy(gradients, w.parameters.gradients, size * sizeof *gradients);
    const double value = loss->values[0];
    sr_tape_free(w.tape);
    sr_parameters_free(&w.parameters);
    return value;
}

static void losses_over_the_catalogue_have_the_same_bits_whatever_they_keep(void **state)
{
    enum { SIZE = (CATALOGUE_ROWS + CATALOGUE_ITEMS) * CATALOGUE_WIDTH };
    static sr_real expected[SIZE], found[SIZE];
    static const size_t kept_bytes[] = {1, 2000000, 4000000, 5800000, 100000000};
    (void)state;
    for (int passes = 1; passes <= 2; ++passes) {
        const double loss = catalogue_gradients(0, passes, expected, SIZE);
        for (size_t i = 0; i < sizeof kept_bytes / sizeof *kept_bytes; ++i) {
            assert_true(catalogue_gradients(kept_bytes[i], passes, found, SIZE) == loss);
            assert_memory_equal(found, expected, sizeof expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_see_items_and_an_empty_history_its_padding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interval_scores_follow_their_definition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interval_context_follows_its_definition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interval_scores_of_some_queries_follow_their_definition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interval_context_of_some_queries_follows_its_definition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_scores, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_row_of_gap_zero_gets_no_gradient_from_the_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_channel_of_every_cell_has_its_own_dropout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cell_dropout_depends_on_the_sequence_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scores_and_context_drop_the_same_channels_of_a_site, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_a_table_drop_the_same_in_every_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_behind_the_classes_do_not_change_the_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_a_contrastive_loss_sum_to_the_published_one_and_have_its_gradient, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_largest_lags_are_chosen_and_the_smallest_of_equal_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_of_values_that_are_close_is_equal_whatever_its_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_correlation_is_larger_than_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_inputs_give_missing_outputs, set_up, tear_down),
        cmocka_unit_test(losses_over_the_catalogue_have_the_same_bits_whatever_they_keep),
    };
    return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
