/* AC-TSR's spatial calibrator (Zhou et al. 2023, section 4.1; "rich attention" of FormNet, Lee et al. 2022): what the
 * order and the distance of two tokens say about their attention.
 *
 * Both terms read an affine map of the concatenation (q_i, k_j). It separates,
 *
 *   <weight, (q_i, k_j)> + bias = a_i + b_j + bias,   a_i = <weight[:e], q_i>,  b_j = <weight[e:], k_j>
 *
 * so that two dot products a token and head replace a tensor of size [heads, L, L, 2e]. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct {
    const sr_attention_map *map;
    sr_tensor *before; /* the scores that the term is added to */
    sr_tensor *query, *key, *weight, *bias;
    sr_tensor *steepness; /* of the distance term; NULL for order */
    sr_tensor *scores;
    sr_real scale;
    sr_real *query_terms;        /* [Q, heads]: a_i + bias */
    sr_real *key_terms;          /* [K, heads]: b_j */
    sr_real *logarithms;         /* distance: [window]: ln(n + 1) */
    sr_real *row, *row_gradient; /* [longest block's keys] scratch */
} spatial_state;

static size_t head_width(const spatial_state *state)
{
    return state->weight->columns / 2;
}

/* terms [rows, heads] = <weight half, head of x's row> + shift */
static void project(const sr_kernels *kernels, const sr_tensor *x, const sr_real *weight, size_t width, sr_real shift,
                    sr_real *terms)
{
    const size_t heads = x->columns / width;
    for (size_t row = 0; row < x->rows; ++row)
        for (size_t head = 0; head < heads; ++head)
            terms[row * heads + head] = shift + kernels->dot(x->values + row * x->columns + head * width, weight, width);
}

/* With d terms: dx += dterm weight, dweight += dterm x */
static void project_backward(const sr_kernels *kernels, const sr_tensor *x, const sr_tensor *weight, size_t first, size_t width,
                             const sr_real *term_gradients)
{
    const size_t heads = x->columns / width;
    for (size_t row = 0; row < x->rows; ++row)
        for (size_t head = 0; head < heads; ++head) {
            const sr_real gradient = term_gradients[row * heads + head];
            const size_t at = row * x->columns + head * width;
            if (x->wants_gradient)
                kernels->accumulate_scaled(x->gradient + at, gradient, weight->values + first, width);
            if (weight->wants_gradient)
                kernels->accumulate_scaled(weight->gradient + first, gradient, x->values + at, width);
        }
}

/* Everything of an operation but its rows. */
static sr_tensor *record(sr_tape *tape, const spatial_state *parts, const sr_operation *operation, spatial_state **made)
{
    const sr_attention_map *map = parts->map;
    const size_t width = parts->weight->columns / 2;
    assert(parts->weight->rows == 1 && parts->bias->columns == 1 && parts->query->columns == map->heads * width);
    assert(parts->query->rows == sr_rows_count(map->queries, map->layout) && parts->key->columns == parts->query->columns);
    assert(parts->key->rows == sr_rows_count(map->keys, map->layout) && parts->before->rows == sr_attention_map_cells(map));
    spatial_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = *parts;
    state->query_terms = sr_tape_take(tape, parts->query->rows * map->heads, sizeof *state->query_terms);
    state->key_terms = sr_tape_take(tape, parts->key->rows * map->heads, sizeof *state->key_terms);
    state->row = sr_tape_take(tape, map->layout->window, sizeof *state->row);
    state->row_gradient = sr_tape_take(tape, map->layout->window, sizeof *state->row_gradient);
    sr_tensor *inputs[] = {parts->before, parts->query, parts->key, parts->weight, parts->bias, parts->steepness};
    state->scores = sr_tape_record(tape, sr_attention_map_cells(map), 1, inputs, parts->steepness ? 6 : 5, operation, state);
    if (!state->query_terms || !state->key_terms || !state->row || !state->row_gradient || !state->scores)
        return NULL;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    project(kernels, parts->query, parts->weight->values, width, parts->bias->values[0], state->query_terms);
    project(kernels, parts->key, parts->weight->values + width, width, 0, state->key_terms);
    *made = state;
    return state->scores;
}

/* a_i + b_j + bias, [batch, heads, queries, keys] */
static sr_graph_value describe_affine(sr_description *to, const spatial_state *state)
{
    sr_graph *g = description_graph(to);
    const int64_t width = (int64_t)head_width(state);
    const sr_graph_value weight = sr_graph_transpose(g, described(to, state->weight), (const int64_t[]){1, 0}, 2);
    const sr_graph_value query = described_heads(to, described(to, state->query), state->map->heads),
                         key = described_heads(to, described(to, state->key), state->map->heads);
    const sr_graph_value query_terms = SR_GRAPH(g, "MatMul", query, sr_graph_slice(g, weight, 0, 0, width)),
                         key_terms = SR_GRAPH(g, "MatMul", key, sr_graph_slice(g, weight, 0, width, 2 * width));
    const sr_graph_value key_rows = sr_graph_transpose(g, key_terms, (const int64_t[]){0, 1, 3, 2}, 4);
    return SR_GRAPH(g, "Add", SR_GRAPH(g, "Add", query_terms, key_rows), described(to, state->bias));
}

/* i - j of the columns of query and key, by those of the map's queries. */
static sr_graph_value describe_column_differences(sr_description *to, const spatial_state *state)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value columns = SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_FLOAT, described_columns(to));
    return described_by_columns(to, state->map, SR_GRAPH(g, "Sub", sr_graph_add_axis(g, columns, 1), columns));
}

/* Gradients of the terms while the rows of a backward pass are walked. */
typedef struct {
    const spatial_state *state;
    sr_real *query_terms, *key_terms; /* [Q, heads], [K, heads] */
} term_gradients;

/* Takes zeroed gradients of the terms, walks the heads, and passes the sums on to query, key, weight and bias. */
static void backward_through_terms(sr_tape *tape, const spatial_state *state, head_function rows)
{
    const size_t heads = state->map->heads, query_count = state->query->rows * heads, key_count = state->key->rows * heads;
    term_gradients gradients = {.state = state,
                                .query_terms = sr_tape_take(tape, query_count, sizeof *gradients.query_terms),
                                .key_terms = sr_tape_take(tape, key_count, sizeof *gradients.key_terms)};
    if (!gradients.query_terms || !gradients.key_terms)
        return; /* the tape remembers the failure */
    if (state->before->wants_gradient)
        sr_tape_kernels(tape)->accumulate(state->before->gradient, state->scores->gradient, state->scores->rows);
    memset(gradients.query_terms, 0, query_count * sizeof *gradients.query_terms);
    memset(gradients.key_terms, 0, key_count * sizeof *gradients.key_terms);
    for_each_head(tape, state->map, head_width(state), rows, &gradients);
    const sr_kernels *kernels = sr_tape_kernels(tape);
    project_backward(kernels, state->query, state->weight, 0, head_width(state), gradients.query_terms);
    project_backward(kernels, state->key, state->weight, head_width(state), head_width(state), gradients.key_terms);
    if (state->bias->wants_gradient)
        for (size_t i = 0; i < query_count; ++i)
            state->bias->gradient[0] += gradients.query_terms[i];
}

/* ---- order ---- */

/* x_j with S_ij = ln sigmoid(x_j): -z_ij up to the query itself, z_ij behind it. */
static void order_arguments(const sr_attention_map *map, const head_block *block, const spatial_state *state, size_t i,
                            size_t begin, size_t end)
{
    const size_t heads = map->heads;
    const sr_real query_term = state->query_terms[(block->query_row + i) * heads + block->head];
    const int32_t column = query_column(map, block, i);
    for (size_t j = begin; j < end; ++j) {
        const sr_real z = query_term + state->key_terms[(block->key_row + j) * heads + block->head];
        state->row[j] = key_column(map, block, j) > column ? z : -z;
    }
}

static void order_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const spatial_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const size_t row = block->cell + i * block->keys;
        sr_real *out = state->scores->values + row;
        order_arguments(map, block, state, i, begin, end);
        kernels->log_sigmoid(state->row + begin, state->row + begin, end - begin);
        memcpy(out, state->before->values + row, block->keys * sizeof *out);
        kernels->accumulate_scaled(out + begin, state->scale, state->row + begin, end - begin);
    }
}

/* dz_ij = -dS_ij sigmoid(z_ij) for j <= i, dS_ij sigmoid(-z_ij) for j > i;  da_i += sum_j dz_ij,  db_j += sum_i dz_ij
 */
static void order_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const term_gradients *gradients = saved;
    const spatial_state *state = gradients->state;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const sr_real *score_gradient = state->scores->gradient + block->cell + i * block->keys;
        order_arguments(map, block, state, i, begin, end);
        memset(state->row_gradient + begin, 0, (end - begin) * sizeof *state->row_gradient);
        sr_tape_kernels(tape)->log_sigmoid_backward(state->row_gradient + begin, state->row + begin, score_gradient + begin,
                                                    end - begin);
        const int32_t column = query_column(map, block, i);
        sr_real sum = 0;
        for (size_t j = begin; j < end; ++j) {
            const sr_real argument_gradient = state->scale * state->row_gradient[j];
            const sr_real gradient = key_column(map, block, j) > column ? argument_gradient : -argument_gradient;
            gradients->key_terms[(block->key_row + j) * map->heads + block->head] += gradient;
            sum += gradient;
        }
        gradients->query_terms[(block->query_row + i) * map->heads + block->head] += sum;
    }
}

static void order_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    (void)scores;
    backward_through_terms(tape, saved, order_backward_head);
}

/* ln sigmoid(z) = -softplus(-z); the sign of z follows from the columns. */
static sr_graph_value describe_order(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const spatial_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value is_later = SR_GRAPH(g, "Less", describe_column_differences(to, state), sr_graph_number(g, 0));
    const sr_graph_value sign = SR_GRAPH(g, "Where", is_later, sr_graph_number(g, -1), sr_graph_number(g, 1));
    const sr_graph_value softplus = SR_GRAPH(g, "Softplus", SR_GRAPH(g, "Mul", sign, describe_affine(to, state)));
    return SR_GRAPH(g, "Sub", described(to, state->before), sr_graph_scaled(g, softplus, (double)state->scale));
}

static const sr_operation order_operation = {.name = "order_scores", .backward = order_backward, .describe = describe_order};

sr_tensor *sr_add_order_scores(sr_tape *tape, sr_tensor *scores, sr_tensor *query, sr_tensor *key, sr_tensor *weight,
                               sr_tensor *bias, const sr_attention_map *map, double scale)
{
    if (!scores || !query || !key || !weight || !bias)
        return NULL;
    const spatial_state parts = {
        .map = map, .before = scores, .query = query, .key = key, .weight = weight, .bias = bias, .scale = (sr_real)scale};
    spatial_state *state;
    sr_tensor *out = record(tape, &parts, &order_operation, &state);
    if (out)
        for_each_head(tape, map, head_width(state), order_forward_head, state);
    return out;
}

/* ---- distance ---- */

/* t_ij - m_ij with t_ij = ln(|i - j| + 1) */
static inline sr_real deviation(const sr_attention_map *map, const head_block *block, const spatial_state *state, size_t i,
                                size_t j)
{
    const int32_t difference = query_column(map, block, i) - key_column(map, block, j);
    return state->logarithms[difference < 0 ? -difference : difference] -
           state->query_terms[(block->query_row + i) * map->heads + block->head] -
           state->key_terms[(block->key_row + j) * map->heads + block->head];
}

static void distance_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    const spatial_state *state = saved;
    const sr_real steepness = state->steepness->values[0], factor = (sr_real)-0.5 * steepness * steepness * state->scale;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const size_t row = block->cell + i * block->keys;
        sr_real *out = state->scores->values + row;
        memcpy(out, state->before->values + row, block->keys * sizeof *out);
        for (size_t j = begin; j < end; ++j) {
            const sr_real difference = deviation(map, block, state, i, j);
            out[j] += factor * difference * difference;
        }
    }
}

/* dm_ij = dS_ij s^2 (t_ij - m_ij),  ds = -sum dS_ij s (t_ij - m_ij)^2;  da_i += sum_j dm_ij,  db_j += sum_i dm_ij */
static void distance_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    const term_gradients *gradients = saved;
    const spatial_state *state = gradients->state;
    const sr_real steepness = state->steepness->values[0];
    sr_real steepness_gradient = 0;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const sr_real *score_gradient = state->scores->gradient + block->cell + i * block->keys;
        sr_real sum = 0;
        for (size_t j = begin; j < end; ++j) {
            const sr_real difference = deviation(map, block, state, i, j);
            const sr_real upstream = state->scale * score_gradient[j] * steepness * difference;
            const sr_real gradient = steepness * upstream;
            gradients->key_terms[(block->key_row + j) * map->heads + block->head] += gradient;
            sum += gradient;
            steepness_gradient -= difference * upstream;
        }
        gradients->query_terms[(block->query_row + i) * map->heads + block->head] += sum;
    }
    if (state->steepness->wants_gradient)
        state->steepness->gradient[0] += steepness_gradient;
}

static void distance_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    (void)scores;
    backward_through_terms(tape, saved, distance_backward_head);
}

static sr_graph_value describe_distance(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const spatial_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value apart = SR_GRAPH(g, "Abs", describe_column_differences(to, state));
    const sr_graph_value logarithms = SR_GRAPH(g, "Log", SR_GRAPH(g, "Add", apart, sr_graph_number(g, 1)));
    const sr_graph_value deviation = SR_GRAPH(g, "Sub", logarithms, describe_affine(to, state));
    const sr_graph_value steep = SR_GRAPH(g, "Mul", described(to, state->steepness), deviation);
    const sr_graph_value term = sr_graph_scaled(g, SR_GRAPH(g, "Mul", steep, steep), -0.5 * (double)state->scale);
    return SR_GRAPH(g, "Add", described(to, state->before), term);
}

static const sr_operation distance_operation = {
    .name = "distance_scores", .backward = distance_backward, .describe = describe_distance};

sr_tensor *sr_add_distance_scores(sr_tape *tape, sr_tensor *scores, sr_tensor *query, sr_tensor *key,
                                  const sr_distance_map *affine, const sr_attention_map *map, double scale)
{
    if (!scores || !query || !key || !affine->weight || !affine->bias || !affine->steepness)
        return NULL;
    const size_t window = map->layout->window;
    sr_real *logarithms = sr_tape_take(tape, window, sizeof *logarithms);
    if (!logarithms)
        return NULL;
    for (size_t difference = 0; difference < window; ++difference)
        logarithms[difference] = (sr_real)log1p((double)difference);
    const spatial_state parts = {.map = map,
                                 .before = scores,
                                 .query = query,
                                 .key = key,
                                 .weight = affine->weight,
                                 .bias = affine->bias,
                                 .steepness = affine->steepness,
                                 .scale = (sr_real)scale,
                                 .logarithms = logarithms};
    spatial_state *state;
    sr_tensor *out = record(tape, &parts, &distance_operation, &state);
    if (out)
        for_each_head(tape, map, head_width(state), distance_forward_head, state);
    return out;
}
