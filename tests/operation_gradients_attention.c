/* Attention, its scores and its calibration. */
#include "operation_gradients.h"

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

static sr_tensor *build_causal_attention(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &causal_layout);
    return attention(tape, x, sr_attention_map_make(tape, &causal_layout, all, all, HEADS));
}

static sr_tensor *build_causal_attention_of_late_rows(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &causal_layout);
    return attention(tape, x, sr_attention_map_make(tape, &causal_layout, &late_reads, all, HEADS));
}

static sr_tensor *fused(sr_tape *tape, sr_tensor **x, const sr_attention_map *map)
{
    const sr_dropout_site site = half(5);
    return sr_fused_attention(tape, &(sr_attention_inputs){x[0], x[1], x[2]}, map, 0.7, &site);
}

static sr_tensor *build_fused_attention(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &layout);
    return fused(tape, x, sr_attention_map_make(tape, &layout, all, all, HEADS));
}

static sr_tensor *build_fused_attention_of_late_rows(sr_tape *tape, sr_tensor **x)
{
    const sr_rows *all = sr_rows_all(tape, &causal_layout);
    return fused(tape, x, sr_attention_map_make(tape, &causal_layout, &late_reads, all, HEADS));
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

/* Stamps of the tokens, with equal ones, gaps below a unit, gaps of every size up to the span and beyond it. */
enum { SPAN = 4 };
static const int64_t times[] = {100, 100, 130, 7, 0, 9, 10, 25, 1000, 5, -5, 16, 64, 65};
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

/* Both terms in one pipeline, where keys are fewer than tokens. */
static sr_tensor *build_interval_attention_of_seen_keys(sr_tape *tape, sr_tensor **x)
{
    const sr_intervals long_intervals = {.times = long_times, .unit = 20, .span = SPAN};
    const sr_rows *all = sr_rows_all(tape, &long_layout);
    const sr_attention_map *map = sr_attention_map_make(tape, &long_layout, all, sr_rows_seen(tape, &long_layout, all), HEADS);
    sr_tensor *scores = sr_interval_scores(tape, x[0], interval_table(tape, x[1]), map, &long_intervals, 0.7);
    return sr_interval_context(tape, sr_attention_softmax(tape, scores, map), interval_table(tape, x[2]), map, &long_intervals);
}

/* The same stamps as gaps of many sizes. */
static sr_tensor *pointwise(sr_tape *tape, sr_tensor **x, const sr_attention_map *map, bool with_times)
{
    const sr_bucketing by = {.query_times = times + 1, .key_times = times, .unit = 1, .largest = SPAN};
    const sr_relative_biases biases = {
        .positions = x[1], .times = with_times ? x[2] : NULL, .buckets = with_times ? sr_time_buckets(tape, map, &by) : NULL};
    return sr_pointwise_attention(tape, x[0], map, &biases, 3);
}

static sr_tensor *build_pointwise(sr_tape *tape, sr_tensor **x)
{
    return pointwise(tape, x, map_of_all(tape), true);
}

static sr_tensor *build_pointwise_of_reads(sr_tape *tape, sr_tensor **x)
{
    return pointwise(tape, x, map_of_reads(tape), true);
}

static sr_tensor *build_pointwise_without_times(sr_tape *tape, sr_tensor **x)
{
    return pointwise(tape, x, map_of_reads(tape), false);
}

static const operation_case cases[] = {
    {"attention dropout", build_attention_dropout, {{READ_CELLS, 1}}, false},
    {"attention scores", build_scores, {{TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention scores of the rows read", build_scores_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention softmax", build_softmax, {{CELLS, 1}}, false},
    {"attention", build_attention, {{TOKENS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention of the rows read", build_attention_of_reads, {{READS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention by matrix products", build_long_attention, {{LONG, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}}, false},
    {"causal attention by matrix products", build_causal_attention, {{LONG, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}}, false},
    {"causal attention of late rows",
     build_causal_attention_of_late_rows,
     {{LATE, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}},
     false},
    {"attention without maps", build_fused_attention, {{TOKENS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"attention of late rows without maps",
     build_fused_attention_of_late_rows,
     {{LATE, WIDTH}, {LONG, WIDTH}, {LONG, WIDTH}},
     false},
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
    {"attention by distances", build_distance_attention, {{READS, WIDTH}, {TOKENS, WIDTH}, {TOKENS, WIDTH}}, false},
    {"distances as scores", build_distance_scores, {{PADDED_TOKENS, WIDTH}, {PADDED_KEYS, WIDTH}}, false},
    {"attacked weights", build_attacked, {{6, 1}, {6, 1}}, false},
    {"calibrated weights", build_calibrated, {{6, 1}, {6, 1}}, false},
    {"gated weights", build_gate, {{READ_CELLS, 1}, {READ_CELLS, 1}, {READS, WINDOW}}, false},
    {"weights divided by their mass", build_mass, {{READ_CELLS, 1}, {READ_CELLS, 1}}, false},
    {"mask squares over the window", build_mask_squares, {{PADDED_CELLS, 1}}, false},
    {"mask squares of visible cells", build_visible_mask_squares, {{PADDED_CELLS, 1}}, false},
    {"pointwise attention", build_pointwise, {{CELLS, 1}, {1, WINDOW}, {1, SPAN + 1}}, false},
    {"pointwise attention of the rows read", build_pointwise_of_reads, {{READ_CELLS, 1}, {1, WINDOW}, {1, SPAN + 1}}, false},
    {"pointwise attention without times", build_pointwise_without_times, {{READ_CELLS, 1}, {1, WINDOW}}, false},
    {"interval scores", build_interval_scores, {{TOKENS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval scores of the rows read", build_interval_scores_of_reads, {{READS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval scores of a whole map", build_whole_interval_scores, {{TOKENS, WIDTH}, {WIDTH, SPAN}}, false},
    {"interval context", build_interval_context, {{CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval context of the rows read", build_interval_context_of_reads, {{READ_CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval context of a whole map", build_whole_interval_context, {{CELLS, 1}, {WIDTH, SPAN}}, false},
    {"interval attention of the keys seen",
     build_interval_attention_of_seen_keys,
     {{LONG, WIDTH}, {WIDTH, SPAN}, {WIDTH, SPAN}},
     false},
};

const operation_cases attention_cases = {cases, sizeof cases / sizeof *cases};
