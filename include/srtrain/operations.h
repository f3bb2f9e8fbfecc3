/* The operations of the tape. Each one stands in its own file of src/tensor/operations with forward and backward side
 * by side.
 *
 * All take NULL tensors (and return NULL then), see srtrain/tape.h. Arrays passed besides tensors must live until the
 * tape is reset. Shapes: T rows, d columns unless said. */
#ifndef SRTRAIN_OPERATIONS_H
#define SRTRAIN_OPERATIONS_H

#include "srtrain/arithmetic.h"
#include "srtrain/fourier.h"
#include "srtrain/ragged.h"
#include "srtrain/row_numbers.h"
#include "srtrain/random.h"
#include "srtrain/tape.h"

/* ---- linear.c ---- */

/* x Wᵀ + b: x [T, in], weight [out, in], bias [1, out] or NULL -> [T, out]. */
sr_tensor *sr_linear(sr_tape *tape, sr_tensor *x, sr_tensor *weight, sr_tensor *bias);

/* The way back: x W: x [T, out], weight [out, in] -> [T, in]. The product of sr_linear(f) without a bias and y is that of f and
 * this of y. */
sr_tensor *sr_linear_back(sr_tape *tape, sr_tensor *x, sr_tensor *weight);

/* ---- gather.c ---- */

/* Rows of a table: out[t] = table[ids[t]], ids [count] -> [count, d]. Row 0 is padding: it is read like any row, but
 * when `padding_row` is set it gets no gradient from being read. */
sr_tensor *sr_embedding(sr_tape *tape, sr_tensor *table, const int32_t *ids, size_t count, bool padding_row);

/* The rows of `count` matrices of equal width, one matrix behind the other; parts [count] must outlive the tape's use
 * of it. */
sr_tensor *sr_stack_rows(sr_tape *tape, sr_tensor *const *parts, size_t count);

/* out[i] = x[rows[i]], rows [count]; a row may be taken several times. */
sr_tensor *sr_select_rows(sr_tape *tape, sr_tensor *x, const size_t *rows, size_t count);

/* ---- elementwise.c ---- */

sr_tensor *sr_add(sr_tape *tape, sr_tensor *left, sr_tensor *right);

/* left times right, element by element. */
sr_tensor *sr_multiply(sr_tape *tape, sr_tensor *left, sr_tensor *right);

/* f(x) element by element; gelu is the erf form. */
sr_tensor *sr_activate(sr_tape *tape, sr_tensor *x, sr_activation kind);

/* left_factor * left + right_factor * right with constant factors. */
sr_tensor *sr_weighted_add(sr_tape *tape, sr_tensor *left, double left_factor, sr_tensor *right, double right_factor);

/* ratio * left + (1 - ratio) * right with a trained ratio [1, 1]. */
sr_tensor *sr_mix(sr_tape *tape, sr_tensor *left, sr_tensor *right, sr_tensor *ratio);

/* left and right side by side: [T, a], [T, b] -> [T, a + b]. */
sr_tensor *sr_concatenate_columns(sr_tape *tape, sr_tensor *left, sr_tensor *right);

/* Columns [first, first + count) of x. */
sr_tensor *sr_select_columns(sr_tape *tape, sr_tensor *x, size_t first, size_t count);

/* The sum of weights * x as [1, 1]; weights [rows * columns] constant. */
sr_tensor *sr_weighted_sum(sr_tape *tape, sr_tensor *x, const sr_real *weights);

/* ---- layer_norm.c ---- */

/* gain * (x - mean) / sqrt(variance + epsilon) + bias over each row, with the biased variance (Ba et al. 2016). */
sr_tensor *sr_layer_norm(sr_tape *tape, sr_tensor *x, sr_tensor *gain, sr_tensor *bias, double epsilon);

/* The same with a gain of 1 and a bias of 0. */
sr_tensor *sr_plain_layer_norm(sr_tape *tape, sr_tensor *x, double epsilon);

/* ---- dropout.c ---- */

/* Where a dropout stands: its stream (one for each site and step) and its probability. A probability of 0 makes both
 * operations the identity. */
typedef struct {
    sr_random_stream stream;
    double probability;
} sr_dropout_site;

/* Inverted dropout on rows that belong to tokens: row i is token tokens[i] of the layout (tokens NULL: row i is token
 * i). The probability is rounded to a multiple of 1/65536 and the scale follows it, so that the expectation is exact.
 */
sr_tensor *sr_dropout(sr_tape *tape, sr_tensor *x, const sr_layout *layout, const size_t *tokens, const sr_dropout_site *site);

/* residual + dropout(x) in one pass. */
sr_tensor *sr_add_dropped(sr_tape *tape, sr_tensor *residual, sr_tensor *x, const sr_layout *layout, const size_t *tokens,
                          const sr_dropout_site *site);

/* The same on the rows of a table that all sequences share: row i is row i of the table, whatever the batch. */
sr_tensor *sr_table_dropout(sr_tape *tape, sr_tensor *table, const sr_dropout_site *site);

/* The same on the cells of an attention map. */
sr_tensor *sr_attention_dropout(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map, const sr_dropout_site *site);

/* ---- attention.c: the fixed stages of the attention pipeline ---- */

/* scores_ij = scale <q_i, k_j> for each head: query [Q, d], key [K, d], heads split the columns -> cells of the map.
 * Cells that are not visible hold 0 and have no gradient. */
sr_tensor *sr_attention_scores(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_attention_map *map, double scale);

/* Softmax over the visible keys of each query; 0 elsewhere. */
sr_tensor *sr_attention_softmax(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map);

/* context_i = sum_j weights_ij value_j for each head: value [K, d] -> [Q, d]. weights must hold 0 in cells that are
 * not visible; their gradient in such cells means nothing. */
sr_tensor *sr_attention_context(sr_tape *tape, sr_tensor *weights, sr_tensor *value, const sr_attention_map *map);

/* The cells of `from` whose query is one of `to`'s, whose keys are the same: -> cells of `to`. */
sr_tensor *sr_attention_select_queries(sr_tape *tape, sr_tensor *weights, const sr_attention_map *from,
                                       const sr_attention_map *to);

/* ---- fused_attention.c: all of these stages at once ---- */

typedef struct {
    sr_tensor *query, *key, *value; /* [Q, d], [K, d], [K, d] */
} sr_attention_inputs;

/* The context [Q, d] of the softmax of scores, with the dropout of `dropout` on the weights: what
 * sr_attention_scores(), sr_attention_softmax(), sr_attention_dropout() and sr_attention_context() give within
 * rounding, with the same cells dropped. No map is held: memory grows with the number of rows, not with its square.
 * Backward computes the cells again. */
sr_tensor *sr_fused_attention(sr_tape *tape, const sr_attention_inputs *inputs, const sr_attention_map *map, double scale,
                              const sr_dropout_site *dropout);

/* ---- intervals.c: relative time in attention (Li, Wang, McAuley 2020) ---- */

/* The gap between two tokens is min(|time_i - time_j| / unit, span) in whole numbers, [0, span]. */
typedef struct {
    const int64_t *times; /* [T] of the layout's tokens */
    int64_t unit, span;
} sr_intervals;

/* scale <q_i, table_gap(i,j)> for each head: query [Q, d], table [span + 1, d] -> cells of the map, 0 where not
 * visible. Row 0 of the table is read like any row and gets no gradient. Nothing of size [queries, keys, d] is ever
 * held. */
sr_tensor *sr_interval_scores(sr_tape *tape, sr_tensor *query, sr_tensor *table, const sr_attention_map *map,
                              const sr_intervals *intervals, double scale);

/* sum_j weights_ij table_gap(i,j) for each head: -> [Q, d]; otherwise as above. */
sr_tensor *sr_interval_context(sr_tape *tape, sr_tensor *weights, sr_tensor *table, const sr_attention_map *map,
                               const sr_intervals *intervals);

/* ---- pointwise_attention.c: attention without softmax, with relative positions and times (Zhai et al. 2024) ---- */

/* Which bucket the time between two stamps is in: floor( ln(max(|left - right| / unit, 1)) / 0.301 ), at most
 * `largest`. From 64-bit integers, in double precision. */
size_t sr_time_bucket(int64_t left, int64_t right, int64_t unit, size_t largest);

typedef struct {
    const int64_t *query_times, *key_times; /* [T] of the layout's tokens, as queries and as keys */
    int64_t unit;                           /* >= 1 */
    size_t largest;                         /* < 65536 */
} sr_bucketing;

/* The buckets of every cell of one head of a map, sequence after sequence, in memory of the tape; NULL (and a sticky
 * failure of the tape) when memory runs out. */
const uint16_t *sr_time_buckets(sr_tape *tape, const sr_attention_map *map, const sr_bucketing *by);

/* What is added to scores: by the distance of columns i - j, and by the bucket of a cell. */
typedef struct {
    sr_tensor *positions; /* [1, >= window]; NULL: none */
    sr_tensor *times;     /* [1, largest + 1]; NULL: none */
    const uint16_t *buckets;
} sr_relative_biases;

/* SiLU(scores + biases) / divisor, cells of a causal map -> cells; 0 where a key is not visible, and in all rows of
 * padding. Gradients of biases are summed in double precision. */
sr_tensor *sr_pointwise_attention(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map,
                                  const sr_relative_biases *biases, double divisor);

/* ---- window_rows.c: rows of a map as vectors over the window (Liu et al. 2024) ---- */

/* Row i of a head as a vector x_i over the columns of the window, 0 where no key is visible, times a matrix: W x_i, W
 * [rank, columns] with columns >= window. weight holds one such matrix, or with `per_head` one a head after the other
 * -> [Q, heads * rank]. */
sr_tensor *sr_project_rows(sr_tape *tape, sr_tensor *cells, sr_tensor *weight, const sr_attention_map *map, size_t rank,
                           bool per_head);

/* The vectors x_i themselves, width columns a head -> [Q, heads * width]; and back: the visible cells of such rows, 0
 * elsewhere. */
sr_tensor *sr_rows_to_window(sr_tape *tape, sr_tensor *cells, const sr_attention_map *map, size_t width);
sr_tensor *sr_rows_from_window(sr_tape *tape, sr_tensor *matrix, const sr_attention_map *map);

/* ---- gaussian.c: squared 2-Wasserstein distances (Fan et al. 2022) ---- */

/* elu(x) + 1, which is positive; the root of max(x, 1e-24); the square. */
sr_tensor *sr_elu_plus_one(sr_tape *tape, sr_tensor *x);
sr_tensor *sr_square_root(sr_tape *tape, sr_tensor *x);
sr_tensor *sr_square(sr_tape *tape, sr_tensor *x);

/* |left_i - right_i|^2 for each row -> [n, 1]. */
sr_tensor *sr_row_distances(sr_tape *tape, sr_tensor *left, sr_tensor *right);

/* weight sum_i max(0, left_i - right_i) as [1, 1]; left, right [n, 1]. */
sr_tensor *sr_hinge_loss(sr_tape *tape, sr_tensor *left, sr_tensor *right, double weight);

/* -scale |q_i - k_j|^2 for each head: query [Q, d], key [K, d] -> cells of the map, 0 where not visible. */
sr_tensor *sr_distance_attention_scores(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_attention_map *map,
                                        double scale);

/* ---- spatial.c: AC-TSR's spatial calibrator (Zhou et al. 2023) ---- */

/* The affine map of the concatenated (q_i, k_j) of one head, a_i + b_j + bias with a_i = <weight[:e], q_i>, b_j =
 * <weight[e:], k_j>; weight [1, 2e], bias [1, 1], shared by all heads. query [Q, d], key [K, d]. Both functions add
 * scale * S_ij to the scores of visible cells; i and j are columns of the window.
 *
 * Order: z_ij that map, S_ij = ln sigmoid(z_ij) if j > i, ln sigmoid(-z_ij) if j <= i. */
sr_tensor *sr_add_order_scores(sr_tape *tape, sr_tensor *scores, sr_tensor *query, sr_tensor *key, sr_tensor *weight,
                               sr_tensor *bias, const sr_attention_map *map, double scale);

/* Distance: m_ij that map, S_ij = -1/2 steepness^2 (ln(|i - j| + 1) - m_ij)^2; steepness [1, 1]. */
typedef struct {
    sr_tensor *weight, *bias, *steepness;
} sr_distance_map;
sr_tensor *sr_add_distance_scores(sr_tape *tape, sr_tensor *scores, sr_tensor *query, sr_tensor *key,
                                  const sr_distance_map *affine, const sr_attention_map *map, double scale);

/* ---- attack_mask.c: what a mask over attention weights does to them (Zhou et al. 2023) ---- */

/* Attacked weights: base * mask + noise * (1 - mask), cell by cell; noise [cells] constant. */
sr_tensor *sr_attacked_weights(sr_tape *tape, sr_tensor *base, sr_tensor *mask, const sr_real *noise);

/* Calibrated weights: base * exp(1 - mask), cell by cell. */
sr_tensor *sr_calibrated_weights(sr_tape *tape, sr_tensor *base, sr_tensor *mask);

/* Gate: g_ij base_ij + (1 - g_ij) calibrated_ij with g_ij = sigmoid(logits[i, column of j]), the same for every head;
 * logits [Q, columns]. */
sr_tensor *sr_gated_weights(sr_tape *tape, sr_tensor *base, sr_tensor *calibrated, sr_tensor *logits,
                            const sr_attention_map *map);

/* Each row divided by its sum over visible keys; 0 elsewhere. Rows of positive weights. */
sr_tensor *sr_attention_mass(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map);

/* Softmax over the visible keys and the hidden columns of the window, which score 0: they take their share of the
 * mass and are then forgotten. Scores must be bounded below (weights are). */
sr_tensor *sr_attention_softmax_over_window(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map);

/* sum (1 - mask)^2 as [1, 1], and in double precision in *sum: over the cells of real queries and visible keys
 * (`visible_only`), or over all columns of the window, where hidden cells count 1 each. */
sr_tensor *sr_mask_squares(sr_tape *tape, sr_tensor *mask, const sr_attention_map *map, bool visible_only, double *sum);

/* ---- frequency.c: along the positions of each sequence, in the frequency domain (srtrain/fourier.h) ---- */

/* Projection of each sequence of x [T, d] onto a band of its bins, for each channel -> [rows, d]. Every token of a
 * sequence is transformed, padding included; a sequence with fewer bins has those of the band that exist. {0, cutoff
 * / 2 + 1} is BSARec's low-pass filter (Shin et al. 2024). `fourier` has d channels and is used until the tape is
 * reset. */
sr_tensor *sr_band_pass(sr_tape *tape, sr_fourier *fourier, sr_tensor *x, const sr_layout *layout, const sr_rows *rows,
                        sr_band band);

/* low + root^2 (x - low) with one root for each channel: x, low [n, d], root [1, d] -> [n, d] (BSARec's frequency
 * rescaler). */
sr_tensor *sr_rescale_residual(sr_tape *tape, sr_tensor *x, sr_tensor *low, sr_tensor *root);

/* Each sequence of x [T, d] multiplied in the frequency domain by a complex weight for each bin and channel, [window
 * / 2 + 1, 2 d] with real and imaginary parts in turn -> [rows, d] (FMLP-Rec, Zhou et al. 2022). Every sequence fills
 * the window. Imaginary parts of bin 0 and of bin window / 2 have no effect. */
sr_tensor *sr_spectral_filter(sr_tape *tape, sr_fourier *fourier, sr_tensor *x, const sr_layout *layout, const sr_rows *rows,
                              sr_tensor *weight);

/* ---- gru.c ---- */

/* A layer of gated recurrent units without biases over each sequence from its first token to its last, h = 0 before
 * it:
 *
 *   r = sigmoid(a_r + W_r h),  z = sigmoid(a_z + W_z h),  c = tanh(a_n + r (W_n h)),  h' = (1 - z) c + z h
 *
 * input [T, 3g]: a = [a_r, a_z, a_n] of every token, products with the input weights; weight [3g, g]: W_r, W_z, W_n
 * one below the other -> h' of every token [T, g]. Padding tokens are tokens like any other. */
sr_tensor *sr_gru(sr_tape *tape, sr_tensor *input, sr_tensor *weight, const sr_layout *layout);

/* ---- convolution.c: over the window of each sequence (Tang and Wang 2018) ---- */

/* A sequence's window has layout->window rows: in the column of an item its row of x [T, d], in all others padding
 * [1, d]. Rows of x that belong to padding tokens are not read.
 *
 * Vertical filters sum the rows of a window, weight [f, window], bias [1, f]: out_f = sum_t weight_ft row_t + bias_f,
 * a vector of d -> [S, f * d], filter after filter. */
sr_tensor *sr_vertical_convolution(sr_tape *tape, sr_tensor *x, sr_tensor *padding, sr_tensor *weight, sr_tensor *bias,
                                   const sr_layout *layout);

/* Horizontal filters of every height from 1 to the window: max_t relu(<weight_f, rows t .. t + height> + bias_f) over
 * all t that fit. weights[height - 1] [f, height * d], biases[height - 1] [1, f]; both arrays may be temporary -> [S,
 * window * f], height after height. Products run over columns in which some item stands. */
sr_tensor *sr_horizontal_convolutions(sr_tape *tape, sr_tensor *x, sr_tensor *padding, sr_tensor *const *weights,
                                      sr_tensor *const *biases, const sr_layout *layout);

/* ---- frobenius_norm.c ---- */

/* The root of the sum of squares as [1, 1]; its gradient at 0 is 0. */
sr_tensor *sr_frobenius_norm(sr_tape *tape, sr_tensor *x);

/* The same of a matrix whose rows lie in `count` tensors; the array must live until the tape is reset. */
sr_tensor *sr_frobenius_norm_of_all(sr_tape *tape, sr_tensor *const *parts, size_t count);

/* ---- unit_rows.c ---- */

/* x_i / max(|x_i|, 1e-8) for each row: dot products of such rows are cosines. */
sr_tensor *sr_unit_rows(sr_tape *tape, sr_tensor *x);

/* How a row of a table is scored by a state: <x, row> / temperature, or <x, row / max(|row|, 1e-8)> / temperature with
 * `unit_rows`. States are taken as they are: for cosines, divide them by sr_unit_rows(). */
typedef struct {
    double temperature; /* > 0 */
    bool unit_rows;
} sr_scoring;

/* ---- catalogue_loss.c ---- */

/* Cross entropy over the whole catalogue: sum_i weight (logsumexp_v <x_i, table_v> - <x_i, table_target_i>) as [1,
 * 1]; x [n, d], `classes` V rows of the table [>= V, d], n targets in [0, V). Works in tiles: never holds more logits
 * than one tile and sr_tape_kept_bytes(), whatever n and V. `weight` is usually 1 / number of targets in the global
 * batch. */
sr_tensor *sr_catalogue_cross_entropy(sr_tape *tape, sr_tensor *x, sr_tensor *table, size_t classes, const int32_t *targets,
                                      double weight);

/* Some rows of a table. A table may consist of several slabs, in any order. The first numbers.count of rows [>=
 * numbers.count, d] have these numbers in the table. */
typedef struct {
    sr_tensor *rows;
    sr_row_numbers numbers;
} sr_slab;

/* Targets of rows x. Those of row i are items[first[i]] to items[first[i + 1] - 1]; first is NULL where each row has one. */
typedef struct {
    const int32_t *items;
    const size_t *first; /* [n + 1] */
} sr_row_targets;

/* The same loss over the rows of several slabs, each number of the table in exactly one of them, with scores for dot
 * products. `slabs` and what `targets` names must live until the tape is reset. The order of slabs changes nothing but
 * the order of additions. A target that no slab has makes the loss NaN. */
sr_tensor *sr_slabs_cross_entropy(sr_tape *tape, sr_tensor *x, const sr_slab *slabs, size_t slab_count,
                                  const sr_row_targets *targets, const sr_scoring *scoring, double weight);

/* What slabs that one process has contribute to that loss where other processes have the rest: of each of n states
 * the largest logit, the sum of exponentials of logits less that, and the logit of its target, NaN where none of
 * these slabs has it. */
typedef struct {
    sr_real *maxima, *sums, *target_logits; /* [n] each */
} sr_softmax_parts;

/* Such slabs, and how they are scored; room for unit rows, and for a matrix unit, in memory of the tape. */
typedef struct {
    const sr_slab *slabs;
    size_t slab_count;
    sr_scoring scoring;
    sr_real *factors, *unit_rows, *unit_gradients;
    void *unit_room; /* of a matrix unit, or NULL */
} sr_softmax_slabs;

/* False when memory runs out. */
bool sr_softmax_begin(sr_tape *tape, const sr_slab *slabs, size_t slab_count, const sr_scoring *scoring,
                      sr_softmax_slabs *begun);

/* Tiles of logits, some of which stay from forward to backward. */
typedef struct {
    sr_real *tiles, *maxima;
    size_t kept; /* tiles that stay */
} sr_softmax_tiles;

/* Room for them in memory of the tape, for n states: as many stay as *kept_bytes hold, which becomes what is left of
 * that. False when memory runs out. */
bool sr_softmax_take_tiles(sr_tape *tape, size_t n, const sr_softmax_slabs *slabs, size_t *kept_bytes, sr_softmax_tiles *tiles);

/* What the slabs contribute for states x [n, d]. Computed at once; nothing is recorded. */
void sr_softmax_forward(sr_tape *tape, sr_tensor *x, const sr_softmax_slabs *slabs, const int32_t *targets,
                        const sr_softmax_parts *parts, const sr_softmax_tiles *tiles);

/* Adds, to the gradients of x and of the slabs that want one, those of the loss times `weight`, as far as these slabs
 * are concerned; log_sums [n] are over all slabs of all processes. Likewise. Afterwards no tile stays. */
void sr_softmax_backward(sr_tape *tape, sr_tensor *x, const sr_softmax_slabs *slabs, const int32_t *targets,
                         const sr_real *log_sums, double weight, sr_softmax_tiles *tiles);

/* Bytes that it takes of a recording tape that keeps `kept_bytes`, for `rows` rows x, beside its inputs; and those
 * that it takes besides with unit rows. */
size_t sr_catalogue_cross_entropy_memory(size_t rows, size_t classes, size_t kept_bytes);
size_t sr_unit_classes_memory(size_t classes, size_t width);

/* |F(left) - F(right)|, F the orthonormal Fourier transform along the positions, summed over sequences, bins and channels and
 * times `weight`, as [1, 1] (Du et al. 2023); left, right [T, d], every sequence fills the window. The gradient of a
 * modulus at 0 is 0. */
sr_tensor *sr_spectral_distance(sr_tape *tape, sr_fourier *fourier, sr_tensor *left, sr_tensor *right, const sr_layout *layout,
                                double weight);

/* ---- correlation.c: auto-correlation in the place of attention (Du et al. 2023) ----
 *
 * Every sequence fills the window, which has n positions. */

/* r[s, lag] = scale sum_t <query at (t + lag) mod n, key at t>: query, key [T, d] -> [sequences, n]. */
sr_tensor *sr_correlations(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_layout *layout, double scale);

/* scale ||query||_F ||key||_F over the positions of one sequence: no |r[sequence, lag]| is larger. */
double sr_correlation_bound(const sr_tape *tape, const sr_tensor *query, const sr_tensor *key, const sr_layout *layout,
                            size_t sequence, double scale);

/* The `count` lags, 1 .. n, with the largest of n values, in ascending order. Neighbours in the order of the values
 * that differ by at most 2^-18 bound count as equal: where they stand on both sides of the cut, the smallest lags of
 * the whole run of such neighbours are taken. So rounding chooses nothing, when `bound` is one of the values and of
 * what they were computed from. What is not a number counts as less than every number. False, and a sticky failure of
 * the tape, when memory runs out. */
bool sr_choose_lags(sr_tape *tape, const double *values, size_t n, double bound, size_t count, size_t *lags);

/* The same for each sequence by its own correlations [sequences, n], which come of query and key [T, d] as above ->
 * lags [sequences, count] in memory of the tape; NULL likewise. */
const size_t *sr_choose_own_lags(sr_tape *tape, sr_tensor *correlations, sr_tensor *query, sr_tensor *key,
                                 const sr_layout *layout, double scale, size_t count);

/* Softmax of correlations [sequences, n] over some lags, 0 at the others: lags [count] for all sequences, or
 * [sequences, count] when each has its own. The lags must live until the tape is reset. */
sr_tensor *sr_lag_weights(sr_tape *tape, sr_tensor *correlations, const size_t *lags, size_t count, bool own);

/* out[t] = sum_lag weights[s, lag] value[(t + lag) mod n] for the wanted rows: weights [sequences, n], value [T, d]
 * -> [rows, d]. */
sr_tensor *sr_shifted_sum(sr_tape *tape, sr_tensor *weights, sr_tensor *value, const sr_layout *layout, const sr_rows *rows);

/* ---- contrastive.c: InfoNCE (van den Oord et al. 2018) over pairs of rows of a whole batch (DuoRec, Qiu et al.
 * 2022) ---- */

/* The rows z of a batch that may be spread over ranks: their order does not matter, but the 2 n rows of this rank are
 * neighbours, and row i of its first n and row i of its last n are a pair. */
typedef struct {
    const sr_real *rows; /* z [count, width], constant */
    size_t count;        /* 2 B */
    size_t first, pairs; /* this rank has rows [first, first + 2 pairs) */
    double temperature;
} sr_contrast;

/* log_sums [2 pairs]: ln sum_{j != i} exp(<z_i, z_j> / temperature) of this rank's rows i over the whole batch. A
 * batch has at least one pair. False, and a sticky failure of the tape, when memory runs out. */
bool sr_contrastive_log_sums(sr_tape *tape, const sr_contrast *batch, size_t width, double *log_sums);

/* weight sum_i (log_sum_i - <z_i, z_partner(i)> / temperature) over this rank's rows as [1, 1]; left and right
 * [pairs, width] are the first and the second of the pairs, whose values also stand in batch->rows. log_sums [count]
 * are those of all rows of the batch. The gradient is that of the sum over ALL rows of the batch by left and right,
 * so that ranks need nothing more from each other. Nothing of size [count, count] is ever held. */
sr_tensor *sr_contrastive_loss(sr_tape *tape, sr_tensor *left, sr_tensor *right, const sr_contrast *batch,
                               const double *log_sums, double weight);

/* ---- sampled_loss.c: targets against lists of sampled items ---- */

/* What n targets are compared with. Each list has `length` K entries, rows of a table, and serves consecutive
 * targets. A row may stand in several lists, and in one list several times. */
typedef struct {
    sr_tensor *target_table, *table; /* [>= places, d]; they may be the same */
    const int32_t *target_places;    /* [n]: rows of target_table */
    const int32_t *places;           /* [lists, length]: rows of table */
    size_t lists, length;
    const size_t *first_target; /* [lists + 1]: list l serves targets [first_target[l], first_target[l + 1]) */
    const size_t *hit_offsets;  /* [n + 1]: where the hits of each target begin; NULL: nobody has one */
    const uint32_t *hits;       /* entries of the target's list that do not exist for this target, each once */
    sr_scoring scoring;
} sr_comparison;

/* What is taken off scores s before they are compared: off those of entries and of targets; and what is added to the
 * logarithm of each target's sum of exponentials. NULL: 0. */
typedef struct {
    const float *entries; /* [lists, length]: q_k */
    const float *targets; /* [n]: q_i */
    const double *sums;   /* [n]: c_i */
} sr_score_corrections;

/* Of states x [n, d], as [1, 1]. In all of them a sum over k is one over the entries that exist for target i. Never
 * more scores are held than those of a tile and sr_tape_kept_bytes(). Products of lists with several targets have the
 * precision of the tape's products; lists of one target have full precision.
 *
 * Sampled softmax: sum_i weight softplus( ln sum_k exp(s_ik - q_k) + c_i - (s_i - q_i) ); 0 for a target without an
 * entry. */
sr_tensor *sr_sampled_softmax(sr_tape *tape, sr_tensor *x, const sr_comparison *with, const sr_score_corrections *corrections,
                              double weight);

/* sum_i ( target_weight softplus(-s_i) + weight sum_k softplus(s_ik) ). */
sr_tensor *sr_sampled_logistic(sr_tape *tape, sr_tensor *x, const sr_comparison *with, double target_weight, double weight);

/* sum_i weight sum_k softplus(s_ik - s_i). */
sr_tensor *sr_sampled_pairs(sr_tape *tape, sr_tensor *x, const sr_comparison *with, double weight);

/* ---- pairwise_loss.c ---- */

/* Scores of one item a row: out[i] = <x_i, table_ids_i> -> [n, 1]. */
sr_tensor *sr_item_scores(sr_tape *tape, sr_tensor *x, sr_tensor *table, const int32_t *ids);

/* Bayesian personalised ranking (Rendle et al. 2009): weight sum_i softplus(-(positive_i - negative_i)) as [1, 1]. */
sr_tensor *sr_bpr_loss(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight);

/* Binary cross entropy with one sampled negative (Kang & McAuley 2018): weight sum_i softplus(-positive_i) +
 * softplus(negative_i) as [1, 1]. */
sr_tensor *sr_binary_cross_entropy(sr_tape *tape, sr_tensor *positive, sr_tensor *negative, double weight);

#endif
