/* Every operation of the tape against central differences in double precision, by one generic test.
 *
 * A row of the table names an operation, the shapes of its inputs and how to build its output from them. The test makes every
 * input a parameter, draws it, forms a random weighted sum of the output, and compares the gradient of each input element with
 * (f(x + h) - f(x - h)) / 2h. A new operation needs one row. */
#include "cpu_level.h"
#include "srtrain/batch.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST_INPUTS = 6, WIDTH = 6, HEADS = 2, ITEMS = 7, WINDOW = 7 };

/* A ragged batch with sequences of length 3, 1 and 5 and one of 4 padding tokens that all see each other; the second query set
 * reads some rows only. */
static const size_t layout_offsets[] = {0, 3, 4, 9, 13};
static const uint32_t layout_leading[] = {0, 0, 0, 4}, layout_trailing[] = {0, 0, 0, 0};
static const int32_t layout_columns[] = {0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3};
static const uint64_t layout_identity[] = {11, 5, 7, 3};
static const sr_layout layout = {.sequences = 4,
                                 .offsets = layout_offsets,
                                 .leading = layout_leading,
                                 .trailing = layout_trailing,
                                 .columns = layout_columns,
                                 .identity = layout_identity,
                                 .window = WINDOW,
                                 .causal = true};
static const size_t read_offsets[] = {0, 1, 2, 4, 5}, read_tokens[] = {2, 3, 5, 8, 12};
static const sr_rows reads = {.offsets = read_offsets, .tokens = read_tokens};
/* One long sequence: large enough for the matrix-product path of attention. */
static const size_t long_offsets[] = {0, 20};
static const uint32_t long_leading[] = {3}, long_trailing[] = {2};
static const int32_t long_columns[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
static const sr_layout long_layout = {.sequences = 1,
                                      .offsets = long_offsets,
                                      .leading = long_leading,
                                      .trailing = long_trailing,
                                      .columns = long_columns,
                                      .identity = layout_identity,
                                      .window = 20,
                                      .causal = true};
/* Two sequences padded to a window of 4, seen in both directions: the padding queries, and is no key. */
static const size_t padded_offsets[] = {0, 4, 8};
static const uint32_t padded_leading[] = {0, 0}, padded_trailing[] = {1, 2};
static const int32_t padded_columns[] = {0, 1, 2, 3, 0, 1, 2, 3};
static const sr_layout padded_layout = {.sequences = 2,
                                        .offsets = padded_offsets,
                                        .leading = padded_leading,
                                        .trailing = padded_trailing,
                                        .columns = padded_columns,
                                        .identity = layout_identity,
                                        .window = 4};
enum { PADDED_TOKENS = 8, PADDED_KEYS = 5, PADDED_CELLS = HEADS * 4 * PADDED_KEYS, HALF = WIDTH / HEADS };
enum { TOKENS = 13, READS = 5, CELLS = HEADS * (9 + 1 + 25 + 16), READ_CELLS = HEADS * (3 + 1 + 10 + 4), LONG = 20 };

static const int32_t ids[] = {3, 0, 6, 3, 1};
static const size_t selection[] = {4, 0, 0, 2};
static const int32_t many_targets[300] = {[0] = 6, [1] = 5, [250] = 3, [299] = 1};

typedef sr_tensor *(*build_function)(sr_tape *tape, sr_tensor **x);

static sr_tensor *build_linear(sr_tape *tape, sr_tensor **x)
{
    return sr_linear(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_linear_without_bias(sr_tape *tape, sr_tensor **x)
{
    return sr_linear(tape, x[0], x[1], NULL);
}

static sr_tensor *build_embedding(sr_tape *tape, sr_tensor **x)
{
    return sr_embedding(tape, x[0], ids, 5, false);
}

static sr_tensor *build_select_rows(sr_tape *tape, sr_tensor **x)
{
    return sr_select_rows(tape, x[0], selection, 4);
}

static sr_tensor *build_add(sr_tape *tape, sr_tensor **x)
{
    return sr_add(tape, x[0], x[1]);
}

static sr_tensor *build_add_to_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_add(tape, x[0], x[0]);
}

#define ACTIVATION(name, kind)                                   \
    static sr_tensor *build_##name(sr_tape *tape, sr_tensor **x) \
    {                                                            \
        return sr_activate(tape, x[0], kind);                    \
    }
ACTIVATION(gelu, SR_ACTIVATION_GELU)
ACTIVATION(relu, SR_ACTIVATION_RELU)
ACTIVATION(swish, SR_ACTIVATION_SWISH)
ACTIVATION(tanh, SR_ACTIVATION_TANH)
ACTIVATION(sigmoid, SR_ACTIVATION_SIGMOID)
ACTIVATION(elu, SR_ACTIVATION_ELU)

static sr_tensor *build_weighted_sum(sr_tape *tape, sr_tensor **x)
{
    static const sr_real weights[] = {1, -2, 3, 0.5, 0, 7};
    return sr_weighted_sum(tape, x[0], weights);
}

static sr_tensor *build_layer_norm(sr_tape *tape, sr_tensor **x)
{
    return sr_layer_norm(tape, x[0], x[1], x[2], 1e-12);
}

static sr_dropout_site half(uint64_t index)
{
    return (sr_dropout_site){sr_random_open(1, SR_RANDOM_TEST, index), 0.5};
}

static sr_tensor *build_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(1);
    return sr_dropout(tape, x[0], &layout, NULL, &site);
}

static sr_tensor *build_dropout_of_reads(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(2);
    return sr_dropout(tape, x[0], &layout, read_tokens, &site);
}

static sr_tensor *build_add_dropped(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(5);
    return sr_add_dropped(tape, x[0], x[1], &layout, read_tokens, &site);
}

static sr_tensor *build_add_dropped_nothing(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = {.probability = 0};
    return sr_add_dropped(tape, x[0], x[1], &layout, read_tokens, &site);
}

static sr_tensor *build_attention_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(3);
    return sr_attention_dropout(tape, x[0], sr_attention_map_make(tape, &layout, &reads, sr_rows_all(tape, &layout), HEADS),
                                &site);
}

static sr_tensor *build_scores(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &layout);
    return sr_attention_scores(tape, x[0], x[1], sr_attention_map_make(tape, &layout, all, all, HEADS), 0.7);
}

static sr_tensor *build_scores_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_attention_scores(tape, x[0], x[1],
                               sr_attention_map_make(tape, &layout, &reads, sr_rows_all(tape, &layout), HEADS), 0.7);
}

static sr_tensor *build_softmax(sr_tape *tape, sr_tensor **x)
{
    return sr_attention_softmax(
        tape, x[0], sr_attention_map_make(tape, &layout, sr_rows_all(tape, &layout), sr_rows_all(tape, &layout), HEADS));
}

static sr_tensor *attention(sr_tape *tape, sr_tensor **x, const sr_attention_map *map)
{
    sr_tensor *scores = sr_attention_scores(tape, x[0], x[1], map, 0.7);
    return sr_attention_context(tape, sr_attention_softmax(tape, scores, map), x[2], map);
}

static sr_tensor *build_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x,
                     sr_attention_map_make(tape, &layout, sr_rows_all(tape, &layout), sr_rows_all(tape, &layout), HEADS));
}

static sr_tensor *build_attention_of_reads(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, sr_attention_map_make(tape, &layout, &reads, sr_rows_all(tape, &layout), HEADS));
}

static sr_tensor *build_long_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(
        tape, x,
        sr_attention_map_make(tape, &long_layout, sr_rows_all(tape, &long_layout), sr_rows_all(tape, &long_layout), HEADS));
}

static const sr_attention_map *full_map(sr_tape *tape)
{
    const sr_rows *all = sr_rows_all(tape, &layout);
    return sr_attention_map_make(tape, &layout, all, all, HEADS);
}

static const sr_attention_map *read_map(sr_tape *tape)
{
    return sr_attention_map_make(tape, &layout, &reads, sr_rows_all(tape, &layout), HEADS);
}

static const sr_attention_map *padded_map(sr_tape *tape)
{
    const sr_rows *all = sr_rows_all(tape, &padded_layout);
    return sr_attention_map_make(tape, &padded_layout, all, sr_rows_seen(tape, &padded_layout, all), HEADS);
}

static sr_tensor *build_padded_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, padded_map(tape));
}

static sr_tensor *build_whole_attention(sr_tape *tape, sr_tensor **x)
{
    return attention(tape, x, sr_attention_map_whole(tape, full_map(tape)));
}

static sr_tensor *build_select_queries(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &layout);
    return sr_attention_select_queries(tape, x[0], sr_attention_map_make(tape, &layout, all, all, HEADS),
                                       sr_attention_map_make(tape, &layout, &reads, all, HEADS));
}

static sr_tensor *build_window_softmax(sr_tape *tape, sr_tensor **x)
{
    return sr_attention_softmax_over_window(tape, x[0], full_map(tape));
}

static sr_tensor *build_order(sr_tape *tape, sr_tensor **x)
{
    return sr_add_order_scores(tape, x[0], x[1], x[2], x[3], x[4], read_map(tape), 0.7);
}

static sr_tensor *build_order_in_both_directions(sr_tape *tape, sr_tensor **x)
{
    return sr_add_order_scores(tape, x[0], x[1], x[2], x[3], x[4], padded_map(tape), 0.7);
}

static sr_tensor *build_distance(sr_tape *tape, sr_tensor **x)
{
    return sr_add_distance_scores(tape, x[0], x[1], x[2], &(sr_distance_map){x[3], x[4], x[5]}, read_map(tape), 0.7);
}

static sr_tensor *build_distance_in_both_directions(sr_tape *tape, sr_tensor **x)
{
    return sr_add_distance_scores(tape, x[0], x[1], x[2], &(sr_distance_map){x[3], x[4], x[5]}, padded_map(tape), 0.7);
}

static sr_tensor *build_project_rows(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *map = read_map(tape);
    return sr_project_rows(tape, sr_attention_softmax(tape, x[0], map), x[1], map, 3, false);
}

static sr_tensor *build_project_rows_by_head(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *map = padded_map(tape);
    return sr_project_rows(tape, sr_attention_softmax(tape, x[0], map), x[1], map, 3, true);
}

static sr_tensor *build_rows_to_window(sr_tape *tape, sr_tensor **x)
{
    return sr_rows_to_window(tape, x[0], read_map(tape), WINDOW);
}

static sr_tensor *build_rows_from_window(sr_tape *tape, sr_tensor **x)
{
    return sr_rows_from_window(tape, x[0], read_map(tape));
}

static sr_tensor *build_elu_plus_one(sr_tape *tape, sr_tensor **x)
{
    return sr_elu_plus_one(tape, x[0]);
}

static sr_tensor *build_square_root(sr_tape *tape, sr_tensor **x)
{
    return sr_square_root(tape, sr_elu_plus_one(tape, x[0]));
}

static sr_tensor *build_square(sr_tape *tape, sr_tensor **x)
{
    return sr_square(tape, x[0]);
}

static sr_tensor *build_row_distances(sr_tape *tape, sr_tensor **x)
{
    return sr_row_distances(tape, x[0], x[1]);
}

static sr_tensor *build_hinge(sr_tape *tape, sr_tensor **x)
{
    return sr_hinge_loss(tape, x[0], x[1], 0.3);
}

static sr_tensor *build_distance_attention(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *map = read_map(tape);
    sr_tensor *scores = sr_distance_attention_scores(tape, x[0], x[1], map, 0.7);
    return sr_attention_context(tape, sr_attention_softmax(tape, scores, map), x[2], map);
}

static sr_tensor *build_distance_scores(sr_tape *tape, sr_tensor **x)
{
    return sr_distance_attention_scores(tape, x[0], x[1], padded_map(tape), 0.7);
}

/* Sequences of 3, 1, 5 and 4 tokens. */
static sr_tensor *build_gru(sr_tape *tape, sr_tensor **x)
{
    return sr_gru(tape, x[0], x[1], &layout);
}

/* The inputs of the second layer are the outputs of the first. */
static sr_tensor *build_two_layers_of_gru(sr_tape *tape, sr_tensor **x)
{
    sr_tensor *first = sr_gru(tape, sr_linear(tape, x[0], x[1], NULL), x[2], &layout);
    return sr_gru(tape, sr_linear(tape, first, x[3], NULL), x[4], &layout);
}

static sr_tensor *build_vertical_convolution(sr_tape *tape, sr_tensor **x)
{
    return sr_vertical_convolution(tape, x[0], x[1], x[2], x[3], &layout);
}

static sr_tensor *build_frobenius_norm(sr_tape *tape, sr_tensor **x)
{
    return sr_frobenius_norm(tape, x[0]);
}

/* Weights [f, height * d] of all heights side by side in x[2], biases in x[3]. */
static sr_tensor *build_convolutions(sr_tape *tape, sr_tensor **x, const sr_layout *over)
{
    sr_tensor *weights[2 * WINDOW], *biases[2 * WINDOW];
    const size_t width = x[0]->columns, filters = x[2]->rows;
    size_t column = 0;
    for (size_t height = 1; height <= over->window; ++height) {
        weights[height - 1] = sr_select_columns(tape, x[2], column, height * width);
        biases[height - 1] = sr_select_columns(tape, x[3], (height - 1) * filters, filters);
        column += height * width;
    }
    return sr_horizontal_convolutions(tape, x[0], x[1], weights, biases, over);
}

static sr_tensor *build_horizontal_convolutions(sr_tape *tape, sr_tensor **x)
{
    return build_convolutions(tape, x, &layout);
}

/* Histories that end in the last column, one of them filling the window, and one in the first columns. */
static sr_tensor *build_horizontal_convolutions_of_left_padding(sr_tape *tape, sr_tensor **x)
{
    static const int32_t columns[] = {2, 3, 4, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3};
    static const uint32_t leading[] = {0, 0, 0, 0}, trailing[] = {0, 0, 0, 2};
    static sr_layout left;
    left = layout;
    left.columns = columns;
    left.leading = leading;
    left.trailing = trailing;
    left.window = 5;
    return build_convolutions(tape, x, &left);
}

/* More filters than a matrix product has columns for several heights, and more sequences than it has rows. */
static sr_tensor *build_many_horizontal_convolutions(sr_tape *tape, sr_tensor **x)
{
    enum { SEQUENCES = 70 };
    static size_t offsets[SEQUENCES + 1];
    static uint32_t leading[SEQUENCES], trailing[SEQUENCES];
    static int32_t columns[2 * SEQUENCES];
    for (size_t s = 0; s < SEQUENCES; ++s) {
        const size_t count = s % 2 + 1;
        offsets[s + 1] = offsets[s] + count;
        for (size_t i = 0; i < count; ++i)
            columns[offsets[s] + i] = (int32_t)(s % 3 == 0 ? i : 3 - count + i);
    }
    static const sr_layout many = {
        .sequences = SEQUENCES, .offsets = offsets, .leading = leading, .trailing = trailing, .columns = columns, .window = 3};
    return build_convolutions(tape, x, &many);
}

static sr_tensor *build_attacked(sr_tape *tape, sr_tensor **x)
{
    static const sr_real noise[] = {0.3, -1.2, 0, 0.7, 2.1, -0.4};
    return sr_attacked_weights(tape, x[0], x[1], noise);
}

static sr_tensor *build_calibrated(sr_tape *tape, sr_tensor **x)
{
    return sr_calibrated_weights(tape, x[0], x[1]);
}

static sr_tensor *build_gate(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *map = read_map(tape);
    return sr_gated_weights(tape, sr_attention_softmax(tape, x[0], map), sr_attention_softmax(tape, x[1], map), x[2], map);
}

/* Rows of positive weights, as the calibrator has them. */
static sr_tensor *build_mass(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *map = read_map(tape);
    sr_tensor *weights = sr_calibrated_weights(tape, sr_attention_softmax(tape, x[0], map),
                                               sr_attention_softmax(tape, x[1], map));
    return sr_attention_mass(tape, weights, map);
}

static sr_tensor *build_mask_squares(sr_tape *tape, sr_tensor **x)
{
    double sum;
    return sr_mask_squares(tape, sr_attention_softmax(tape, x[0], padded_map(tape)), padded_map(tape), false, &sum);
}

static sr_tensor *build_visible_mask_squares(sr_tape *tape, sr_tensor **x)
{
    double sum;
    return sr_mask_squares(tape, sr_attention_softmax(tape, x[0], padded_map(tape)), padded_map(tape), true, &sum);
}

static sr_tensor *build_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], ITEMS, ids, 0.3);
}

static sr_tensor *build_large_catalogue_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], x[1]->rows, many_targets, 0.3);
}

static sr_tensor *build_catalogue_cross_entropy_that_keeps_nothing(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 0);
    return build_large_catalogue_cross_entropy(tape, x);
}

/* Room for two of the three tiles of the first rows. */
static sr_tensor *build_catalogue_cross_entropy_that_keeps_some(sr_tape *tape, sr_tensor **x)
{
    sr_tape_set_kept_bytes(tape, 5000000);
    return build_large_catalogue_cross_entropy(tape, x);
}

/* All pairs of a batch on one rank, against the copies that a gathering would make. */
static sr_tensor *build_contrastive(sr_tape *tape, sr_tensor **x)
{
    const size_t pairs = x[0]->rows, width = x[0]->columns;
    sr_real *rows = sr_tape_take(tape, 2 * pairs * width, sizeof *rows);
    double *log_sums = sr_tape_take(tape, 2 * pairs, sizeof *log_sums);
    assert_true(rows && log_sums);
    memcpy(rows, x[0]->values, pairs * width * sizeof *rows);
    memcpy(rows + pairs * width, x[1]->values, pairs * width * sizeof *rows);
    const sr_contrast batch = {.rows = rows, .count = 2 * pairs, .pairs = pairs, .temperature = 0.7};
    assert_true(sr_contrastive_log_sums(tape, &batch, width, log_sums));
    return sr_contrastive_loss(tape, x[0], x[1], &batch, log_sums, 0.3);
}

static sr_tensor *build_item_scores(sr_tape *tape, sr_tensor **x)
{
    return sr_item_scores(tape, x[0], x[1], ids);
}

static sr_tensor *build_bpr(sr_tape *tape, sr_tensor **x)
{
    return sr_bpr_loss(tape, x[0], x[1], 0.3);
}

static sr_tensor *build_binary_cross_entropy(sr_tape *tape, sr_tensor **x)
{
    return sr_binary_cross_entropy(tape, x[0], x[1], 0.3);
}

/* The same `classes` as above, whatever other rows the table has. */
static sr_tensor *build_catalogue_cross_entropy_of_first_rows(sr_tape *tape, sr_tensor **x)
{
    return build_catalogue_cross_entropy(tape, x);
}

static sr_tensor *build_large_catalogue_cross_entropy_of_first_rows(sr_tape *tape, sr_tensor **x)
{
    return sr_catalogue_cross_entropy(tape, x[0], x[1], 1500, many_targets, 0.3);
}

static sr_tensor *build_weighted_add(sr_tape *tape, sr_tensor **x)
{
    return sr_weighted_add(tape, x[0], 0.3, x[1], -1.7);
}

static sr_tensor *build_weighted_add_to_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_weighted_add(tape, x[0], 0.3, x[0], -1.7);
}

static sr_tensor *build_mix(sr_tape *tape, sr_tensor **x)
{
    return sr_mix(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_concatenate_columns(sr_tape *tape, sr_tensor **x)
{
    return sr_concatenate_columns(tape, x[0], x[1]);
}

static sr_tensor *build_concatenate_columns_with_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_concatenate_columns(tape, x[0], x[0]);
}

static sr_tensor *build_select_columns(sr_tape *tape, sr_tensor **x)
{
    return sr_select_columns(tape, x[0], 1, 3);
}

static sr_tensor *build_table_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_dropout_site site = half(4);
    return sr_table_dropout(tape, x[0], &site);
}

/* Stamps of the tokens, with equal ones, gaps below a unit, gaps of every size up to the span and beyond it. */
enum { SPAN = 4 };
static const int64_t times[] = {100, 100, 130, 7, 0, 9, 10, 25, 1000, 5, -5, 16, 64};
static const int64_t long_times[] = {0, 0, 0, 40, 41, 45, 60, 61, 61, 70, 78, 80, 99, 100, 120, 121, 125, 137, 0, 0};
static const sr_intervals intervals = {.times = times, .unit = 10, .span = SPAN};

/* The table of intervals from a parameter [d, span]: row 0 is constant, as it has to be for finite differences, which know
 * nothing of a row that is read without gradient. */
static sr_tensor *interval_table(sr_tape *tape, sr_tensor *transposed_rows)
{
    static sr_real rows[SPAN + 1][SPAN] = {[1] = {1}, [2] = {0, 1}, [3] = {0, 0, 1}, [4] = {0, 0, 0, 1}};
    static sr_real bias[WIDTH] = {0.5, -0.3, 0.9, 1.1, -0.7, 0.2};
    return sr_linear(tape, sr_tape_constant(tape, rows[0], SPAN + 1, SPAN), transposed_rows,
                     sr_tape_constant(tape, bias, 1, WIDTH));
}

static sr_intervals intervals_with_dropout(void)
{
    sr_intervals dropped = intervals;
    dropped.cell_dropout = half(5);
    return dropped;
}

static const sr_attention_map *map_of_all(sr_tape *tape)
{
    const sr_rows *all = sr_rows_all(tape, &layout);
    return sr_attention_map_make(tape, &layout, all, all, HEADS);
}

static const sr_attention_map *map_of_reads(sr_tape *tape)
{
    return sr_attention_map_make(tape, &layout, &reads, sr_rows_all(tape, &layout), HEADS);
}

static sr_tensor *build_interval_scores(sr_tape *tape, sr_tensor **x)
{
    return sr_interval_scores(tape, x[0], interval_table(tape, x[1]), map_of_all(tape), &intervals, 0.7);
}

static sr_tensor *build_interval_scores_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_interval_scores(tape, x[0], interval_table(tape, x[1]), map_of_reads(tape), &intervals, 0.7);
}

static sr_tensor *build_whole_interval_scores(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *whole = sr_attention_map_whole(tape, map_of_all(tape));
    return sr_interval_scores(tape, x[0], interval_table(tape, x[1]), whole, &intervals, 0.7);
}

static sr_tensor *build_interval_scores_with_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_intervals dropped = intervals_with_dropout();
    return sr_interval_scores(tape, x[0], interval_table(tape, x[1]), map_of_all(tape), &dropped, 0.7);
}

static sr_tensor *build_interval_context(sr_tape *tape, sr_tensor **x)
{
    return sr_interval_context(tape, x[0], interval_table(tape, x[1]), map_of_all(tape), &intervals);
}

static sr_tensor *build_interval_context_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_interval_context(tape, x[0], interval_table(tape, x[1]), map_of_reads(tape), &intervals);
}

static sr_tensor *build_whole_interval_context(sr_tape *tape, sr_tensor **x)
{
    const sr_attention_map *whole = sr_attention_map_whole(tape, map_of_all(tape));
    return sr_interval_context(tape, x[0], interval_table(tape, x[1]), whole, &intervals);
}

static sr_tensor *build_interval_context_with_dropout(sr_tape *tape, sr_tensor **x)
{
    const sr_intervals dropped = intervals_with_dropout();
    return sr_interval_context(tape, x[0], interval_table(tape, x[1]), map_of_reads(tape), &dropped);
}

/* Both terms in one pipeline, where keys are fewer than tokens. */
static sr_tensor *build_interval_attention_of_seen_keys(sr_tape *tape, sr_tensor **x)
{
    const sr_intervals long_intervals = {.times = long_times, .unit = 20, .span = SPAN, .cell_dropout = half(6)};
    const sr_rows *all = sr_rows_all(tape, &long_layout);
    const sr_attention_map *map = sr_attention_map_make(tape, &long_layout, all, sr_rows_seen(tape, &long_layout, all), HEADS);
    sr_tensor *scores = sr_interval_scores(tape, x[0], interval_table(tape, x[1]), map, &long_intervals, 0.7);
    return sr_interval_context(tape, sr_attention_softmax(tape, scores, map), interval_table(tape, x[2]), map, &long_intervals);
}

/* ---- filters along positions, by both engines ---- */

/* Tests own the transforms; each operation gets those of its engine. */
static sr_fourier *transforms[2];

static int make_transforms(void **state)
{
    (void)state;
    return sr_fourier_create(&transforms[0], SR_FOURIER_FFTW, WIDTH, NULL) != SR_OK ||
           sr_fourier_create(&transforms[1], SR_FOURIER_PROJECTION, WIDTH, NULL) != SR_OK;
}

static int free_transforms(void **state)
{
    (void)state;
    sr_fourier_free(transforms[0]);
    sr_fourier_free(transforms[1]);
    return 0;
}

/* The mean of each sequence and one bin more: everything of the short ones, not of the long ones. */
static sr_tensor *build_low_pass(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[0], x[0], &layout, sr_rows_all(tape, &layout), (sr_band){0, 2});
}

static sr_tensor *build_low_pass_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[1], x[0], &layout, sr_rows_all(tape, &layout), (sr_band){0, 2});
}

static sr_tensor *build_low_pass_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[0], x[0], &layout, &reads, (sr_band){0, 2});
}

static sr_tensor *build_low_pass_of_reads_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_band_pass(tape, transforms[1], x[0], &layout, &reads, (sr_band){0, 2});
}

/* A band that short sequences do not reach, and that ends at half the sampling rate of the one with 20 positions. */
static sr_tensor *build_band_pass(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &long_layout);
    return sr_add(tape, sr_band_pass(tape, transforms[0], x[0], &long_layout, all, (sr_band){3, 11}),
                  sr_band_pass(tape, transforms[1], x[0], &long_layout, all, (sr_band){7, 11}));
}

static sr_tensor *build_rescale_residual(sr_tape *tape, sr_tensor **x)
{
    return sr_rescale_residual(tape, x[0], x[1], x[2]);
}

static sr_tensor *build_rescale_of_itself(sr_tape *tape, sr_tensor **x)
{
    return sr_rescale_residual(tape, x[0], sr_activate(tape, x[0], SR_ACTIVATION_TANH), x[1]);
}

static const size_t window_offsets[] = {0, WINDOW, 2 * WINDOW}, even_offsets[] = {0, 6, 12};
static const size_t window_read_offsets[] = {0, 1, 3}, window_read_tokens[] = {WINDOW - 1, WINDOW, 2 * WINDOW - 1};
static const size_t even_read_offsets[] = {0, 0, 2}, even_read_tokens[] = {7, 11};
static const sr_layout odd_window = {.sequences = 2, .offsets = window_offsets, .window = WINDOW};
static const sr_layout even_window = {.sequences = 2, .offsets = even_offsets, .window = 6};
static const sr_rows odd_reads = {window_read_offsets, window_read_tokens}, even_reads = {even_read_offsets, even_read_tokens};
enum { ODD_BINS = WINDOW / 2 + 1, EVEN_BINS = 4 };

static sr_tensor *build_spectral_filter(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[0], x[0], &odd_window, sr_rows_all(tape, &odd_window), x[1]);
}

static sr_tensor *build_spectral_filter_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[1], x[0], &even_window, sr_rows_all(tape, &even_window), x[1]);
}

static sr_tensor *build_spectral_filter_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[0], x[0], &even_window, &even_reads, x[1]);
}

static sr_tensor *build_spectral_filter_of_reads_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_filter(tape, transforms[1], x[0], &odd_window, &odd_reads, x[1]);
}

static sr_tensor *build_correlations(sr_tape *tape, sr_tensor **x)
{
    return sr_correlations(tape, x[0], x[1], &odd_window, 0.7);
}

static sr_tensor *build_lag_weights(sr_tape *tape, sr_tensor **x)
{
    static const size_t lags[] = {5, 0, 3};
    return sr_lag_weights(tape, x[0], lags, 3, false);
}

static sr_tensor *build_own_lag_weights(sr_tape *tape, sr_tensor **x)
{
    static const size_t lags[] = {5, 0, 3, 2};
    return sr_lag_weights(tape, x[0], lags, 2, true);
}

static sr_tensor *build_shifted_sum(sr_tape *tape, sr_tensor **x)
{
    return sr_shifted_sum(tape, x[0], x[1], &even_window, sr_rows_all(tape, &even_window));
}

static sr_tensor *build_shifted_sum_of_reads(sr_tape *tape, sr_tensor **x)
{
    return sr_shifted_sum(tape, x[0], x[1], &odd_window, &odd_reads);
}

static sr_tensor *build_spectral_distance(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_distance(tape, transforms[0], x[0], x[1], &even_window, 0.3);
}

static sr_tensor *build_spectral_distance_by_projection(sr_tape *tape, sr_tensor **x)
{
    return sr_spectral_distance(tape, transforms[1], x[0], x[1], &odd_window, 0.3);
}

typedef struct {
    const char *name;
    build_function build;
    size_t shapes[MOST_INPUTS][2]; /* rows 0: no such input */
    bool sampled;                  /* too many elements: check every 797th only */
} operation_case;

static const operation_case cases[] = {
    {"linear", build_linear, {{5, WIDTH}, {4, WIDTH}, {1, 4}}, false},
    {"linear over more rows than a tile", build_linear_without_bias, {{130, WIDTH}, {4, WIDTH}}, true},
    {"linear without bias", build_linear_without_bias, {{5, WIDTH}, {4, WIDTH}}, false},
    {"embedding", build_embedding, {{ITEMS, WIDTH}}, false},
    {"select rows", build_select_rows, {{5, WIDTH}}, false},
    {"add", build_add, {{5, WIDTH}, {5, WIDTH}}, false},
    {"add to itself", build_add_to_itself, {{5, WIDTH}}, false},
    {"gelu", build_gelu, {{5, WIDTH}}, false},
    {"relu", build_relu, {{5, WIDTH}}, false},
    {"swish", build_swish, {{5, WIDTH}}, false},
    {"tanh", build_tanh, {{5, WIDTH}}, false},
    {"sigmoid", build_sigmoid, {{5, WIDTH}}, false},
    {"elu", build_elu, {{5, WIDTH}}, false},
    {"weighted sum", build_weighted_sum, {{1, 6}}, false},
    {"layer norm", build_layer_norm, {{5, WIDTH}, {1, WIDTH}, {1, WIDTH}}, false},
    {"dropout", build_dropout, {{TOKENS, WIDTH}}, false},
    {"dropout of the rows read", build_dropout_of_reads, {{READS, WIDTH}}, false},
    {"dropout beside a residual", build_add_dropped, {{READS, WIDTH}, {READS, WIDTH}}, false},
    {"dropout of nothing beside a residual", build_add_dropped_nothing, {{READS, WIDTH}, {READS, WIDTH}}, false},
    {"attention dropout", build_attention_dropout, {{READ_CELLS, 1}}, false},
    {"attention scores", build_scores, {{TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention scores of the rows read", build_scores_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention softmax", build_softmax, {{CELLS, 1}}, false},
    {"attention", build_attention, {{TOKENS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention of the rows read", build_attention_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention by matrix products", build_long_attention, {{LONG, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}}, false},
    {"attention of padding",
     build_padded_attention,
     {{PADDED_TOKENS, WIDTH}, {PADDED_KEYS, WIDTH}, {PADDED_KEYS, WIDTH}},
     false},
    {"attention that sees every cell", build_whole_attention, {{TOKENS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"selection of queries", build_select_queries, {{CELLS, 1}}, false},
    {"softmax over the window", build_window_softmax, {{CELLS, 1}}, false},
    {"order scores", build_order, {{READ_CELLS, 1}, {READS, WIDTH}, {TOKENS, WIDTH}, {1, 2 * HALF}, {1, 1}}, false},
    {"order scores in both directions",
     build_order_in_both_directions,
     {{PADDED_CELLS, 1}, {PADDED_TOKENS, WIDTH}, {PADDED_KEYS, WIDTH}, {1, 2 * HALF}, {1, 1}},
     false},
    {"distance scores",
     build_distance,
     {{READ_CELLS, 1}, {READS, WIDTH}, {TOKENS, WIDTH}, {1, 2 * HALF}, {1, 1}, {1, 1}},
     false},
    {"distance scores in both directions",
     build_distance_in_both_directions,
     {{PADDED_CELLS, 1}, {PADDED_TOKENS, WIDTH}, {PADDED_KEYS, WIDTH}, {1, 2 * HALF}, {1, 1}, {1, 1}},
     false},
    {"projection of rows", build_project_rows, {{READ_CELLS, 1}, {3, WINDOW}}, false},
    {"projection of rows by head", build_project_rows_by_head, {{PADDED_CELLS, 1}, {HEADS, 3 * WINDOW}}, false},
    {"rows to the window", build_rows_to_window, {{READ_CELLS, 1}}, false},
    {"rows from the window", build_rows_from_window, {{READS, HEADS *WINDOW}}, false},
    {"elu plus one", build_elu_plus_one, {{5, WIDTH}}, false},
    {"square root", build_square_root, {{5, WIDTH}}, false},
    {"square", build_square, {{5, WIDTH}}, false},
    {"distances of rows", build_row_distances, {{5, WIDTH}, {5, WIDTH}}, false},
    {"hinge", build_hinge, {{5, 1}, {5, 1}}, false},
    {"attention by distances", build_distance_attention, {{READS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"distances as scores", build_distance_scores, {{PADDED_TOKENS, WIDTH}, {PADDED_KEYS, WIDTH}}, false},
    {"gated recurrent units", build_gru, {{TOKENS, 3 * 2}, {3 * 2, 2}}, false},
    {"two layers of gated recurrent units",
     build_two_layers_of_gru,
     {{TOKENS, WIDTH}, {3 * 4, WIDTH}, {3 * 4, 4}, {3 * 2, 4}, {3 * 2, 2}},
     false},
    {"vertical convolution", build_vertical_convolution, {{TOKENS, WIDTH}, {1, WIDTH}, {3, WINDOW}, {1, 3}}, false},
    {"horizontal convolutions",
     build_horizontal_convolutions,
     {{TOKENS, 3}, {1, 3}, {2, 3 * WINDOW *(WINDOW + 1) / 2}, {1, 2 * WINDOW}},
     false},
    {"horizontal convolutions of left padding",
     build_horizontal_convolutions_of_left_padding,
     {{TOKENS, 3}, {1, 3}, {20, 3 * 15}, {1, 20 * 5}},
     false},
    {"horizontal convolutions of many sequences and filters",
     build_many_horizontal_convolutions,
     {{105, 2}, {1, 2}, {40, 2 * 6}, {1, 40 * 3}},
     false},
    {"frobenius norm", build_frobenius_norm, {{5, WIDTH}}, false},
    {"attacked weights", build_attacked, {{6, 1}, {6, 1}}, false},
    {"calibrated weights", build_calibrated, {{6, 1}, {6, 1}}, false},
    {"gated weights", build_gate, {{READ_CELLS, 1}, {READ_CELLS, 1}, {READS, WINDOW}}, false},
    {"weights divided by their mass", build_mass, {{READ_CELLS, 1}, {READ_CELLS, 1}}, false},
    {"mask squares over the window", build_mask_squares, {{PADDED_CELLS, 1}}, false},
    {"mask squares of visible cells", build_visible_mask_squares, {{PADDED_CELLS, 1}}, false},
    {"catalogue cross entropy", build_catalogue_cross_entropy, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"catalogue cross entropy over several tiles", build_large_catalogue_cross_entropy, {{300, 2}, {2100, 2}}, true},
    {"catalogue cross entropy that computes all tiles again",
     build_catalogue_cross_entropy_that_keeps_nothing,
     {{300, 2}, {2100, 2}},
     true},
    {"catalogue cross entropy that computes some tiles again",
     build_catalogue_cross_entropy_that_keeps_some,
     {{300, 2}, {2600, 2}},
     true},
    {"weighted add", build_weighted_add, {{5, WIDTH}, {5, WIDTH}}, false},
    {"weighted add to itself", build_weighted_add_to_itself, {{5, WIDTH}}, false},
    {"mix", build_mix, {{5, WIDTH}, {5, WIDTH}, {1, 1}}, false},
    {"mix of more elements than a piece", build_mix, {{300, WIDTH}, {300, WIDTH}, {1, 1}}, true},
    {"concatenate columns", build_concatenate_columns, {{5, WIDTH}, {5, 2}}, false},
    {"concatenate columns with itself", build_concatenate_columns_with_itself, {{5, WIDTH}}, false},
    {"select columns", build_select_columns, {{5, WIDTH}}, false},
    {"table dropout", build_table_dropout, {{ITEMS, WIDTH}}, false},
    {"interval scores", build_interval_scores, {{TOKENS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval scores of the rows read", build_interval_scores_of_reads, {{READS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval scores of a whole map", build_whole_interval_scores, {{TOKENS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval scores with dropout", build_interval_scores_with_dropout, {{TOKENS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval context", build_interval_context, {{CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval context of the rows read", build_interval_context_of_reads, {{READ_CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval context of a whole map", build_whole_interval_context, {{CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval context with dropout", build_interval_context_with_dropout, {{READ_CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval attention of the keys seen",
     build_interval_attention_of_seen_keys,
     {{LONG, WIDTH}, {WIDTH, SPAN}, {WIDTH, SPAN}},
     false},
    {"catalogue cross entropy of the first rows",
     build_catalogue_cross_entropy_of_first_rows,
     {{5, WIDTH}, {ITEMS + 3, WIDTH}},
     false},
    {"catalogue cross entropy of the first rows over several tiles",
     build_large_catalogue_cross_entropy_of_first_rows,
     {{300, 2}, {2100, 2}},
     true},
    {"low pass", build_low_pass, {{TOKENS, WIDTH}}, false},
    {"low pass by projection", build_low_pass_by_projection, {{TOKENS, WIDTH}}, false},
    {"low pass of the rows read", build_low_pass_of_reads, {{TOKENS, WIDTH}}, false},
    {"low pass of the rows read by projection", build_low_pass_of_reads_by_projection, {{TOKENS, WIDTH}}, false},
    {"band pass", build_band_pass, {{LONG, WIDTH}}, false},
    {"rescale residual", build_rescale_residual, {{5, WIDTH}, {5, WIDTH}, {1, WIDTH}}, false},
    {"rescale residual of itself", build_rescale_of_itself, {{5, WIDTH}, {1, WIDTH}}, false},
    {"spectral filter", build_spectral_filter, {{2 * WINDOW, WIDTH}, {ODD_BINS, 2 * WIDTH}}, false},
    {"spectral filter by projection", build_spectral_filter_by_projection, {{12, WIDTH}, {EVEN_BINS, 2 * WIDTH}}, false},
    {"spectral filter of the rows read", build_spectral_filter_of_reads, {{12, WIDTH}, {EVEN_BINS, 2 * WIDTH}}, false},
    {"spectral filter of the rows read by projection",
     build_spectral_filter_of_reads_by_projection,
     {{2 * WINDOW, WIDTH}, {ODD_BINS, 2 * WIDTH}},
     false},
    {"correlations", build_correlations, {{2 * WINDOW, WIDTH}, {2 * WINDOW, WIDTH}}, false},
    {"weights of lags", build_lag_weights, {{2, 6}}, false},
    {"weights of each sequence's lags", build_own_lag_weights, {{2, 6}}, false},
    {"sum of shifted rows", build_shifted_sum, {{2, 6}, {12, WIDTH}}, false},
    {"sum of shifted rows for the rows read", build_shifted_sum_of_reads, {{2, WINDOW}, {2 * WINDOW, WIDTH}}, false},
    {"distance of spectra", build_spectral_distance, {{12, WIDTH}, {12, WIDTH}}, false},
    {"distance of spectra by projection",
     build_spectral_distance_by_projection,
     {{2 * WINDOW, WIDTH}, {2 * WINDOW, WIDTH}},
     false},
    {"contrastive", build_contrastive, {{4, WIDTH}, {4, WIDTH}}, false},
    {"contrastive, one pair", build_contrastive, {{1, WIDTH}, {1, WIDTH}}, false},
    {"contrastive over several tiles", build_contrastive, {{600, 3}, {600, 3}}, true},
    {"item scores", build_item_scores, {{5, WIDTH}, {ITEMS, WIDTH}}, false},
    {"bpr", build_bpr, {{5, 1}, {5, 1}}, false},
    {"binary cross entropy", build_binary_cross_entropy, {{5, 1}, {5, 1}}, false},
};

static size_t declare_inputs(const operation_case *row, sr_parameters *parameters)
{
    size_t count = 0;
    for (; count < MOST_INPUTS && row->shapes[count][0]; ++count) {
        char name[32];
        snprintf(name, sizeof name, "input.%zu", count);
        assert_int_equal(sr_parameters_declare(parameters, name, row->shapes[count], 2,
                                               (sr_initial_values){SR_INITIAL_NORMAL, 0.8}, SR_PARAMETERS_ORDINARY, NULL, NULL),
                         SR_OK);
    }
    assert_int_equal(sr_parameters_allocate(parameters, NULL), SR_OK);
    sr_parameters_draw(parameters, 17);
    return count;
}

/* The weighted sum of the operation's output, all inputs being parameters. The weights are a function of the element alone. */
static sr_tensor *objective(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    sr_tensor *x[MOST_INPUTS] = {NULL};
    for (size_t i = 0; i < inputs; ++i)
        x[i] = sr_tape_parameter(tape, parameters, i);
    sr_tensor *out = row->build(tape, x);
    assert_non_null(out);
    sr_real *weights = sr_tape_take(tape, out->rows * out->columns, sizeof *weights);
    const sr_random_stream stream = sr_random_open(3, SR_RANDOM_TEST, 0);
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        weights[i] = sr_random_normal(stream, i, 0);
    return sr_weighted_sum(tape, out, weights);
}

static double value_of(const operation_case *row, sr_tape *tape, sr_parameters *parameters, size_t inputs)
{
    sr_tape_reset(tape);
    return objective(row, tape, parameters, inputs)->values[0];
}

static void operation_agrees_with_finite_differences(void **state)
{
    const operation_case *row = *state;
    sr_parameters parameters;
    sr_tape *tape;
    sr_parameters_initialise(&parameters);
    const size_t inputs = declare_inputs(row, &parameters);
    assert_int_equal(sr_tape_create(&tape, tested_kernels(), true, NULL), SR_OK);
    sr_tensor *loss = objective(row, tape, &parameters, inputs);
    assert_int_equal(sr_tape_backward(tape, loss, SR_PARAMETERS_ORDINARY, NULL, NULL, NULL), SR_OK);
    const double step = 1e-5;
    for (size_t p = 0; p < inputs; ++p) {
        const sr_parameter *parameter = &parameters.list[p];
        for (size_t i = 0; i < parameter->size; i += row->sampled ? 797 : 1) {
            sr_real *element = parameters.values + parameter->offset + i;
            const double original = *element;
            *element = original + step;
            const double above = value_of(row, tape, &parameters, inputs);
            *element = original - step;
            const double below = value_of(row, tape, &parameters, inputs);
            *element = original;
            const double expected = (above - below) / (2 * step), actual = parameters.gradients[parameter->offset + i];
            if (fabs(actual - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("%s: gradient of input %zu, element %zu is %.10g, finite differences give %.10g", row->name, p, i,
                         actual, expected);
        }
    }
    sr_tape_free(tape);
    sr_parameters_free(&parameters);
}

int main(void)
{
    enum { COUNT = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        memset(&tests[i], 0, sizeof tests[i]);
        tests[i].name = cases[i].name;
        tests[i].test_func = operation_agrees_with_finite_differences;
        tests[i].initial_state = (void *)(uintptr_t)&cases[i];
    }
    return cmocka_run_group_tests_name("operations agree with finite differences", tests, make_transforms, free_transforms);
}
