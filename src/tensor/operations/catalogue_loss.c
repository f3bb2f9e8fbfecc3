/* Cross entropy over the whole catalogue, tile by tile.
 *
 *   loss = weight sum_i ( logsumexp_v l_iv - l_i,target(i) ),   l = X Eᵀ
 *   dX += g weight (P - onehot) E,   dE += g weight (P - onehot)ᵀ X,   P = exp(l - logsumexp)
 *
 * V is the number of classes: the first rows of the table. The [n, V] logits are never held as a whole: forward passes over
 * tiles of them with an online softmax (Milakov & Gimelshein 2018), and backward goes over the same tiles again. The first of
 * them are kept from forward to backward, as many as sr_tape_kept_bytes() hold; backward computes the others again: memory is
 * bounded whatever n and V are. */
#include "base/sizes.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <math.h>

enum {
    TILE_ROWS = 256,   /* examples of a tile */
    TILE_COLUMNS = 960 /* items of a tile: together about 1 MiB in single precision, what a core's L2 cache holds; no
                           power of two, whose columns would all lie in the same few sets of the L1 cache */
};

typedef struct {
    sr_tensor *x, *table;
    size_t classes; /* V */
    const int32_t *targets;
    sr_real weight;
    sr_real *log_sum; /* [n]: logsumexp of each row */
    sr_real *tiles;   /* room for the kept tiles one after the other, and for one that is not kept */
    sr_real *maxima;  /* likewise of their rows */
    size_t kept;      /* tiles: the first ones */
} catalogue_state;

/* A tile: examples [row, row + rows) against items [column, column + columns). */
typedef struct {
    size_t row, rows, column, columns;
    sr_real *exponentials; /* [rows, columns]: exp(logit - maximum of the row within the tile) */
    sr_real *maxima;       /* [rows] */
    bool kept;
} logits_tile;

/* How many tiles the [n, items] logits have. */
static size_t tiles_of(size_t n, size_t items)
{
    return (n + TILE_ROWS - 1) / TILE_ROWS * ((items + TILE_COLUMNS - 1) / TILE_COLUMNS);
}

/* Where tile `number` of the [n, items] logits lies: one row of tiles after the other. */
static logits_tile tile_at(size_t n, size_t items, size_t number)
{
    const size_t across = (items + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const size_t row = number / across * TILE_ROWS, column = number % across * TILE_COLUMNS;
    return (logits_tile){
        .row = row, .rows = smaller(n - row, TILE_ROWS), .column = column, .columns = smaller(items - column, TILE_COLUMNS)};
}

typedef void (*tile_function)(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context);

static void for_each_tile(sr_tape *tape, const catalogue_state *state, tile_function function, void *context)
{
    const size_t n = state->x->rows;
    sr_real *exponentials = state->tiles, *maxima = state->maxima;
    for (size_t number = 0; number < tiles_of(n, state->classes); ++number) {
        logits_tile tile = tile_at(n, state->classes, number);
        tile.exponentials = exponentials;
        tile.maxima = maxima;
        tile.kept = number < state->kept;
        function(tape, state, &tile, context);
        if (tile.kept) {
            exponentials += tile.rows * tile.columns;
            maxima += tile.rows;
        }
    }
}

static bool holds_target(const catalogue_state *state, const logits_tile *tile, size_t i, size_t *column)
{
    *column = (size_t)state->targets[tile->row + i] - tile->column;
    return *column < tile->columns; /* unsigned: a target before the tile wraps to a huge number */
}

/* What forward gathers of each row while it walks the tiles. */
typedef struct {
    sr_real *sums;          /* [n] of exp(logit - maximum so far); the maximum so far is in state->log_sum */
    sr_real *target_logits; /* [n] */
} forward_sums;

static void compute_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const forward_sums *sums)
{
    const size_t width = state->x->columns;
    sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, tile->columns, width}, 1,
                 sr_plain(state->x->values + tile->row * width, width),
                 sr_transposed(state->table->values + tile->column * width, width), 0, tile->exponentials, tile->columns);
    for (size_t i = 0; i < tile->rows; ++i) {
        sr_real *row = tile->exponentials + i * tile->columns;
        size_t target;
        if (sums && holds_target(state, tile, i, &target))
            sums->target_logits[tile->row + i] = row[target];
        const sr_real sum = sr_tape_kernels(tape)->exponentials(row, &tile->maxima[i], tile->columns);
        if (!sums)
            continue;
        sr_real *maximum = &state->log_sum[tile->row + i], *total = &sums->sums[tile->row + i];
        if (tile->maxima[i] > *maximum) {
            *total = *total * (sr_real)exp((double)(*maximum - tile->maxima[i])) + sum;
            *maximum = tile->maxima[i];
        } else {
            *total += sum * (sr_real)exp((double)(tile->maxima[i] - *maximum));
        }
    }
}

static void forward_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context)
{
    compute_tile(tape, state, tile, context);
}

static void backward_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context)
{
    const sr_real loss_gradient = *(const sr_real *)context;
    const size_t width = state->x->columns;
    if (!tile->kept)
        compute_tile(tape, state, tile, NULL);
    sr_real *difference = tile->exponentials; /* becomes loss_gradient weight (P - onehot) */
    for (size_t i = 0; i < tile->rows; ++i) {
        const double shift = (double)(tile->maxima[i] - state->log_sum[tile->row + i]);
        sr_tape_kernels(tape)->scale(difference + i * tile->columns, loss_gradient * state->weight * (sr_real)exp(shift),
                                     tile->columns);
        size_t target;
        if (holds_target(state, tile, i, &target))
            difference[i * tile->columns + target] -= loss_gradient * state->weight;
    }
    sr_tensor *x = state->x, *table = state->table;
    if (x->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, width, tile->columns}, 1,
                     sr_plain(difference, tile->columns), sr_plain(table->values + tile->column * width, width), 1,
                     x->gradient + tile->row * width, width);
    if (table->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->columns, width, tile->rows}, 1,
                     sr_transposed(difference, tile->columns), sr_plain(x->values + tile->row * width, width), 1,
                     table->gradient + tile->column * width, width);
}

static void catalogue_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    const catalogue_state *state = saved;
    /* Kept tiles are overwritten here: a second backward pass through the same loss has to compute them again. */
    for_each_tile(tape, state, backward_tile, loss->gradient);
    ((catalogue_state *)saved)->kept = 0;
}

/* The kept tiles, and the elements of them and of one more where not all are kept, with the maxima of their rows. */
typedef struct {
    size_t kept, elements, maxima;
} tile_room;

static tile_room room_for(size_t n, size_t items, size_t kept_bytes)
{
    tile_room room = {0, 0, 0};
    for (; room.kept < tiles_of(n, items); ++room.kept) {
        const logits_tile tile = tile_at(n, items, room.kept);
        const size_t elements = tile.rows * tile.columns;
        if ((room.elements + elements) * sizeof(sr_real) > kept_bytes) {
            room.elements += smaller(n, TILE_ROWS) * smaller(items, TILE_COLUMNS);
            room.maxima += smaller(n, TILE_ROWS);
            return room;
        }
        room.elements += elements;
        room.maxima += tile.rows;
    }
    return room;
}

size_t sr_catalogue_cross_entropy_memory(size_t rows, size_t classes, size_t kept_bytes)
{
    const tile_room room = room_for(rows, classes, kept_bytes);
    const size_t of_rows = 3; /* logarithms, sums, logits of targets */
    return (room.elements + room.maxima + of_rows * rows) * sizeof(sr_real);
}

static bool take_state(sr_tape *tape, catalogue_state *state)
{
    const size_t n = state->x->rows;
    const tile_room room = room_for(n, state->classes, sr_tape_is_recording(tape) ? sr_tape_kept_bytes(tape) : 0);
    state->kept = room.kept;
    state->tiles = sr_tape_take(tape, room.elements, sizeof *state->tiles);
    state->maxima = sr_tape_take(tape, room.maxima, sizeof *state->maxima);
    state->log_sum = sr_tape_take(tape, n, sizeof *state->log_sum);
    return state->tiles && state->maxima && state->log_sum;
}

sr_tensor *sr_catalogue_cross_entropy(sr_tape *tape, sr_tensor *x, sr_tensor *table, size_t classes, const int32_t *targets,
                                      double weight)
{
    if (!x || !table)
        return NULL;
    assert(x->columns == table->columns && classes >= 1 && classes <= table->rows);
    const size_t n = x->rows;
    catalogue_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (catalogue_state){.x = x, .table = table, .classes = classes, .targets = targets, .weight = (sr_real)weight};
    forward_sums sums = {sr_tape_take(tape, n, sizeof *sums.sums), sr_tape_take(tape, n, sizeof *sums.target_logits)};
    if (!take_state(tape, state) || !sums.sums || !sums.target_logits)
        return NULL;
    sr_tensor *inputs[] = {x, table};
    sr_tensor *loss = sr_tape_record(tape, 1, 1, inputs, 2, catalogue_backward, state);
    if (!loss)
        return NULL;
    for (size_t i = 0; i < n; ++i) {
        assert(targets[i] >= 0 && (size_t)targets[i] < classes);
        state->log_sum[i] = (sr_real)-INFINITY;
        sums.sums[i] = 0;
    }
    for_each_tile(tape, state, forward_tile, &sums);
    double total = 0;
    for (size_t i = 0; i < n; ++i) {
        state->log_sum[i] += (sr_real)log((double)sums.sums[i]);
        total += (double)state->log_sum[i] - (double)sums.target_logits[i];
    }
    loss->values[0] = (sr_real)(weight * total);
    return loss;
}
