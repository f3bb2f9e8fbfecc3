/* The fixed stages of the attention pipeline over ragged maps: scores, softmax, context.
 *
 * A map holds, for each sequence, a block [heads, queries, keys]. Short sequences are computed cell by cell, touching
 * only what is visible; from a certain size on a matrix product is faster in spite of the cells it computes in vain.
 */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PRODUCT_CELLS = 256 }; /* cells of one head from which on a matrix product is used */

/* The products of a head: of its cells, and with them. */
static sr_causal_size scores_size(const sr_attention_map *map, const head_block *block)
{
    return block_product(map, block, (sr_product_size){block->queries, block->keys, block->width}, CAUSAL_RESULT);
}

static sr_causal_size sum_over_keys_size(const sr_attention_map *map, const head_block *block)
{
    return block_product(map, block, (sr_product_size){block->queries, block->width, block->keys}, CAUSAL_FACTOR);
}

static sr_causal_size sum_over_queries_size(const sr_attention_map *map, const head_block *block)
{
    return block_product(map, block, (sr_product_size){block->keys, block->width, block->queries}, CAUSAL_FACTOR);
}

/* Zeroes the rows of a head, if the gradient of `tensor` is new: `rows` of them from `row` on. */
static void begin_rows(const sr_tensor *tensor, const head_block *block, size_t row, size_t rows)
{
    for (size_t i = 0; i < rows; ++i)
        sr_gradient_begin(tensor, (row + i) * tensor->columns + block->column, block->width);
}

/* The same for the keys of sequences without queries, which no head reaches. */
static void begin_unread_keys(const sr_tensor *tensor, const sr_attention_map *map)
{
    const size_t *queries = map->queries->offsets, *keys = map->keys->offsets;
    for (size_t s = 0; s < map->layout->sequences; ++s)
        if (queries[s] == queries[s + 1])
            sr_gradient_begin(tensor, keys[s] * tensor->columns, (keys[s + 1] - keys[s]) * tensor->columns);
}

/* ---- scores ---- */

typedef struct {
    sr_tensor *query, *key, *scores;
    sr_real scale;
} scores_state;

static void scores_forward(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const scores_state *state = saved;
    const size_t stride = state->query->columns;
    const sr_real *query = state->query->values + block->query_row * stride + block->column;
    const sr_real *key = state->key->values + block->key_row * stride + block->column;
    sr_real *scores = state->scores->values + block->cell;
    const bool product = block->queries * block->keys >= PRODUCT_CELLS;
    if (product) {
        const sr_causal_size size = scores_size(map, block);
        sr_gemm_causal(sr_tape_products(tape), &size, state->scale, sr_plain(query, stride), sr_transposed(key, stride), 0,
                       scores, block->keys);
    }
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_real *row = scores + i * block->keys;
        memset(row, 0, begin * sizeof *row);
        memset(row + end, 0, (block->keys - end) * sizeof *row);
        for (size_t j = begin; j < end && !product; ++j)
            row[j] = state->scale * sr_tape_kernels(tape)->dot(query + i * stride, key + j * stride, block->width);
    }
}

/* dq_i += scale sum_j dS_ij k_j,  dk_j += scale sum_i dS_ij q_i */
static void scores_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const scores_state *state = saved;
    const size_t stride = state->query->columns;
    const size_t query_offset = block->query_row * stride + block->column;
    const size_t key_offset = block->key_row * stride + block->column;
    const sr_real *gradient = state->scores->gradient + block->cell;
    const sr_real *query = state->query->values + query_offset, *key = state->key->values + key_offset;
    sr_real *query_gradient = state->query->wants_gradient ? state->query->gradient + query_offset : NULL;
    sr_real *key_gradient = state->key->wants_gradient ? state->key->gradient + key_offset : NULL;
    if (block->queries * block->keys >= PRODUCT_CELLS) {
        const sr_causal_size over_keys = sum_over_keys_size(map, block), over_queries = sum_over_queries_size(map, block);
        if (query_gradient)
            sr_gemm_causal(sr_tape_products(tape), &over_keys, state->scale, sr_plain(gradient, block->keys),
                           sr_plain(key, stride), sr_gradient_kept(state->query), query_gradient, stride);
        if (key_gradient)
            sr_gemm_causal(sr_tape_products(tape), &over_queries, state->scale, sr_transposed(gradient, block->keys),
                           sr_plain(query, stride), sr_gradient_kept(state->key), key_gradient, stride);
        return;
    }
    begin_rows(state->query, block, block->query_row, block->queries);
    begin_rows(state->key, block, block->key_row, block->keys);
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        for (size_t j = begin; j < end; ++j) {
            const sr_real factor = state->scale * gradient[i * block->keys + j];
            if (query_gradient)
                kernels->accumulate_scaled(query_gradient + i * stride, factor, key + j * stride, block->width);
            if (key_gradient)
                kernels->accumulate_scaled(key_gradient + j * stride, factor, query + i * stride, block->width);
        }
    }
}

typedef struct {
    const sr_attention_map *map;
    scores_state head;
} scores_record;

static void scores_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    (void)scores;
    const scores_record *record = saved;
    begin_unread_keys(record->head.key, record->map);
    for_each_head(tape, record->map, record->head.query->columns / record->map->heads, scores_backward_head, &record->head);
}

static sr_graph_value describe_scores(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const scores_record *state = saved;
    sr_graph *g = description_graph(to);
    const size_t heads = state->map->heads;
    const sr_graph_value products = SR_GRAPH(g, "MatMul", described_heads(to, described(to, state->head.query), heads),
                                             described_heads_transposed(to, described(to, state->head.key), heads));
    return sr_graph_scaled(g, products, (double)state->head.scale);
}

static const sr_operation scores_operation = {
    .name = "attention_scores", .backward = scores_backward, .stores = true, .describe = describe_scores};

sr_tensor *sr_attention_scores(sr_tape *tape, sr_tensor *query, sr_tensor *key, const sr_attention_map *map, double scale)
{
    if (!query || !key)
        return NULL;
    assert(query->columns == key->columns && query->columns % map->heads == 0);
    assert(query->rows == sr_rows_count(map->queries, map->layout));
    assert(key->rows == sr_rows_count(map->keys, map->layout));
    scores_record *record = sr_tape_take(tape, 1, sizeof *record);
    if (!record)
        return NULL;
    sr_tensor *inputs[] = {query, key};
    sr_tensor *scores = sr_tape_record(tape, sr_attention_map_cells(map), 1, inputs, 2, &scores_operation, record);
    if (!scores)
        return NULL;
    *record = (scores_record){map, {query, key, scores, (sr_real)scale}};
    for_each_head(tape, map, query->columns / map->heads, scores_forward, &record->head);
    return scores;
}

/* ---- softmax ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *scores, *probabilities;
} softmax_state;

static void softmax_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const softmax_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const sr_real *in = state->scores->values + block->cell + i * block->keys;
        sr_real *out = state->probabilities->values + block->cell + i * block->keys;
        memset(out, 0, begin * sizeof *out);
        memset(out + end, 0, (block->keys - end) * sizeof *out);
        sr_tape_kernels(tape)->softmax(out + begin, in + begin, end - begin);
    }
}

/* dS_ij += P_ij (dP_ij - sum_j P_ij dP_ij) over the visible keys */
static void softmax_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const softmax_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_gradient_begin(state->scores, block->cell + i * block->keys, block->keys);
        const size_t first = block->cell + i * block->keys + begin;
        sr_tape_kernels(tape)->softmax_backward(state->scores->gradient + first, state->probabilities->values + first,
                                                state->probabilities->gradient + first, end - begin);
    }
}

static void softmax_backward(sr_tape *tape, const sr_tensor *probabilities, const void *saved)
{
    (void)probabilities;
    const softmax_state *state = saved;
    for_each_head(tape, state->map, 0, softmax_backward_head, state);
}

static sr_graph_value describe_softmax(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const softmax_state *state = saved;
    const sr_graph_value cells = described_masked(to, state->map, described(to, state->scores), -INFINITY);
    return SR_GRAPH_WITH(description_graph(to), "Softmax", "axis", -1, cells);
}

static const sr_operation softmax_operation = {
    .name = "attention_softmax", .backward = softmax_backward, .stores = true, .describe = describe_softmax};

static sr_tensor *record_softmax(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map, const sr_operation *operation,
                                 head_function forward)
{
    if (!scores)
        return NULL;
    assert(scores->rows == sr_attention_map_cells(map));
    softmax_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *probabilities = sr_tape_record(tape, scores->rows, 1, &scores, 1, operation, state);
    if (!probabilities)
        return NULL;
    *state = (softmax_state){map, scores, probabilities};
    for_each_head(tape, map, 0, forward, state);
    return probabilities;
}

sr_tensor *sr_attention_softmax(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map)
{
    return record_softmax(tape, scores, map, &softmax_operation, softmax_forward_head);
}

/* ---- softmax over the window ---- */

/* As above with columns of score 0 in the sum: P_ij = exp(S_ij) / (sum_j exp(S_ij) + hidden columns). */
static void window_softmax_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const softmax_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const size_t count = end - begin, hidden = map->layout->window - count;
        const sr_real *in = state->scores->values + block->cell + i * block->keys;
        sr_real *out = state->probabilities->values + block->cell + i * block->keys, maximum;
        memset(out, 0, block->keys * sizeof *out);
        memcpy(out + begin, in + begin, count * sizeof *out);
        const sr_real sum = kernels->exponentials(out + begin, &maximum, count);
        kernels->scale(out + begin, 1 / (sum + (sr_real)hidden * (sr_real)exp(-(double)maximum)), count);
    }
}

static sr_graph_value describe_window_softmax(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const softmax_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value cells = described_masked(to, state->map, described(to, state->scores), 0);
    return described_masked(to, state->map, SR_GRAPH_WITH(g, "Softmax", "axis", -1, cells), 0);
}

/* The gradient has the same form as without the hidden columns, whose probabilities nobody reads. */
static const sr_operation window_softmax_operation = {
    .name = "attention_softmax_over_window", .backward = softmax_backward, .stores = true, .describe = describe_window_softmax};

sr_tensor *sr_attention_softmax_over_window(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map)
{
    return record_softmax(tape, scores, map, &window_softmax_operation, window_softmax_forward_head);
}

/* ---- selection of queries ---- */

typedef struct {
    const sr_attention_map *from, *to;
    sr_tensor *weights, *selected;
} selection_state;

/* Calls for each row of `to` with its first cell in both maps. */
static void for_each_selected_row(const selection_state *state,
                                  void (*function)(const selection_state *, size_t, size_t, size_t))
{
    const sr_attention_map *from = state->from, *to = state->to;
    for (size_t s = 0; s < to->layout->sequences; ++s) {
        const size_t keys = to->keys->offsets[s + 1] - to->keys->offsets[s];
        const size_t from_first = from->queries->offsets[s], from_count = from->queries->offsets[s + 1] - from_first;
        const size_t to_first = to->queries->offsets[s], to_count = to->queries->offsets[s + 1] - to_first;
        for (size_t i = 0, k = 0; i < to_count; ++i) {
            while (from->queries->tokens[from_first + k] != to->queries->tokens[to_first + i])
                ++k;
            for (size_t head = 0; head < to->heads; ++head)
                function(state, from->offsets[s] + (head * from_count + k) * keys,
                         to->offsets[s] + (head * to_count + i) * keys, keys);
        }
    }
}

static void copy_row(const selection_state *state, size_t from_cell, size_t to_cell, size_t keys)
{
    memcpy(state->selected->values + to_cell, state->weights->values + from_cell, keys * sizeof *state->selected->values);
}

static void return_row(const selection_state *state, size_t from_cell, size_t to_cell, size_t keys)
{
    for (size_t j = 0; j < keys; ++j)
        state->weights->gradient[from_cell + j] += state->selected->gradient[to_cell + j];
}

static void select_queries_backward(sr_tape *tape, const sr_tensor *selected, const void *saved)
{
    (void)tape;
    (void)selected;
    for_each_selected_row(saved, return_row);
}

static sr_graph_value describe_select_queries(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const selection_state *state = saved;
    const sr_graph_value weights = described(to, state->weights);
    return are_read(to, state->to->queries->tokens) ? described_read_queries(to, weights) : weights;
}

static const sr_operation select_queries_operation = {
    .name = "attention_select_queries", .backward = select_queries_backward, .describe = describe_select_queries};

sr_tensor *sr_attention_select_queries(sr_tape *tape, sr_tensor *weights, const sr_attention_map *from,
                                       const sr_attention_map *to)
{
    if (!weights)
        return NULL;
    assert(weights->rows == sr_attention_map_cells(from) && from->keys == to->keys && from->heads == to->heads);
    selection_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *selected = sr_tape_record(tape, sr_attention_map_cells(to), 1, &weights, 1, &select_queries_operation, state);
    if (!selected)
        return NULL;
    *state = (selection_state){from, to, weights, selected};
    for_each_selected_row(state, copy_row);
    return selected;
}

/* ---- context ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *weights, *value, *context;
} context_state;

static void context_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const context_state *state = saved;
    const size_t stride = state->value->columns;
    const sr_real *weights = state->weights->values + block->cell;
    const sr_real *value = state->value->values + block->key_row * stride + block->column;
    sr_real *context = state->context->values + block->query_row * stride + block->column;
    if (block->queries * block->keys >= PRODUCT_CELLS) {
        const sr_causal_size size = sum_over_keys_size(map, block);
        sr_gemm_causal(sr_tape_products(tape), &size, 1, sr_plain(weights, block->keys), sr_plain(value, stride), 0, context,
                       stride);
        return;
    }
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        memset(context + i * stride, 0, block->width * sizeof *context);
        for (size_t j = begin; j < end; ++j)
            sr_tape_kernels(tape)->accumulate_scaled(context + i * stride, weights[i * block->keys + j], value + j * stride,
                                                     block->width);
    }
}

/* What a causal product leaves out of a new gradient becomes zero. */
static void begin_unseen_cells(const sr_tensor *weights, const head_block *block, size_t diagonal)
{
    for (size_t i = 0; i < block->queries && i + diagonal + 1 < block->keys; ++i)
        sr_gradient_begin(weights, block->cell + i * block->keys + i + diagonal + 1, block->keys - i - diagonal - 1);
}

/* dW_ij += <dC_i, v_j>,  dv_j += sum_i W_ij dC_i */
static void context_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const context_state *state = saved;
    const size_t stride = state->value->columns;
    const size_t value_offset = block->key_row * stride + block->column;
    const sr_real *weights = state->weights->values + block->cell;
    const sr_real *value = state->value->values + value_offset;
    const sr_real *gradient = state->context->gradient + block->query_row * stride + block->column;
    sr_real *weights_gradient = state->weights->wants_gradient ? state->weights->gradient + block->cell : NULL;
    sr_real *value_gradient = state->value->wants_gradient ? state->value->gradient + value_offset : NULL;
    if (block->queries * block->keys >= PRODUCT_CELLS) {
        const sr_causal_size cells = scores_size(map, block), over_queries = sum_over_queries_size(map, block);
        if (weights_gradient)
            sr_gemm_causal(sr_tape_products(tape), &cells, 1, sr_plain(gradient, stride), sr_transposed(value, stride),
                           sr_gradient_kept(state->weights), weights_gradient, block->keys);
        if (weights_gradient && cells.causal != CAUSAL_NONE)
            begin_unseen_cells(state->weights, block, cells.diagonal);
        if (value_gradient)
            sr_gemm_causal(sr_tape_products(tape), &over_queries, 1, sr_transposed(weights, block->keys),
                           sr_plain(gradient, stride), sr_gradient_kept(state->value), value_gradient, stride);
        return;
    }
    sr_gradient_begin(state->weights, block->cell, block->queries * block->keys);
    begin_rows(state->value, block, block->key_row, block->keys);
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        for (size_t j = begin; j < end; ++j) {
            const size_t cell = i * block->keys + j;
            if (weights_gradient)
                weights_gradient[cell] += kernels->dot(gradient + i * stride, value + j * stride, block->width);
            if (value_gradient)
                kernels->accumulate_scaled(value_gradient + j * stride, weights[cell], gradient + i * stride, block->width);
        }
    }
}

static void context_backward(sr_tape *tape, const sr_tensor *context, const void *saved)
{
    (void)context;
    const context_state *state = saved;
    begin_unread_keys(state->value, state->map);
    for_each_head(tape, state->map, state->value->columns / state->map->heads, context_backward_head, state);
}

static sr_graph_value describe_context(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const context_state *state = saved;
    const sr_graph_value value = described_heads(to, described(to, state->value), state->map->heads);
    return described_merged(to, SR_GRAPH(description_graph(to), "MatMul", described(to, state->weights), value));
}

static const sr_operation context_operation = {
    .name = "attention_context", .backward = context_backward, .stores = true, .describe = describe_context};

sr_tensor *sr_attention_context(sr_tape *tape, sr_tensor *weights, sr_tensor *value, const sr_attention_map *map)
{
    if (!weights || !value)
        return NULL;
    assert(weights->rows == sr_attention_map_cells(map) && value->columns % map->heads == 0);
    context_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *inputs[] = {weights, value};
    const size_t rows = sr_rows_count(map->queries, map->layout);
    sr_tensor *context = sr_tape_record(tape, rows, value->columns, inputs, 2, &context_operation, state);
    if (!context)
        return NULL;
    *state = (context_state){map, weights, value, context};
    for_each_head(tape, map, value->columns / map->heads, context_forward_head, state);
    return context;
}
