/* Relative time in attention: the terms of scores and context that depend on the time between query and key (Li, Wang
 * and McAuley 2020).
 *
 *   scores_ij = scale <q_i, r_ij>,   context_i = sum_j weights_ij r_ij,   r_ij = table_gap(i,j) for each head
 *
 * Both are computed cell by cell over what is visible. The alternative is a product with all span + 1 rows of the
 * table and a gather (or scatter) of columns. It costs queries * (span + 1) dot products for queries * keys useful
 * ones, which is more where windows are shorter than the span. Nothing of size [queries, keys, d] exists at any time.
 */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"

#include <assert.h>
#include <string.h>

/* Scores: rows are queries [Q, d], cells the scores. Context: rows are the context [Q, d], cells the weights. */
typedef struct {
    const sr_attention_map *map;
    sr_intervals intervals;
    sr_tensor *rows, *table, *cells;
    sr_real scale; /* of scores */
} interval_state;

/* One visible (query, key) pair, with the cells of all its heads. */
typedef struct {
    size_t row;            /* of the query in [Q, d] */
    size_t first_cell;     /* of the first head; those of the others follow `cell_stride` apart */
    size_t cell_stride;    /* cells of one head's block */
    size_t gap;            /* the row of the table */
    const sr_real *vector; /* [d]: r_ij */
} interval_cell;

typedef void (*cell_function)(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell);

/* min(|t_i - t_j| / unit, span). Differences are taken in unsigned arithmetic, where none overflows. */
static size_t gap_between(const sr_intervals *intervals, size_t query_token, size_t key_token)
{
    const int64_t query = intervals->times[query_token], key = intervals->times[key_token];
    const uint64_t difference = query > key ? (uint64_t)query - (uint64_t)key : (uint64_t)key - (uint64_t)query;
    const uint64_t gap = difference / (uint64_t)intervals->unit;
    return (size_t)(gap < (uint64_t)intervals->span ? gap : (uint64_t)intervals->span);
}

/* The visible cells of one query of sequence s. */
static void for_each_key(const sr_kernels *kernels, const interval_state *state, size_t s, size_t query, cell_function function)
{
    const sr_attention_map *map = state->map;
    const size_t width = state->table->columns, key_row = map->keys->offsets[s];
    const size_t queries = map->queries->offsets[s + 1] - map->queries->offsets[s];
    const size_t keys = map->keys->offsets[s + 1] - key_row;
    const size_t first_cell = map->offsets[s] + (query - map->queries->offsets[s]) * keys;
    size_t begin, end;
    sr_visible_keys(map, s, query, &begin, &end);
    for (size_t key = begin; key < end; ++key) {
        interval_cell cell = {.row = query, .first_cell = first_cell + key, .cell_stride = queries * keys};
        cell.gap = gap_between(&state->intervals, map->queries->tokens[query], map->keys->tokens[key_row + key]);
        cell.vector = state->table->values + cell.gap * width;
        function(kernels, state, &cell);
    }
}

static void for_each_cell(sr_tape *tape, const interval_state *state, cell_function function)
{
    const sr_rows *queries = state->map->queries;
    for (size_t s = 0; s < state->map->layout->sequences; ++s)
        for (size_t query = queries->offsets[s]; query < queries->offsets[s + 1]; ++query)
            for_each_key(sr_tape_kernels(tape), state, s, query, function);
}

/* The state of a new operation, which the caller completes; NULL when memory runs out. */
static interval_state *take_state(sr_tape *tape, sr_tensor *table, const sr_attention_map *map, const sr_intervals *intervals)
{
    assert(intervals->unit >= 1 && intervals->span >= 0 && table->rows == (size_t)intervals->span + 1);
    assert(table->columns % map->heads == 0);
    interval_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (interval_state){.map = map, .intervals = *intervals, .table = table, .scale = 1};
    return state;
}

/* dtable_gap += sum over heads of the cell's coefficient times row, except into the padding row. `coefficients` are
 * the scores' gradients, or the context's weights; `row` [d] is q_i or dcontext_i. */
static void add_table_gradient(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell,
                               const sr_real *coefficients, const sr_real *row)
{
    if (!state->table->wants_gradient || cell->gap == 0)
        return;
    const size_t width = state->table->columns, head_width = width / state->map->heads;
    sr_real *gradient = state->table->gradient + cell->gap * width;
    for (size_t head = 0; head < state->map->heads; ++head)
        kernels->accumulate_scaled(gradient + head * head_width,
                                   state->scale * coefficients[cell->first_cell + head * cell->cell_stride],
                                   row + head * head_width, head_width);
}

/* The row of the table of each query and key, for all heads: [batch, heads, queries, keys]. */
static sr_graph_value describe_gaps(sr_description *to, const interval_state *state)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value times = described_array(to, state->intervals.times);
    const sr_graph_value query_times = are_read(to, state->map->queries->tokens) ? described_read_rows(to, times) : times;
    const sr_graph_value difference = SR_GRAPH(
        g, "Abs", SR_GRAPH(g, "Sub", sr_graph_add_axis(g, query_times, 2), sr_graph_add_axis(g, times, 1)));
    const sr_graph_value units = SR_GRAPH(g, "Div", difference, sr_graph_integer(g, state->intervals.unit));
    const sr_graph_value gaps = SR_GRAPH(g, "Min", units, sr_graph_integer(g, state->intervals.span));
    const int64_t heads[] = {1, (int64_t)state->map->heads, 1, 1};
    return SR_GRAPH(g, "Tile", sr_graph_add_axis(g, gaps, 1), sr_graph_list(g, heads, 4));
}

/* The table's rows of each head: axes heads, rows of the table and columns of a head (0, 1, 2) in this order. */
static sr_graph_value describe_table(sr_description *to, const interval_state *state, const int64_t *order)
{
    sr_graph *g = description_graph(to);
    const int64_t sizes[] = {0, (int64_t)state->map->heads, -1};
    return sr_graph_transpose(g, sr_graph_reshape(g, described(to, state->table), sizes, 3), order, 3);
}

/* ---- scores ---- */

static void score_cell(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell)
{
    const size_t width = state->table->columns, head_width = width / state->map->heads;
    const sr_real *query = state->rows->values + cell->row * width;
    for (size_t head = 0; head < state->map->heads; ++head)
        state->cells->values[cell->first_cell + head * cell->cell_stride] =
            state->scale * kernels->dot(query + head * head_width, cell->vector + head * head_width, head_width);
}

/* dq_i += scale dS_ij r_ij,  dtable_gap += scale dS_ij q_i */
static void score_cell_backward(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell)
{
    const size_t width = state->table->columns, head_width = width / state->map->heads;
    if (state->rows->wants_gradient) {
        sr_real *query_gradient = state->rows->gradient + cell->row * width;
        for (size_t head = 0; head < state->map->heads; ++head)
            kernels->accumulate_scaled(query_gradient + head * head_width,
                                       state->scale * state->cells->gradient[cell->first_cell + head * cell->cell_stride],
                                       cell->vector + head * head_width, head_width);
    }
    add_table_gradient(kernels, state, cell, state->cells->gradient, state->rows->values + cell->row * width);
}

static void scores_backward(sr_tape *tape, const sr_tensor *scores, const void *saved)
{
    (void)scores;
    for_each_cell(tape, saved, score_cell_backward);
}

/* From the products with all rows of the table, [batch, heads, queries, span + 1]. */
static sr_graph_value describe_scores(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const interval_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value query = described_heads(to, described(to, state->rows), state->map->heads);
    const sr_graph_value products = SR_GRAPH(g, "MatMul", query, describe_table(to, state, (const int64_t[]){1, 2, 0}));
    const sr_graph_value scores = SR_GRAPH_WITH(g, "GatherElements", "axis", 3, products, describe_gaps(to, state));
    return sr_graph_scaled(g, scores, (double)state->scale);
}

static const sr_operation scores_operation = {
    .name = "interval_scores", .backward = scores_backward, .describe = describe_scores};

sr_tensor *sr_interval_scores(sr_tape *tape, sr_tensor *query, sr_tensor *table, const sr_attention_map *map,
                              const sr_intervals *intervals, double scale)
{
    if (!query || !table || !map)
        return NULL;
    assert(query->rows == sr_rows_count(map->queries, map->layout) && query->columns == table->columns);
    interval_state *state = take_state(tape, table, map, intervals);
    if (!state)
        return NULL;
    sr_tensor *inputs[] = {query, table};
    sr_tensor *scores = sr_tape_record(tape, sr_attention_map_cells(map), 1, inputs, 2, &scores_operation, state);
    if (!scores)
        return NULL;
    state->rows = query;
    state->cells = scores;
    state->scale = (sr_real)scale;
    memset(scores->values, 0, scores->rows * sizeof *scores->values);
    for_each_cell(tape, state, score_cell);
    return scores;
}

/* ---- context ---- */

static void context_cell(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell)
{
    const size_t width = state->table->columns, head_width = width / state->map->heads;
    sr_real *context = state->rows->values + cell->row * width;
    for (size_t head = 0; head < state->map->heads; ++head)
        kernels->accumulate_scaled(context + head * head_width,
                                   state->cells->values[cell->first_cell + head * cell->cell_stride],
                                   cell->vector + head * head_width, head_width);
}

/* dW_ij += <dC_i, r_ij>,  dtable_gap += W_ij dC_i */
static void context_cell_backward(const sr_kernels *kernels, const interval_state *state, const interval_cell *cell)
{
    const size_t width = state->table->columns, head_width = width / state->map->heads;
    const sr_real *gradient = state->rows->gradient + cell->row * width;
    if (state->cells->wants_gradient)
        for (size_t head = 0; head < state->map->heads; ++head)
            state->cells->gradient[cell->first_cell + head * cell->cell_stride] += kernels->dot(
                gradient + head * head_width, cell->vector + head * head_width, head_width);
    add_table_gradient(kernels, state, cell, state->cells->values, gradient);
}

static void context_backward(sr_tape *tape, const sr_tensor *context, const void *saved)
{
    (void)context;
    for_each_cell(tape, saved, context_cell_backward);
}

/* By the sum of the weights of each row of the table, [batch, heads, queries, span + 1]. */
static sr_graph_value describe_context(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const interval_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t rows = state->intervals.span + 1;
    const sr_graph_attribute adding[] = {{.name = "axis", .kind = SR_GRAPH_INTEGER, .integer = 3},
                                         {.name = "reduction", .kind = SR_GRAPH_TEXT, .text = "add"},
                                         {.kind = SR_GRAPH_NO_MORE}};
    const sr_graph_value weights = described(to, state->cells);
    const sr_graph_value shape = SR_GRAPH_WITH(
        g, "Concat", "axis", 0, sr_graph_slice(g, SR_GRAPH(g, "Shape", weights), 0, 0, 3), sr_graph_list(g, &rows, 1));
    const sr_graph_value nothing = SR_GRAPH(g, "Expand", sr_graph_number(g, 0), shape);
    const sr_graph_value inputs[] = {nothing, describe_gaps(to, state), weights};
    const sr_graph_value sums = sr_graph_node(g, "ScatterElements", adding, inputs, 3, 1);
    return described_merged(to, SR_GRAPH(g, "MatMul", sums, describe_table(to, state, (const int64_t[]){1, 0, 2})));
}

static const sr_operation context_operation = {
    .name = "interval_context", .backward = context_backward, .describe = describe_context};

sr_tensor *sr_interval_context(sr_tape *tape, sr_tensor *weights, sr_tensor *table, const sr_attention_map *map,
                               const sr_intervals *intervals)
{
    if (!weights || !table || !map)
        return NULL;
    assert(weights->rows == sr_attention_map_cells(map) && weights->columns == 1);
    interval_state *state = take_state(tape, table, map, intervals);
    if (!state)
        return NULL;
    sr_tensor *inputs[] = {weights, table};
    const size_t rows = sr_rows_count(map->queries, map->layout);
    sr_tensor *context = sr_tape_record(tape, rows, table->columns, inputs, 2, &context_operation, state);
    if (!context)
        return NULL;
    state->rows = context;
    state->cells = weights;
    memset(context->values, 0, rows * context->columns * sizeof *context->values);
    for_each_cell(tape, state, context_cell);
    return context;
}
