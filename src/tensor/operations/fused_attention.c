/* Attention without maps: tile by tile of queries and keys, with running sums of the softmax (Milakov & Gimelshein
 * 2018; Dao et al. 2022). Exact. Backward computes the tiles again from the logarithm of each row's sum.
 *
 * With S = scale Q Kᵀ, P_ij = exp(S_ij - L_i) over the visible keys, M what dropout keeps and multiplies, C = (M P)
 * V:
 *
 *   dV = (M P)ᵀ dC,  dS_ij = P_ij (M_ij <dC_i, v_j> - <dC_i, C_i>),  dQ = scale dS K,  dK = scale dSᵀ Q
 *
 * since sum_j P_ij M_ij <dC_i, v_j> = <dC_i, C_i>. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/dropout.h"
#include "tensor/gemm.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A tile and its gradient stay in the second-level cache. A tile of keys is as deep as products go at a time. */
enum { TILE_QUERIES = 96, TILE_KEYS = 256 };

typedef struct {
    const sr_attention_map *map;
    sr_tensor *query, *key, *value, *context;
    sr_real scale;
    sr_dropout_site dropout;
    sr_real *log_sums;  /* L [heads, Q] */
    sr_real *cells;     /* room for a tile: S, then P */
    sr_real *gradients; /* the same; NULL where nothing is recorded */
    uint8_t *kept;      /* room for what dropout keeps of the rows of a tile, or NULL */
} fused_state;

/* Some query rows of a head, and the keys [begin, end) that any of them sees. */
typedef struct {
    sr_tape *tape;
    const fused_state *state;
    const head_block *block;
    size_t first, count, begin, end;
} query_tile;

/* Some keys of it: the matrices of the tile. */
typedef struct {
    const query_tile *rows;
    size_t key, keys;
    const sr_real *query, *key_values;
    size_t stride;
} cell_tile;

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Where the rows of a tile begin in a matrix beside the queries, and where those of keys do in one beside the keys. */
static size_t query_place(const query_tile *tile, const sr_tensor *matrix)
{
    return (tile->block->query_row + tile->first) * matrix->columns + tile->block->column;
}

static size_t key_place(const cell_tile *tile, const sr_tensor *matrix)
{
    const head_block *block = tile->rows->block;
    return (block->key_row + tile->key) * matrix->columns + block->column;
}

/* The logarithms of sums of the tile's rows. */
static sr_real *log_sums_of(const query_tile *tile)
{
    const fused_state *state = tile->state;
    return state->log_sums + tile->block->head * state->query->rows + tile->block->query_row + tile->first;
}

static query_tile tile_of(sr_tape *tape, const fused_state *state, const head_block *block, size_t first)
{
    query_tile tile = {tape, state, block, first, least(TILE_QUERIES, block->queries - first), block->keys, 0};
    for (size_t i = 0; i < tile.count; ++i) {
        size_t begin, end;
        visible_keys(state->map, block, first + i, &begin, &end);
        tile.begin = least(tile.begin, begin);
        tile.end = end > tile.end ? end : tile.end;
    }
    return tile;
}

/* The keys of a cell tile that a row of it sees: [*begin, *end), counted from the tile's first; none where they are
 * equal. */
static void seen_of_tile(const cell_tile *tile, size_t row, size_t *begin, size_t *end)
{
    visible_keys(tile->rows->state->map, tile->rows->block, tile->rows->first + row, begin, end);
    *begin = *begin > tile->key ? least(*begin - tile->key, tile->keys) : 0;
    *end = *end > tile->key ? least(*end - tile->key, tile->keys) : 0;
    if (*end < *begin)
        *end = *begin;
}

/* What is kept of the rows of a tile, keys [0, tile->end) of each: the same as of a whole map. */
static void draw_kept(const query_tile *tile)
{
    const fused_state *state = tile->state;
    const sr_layout *layout = state->map->layout;
    size_t offsets[TILE_QUERIES + 1] = {0};
    uint32_t row_words[TILE_QUERIES];
    uint64_t identities[TILE_QUERIES];
    if (!state->kept)
        return;
    for (size_t i = 0; i < tile->count; ++i) {
        const int32_t column = query_column(state->map, tile->block, tile->first + i);
        row_words[i] = attention_dropout_word(tile->block->head, column);
        identities[i] = layout->identity[tile->block->s];
        offsets[i + 1] = (i + 1) * tile->end;
    }
    sr_tape_kernels(tile->tape)
        ->dropout_mask(state->kept, tile->count, offsets, row_words, identities, state->dropout.stream.key,
                       dropout_keep_steps(&state->dropout));
}

/* Drops cells [begin, end) of a row of the tile, in place. */
static void drop_cells(const cell_tile *tile, sr_real *row, size_t number, size_t begin, size_t end)
{
    const fused_state *state = tile->rows->state;
    const uint8_t *kept = state->kept + number * tile->rows->end + tile->key;
    sr_tape_kernels(tile->rows->tape)
        ->drop(row + begin, row + begin, kept + begin, dropout_factor(&state->dropout), end - begin);
}

/* The size of a product of which the tile's cells are a part, if only some of them count. */
static sr_causal_size tile_product(const cell_tile *tile, sr_product_size whole, causal_part part)
{
    sr_causal_size size = {whole, part, 0};
    const query_tile *rows = tile->rows;
    const bool causal = is_causal_block(rows->state->map, rows->block, &size.diagonal);
    size.diagonal += rows->first;
    if (!causal || size.diagonal < tile->key)
        size.causal = CAUSAL_NONE;
    else
        size.diagonal -= tile->key;
    return size;
}

/* left [count, width] times the transposed of right [keys, width], to cells [count, keys] of the tile. */
static void multiply_cells(const cell_tile *tile, sr_real factor, const sr_real *left, size_t left_stride, const sr_real *right,
                           size_t right_stride, sr_real *cells)
{
    const query_tile *rows = tile->rows;
    const sr_causal_size size = tile_product(tile, (sr_product_size){rows->count, tile->keys, rows->block->width},
                                             CAUSAL_RESULT);
    sr_gemm_causal(sr_tape_products(rows->tape), &size, factor, sr_plain(left, left_stride), sr_transposed(right, right_stride),
                   0, cells, tile->keys);
}

/* to [count, width] += factor cells [count, keys] from [keys, width]. */
static void add_over_keys(const cell_tile *tile, sr_real factor, const sr_real *cells, const sr_real *from, sr_real *to,
                          size_t stride)
{
    const query_tile *rows = tile->rows;
    const sr_causal_size size = tile_product(tile, (sr_product_size){rows->count, rows->block->width, tile->keys},
                                             CAUSAL_FACTOR);
    sr_gemm_causal(sr_tape_products(rows->tape), &size, factor, sr_plain(cells, tile->keys), sr_plain(from, stride), 1, to,
                   stride);
}

/* to [keys, width] += factor cells [count, keys] transposed, times from [count, width]. */
static void add_over_queries(const cell_tile *tile, sr_real factor, const sr_real *cells, const sr_real *from, sr_real *to,
                             size_t stride)
{
    const query_tile *rows = tile->rows;
    const sr_causal_size size = tile_product(tile, (sr_product_size){tile->keys, rows->block->width, rows->count},
                                             CAUSAL_FACTOR);
    sr_gemm_causal(sr_tape_products(rows->tape), &size, factor, sr_transposed(cells, tile->keys), sr_plain(from, stride), 1, to,
                   stride);
}

/* The tile's scores in state->cells. */
static cell_tile scored_tile(const query_tile *rows, size_t key)
{
    const fused_state *state = rows->state;
    cell_tile tile = {.rows = rows, .key = key, .keys = least(TILE_KEYS, rows->end - key), .stride = state->query->columns};
    tile.query = state->query->values + query_place(rows, state->query);
    tile.key_values = state->key->values + key_place(&tile, state->key);
    multiply_cells(&tile, state->scale, tile.query, tile.stride, tile.key_values, tile.stride, state->cells);
    return tile;
}

/* Cells that a row does not see become zero. */
static void clear_unseen(const cell_tile *tile, sr_real *row, size_t begin, size_t end)
{
    memset(row, 0, begin * sizeof *row);
    memset(row + end, 0, (tile->keys - end) * sizeof *row);
}

/* ---- forward ---- */

/* The maximum of each row's scores so far, and the sum of their exponentials less the maximum. */
typedef struct {
    sr_real maximum[TILE_QUERIES], sum[TILE_QUERIES];
} running_sums;

/* Row `number` of a tile from scores to what its values are multiplied with. The context so far is scaled where the
 * maximum rises. */
static void forward_row(const cell_tile *tile, size_t number, running_sums *sums, sr_real *context)
{
    const query_tile *rows = tile->rows;
    const sr_kernels *kernels = sr_tape_kernels(rows->tape);
    sr_real *row = rows->state->cells + number * tile->keys, maximum;
    size_t begin, end;
    seen_of_tile(tile, number, &begin, &end);
    clear_unseen(tile, row, begin, end);
    if (begin == end)
        return;
    const sr_real sum = kernels->exponentials(row + begin, &maximum, end - begin);
    if (maximum > sums->maximum[number]) {
        const sr_real faded = (sr_real)exp((double)(sums->maximum[number] - maximum));
        kernels->scale(context, faded, rows->block->width);
        sums->sum[number] = sums->sum[number] * faded + sum;
        sums->maximum[number] = maximum;
    } else {
        const sr_real factor = (sr_real)exp((double)(maximum - sums->maximum[number]));
        kernels->scale(row + begin, factor, end - begin);
        sums->sum[number] += sum * factor;
    }
    if (rows->state->kept)
        drop_cells(tile, row, number, begin, end);
}

static void forward_tile(const query_tile *rows)
{
    const fused_state *state = rows->state;
    const size_t stride = state->context->columns, width = rows->block->width;
    sr_real *context = state->context->values + query_place(rows, state->context), *log_sums = log_sums_of(rows);
    running_sums sums;
    for (size_t i = 0; i < rows->count; ++i) {
        sums.maximum[i] = (sr_real)-INFINITY;
        sums.sum[i] = 0;
        memset(context + i * stride, 0, width * sizeof *context);
    }
    draw_kept(rows);
    for (size_t key = rows->begin; key < rows->end; key += TILE_KEYS) {
        const cell_tile tile = scored_tile(rows, key);
        for (size_t i = 0; i < rows->count; ++i)
            forward_row(&tile, i, &sums, context + i * stride);
        add_over_keys(&tile, 1, state->cells, state->value->values + key_place(&tile, state->value), context, stride);
    }
    for (size_t i = 0; i < rows->count; ++i) {
        sr_tape_kernels(rows->tape)->scale(context + i * stride, 1 / sums.sum[i], width);
        log_sums[i] = sums.maximum[i] + (sr_real)log((double)sums.sum[i]);
    }
}

static void forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)map;
    for (size_t first = 0; first < block->queries; first += TILE_QUERIES) {
        const query_tile rows = tile_of(tape, saved, block, first);
        forward_tile(&rows);
    }
}

/* ---- backward ---- */

/* Row `number` of a tile: from scores to what values are multiplied with, and from the gradient of that to the
 * gradient of the scores. `inner` is <dC_i, C_i>. */
static void backward_row(const cell_tile *tile, size_t number, sr_real log_sum, sr_real inner)
{
    const query_tile *rows = tile->rows;
    const sr_kernels *kernels = sr_tape_kernels(rows->tape);
    sr_real *row = rows->state->cells + number * tile->keys, *gradient = rows->state->gradients + number * tile->keys, maximum;
    size_t begin, end;
    seen_of_tile(tile, number, &begin, &end);
    clear_unseen(tile, row, begin, end);
    clear_unseen(tile, gradient, begin, end);
    if (begin == end)
        return;
    (void)kernels->exponentials(row + begin, &maximum, end - begin);
    kernels->scale(row + begin, (sr_real)exp((double)(maximum - log_sum)), end - begin);
    if (rows->state->kept)
        drop_cells(tile, gradient, number, begin, end);
    kernels->softmax_gradient(gradient + begin, row + begin, inner, end - begin);
    if (rows->state->kept)
        drop_cells(tile, row, number, begin, end);
}

static void backward_tile(const query_tile *rows)
{
    const fused_state *state = rows->state;
    const sr_tensor *context = state->context, *query = state->query, *key = state->key, *value = state->value;
    const size_t stride = context->columns, place = query_place(rows, context);
    const sr_real *gradient = context->gradient + place, *log_sums = log_sums_of(rows);
    sr_real inner[TILE_QUERIES];
    for (size_t i = 0; i < rows->count; ++i)
        inner[i] =
            sr_tape_kernels(rows->tape)->dot(gradient + i * stride, context->values + place + i * stride, rows->block->width);
    draw_kept(rows);
    for (size_t first = rows->begin; first < rows->end; first += TILE_KEYS) {
        const cell_tile tile = scored_tile(rows, first);
        multiply_cells(&tile, 1, gradient, stride, value->values + key_place(&tile, value), stride, state->gradients);
        for (size_t i = 0; i < rows->count; ++i)
            backward_row(&tile, i, log_sums[i], inner[i]);
        if (value->wants_gradient)
            add_over_queries(&tile, 1, state->cells, gradient, value->gradient + key_place(&tile, value), stride);
        if (query->wants_gradient)
            add_over_keys(&tile, state->scale, state->gradients, tile.key_values, query->gradient + query_place(rows, query),
                          tile.stride);
        if (key->wants_gradient)
            add_over_queries(&tile, state->scale, state->gradients, tile.query, key->gradient + key_place(&tile, key),
                             tile.stride);
    }
}

static void backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)map;
    for (size_t first = 0; first < block->queries; first += TILE_QUERIES) {
        const query_tile rows = tile_of(tape, saved, block, first);
        backward_tile(&rows);
    }
}

static void fused_backward(sr_tape *tape, const sr_tensor *context, const void *saved)
{
    const fused_state *state = saved;
    for_each_head(tape, state->map, context->columns / state->map->heads, backward_head, state);
}

static sr_graph_value describe_fused(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const fused_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_attention_map *map = state->map;
    const sr_graph_value query = described_heads(to, described(to, state->query), map->heads),
                         key = described_heads_transposed(to, described(to, state->key), map->heads),
                         value = described_heads(to, described(to, state->value), map->heads);
    const sr_graph_value scores = sr_graph_scaled(g, SR_GRAPH(g, "MatMul", query, key), (double)state->scale);
    const sr_graph_value weights = SR_GRAPH_WITH(g, "Softmax", "axis", -1, described_masked(to, map, scores, -INFINITY));
    return described_merged(to, SR_GRAPH(g, "MatMul", weights, value));
}

static const sr_operation fused_operation = {.name = "fused_attention", .backward = fused_backward, .describe = describe_fused};

/* ---- the operation ---- */

/* Room for tiles, which all heads of all sequences use. */
static bool take_room(sr_tape *tape, fused_state *state)
{
    const sr_attention_map *map = state->map;
    const size_t cells = (size_t)TILE_QUERIES * least(TILE_KEYS, sr_attention_map_longest(map));
    state->log_sums = sr_tape_take(tape, map->heads * state->query->rows, sizeof *state->log_sums);
    state->cells = sr_tape_take(tape, cells, sizeof *state->cells);
    state->gradients = sr_tape_is_recording(tape) ? sr_tape_take(tape, cells, sizeof *state->gradients) : NULL;
    state->kept = state->dropout.probability > 0 ? sr_tape_take(tape, TILE_QUERIES * sr_attention_map_longest(map), 1) : NULL;
    return state->log_sums && state->cells && (state->gradients || !sr_tape_is_recording(tape)) &&
           (state->kept || state->dropout.probability <= 0);
}

sr_tensor *sr_fused_attention(sr_tape *tape, const sr_attention_inputs *inputs, const sr_attention_map *map, double scale,
                              const sr_dropout_site *dropout)
{
    sr_tensor *list[] = {inputs->query, inputs->key, inputs->value};
    if (!list[0] || !list[1] || !list[2])
        return NULL;
    assert(list[0]->columns == list[1]->columns && list[1]->columns == list[2]->columns && list[0]->columns % map->heads == 0);
    assert(list[0]->rows == sr_rows_count(map->queries, map->layout));
    assert(list[1]->rows == sr_rows_count(map->keys, map->layout) && list[2]->rows == list[1]->rows);
    fused_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (fused_state){
        .map = map, .query = list[0], .key = list[1], .value = list[2], .scale = (sr_real)scale, .dropout = *dropout};
    if (!take_room(tape, state))
        return NULL;
    state->context = sr_tape_record(tape, list[0]->rows, list[0]->columns, list, 3, &fused_operation, state);
    if (!state->context)
        return NULL;
    for_each_head(tape, map, list[0]->columns / map->heads, forward_head, state);
    return state->context;
}
