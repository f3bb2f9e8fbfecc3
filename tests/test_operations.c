/* What operations promise besides gradients: which rows are read and trained, and what random numbers are keyed by. */
#include "cpu_level.h"
#include "operation_world.h"
#include "srtrain/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

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
        assert_int_equal(sr_tape_backward(w->tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
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
    assert_null(sr_lag_weights(tape, NULL, four.offsets, 1, false));
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
        assert_int_equal(sr_tape_backward(w.tape, loss, SR_PARAMETERS_ORDINARY, NULL), SR_OK);
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
        cmocka_unit_test_setup_teardown(items_see_items_and_an_empty_history_its_padding, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(rows_of_a_table_drop_the_same_in_every_table, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(rows_behind_the_classes_do_not_change_the_loss, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(parts_of_a_contrastive_loss_sum_to_the_published_one_and_have_its_gradient,
                                        operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(the_largest_lags_are_chosen_and_the_smallest_of_equal_ones, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(a_run_of_values_that_are_close_is_equal_whatever_its_order, operation_set_up,
                                        operation_tear_down),
        cmocka_unit_test_setup_teardown(no_correlation_is_larger_than_its_bound, operation_set_up, operation_tear_down),
        cmocka_unit_test_setup_teardown(missing_inputs_give_missing_outputs, operation_set_up, operation_tear_down),
        cmocka_unit_test(losses_over_the_catalogue_have_the_same_bits_whatever_they_keep),
    };
    return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
