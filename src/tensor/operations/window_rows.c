/* Rows of an attention map as vectors over the window: what AWRSR (2024) refines.
 *
 * Row i of a head holds, for each visible key j, a number in the column of j; all other columns of the window are 0.
 */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <string.h>

/* ---- projection of rows ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *cells, *weight, *out;
    size_t rank;    /* m */
    size_t columns; /* of the weight: the window or more */
    bool per_head;
    sr_real *scratch; /* [largest block]: gradients of a head's cells, visible or not */
} projection_state;

/* The head's part of the weight, at the column of the sequence's first key. */
static size_t weight_offset(const projection_state *state, const head_block *block)
{
    return (state->per_head ? block->head * state->rank * state->columns : 0) + (size_t)key_column(state->map, block, 0);
}

static void project_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)map;
    const projection_state *state = saved;
    const size_t stride = state->out->columns;
    sr_gemm(sr_tape_kernels(tape), (sr_product_size){block->queries, state->rank, block->keys}, 1,
            sr_plain(state->cells->values + block->cell, block->keys),
            sr_transposed(state->weight->values + weight_offset(state, block), state->columns), 0,
            state->out->values + block->query_row * stride + block->head * state->rank, stride);
}

/* dX += dout W in visible cells,  dW += doutᵀ X */
static void project_head_backward(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const projection_state *state = saved;
    const size_t stride = state->out->columns, keys = block->keys;
    const sr_real *gradient = state->out->gradient + block->query_row * stride + block->head * state->rank;
    const size_t offset = weight_offset(state, block);
    if (state->weight->wants_gradient)
        sr_gemm(sr_tape_kernels(tape), (sr_product_size){state->rank, keys, block->queries}, 1, sr_transposed(gradient, stride),
                sr_plain(state->cells->values + block->cell, keys), 1, state->weight->gradient + offset, state->columns);
    if (!state->cells->wants_gradient)
        return;
    sr_gemm(sr_tape_kernels(tape), (sr_product_size){block->queries, keys, state->rank}, 1, sr_plain(gradient, stride),
            sr_plain(state->weight->values + offset, state->columns), 0, state->scratch, keys);
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_tape_kernels(tape)->accumulate(state->cells->gradient + block->cell + i * keys + begin,
                                          state->scratch + i * keys + begin, end - begin);
    }
}

static void project_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)out;
    const projection_state *state = saved;
    for_each_head(tape, state->map, 0, project_head_backward, state);
}

/* A weight that all heads share is [rank, columns], others are [heads, rank, columns]. Columns behind the window are
 * not read. */
static sr_graph_value describe_project(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const projection_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t window = (int64_t)state->map->layout->window;
    const sr_graph_value cells = described_masked(to, state->map, described(to, state->cells), 0);
    sr_graph_value weight = described(to, state->weight);
    if (state->columns > (size_t)window)
        weight = sr_graph_slice(g, weight, -1, 0, window);
    weight = state->per_head ? sr_graph_transpose(g, weight, (const int64_t[]){0, 2, 1}, 3)
                             : sr_graph_transpose(g, weight, (const int64_t[]){1, 0}, 2);
    return described_merged(to, SR_GRAPH(g, "MatMul", cells, weight));
}

static const sr_operation project_operation = {
    .name = "project_rows", .backward = project_backward, .describe = describe_project};

static size_t largest_block(const sr_attention_map *map)
{
    size_t largest = 0;
    for (size_t s = 0; s < map->layout->sequences; ++s) {
        const size_t cells = (map->offsets[s + 1] - map->offsets[s]) / map->heads;
        largest = cells > largest ? cells : largest;
    }
    return largest;
}

sr_tensor *sr_project_rows(sr_tape *tape, sr_tensor *cells, sr_tensor *weight, const sr_attention_map *map, size_t rank,
                           bool per_head)
{
    if (!cells || !weight)
        return NULL;
    assert(cells->rows == sr_attention_map_cells(map));
    assert(weight->rows * weight->columns % ((per_head ? map->heads : 1) * rank) == 0);
    projection_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *scratch = sr_tape_take(tape, largest_block(map), sizeof *scratch);
    if (!state || !scratch)
        return NULL;
    *state = (projection_state){
        .map = map, .cells = cells, .weight = weight, .rank = rank, .per_head = per_head, .scratch = scratch};
    state->columns = weight->rows * weight->columns / ((per_head ? map->heads : 1) * rank);
    assert(state->columns >= map->layout->window);
    sr_tensor *inputs[] = {cells, weight};
    const size_t rows = sr_rows_count(map->queries, map->layout);
    state->out = sr_tape_record(tape, rows, map->heads * rank, inputs, 2, &project_operation, state);
    if (!state->out)
        return NULL;
    for_each_head(tape, map, 0, project_head, state);
    return state->out;
}

/* ---- rows as columns of the window, and back ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *cells, *matrix; /* [cells], [Q, heads * width] */
    size_t width;
} window_state;

/* The matrix's element that belongs to the first key of a row. */
static size_t matrix_offset(const window_state *state, const head_block *block, size_t query)
{
    return (block->query_row + query) * state->matrix->columns + block->head * state->width +
           (size_t)key_column(state->map, block, 0);
}

static void copy_to_window(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    const window_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        memcpy(state->matrix->values + matrix_offset(state, block, i) + begin,
               state->cells->values + block->cell + i * block->keys + begin, (end - begin) * sizeof(sr_real));
    }
}

static void copy_from_window(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    const window_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_real *row = state->cells->values + block->cell + i * block->keys;
        memset(row, 0, block->keys * sizeof *row);
        memcpy(row + begin, state->matrix->values + matrix_offset(state, block, i) + begin, (end - begin) * sizeof *row);
    }
}

static void add_to_cell_gradients(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const window_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_tape_kernels(tape)->accumulate(state->cells->gradient + block->cell + i * block->keys + begin,
                                          state->matrix->gradient + matrix_offset(state, block, i) + begin, end - begin);
    }
}

static void add_to_matrix_gradients(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const window_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        sr_tape_kernels(tape)->accumulate(state->matrix->gradient + matrix_offset(state, block, i) + begin,
                                          state->cells->gradient + block->cell + i * block->keys + begin, end - begin);
    }
}

static void to_window_backward(sr_tape *tape, const sr_tensor *matrix, const void *saved)
{
    (void)matrix;
    const window_state *state = saved;
    for_each_head(tape, state->map, 0, add_to_cell_gradients, state);
}

static sr_graph_value describe_to_window(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const window_state *state = saved;
    sr_graph *g = description_graph(to);
    sr_graph_value cells = described_masked(to, state->map, described(to, state->cells), 0);
    const int64_t more = (int64_t)(state->width - state->map->layout->window), sizes[] = {0, 0, 0, 0, 0, 0, 0, more};
    if (more > 0)
        cells = SR_GRAPH(g, "Pad", cells, sr_graph_list(g, sizes, 8));
    return described_merged(to, cells);
}

static const sr_operation to_window_operation = {
    .name = "rows_to_window", .backward = to_window_backward, .describe = describe_to_window};

static void from_window_backward(sr_tape *tape, const sr_tensor *cells, const void *saved)
{
    (void)cells;
    const window_state *state = saved;
    for_each_head(tape, state->map, 0, add_to_matrix_gradients, state);
}

static sr_graph_value describe_from_window(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const window_state *state = saved;
    const sr_graph_value heads = described_heads(to, described(to, state->matrix), state->map->heads);
    const sr_graph_value cells = sr_graph_slice(description_graph(to), heads, -1, 0, (int64_t)state->map->layout->window);
    return described_masked(to, state->map, cells, 0);
}

static const sr_operation from_window_operation = {
    .name = "rows_from_window", .backward = from_window_backward, .describe = describe_from_window};

sr_tensor *sr_rows_to_window(sr_tape *tape, sr_tensor *cells, const sr_attention_map *map, size_t width)
{
    if (!cells)
        return NULL;
    assert(cells->rows == sr_attention_map_cells(map) && width >= map->layout->window);
    window_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    const size_t rows = sr_rows_count(map->queries, map->layout);
    sr_tensor *matrix = sr_tape_record(tape, rows, map->heads * width, &cells, 1, &to_window_operation, state);
    if (!matrix)
        return NULL;
    *state = (window_state){map, cells, matrix, width};
    memset(matrix->values, 0, rows * matrix->columns * sizeof *matrix->values);
    for_each_head(tape, map, 0, copy_to_window, state);
    return matrix;
}

sr_tensor *sr_rows_from_window(sr_tape *tape, sr_tensor *matrix, const sr_attention_map *map)
{
    if (!matrix)
        return NULL;
    assert(matrix->rows == sr_rows_count(map->queries, map->layout) && matrix->columns % map->heads == 0);
    window_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *cells = sr_tape_record(tape, sr_attention_map_cells(map), 1, &matrix, 1, &from_window_operation, state);
    if (!cells)
        return NULL;
    *state = (window_state){map, cells, matrix, matrix->columns / map->heads};
    for_each_head(tape, map, 0, copy_from_window, state);
    return cells;
}
