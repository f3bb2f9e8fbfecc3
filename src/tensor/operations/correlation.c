/* Auto-correlation along the positions of sequences that fill the window (Du et al. 2023, after Wu et al. 2021).
 *
 *   r[lag] = scale sum_t <q_{t + lag}, k_t>              positions modulo n
 *   out_t  = sum_lag w[lag] v_{t + lag}                  w the softmax of r over the largest lags
 *
 * A row w of lags is the circulant matrix C(w)[t, u] = w[(u - t) mod n], and sums over its diagonals are the adjoint
 * of that:
 *   r = scale D(k q^T),        dk = scale C(dr) q,   dq = scale C(dr)^T k
 *   out = C(w) v,              dw = D(dout v^T),     dv = C(w)^T dout */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- circulant matrices ---- */

/* Rows of C(w) for some positions, one after the other. */
static void fill_circulant(const sr_real *w, size_t n, const size_t *positions, size_t count, sr_real *matrix)
{
    for (size_t i = 0; i < count; ++i, matrix += n) {
        const size_t t = positions[i];
        memcpy(matrix + t, w, (n - t) * sizeof *w);
        memcpy(matrix, w + n - t, t * sizeof *w);
    }
}

/* sums[lag] += sum_t matrix[t, (t + lag) mod n] over rows for some positions. */
static void add_diagonals(const sr_kernels *kernels, const sr_real *matrix, size_t n, const size_t *positions, size_t count,
                          sr_real *sums)
{
    for (size_t i = 0; i < count; ++i, matrix += n) {
        const size_t t = positions[i];
        kernels->accumulate(sums, matrix + t, n - t);
        kernels->accumulate(sums + n - t, matrix, t);
    }
}

/* ---- correlations ---- */

typedef struct {
    sr_tensor *query, *key;
    const sr_layout *layout;
    sr_real scale;
    size_t *positions; /* 0 .. n - 1 */
    sr_real *matrix;   /* scratch: [n, n] */
} correlation_state;

static void correlations_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const correlation_state *state = saved;
    const size_t n = state->layout->window, width = state->query->columns;
    for (size_t s = 0; s < state->layout->sequences; ++s) {
        const size_t first = state->layout->offsets[s] * width;
        fill_circulant(out->gradient + s * n, n, state->positions, n, state->matrix);
        if (state->key->wants_gradient)
            sr_gemm(sr_tape_kernels(tape), (sr_product_size){n, width, n}, state->scale, sr_plain(state->matrix, n),
                    sr_plain(state->query->values + first, width), 1, state->key->gradient + first, width);
        if (state->query->wants_gradient)
            sr_gemm(sr_tape_kernels(tape), (sr_product_size){n, width, n}, state->scale, sr_transposed(state->matrix, n),
                    sr_plain(state->key->values + first, width), 1, state->query->gradient + first, width);
    }
}

/* [batch, 1, n]: products of all pairs of positions, whose diagonals are summed. */
static sr_graph_value describe_correlations(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const correlation_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t n = (int64_t)state->layout->window, in_a_row[] = {0, n * n};
    const sr_graph_value query = sr_graph_transpose(g, described(to, state->query), (const int64_t[]){0, 2, 1}, 3);
    const sr_graph_value products = SR_GRAPH(g, "MatMul", described(to, state->key), query);
    const sr_graph_value lags = described_columns(to), positions = sr_graph_add_axis(g, lags, 1);
    const sr_graph_value partners = SR_GRAPH(g, "Mod", SR_GRAPH(g, "Add", positions, lags), sr_graph_integer(g, n));
    const sr_graph_value places = SR_GRAPH(g, "Add", SR_GRAPH(g, "Mul", positions, sr_graph_integer(g, n)), partners);
    const sr_graph_value diagonals = SR_GRAPH_WITH(g, "Gather", "axis", 1, sr_graph_reshape(g, products, in_a_row, 2), places);
    return sr_graph_scaled(g, sr_graph_sum(g, diagonals, 1), (double)state->scale);
}

static const sr_operation correlations_operation = {
    .name = "correlations", .backward = correlations_backward, .describe = describe_correlations};

sr_tensor *sr_correlations(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_layout *layout, double scale)
{
    if (!query || !key)
        return NULL;
    const size_t n = layout->window, width = query->columns;
    assert(query->rows == layout->sequences * n && key->rows == query->rows && key->columns == width);
    correlation_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (correlation_state){.query = query,
                                 .key = key,
                                 .layout = layout,
                                 .scale = (sr_real)scale,
                                 .positions = sr_tape_take(tape, n, sizeof *state->positions),
                                 .matrix = sr_tape_take(tape, n * n, sizeof *state->matrix)};
    if (!state->positions || !state->matrix)
        return NULL;
    sr_tensor *inputs[] = {query, key};
    sr_tensor *out = sr_tape_record(tape, layout->sequences, n, inputs, 2, &correlations_operation, state);
    if (!out)
        return NULL;
    for (size_t t = 0; t < n; ++t)
        state->positions[t] = t;
    memset(out->values, 0, layout->sequences * n * sizeof *out->values);
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t first = layout->offsets[s] * width;
        sr_gemm(sr_tape_kernels(tape), (sr_product_size){n, n, width}, (sr_real)scale, sr_plain(key->values + first, width),
                sr_transposed(query->values + first, width), 0, state->matrix, n);
        add_diagonals(sr_tape_kernels(tape), state->matrix, n, state->positions, n, out->values + s * n);
    }
    return out;
}

/* ---- choosing lags ---- */

typedef struct {
    double value;
    size_t lag;
} candidate;

static int compare_candidates(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->value != b->value)
        return a->value < b->value ? 1 : -1;
    return a->lag < b->lag ? -1 : a->lag > b->lag;
}

/* Puts the values in falling order. What is not a number would break it. */
static void sort_candidates(const double *values, size_t n, candidate *candidates)
{
    for (size_t lag = 0; lag < n; ++lag)
        candidates[lag] = (candidate){isnan(values[lag]) ? -INFINITY : values[lag], lag};
    qsort(candidates, n, sizeof *candidates, compare_candidates);
}

/* Far above what rounding does to a correlation (1e-7 of its bound at most), far below the usual gap between two
 * (1e-4). */
static const double CLOSENESS = 0x1p-18;

/* Whether candidate i and the one behind it count as equal. */
static bool is_close_to_next(const candidate *candidates, size_t i, double bound)
{
    return !(candidates[i].value - candidates[i + 1].value > CLOSENESS * bound);
}

static int compare_numbers(const void *left, const void *right)
{
    const size_t a = *(const size_t *)left, b = *(const size_t *)right;
    return (a > b) - (a < b);
}

bool sr_choose_lags(sr_tape *tape, const double *values, size_t n, double bound, size_t count, size_t *lags)
{
    candidate *candidates = sr_tape_take(tape, n, sizeof *candidates);
    size_t *equal = sr_tape_take(tape, n, sizeof *equal);
    if (!candidates || !equal)
        return false;
    sort_candidates(values, n, candidates);
    size_t begin = count, end = count; /* of the candidates around the cut that count as equal */
    if (count < n && is_close_to_next(candidates, count - 1, bound)) {
        begin = count - 1;
        while (begin > 0 && is_close_to_next(candidates, begin - 1, bound))
            --begin;
        end = count + 1;
        while (end < n && is_close_to_next(candidates, end - 1, bound))
            ++end;
    }
    for (size_t i = begin; i < end; ++i)
        equal[i - begin] = candidates[i].lag;
    qsort(equal, end - begin, sizeof *equal, compare_numbers);
    for (size_t i = 0; i < count; ++i)
        lags[i] = i < begin ? candidates[i].lag : equal[i - begin];
    qsort(lags, count, sizeof *lags, compare_numbers); /* so that no order of equal values shows in a sum over lags */
    return true;
}

double sr_correlation_bound(const sr_tape *tape, const sr_tensor *query, const sr_tensor *key, const sr_layout *layout,
                            size_t sequence, double scale)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t first = layout->offsets[sequence] * query->columns, size = layout->window * query->columns;
    const double query_squares = kernels->sum_of_squares(query->values + first, size);
    return scale * sqrt(query_squares) * sqrt(kernels->sum_of_squares(key->values + first, size));
}

typedef struct {
    sr_tensor *correlations, *query, *key;
    double scale;
    size_t count;
} lags_note;

/* The root of the sum of squares over positions and columns, [batch, 1, 1]. */
static sr_graph_value describe_norm(sr_description *to, const sr_tensor *x)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value value = described(to, x);
    return SR_GRAPH(g, "Sqrt", sr_graph_sum(g, sr_graph_sum(g, SR_GRAPH(g, "Mul", value, value), 2), 1));
}

/* Of correlations in falling order: the number of the run of neighbours that count as equal, [batch, 1, n]. */
static sr_graph_value describe_runs(sr_description *to, const lags_note *note, sr_graph_value falling)
{
    sr_graph *g = description_graph(to);
    const int64_t n = (int64_t)note->correlations->columns, one_in_front[] = {0, 0, 1, 0, 0, 0};
    const sr_graph_value bound = SR_GRAPH(g, "Mul", describe_norm(to, note->query), describe_norm(to, note->key));
    const sr_graph_value gaps = SR_GRAPH(g, "Sub", sr_graph_slice(g, falling, 2, 0, n - 1),
                                         sr_graph_slice(g, falling, 2, 1, n));
    const sr_graph_value is_far = SR_GRAPH(g, "Greater", gaps, sr_graph_scaled(g, bound, CLOSENESS * note->scale));
    const sr_graph_value steps = SR_GRAPH(g, "Pad", SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, is_far),
                                          sr_graph_list(g, one_in_front, 6));
    return SR_GRAPH(g, "CumSum", steps, sr_graph_integer(g, 2));
}

/* Whether each lag is chosen, [batch, 1, n], by the rule of sr_choose_lags(): all of the runs before that in which
 * the cut stands, and of that run the smallest lags. */
static sr_graph_value describe_lags(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const lags_note *note = saved;
    sr_graph *g = description_graph(to);
    const int64_t n = (int64_t)note->correlations->columns, count = (int64_t)note->count;
    const sr_graph_value sorted = sr_graph_node(
        g, "TopK", NULL, (const sr_graph_value[]){described(to, note->correlations), sr_graph_list(g, &n, 1)}, 2, 2);
    const sr_graph_value runs = describe_runs(to, note, sorted);
    const sr_graph_value run_of_lag = SR_GRAPH_WITH(g, "ScatterElements", "axis", 2, runs, sorted ? sorted + 1 : 0, runs);
    const sr_graph_value cut = sr_graph_slice(g, runs, 2, count - 1, count);
    const sr_graph_value is_before = SR_GRAPH(g, "Less", run_of_lag, cut), is_cut = SR_GRAPH(g, "Equal", run_of_lag, cut);
    const sr_graph_value before = sr_graph_sum(g, SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, is_before), 2);
    const sr_graph_value place = SR_GRAPH(g, "CumSum", SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, is_cut),
                                          sr_graph_integer(g, 2));
    const sr_graph_value fits = SR_GRAPH(g, "LessOrEqual", SR_GRAPH(g, "Add", place, before), sr_graph_integer(g, count));
    return SR_GRAPH(g, "Or", is_before, SR_GRAPH(g, "And", is_cut, fits));
}

static const sr_operation lags_operation = {.name = "choose_lags", .describe = describe_lags};

const size_t *sr_choose_own_lags(sr_tape *tape, sr_tensor *correlations, sr_tensor *query, sr_tensor *key,
                                 const sr_layout *layout, double scale, size_t count)
{
    if (!correlations || !query || !key)
        return NULL;
    const size_t n = correlations->columns;
    size_t *lags = sr_tape_take(tape, correlations->rows * count, sizeof *lags);
    double *values = sr_tape_take(tape, n, sizeof *values);
    lags_note *note = sr_tape_take(tape, 1, sizeof *note);
    if (!lags || !values || !note)
        return NULL;
    *note = (lags_note){correlations, query, key, scale, count};
    for (size_t s = 0; s < correlations->rows; ++s) {
        for (size_t lag = 0; lag < n; ++lag)
            values[lag] = (double)correlations->values[s * n + lag];
        const double bound = sr_correlation_bound(tape, query, key, layout, s, scale);
        if (!sr_choose_lags(tape, values, n, bound, count, lags + s * count))
            return NULL;
    }
    return sr_tape_note(tape, lags, &lags_operation, note) ? lags : NULL;
}

/* ---- weights of lags ---- */

typedef struct {
    sr_tensor *correlations;
    const size_t *lags;
    size_t count;
    bool own;
    sr_real *kept, *gradient; /* scratch: [count] */
} lag_state;

static const size_t *lags_of(const lag_state *state, size_t s)
{
    return state->own ? state->lags + s * state->count : state->lags;
}

static void lag_weights_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const lag_state *state = saved;
    const size_t n = out->columns;
    sr_real *sums = sr_tape_take(tape, state->count, sizeof *sums);
    for (size_t s = 0; sums && s < out->rows; ++s) {
        const size_t *lags = lags_of(state, s);
        for (size_t i = 0; i < state->count; ++i) {
            state->kept[i] = out->values[s * n + lags[i]];
            state->gradient[i] = out->gradient[s * n + lags[i]];
            sums[i] = 0;
        }
        sr_tape_kernels(tape)->softmax_backward(sums, state->kept, state->gradient, state->count);
        for (size_t i = 0; i < state->count; ++i)
            state->correlations->gradient[s * n + lags[i]] += sums[i];
    }
}

static sr_graph_value describe_lag_weights(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const lag_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value kept = SR_GRAPH(g, "Where", described_array(to, state->lags), described(to, state->correlations),
                                         sr_graph_number(g, -INFINITY));
    return SR_GRAPH_WITH(g, "Softmax", "axis", -1, kept);
}

static const sr_operation lag_weights_operation = {
    .name = "lag_weights", .backward = lag_weights_backward, .describe = describe_lag_weights};

sr_tensor *sr_lag_weights(sr_tape *tape, sr_tensor *correlations, const size_t *lags, size_t count, bool own)
{
    if (!correlations || !lags)
        return NULL;
    const size_t n = correlations->columns;
    assert(count >= 1 && count <= n);
    lag_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (lag_state){.correlations = correlations,
                         .lags = lags,
                         .count = count,
                         .own = own,
                         .kept = sr_tape_take(tape, count, sizeof *state->kept),
                         .gradient = sr_tape_take(tape, count, sizeof *state->gradient)};
    if (!state->kept || !state->gradient)
        return NULL;
    sr_tensor *out = sr_tape_record(tape, correlations->rows, n, &correlations, 1, &lag_weights_operation, state);
    if (!out)
        return NULL;
    memset(out->values, 0, out->rows * n * sizeof *out->values);
    for (size_t s = 0; s < out->rows; ++s) {
        const size_t *chosen = lags_of(state, s);
        for (size_t i = 0; i < count; ++i)
            state->kept[i] = correlations->values[s * n + chosen[i]];
        sr_tape_kernels(tape)->softmax(state->kept, state->kept, count);
        for (size_t i = 0; i < count; ++i)
            out->values[s * n + chosen[i]] = state->kept[i];
    }
    return out;
}

/* ---- sums of shifted rows ---- */

typedef struct {
    sr_tensor *weights, *value;
    const sr_layout *layout;
    const sr_rows *rows;
    size_t *positions; /* [rows]: in their sequence */
    sr_real *matrix;   /* scratch: [most rows of a sequence, n] */
} shift_state;

static void shifted_sum_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const shift_state *state = saved;
    const size_t n = state->layout->window, width = out->columns;
    for (size_t s = 0; s < state->layout->sequences; ++s) {
        const size_t begin = state->rows->offsets[s], count = state->rows->offsets[s + 1] - begin;
        const size_t first = state->layout->offsets[s] * width;
        const sr_real *gradient = out->gradient + begin * width;
        if (state->value->wants_gradient) {
            fill_circulant(state->weights->values + s * n, n, state->positions + begin, count, state->matrix);
            sr_gemm(sr_tape_kernels(tape), (sr_product_size){n, width, count}, 1, sr_transposed(state->matrix, n),
                    sr_plain(gradient, width), 1, state->value->gradient + first, width);
        }
        if (state->weights->wants_gradient) {
            sr_gemm(sr_tape_kernels(tape), (sr_product_size){count, n, width}, 1, sr_plain(gradient, width),
                    sr_transposed(state->value->values + first, width), 0, state->matrix, n);
            add_diagonals(sr_tape_kernels(tape), state->matrix, n, state->positions + begin, count,
                          state->weights->gradient + s * n);
        }
    }
}

static sr_graph_value describe_shifted_sum(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const shift_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t n = (int64_t)state->layout->window;
    const sr_graph_value columns = described_columns(to);
    const sr_graph_value apart = SR_GRAPH(g, "Sub", columns, sr_graph_add_axis(g, columns, 1));
    const sr_graph_value lags = SR_GRAPH(g, "Mod", apart, sr_graph_integer(g, n));
    sr_graph_value circulant = SR_GRAPH_WITH(g, "Gather", "axis", 1, sr_graph_drop_axis(g, described(to, state->weights), 1),
                                             lags);
    if (are_read(to, state->rows->tokens))
        circulant = described_read_rows(to, circulant);
    return SR_GRAPH(g, "MatMul", circulant, described(to, state->value));
}

static const sr_operation shifted_sum_operation = {
    .name = "shifted_sum", .backward = shifted_sum_backward, .describe = describe_shifted_sum};

static bool take_shift_state(sr_tape *tape, shift_state *state)
{
    const sr_layout *layout = state->layout;
    const sr_rows *rows = state->rows;
    size_t most = 0;
    for (size_t s = 0; s < layout->sequences; ++s)
        if (rows->offsets[s + 1] - rows->offsets[s] > most)
            most = rows->offsets[s + 1] - rows->offsets[s];
    state->positions = sr_tape_take(tape, sr_rows_count(rows, layout), sizeof *state->positions);
    state->matrix = sr_tape_take(tape, most * layout->window, sizeof *state->matrix);
    if (!state->positions || !state->matrix)
        return false;
    for (size_t s = 0; s < layout->sequences; ++s)
        for (size_t row = rows->offsets[s]; row < rows->offsets[s + 1]; ++row)
            state->positions[row] = rows->tokens[row] - layout->offsets[s];
    return true;
}

sr_tensor *sr_shifted_sum(sr_tape *tape, sr_tensor *weights, sr_tensor *value, const sr_layout *layout, const sr_rows *rows)
{
    if (!weights || !value)
        return NULL;
    const size_t n = layout->window, width = value->columns;
    assert(weights->rows == layout->sequences && weights->columns == n && value->rows == layout->sequences * n);
    shift_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (shift_state){.weights = weights, .value = value, .layout = layout, .rows = rows};
    if (!take_shift_state(tape, state))
        return NULL;
    sr_tensor *inputs[] = {weights, value};
    sr_tensor *out = sr_tape_record(tape, sr_rows_count(rows, layout), width, inputs, 2, &shifted_sum_operation, state);
    for (size_t s = 0; out && s < layout->sequences; ++s) {
        const size_t begin = rows->offsets[s], count = rows->offsets[s + 1] - begin;
        fill_circulant(weights->values + s * n, n, state->positions + begin, count, state->matrix);
        sr_gemm(sr_tape_kernels(tape), (sr_product_size){count, width, n}, 1, sr_plain(state->matrix, n),
                sr_plain(value->values + layout->offsets[s] * width, width), 0, out->values + begin * width, width);
    }
    return out;
}
