/* InfoNCE of pairs of rows against all other rows of the batch, tile by tile.
 *
 *   s_ij = <z_i, z_j> / temperature,   log_sum_i = ln sum_{j != i} exp(s_ij)
 *   loss = weight sum_i ( log_sum_i - s_i,partner(i) )
 *   dz_i += g weight / temperature ( sum_{j != i} (p_ij + p_ji) z_j - 2 z_partner(i) ),   p_ij = exp(s_ij - log_sum_i)
 *
 * p_ji is the part of z_i in the loss of row j, which may be another rank's: with the log sums of all rows it is
 * known here too, because s is symmetric. So each rank computes the whole gradient of its rows by itself. Scores are
 * recomputed in backward. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <math.h>

enum {
    TILE_ROWS = 256,
    TILE_COLUMNS = 1024 /* even as the number of rows of a batch: a tile is never a row with itself alone */
};

/* A tile: rows [row, row + rows) against rows [column, column + columns), both of the whole batch. */
typedef struct {
    size_t row, rows, column, columns;
} scores_tile;

static scores_tile tile_at(const sr_contrast *batch, size_t row, size_t column)
{
    const size_t end = batch->first + 2 * batch->pairs;
    return (scores_tile){.row = row,
                         .rows = end - row < TILE_ROWS ? end - row : TILE_ROWS,
                         .column = column,
                         .columns = batch->count - column < TILE_COLUMNS ? batch->count - column : TILE_COLUMNS};
}

/* s_ij of a tile; that of a row with itself has the exponential 0. */
static void score(const sr_tape *tape, const sr_contrast *batch, size_t width, const scores_tile *tile, sr_real *scores)
{
    sr_gemm(sr_tape_kernels(tape), (sr_product_size){tile->rows, tile->columns, width}, (sr_real)(1 / batch->temperature),
            sr_plain(batch->rows + tile->row * width, width), sr_transposed(batch->rows + tile->column * width, width), 0,
            scores, tile->columns);
    for (size_t i = 0; i < tile->rows; ++i) {
        const size_t itself = tile->row + i - tile->column;
        if (itself < tile->columns) /* unsigned: a row before the tile wraps to a huge number */
            scores[i * tile->columns + itself] = (sr_real)-INFINITY;
    }
}

/* ---- log sums ---- */

/* Sums of exponentials of a row so far, relative to the largest score so far. */
typedef struct {
    double maximum, sum;
} running_sum;

static void add_exponentials(running_sum *total, double maximum, double sum)
{
    if (maximum > total->maximum) {
        total->sum = total->sum * exp(total->maximum - maximum) + sum;
        total->maximum = maximum;
    } else {
        total->sum += sum * exp(maximum - total->maximum);
    }
}

bool sr_contrastive_log_sums(sr_tape *tape, const sr_contrast *batch, size_t width, double *log_sums)
{
    const size_t rows = 2 * batch->pairs;
    sr_real *scores = sr_tape_take(tape, (size_t)TILE_ROWS * TILE_COLUMNS, sizeof *scores);
    running_sum *totals = sr_tape_take(tape, rows, sizeof *totals);
    if (!scores || !totals)
        return false;
    for (size_t i = 0; i < rows; ++i)
        totals[i] = (running_sum){-INFINITY, 0};
    for (size_t row = batch->first; row < batch->first + rows; row += TILE_ROWS)
        for (size_t column = 0; column < batch->count; column += TILE_COLUMNS) {
            const scores_tile tile = tile_at(batch, row, column);
            score(tape, batch, width, &tile, scores);
            for (size_t i = 0; i < tile.rows; ++i) {
                sr_real maximum;
                const sr_real sum = sr_tape_kernels(tape)->exponentials(scores + i * tile.columns, &maximum, tile.columns);
                add_exponentials(&totals[row - batch->first + i], (double)maximum, (double)sum);
            }
        }
    for (size_t i = 0; i < rows; ++i)
        log_sums[i] = totals[i].maximum + log(totals[i].sum);
    return true;
}

/* ---- the loss ---- */

typedef struct {
    sr_tensor *left, *right;
    const sr_contrast *batch;
    const double *log_sums; /* [count] */
    double weight;
    sr_real *scores;   /* room for a tile, */
    sr_real *others;   /* for a row of it, */
    sr_real *gradient; /* and for the gradients of its rows [TILE_ROWS, width] */
} contrastive_state;

/* scores s_ij become p_ij + p_ji. */
static void to_shares(sr_tape *tape, const contrastive_state *state, const scores_tile *tile)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t i = 0; i < tile->rows; ++i) {
        sr_real *row = state->scores + i * tile->columns;
        const double own = state->log_sums[tile->row + i];
        for (size_t j = 0; j < tile->columns; ++j) {
            state->others[j] = (sr_real)((double)row[j] - state->log_sums[tile->column + j]);
            row[j] = (sr_real)((double)row[j] - own);
        }
        kernels->exponential(row, row, tile->columns);
        kernels->exponential(state->others, state->others, tile->columns);
        kernels->accumulate(row, state->others, tile->columns);
    }
}

/* Adds the gradient of row `row` of the batch to its tensor, and what it draws from its partner. */
static void add_row_gradient(sr_tape *tape, const contrastive_state *state, size_t row, const sr_real *shares, sr_real factor)
{
    const sr_contrast *batch = state->batch;
    const size_t own = row - batch->first, width = state->left->columns;
    const bool is_left = own < batch->pairs;
    const sr_tensor *tensor = is_left ? state->left : state->right;
    if (!tensor->wants_gradient)
        return;
    const size_t partner = is_left ? row + batch->pairs : row - batch->pairs;
    sr_real *gradient = tensor->gradient + (is_left ? own : own - batch->pairs) * width;
    sr_tape_kernels(tape)->accumulate_scaled(gradient, factor, shares, width);
    sr_tape_kernels(tape)->accumulate_scaled(gradient, -2 * factor, batch->rows + partner * width, width);
}

static void contrastive_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    const contrastive_state *state = saved;
    const sr_contrast *batch = state->batch;
    const size_t width = state->left->columns, end = batch->first + 2 * batch->pairs;
    const sr_real factor = loss->gradient[0] * (sr_real)(state->weight / batch->temperature);
    for (size_t row = batch->first; row < end; row += TILE_ROWS) {
        size_t rows = 0;
        for (size_t column = 0; column < batch->count; column += TILE_COLUMNS) {
            const scores_tile tile = tile_at(batch, row, column);
            score(tape, batch, width, &tile, state->scores);
            to_shares(tape, state, &tile);
            sr_gemm(sr_tape_kernels(tape), (sr_product_size){tile.rows, width, tile.columns}, 1,
                    sr_plain(state->scores, tile.columns), sr_plain(batch->rows + column * width, width), column > 0,
                    state->gradient, width);
            rows = tile.rows;
        }
        for (size_t i = 0; i < rows; ++i)
            add_row_gradient(tape, state, row + i, state->gradient + i * width, factor);
    }
}

static const sr_operation contrastive_operation = {.name = "contrastive", .backward = contrastive_backward};

sr_tensor *sr_contrastive_loss(sr_tape *tape, sr_tensor *left, sr_tensor *right, const sr_contrast *batch,
                               const double *log_sums, double weight)
{
    if (!left || !right)
        return NULL;
    const size_t n = batch->pairs, width = left->columns;
    assert(left->rows == n && right->rows == n && right->columns == width && batch->first + 2 * n <= batch->count);
    contrastive_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_contrast *kept = sr_tape_take(tape, 1, sizeof *kept);
    if (!state || !kept)
        return NULL;
    *kept = *batch;
    *state = (contrastive_state){.left = left,
                                 .right = right,
                                 .batch = kept,
                                 .log_sums = log_sums,
                                 .weight = weight,
                                 .scores = sr_tape_take(tape, (size_t)TILE_ROWS * TILE_COLUMNS, sizeof(sr_real)),
                                 .others = sr_tape_take(tape, TILE_COLUMNS, sizeof(sr_real)),
                                 .gradient = sr_tape_take(tape, TILE_ROWS * width, sizeof(sr_real))};
    if (!state->scores || !state->others || !state->gradient)
        return NULL;
    sr_tensor *inputs[] = {left, right};
    sr_tensor *loss = sr_tape_record(tape, 1, 1, inputs, 2, &contrastive_operation, state);
    if (!loss)
        return NULL;
    double total = 0;
    for (size_t i = 0; i < n; ++i) {
        const sr_real product = sr_tape_kernels(tape)->dot(left->values + i * width, right->values + i * width, width);
        total += log_sums[batch->first + i] + log_sums[batch->first + n + i] - 2 * (double)product / batch->temperature;
    }
    loss->values[0] = (sr_real)(weight * total);
    return loss;
}
