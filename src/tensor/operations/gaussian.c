/* Gaussians with diagonal covariance, compared by the squared 2-Wasserstein distance (Fan et al. 2022):
 *
 *   W(a, b) = |mean_a - mean_b|^2 + |root_a - root_b|^2,   root = sqrt(covariance), element by element
 *
 * which is the squared Euclidean distance of the vectors [mean, root]. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- element by element ---- */

typedef struct {
    sr_tensor *x;
} element_state;

static sr_tensor *record_elements(sr_tape *tape, sr_tensor *x, const sr_operation *operation)
{
    if (!x)
        return NULL;
    element_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    state->x = x;
    return sr_tape_record(tape, x->rows, x->columns, &x, 1, operation, state);
}

/* d(elu(x) + 1)/dx = 1 for x > 0, else exp(x), which is the output */
static void positive_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const element_state *state = saved;
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        state->x->gradient[i] += out->gradient[i] * (out->values[i] < 1 ? out->values[i] : 1);
}

static sr_graph_value describe_positive(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const element_state *state = saved;
    sr_graph *g = description_graph(to);
    return SR_GRAPH(g, "Add", SR_GRAPH(g, "Elu", described(to, state->x)), sr_graph_number(g, 1));
}

static const sr_operation positive_operation = {
    .name = "elu_plus_one", .backward = positive_backward, .describe = describe_positive};

sr_tensor *sr_elu_plus_one(sr_tape *tape, sr_tensor *x)
{
    sr_tensor *out = record_elements(tape, x, &positive_operation);
    if (!out)
        return NULL;
    const size_t count = x->rows * x->columns;
    for (size_t i = 0; i < count; ++i)
        out->values[i] = x->values[i] < 0 ? x->values[i] : 0;
    sr_tape_kernels(tape)->exponential(out->values, out->values, count);
    for (size_t i = 0; i < count; ++i)
        out->values[i] += x->values[i] > 0 ? x->values[i] : 0;
    return out;
}

static const double SMALLEST_COVARIANCE = 1e-24; /* as the published code clamps before the root */

/* d sqrt(x)/dx = 1 / (2 sqrt(x)); 0 where x was clamped */
static void root_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const element_state *state = saved;
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        if (state->x->values[i] > (sr_real)SMALLEST_COVARIANCE)
            state->x->gradient[i] += out->gradient[i] / (2 * out->values[i]);
}

static sr_graph_value describe_root(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const element_state *state = saved;
    sr_graph *g = description_graph(to);
    return SR_GRAPH(g, "Sqrt", SR_GRAPH(g, "Max", described(to, state->x), sr_graph_number(g, SMALLEST_COVARIANCE)));
}

static const sr_operation root_operation = {.name = "square_root", .backward = root_backward, .describe = describe_root};

sr_tensor *sr_square_root(sr_tape *tape, sr_tensor *x)
{
    sr_tensor *out = record_elements(tape, x, &root_operation);
    const sr_real least = (sr_real)SMALLEST_COVARIANCE;
    for (size_t i = 0; out && i < x->rows * x->columns; ++i)
        out->values[i] = (sr_real)sqrt((double)(x->values[i] > least ? x->values[i] : least));
    return out;
}

static void square_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const element_state *state = saved;
    for (size_t i = 0; i < out->rows * out->columns; ++i)
        state->x->gradient[i] += 2 * out->gradient[i] * state->x->values[i];
}

static sr_graph_value describe_square(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const element_state *state = saved;
    const sr_graph_value x = described(to, state->x);
    return SR_GRAPH(description_graph(to), "Mul", x, x);
}

static const sr_operation square_operation = {.name = "square", .backward = square_backward, .describe = describe_square};

sr_tensor *sr_square(sr_tape *tape, sr_tensor *x)
{
    sr_tensor *out = record_elements(tape, x, &square_operation);
    if (out)
        sr_tape_kernels(tape)->multiply(out->values, x->values, x->values, x->rows * x->columns);
    return out;
}

/* ---- distances of rows ---- */

typedef struct {
    sr_tensor *left, *right;
} pair_state;

/* dleft_i += 2 dout_i (left_i - right_i),  dright_i the opposite */
static void row_distances_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const pair_state *state = saved;
    sr_tensor *left = state->left, *right = state->right;
    for (size_t row = 0; row < out->rows; ++row)
        for (size_t i = row * left->columns; i < (row + 1) * left->columns; ++i) {
            const sr_real gradient = 2 * out->gradient[row] * (left->values[i] - right->values[i]);
            if (left->wants_gradient)
                left->gradient[i] += gradient;
            if (right->wants_gradient)
                right->gradient[i] -= gradient;
        }
}

static const sr_operation row_distances_operation = {.name = "row_distances", .backward = row_distances_backward};

sr_tensor *sr_row_distances(sr_tape *tape, sr_tensor *left, sr_tensor *right)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows && left->columns == right->columns);
    pair_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (pair_state){left, right};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, left->rows, 1, inputs, 2, &row_distances_operation, state);
    for (size_t row = 0; out && row < left->rows; ++row) {
        sr_real sum = 0;
        for (size_t i = row * left->columns; i < (row + 1) * left->columns; ++i)
            sum += (left->values[i] - right->values[i]) * (left->values[i] - right->values[i]);
        out->values[row] = sum;
    }
    return out;
}

typedef struct {
    sr_tensor *left, *right;
    sr_real weight;
} hinge_state;

static void hinge_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const hinge_state *state = saved;
    const sr_real gradient = state->weight * out->gradient[0];
    for (size_t i = 0; i < state->left->rows; ++i) {
        if (state->left->values[i] <= state->right->values[i])
            continue;
        if (state->left->wants_gradient)
            state->left->gradient[i] += gradient;
        if (state->right->wants_gradient)
            state->right->gradient[i] -= gradient;
    }
}

static const sr_operation hinge_operation = {.name = "hinge", .backward = hinge_backward};

sr_tensor *sr_hinge_loss(sr_tape *tape, sr_tensor *left, sr_tensor *right, double weight)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows && left->columns == 1 && right->columns == 1);
    hinge_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (hinge_state){left, right, (sr_real)weight};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, 1, 1, inputs, 2, &hinge_operation, state);
    double sum = 0;
    for (size_t i = 0; out && i < left->rows; ++i)
        if (left->values[i] > right->values[i])
            sum += (double)left->values[i] - (double)right->values[i];
    if (out)
        out->values[0] = (sr_real)(weight * sum);
    return out;
}

/* ---- distances as attention scores ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *query, *key, *scores;
    sr_real scale;
    sr_real *query_norms, *key_norms; /* [Q, heads], [K, heads]: squared norms */
    sr_real *row_sums, *column_sums;  /* [window] scratch of backward */
} distance_state;

static void squared_norms(const sr_kernels *kernels, const sr_tensor *x, size_t width, sr_real *norms)
{
    const size_t heads = x->columns / width;
    for (size_t i = 0; i < x->rows * heads; ++i)
        norms[i] = kernels->dot(x->values + i * width, x->values + i * width, width);
}

/* S_ij = -scale |q_i - k_j|^2 = scale (2 q_i k_jᵀ - |q_i|^2 - |k_j|^2): one matrix product and two norms */
static void distance_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const distance_state *state = saved;
    const size_t stride = state->query->columns, heads = map->heads;
    sr_real *scores = state->scores->values + block->cell;
    sr_gemm(sr_tape_kernels(tape), (sr_product_size){block->queries, block->keys, block->width}, 2 * state->scale,
            sr_plain(state->query->values + block->query_row * stride + block->column, stride),
            sr_transposed(state->key->values + block->key_row * stride + block->column, stride), 0, scores, block->keys);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_real *row = scores + i * block->keys;
        const sr_real query_norm = state->query_norms[(block->query_row + i) * heads + block->head];
        memset(row, 0, begin * sizeof *row);
        memset(row + end, 0, (block->keys - end) * sizeof *row);
        for (size_t j = begin; j < end; ++j)
            row[j] -= state->scale * (query_norm + state->key_norms[(block->key_row + j) * heads + block->head]);
    }
}

/* With L = scale dS:  dq_i += 2 ((L k)_i - q_i sum_j L_ij),  dk_j += 2 ((Lᵀ q)_j - k_j sum_i L_ij). Hidden cells have
 * no gradient. */
static void distance_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const distance_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t stride = state->query->columns;
    const size_t query_offset = block->query_row * stride + block->column, key_offset = block->key_row * stride + block->column;
    const sr_real *gradient = state->scores->gradient + block->cell;
    const sr_real *query = state->query->values + query_offset, *key = state->key->values + key_offset;
    memset(state->column_sums, 0, block->keys * sizeof *state->column_sums);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        state->row_sums[i] = 0;
        for (size_t j = begin; j < end; ++j) {
            state->row_sums[i] += gradient[i * block->keys + j];
            state->column_sums[j] += gradient[i * block->keys + j];
        }
    }
    if (state->query->wants_gradient) {
        sr_real *out = state->query->gradient + query_offset;
        sr_gemm(sr_tape_kernels(tape), (sr_product_size){block->queries, block->width, block->keys}, 2 * state->scale,
                sr_plain(gradient, block->keys), sr_plain(key, stride), 1, out, stride);
        for (size_t i = 0; i < block->queries; ++i)
            kernels->accumulate_scaled(out + i * stride, -2 * state->scale * state->row_sums[i], query + i * stride,
                                       block->width);
    }
    if (state->key->wants_gradient) {
        sr_real *out = state->key->gradient + key_offset;
        sr_gemm(sr_tape_kernels(tape), (sr_product_size){block->keys, block->width, block->queries}, 2 * state->scale,
                sr_transposed(gradient, block->keys), sr_plain(query, stride), 1, out, stride);
        for (size_t j = 0; j < block->keys; ++j)
            kernels->accumulate_scaled(out + j * stride, -2 * state->scale * state->column_sums[j], key + j * stride,
                                       block->width);
    }
}

static void distance_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    (void)scores;
    const distance_state *state = saved;
    for_each_head(tape, state->map, state->query->columns / state->map->heads, distance_backward_head, state);
}

/* |x_i|^2 of each row of each head */
static sr_graph_value describe_norms(sr_graph *g, sr_graph_value heads, int64_t axis)
{
    return sr_graph_sum(g, SR_GRAPH(g, "Mul", heads, heads), axis);
}

static sr_graph_value describe_distance(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const distance_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value query = described_heads(to, described(to, state->query), state->map->heads),
                         key = described_heads_transposed(to, described(to, state->key), state->map->heads);
    const sr_graph_value norms = SR_GRAPH(g, "Add", describe_norms(g, query, -1), describe_norms(g, key, -2));
    const sr_graph_value products = sr_graph_scaled(g, SR_GRAPH(g, "MatMul", query, key), 2);
    return sr_graph_scaled(g, SR_GRAPH(g, "Sub", products, norms), (double)state->scale);
}

static const sr_operation distance_operation = {
    .name = "distance_attention_scores", .backward = distance_backward, .describe = describe_distance};

sr_tensor *sr_distance_attention_scores(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_attention_map *map,
                                        double scale)
{
    if (!query || !key)
        return NULL;
    assert(query->columns == key->columns && query->columns % map->heads == 0);
    assert(query->rows == sr_rows_count(map->queries, map->layout) && key->rows == sr_rows_count(map->keys, map->layout));
    const size_t window = map->layout->window, width = query->columns / map->heads;
    distance_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *query_norms = sr_tape_take(tape, query->rows * map->heads, sizeof *query_norms);
    sr_real *key_norms = sr_tape_take(tape, key->rows * map->heads, sizeof *key_norms);
    sr_real *row_sums = sr_tape_take(tape, window, sizeof *row_sums);
    sr_real *column_sums = sr_tape_take(tape, window, sizeof *column_sums);
    if (!state || !query_norms || !key_norms || !row_sums || !column_sums)
        return NULL;
    sr_tensor *inputs[] = {query, key};
    sr_tensor *scores = sr_tape_record(tape, sr_attention_map_cells(map), 1, inputs, 2, &distance_operation, state);
    if (!scores)
        return NULL;
    *state = (distance_state){map, query, key, scores, (sr_real)scale, query_norms, key_norms, row_sums, column_sums};
    squared_norms(sr_tape_kernels(tape), query, width, query_norms);
    squared_norms(sr_tape_kernels(tape), key, width, key_norms);
    for_each_head(tape, map, width, distance_forward_head, state);
    return scores;
}
