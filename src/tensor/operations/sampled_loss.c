/* Losses that compare a target with a list of items, which other targets may share, tile by tile.
 *
 *   s_ik = <x_i, row of entry k> / temperature,   s_i the same of the target
 *   softmax     z_i = ln sum_k exp(s_ik - q_k) + c_i - (s_i - q_i),   loss = weight sum_i softplus(z_i)
 *   logistic    loss = sum_i ( target_weight softplus(-s_i) + weight sum_k softplus(s_ik) )
 *   pairs       loss = weight sum_i sum_k softplus(s_ik - s_i)
 *
 * The targets of a list times its rows is one matrix product, cut into tiles: forward passes over them with an online
 * softmax or with sums of softplus, and backward goes over the same tiles again. The first tiles are kept in between,
 * as many as sr_tape_kept_bytes() hold; backward computes the others again. A list of one target is no matrix
 * product: its rows are read where they lie, one after the other. */
#include "base/sizes.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/gemm.h"
#include "tensor/unit_rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    TILE_ROWS = 256,   /* targets of a tile */
    TILE_COLUMNS = 960 /* entries of a tile; see catalogue_loss.c */
};

/* Stands for the score of an entry that does not exist for a target, or for minus its score: its exponential is 0. */
static const sr_real NOWHERE = (sr_real)1e30;

typedef struct sampled_state sampled_state;

/* Targets [target, target + rows) of a list against its entries [column, column + columns). */
typedef struct {
    size_t list, target, rows, column, columns;
    bool is_single;  /* the list has one target */
    sr_real *values; /* [rows, columns]: what the kind of loss makes of the products */
    sr_real *maxima; /* [rows] of a softmax: what the exponentials are relative to; -infinity where no entry is left */
    bool is_kept;
} list_tile;

typedef struct {
    sr_real sign; /* products are scores, or minus these */
    /* From products to values, for row i of a tile; `sums`: adds what forward gathers. */
    void (*finish_row)(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, bool sums);
    /* The loss of a target from what was gathered; keeps what backward needs of it. */
    double (*finish_target)(sampled_state *state, size_t target);
    /* From values to the gradient of the products, for row i of a tile. */
    void (*differentiate_row)(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, double loss_gradient);
} sampled_kind;

struct sampled_state {
    const sampled_kind *kind;
    sr_tensor *x;
    sr_comparison with;
    sr_score_corrections corrections;
    double target_weight, weight;
    double inverse_temperature;
    sr_real *factors; /* [rows of the table]: unit rows: of each row of it; NULL where lists have fewer rows than that */
    /* Of each target, [n]: */
    sr_real *target_scores;
    double *sums;                 /* of exponentials relative to `maxima`, or of softplus */
    double *maxima;               /* softmax: the largest score so far; afterwards ln (exp z_i + 1) + (s_i - q_i) - c_i */
    double *target_slopes;        /* d loss / d s_i; of pairs what backward gathers of it */
    sr_real *tiles, *tile_maxima; /* room for the kept tiles one after the other, and for one that is not kept */
    size_t kept;                  /* tiles: the first ones */
    /* Room for the columns of a tile: */
    sr_real *rows, *row_gradients;                /* [TILE_COLUMNS, width] */
    sr_real *row_factors, *shifts, *spare, *ones; /* [TILE_COLUMNS] */
};

static size_t width_of(const sampled_state *state)
{
    return state->x->columns;
}

/* ---- tiles ---- */

static size_t targets_of(const sr_comparison *with, size_t list)
{
    return with->first_target[list + 1] - with->first_target[list];
}

/* Where tiles begin that lie behind each other in memory. */
typedef struct {
    size_t number, elements, rows;
} tile_place;

/* The shape of a tile of a list. Tiles that have the same columns are neighbours: their rows are gathered once. */
static list_tile tile_shape(const sr_comparison *with, size_t list, size_t column, size_t row)
{
    const size_t targets = targets_of(with, list);
    return (list_tile){.list = list,
                       .target = with->first_target[list] + row,
                       .rows = smaller(targets - row, TILE_ROWS),
                       .column = column,
                       .columns = smaller(with->length - column, TILE_COLUMNS),
                       .is_single = targets == 1};
}

static list_tile tile_at(const sampled_state *state, size_t list, size_t column, size_t row, const tile_place *place)
{
    list_tile tile = tile_shape(&state->with, list, column, row);
    tile.values = state->tiles + place->elements;
    tile.maxima = state->tile_maxima + place->rows;
    tile.is_kept = place->number < state->kept;
    return tile;
}

static void pass_tile(tile_place *place, const list_tile *tile)
{
    ++place->number;
    if (!tile->is_kept)
        return;
    place->elements += tile->rows * tile->columns;
    place->rows += tile->rows;
}

typedef struct {
    void (*begin_columns)(sr_tape *tape, sampled_state *state, const list_tile *first, void *context);
    void (*tile)(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context);
    void (*end_columns)(sr_tape *tape, sampled_state *state, const list_tile *first, void *context);
} tile_walk;

static void walk_list(sr_tape *tape, sampled_state *state, size_t list, tile_place *place, const tile_walk *walk, void *context)
{
    const size_t targets = targets_of(&state->with, list);
    for (size_t column = 0; column < state->with.length; column += TILE_COLUMNS) {
        const list_tile first = tile_at(state, list, column, 0, place);
        if (walk->begin_columns)
            walk->begin_columns(tape, state, &first, context);
        for (size_t row = 0; row < targets; row += TILE_ROWS) {
            const list_tile tile = tile_at(state, list, column, row, place);
            walk->tile(tape, state, &tile, context);
            pass_tile(place, &tile);
        }
        if (walk->end_columns)
            walk->end_columns(tape, state, &first, context);
    }
}

static void walk_tiles(sr_tape *tape, sampled_state *state, const tile_walk *walk, void *context)
{
    tile_place place = {0, 0, 0};
    for (size_t list = 0; list < state->with.lists; ++list)
        if (targets_of(&state->with, list) > 0)
            walk_list(tape, state, list, &place, walk, context);
}

/* ---- rows ---- */

static const int32_t *places_of(const sampled_state *state, const list_tile *tile)
{
    return state->with.places + tile->list * state->with.length + tile->column;
}

static const sr_real *row_at(const sr_tensor *table, int32_t place)
{
    return table->values + (size_t)place * table->columns;
}

/* What a row is multiplied by before it is compared. */
static sr_real factor_of(const sr_tape *tape, const sampled_state *state, const sr_tensor *table, int32_t place)
{
    if (!state->with.scoring.unit_rows)
        return 1;
    if (state->factors && table == state->with.table)
        return state->factors[place];
    return unit_factor(sr_tape_kernels(tape), row_at(table, place), width_of(state));
}

/* What all tiles of some columns share: factors of their rows, what is added to their scores, and copies of the rows
 * where there is a matrix product. */
static void gather_columns(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context)
{
    const size_t width = width_of(state);
    const int32_t *places = places_of(state, tile);
    const float *log_q = state->corrections.entries;
    (void)context;
    for (size_t i = 0; i < tile->columns; ++i) {
        state->row_factors[i] = factor_of(tape, state, state->with.table, places[i]);
        if (log_q)
            state->shifts[i] = -(sr_real)log_q[tile->list * state->with.length + tile->column + i];
        if (tile->is_single)
            continue;
        memcpy(state->rows + i * width, row_at(state->with.table, places[i]), width * sizeof *state->rows);
        if (state->with.scoring.unit_rows)
            sr_tape_kernels(tape)->scale(state->rows + i * width, state->row_factors[i], width);
    }
}

static void compute_tile(sr_tape *tape, sampled_state *state, const list_tile *tile, bool sums)
{
    const size_t width = width_of(state);
    const sr_real factor = state->kind->sign * (sr_real)state->inverse_temperature;
    const sr_real *x = state->x->values + tile->target * width;
    if (tile->is_single) {
        const int32_t *places = places_of(state, tile);
        for (size_t i = 0; i < tile->columns; ++i)
            tile->values[i] = factor * state->row_factors[i] *
                              sr_tape_kernels(tape)->dot(x, row_at(state->with.table, places[i]), width);
    } else {
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, tile->columns, width}, factor, sr_plain(x, width),
                     sr_transposed(state->rows, width), 0, tile->values, tile->columns);
    }
    for (size_t i = 0; i < tile->rows; ++i)
        state->kind->finish_row(tape, state, tile, i, sums);
}

static void forward_tile(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context)
{
    (void)context;
    compute_tile(tape, state, tile, true);
}

/* Entries of a tile that do not exist for a target get this value in its row; how many they are. */
static size_t set_hits(const sampled_state *state, const list_tile *tile, size_t i, sr_real *row, sr_real value)
{
    const sr_comparison *with = &state->with;
    size_t count = 0;
    if (!with->hit_offsets)
        return 0;
    const size_t target = tile->target + i;
    for (size_t hit = with->hit_offsets[target]; hit < with->hit_offsets[target + 1]; ++hit) {
        const size_t place = with->hits[hit] - tile->column;
        if (place < tile->columns) { /* unsigned: a hit before the tile wraps to a huge number */
            row[place] = value;
            ++count;
        }
    }
    return count;
}

static double softplus(double z)
{
    return (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
}

static double sigmoid(double z)
{
    return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

/* ---- softmax: values are exponentials ---- */

static void add_exponentials(sampled_state *state, size_t target, double maximum, double sum)
{
    double *total = &state->sums[target], *largest = &state->maxima[target];
    if (sum == 0)
        return;
    if (maximum > *largest) {
        *total = *total * exp(*largest - maximum) + sum;
        *largest = maximum;
    } else {
        *total += sum * exp(maximum - *largest);
    }
}

static void softmax_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, bool sums)
{
    sr_real *row = tile->values + i * tile->columns;
    if (state->corrections.entries)
        sr_tape_kernels(tape)->accumulate(row, state->shifts, tile->columns);
    if (set_hits(state, tile, i, row, -NOWHERE) == tile->columns) {
        memset(row, 0, tile->columns * sizeof *row);
        tile->maxima[i] = (sr_real)-INFINITY;
        return;
    }
    const double sum = (double)sr_tape_kernels(tape)->exponentials(row, &tile->maxima[i], tile->columns);
    if (sums)
        add_exponentials(state, tile->target + i, (double)tile->maxima[i], sum);
}

static double softmax_target(sampled_state *state, size_t target)
{
    const sr_score_corrections *corrections = &state->corrections;
    const double score = (double)state->target_scores[target] -
                         (corrections->targets ? (double)corrections->targets[target] : 0);
    state->target_slopes[target] = 0;
    if (state->sums[target] == 0) { /* no entry is left */
        state->maxima[target] = INFINITY;
        return 0;
    }
    const double shift = corrections->sums ? corrections->sums[target] : 0;
    const double log_sum = state->maxima[target] + log(state->sums[target]), z = log_sum + shift - score;
    /* d loss / d s_ik = sigmoid(z) exp(s_ik - q_k - log_sum) */
    state->maxima[target] = log_sum + softplus(-z);
    state->target_slopes[target] = -state->weight * sigmoid(z);
    return state->weight * softplus(z);
}

static void differentiate_softmax_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i,
                                      double loss_gradient)
{
    const double shift = (double)tile->maxima[i] - state->maxima[tile->target + i];
    const double factor = loss_gradient * state->weight * state->inverse_temperature * exp(shift);
    sr_tape_kernels(tape)->scale(tile->values + i * tile->columns, (sr_real)factor, tile->columns);
}

static const sampled_kind softmax_kind = {1, softmax_row, softmax_target, differentiate_softmax_row};

/* ---- logistic, pairs: values are what softplus is taken of, with the sign changed ---- */

static void add_softplus(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, bool sums)
{
    sr_real *row = tile->values + i * tile->columns;
    set_hits(state, tile, i, row, NOWHERE);
    if (!sums)
        return;
    sr_tape_kernels(tape)->log_sigmoid(state->spare, row, tile->columns);
    state->sums[tile->target + i] -= (double)sr_tape_kernels(tape)->sum(state->spare, tile->columns);
}

static void logistic_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, bool sums)
{
    add_softplus(tape, state, tile, i, sums);
}

static double logistic_target(sampled_state *state, size_t target)
{
    const double score = (double)state->target_scores[target];
    state->target_slopes[target] = -state->target_weight * sigmoid(-score);
    return state->target_weight * softplus(-score) + state->weight * state->sums[target];
}

/* The row becomes that of gradients; the result is the sum of the row. */
static double differentiate_softplus(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, double loss_gradient)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_real *row = tile->values + i * tile->columns;
    memset(state->spare, 0, tile->columns * sizeof *state->spare);
    kernels->log_sigmoid_backward(state->spare, row, state->ones, tile->columns);
    set_hits(state, tile, i, state->spare, 0);
    memset(row, 0, tile->columns * sizeof *row);
    kernels->accumulate_scaled(row, (sr_real)(loss_gradient * state->weight * state->inverse_temperature), state->spare,
                               tile->columns);
    return (double)kernels->sum(state->spare, tile->columns);
}

static void differentiate_logistic_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i,
                                       double loss_gradient)
{
    (void)differentiate_softplus(tape, state, tile, i, loss_gradient);
}

static const sampled_kind logistic_kind = {-1, logistic_row, logistic_target, differentiate_logistic_row};

static void pairs_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, bool sums)
{
    sr_tape_kernels(tape)->accumulate_scaled(tile->values + i * tile->columns, state->target_scores[tile->target + i],
                                             state->ones, tile->columns);
    add_softplus(tape, state, tile, i, sums);
}

static double pairs_target(sampled_state *state, size_t target)
{
    state->target_slopes[target] = 0;
    return state->weight * state->sums[target];
}

static void differentiate_pairs_row(sr_tape *tape, sampled_state *state, const list_tile *tile, size_t i, double loss_gradient)
{
    state->target_slopes[tile->target + i] -= state->weight * differentiate_softplus(tape, state, tile, i, loss_gradient);
}

static const sampled_kind pairs_kind = {-1, pairs_row, pairs_target, differentiate_pairs_row};

/* ---- backward ---- */

static void begin_columns(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context)
{
    gather_columns(tape, state, tile, context);
    if (!tile->is_single)
        memset(state->row_gradients, 0, tile->columns * width_of(state) * sizeof *state->row_gradients);
}

/* The part of one pair: `gradient` is that of <x, row>. */
static void differentiate_pair(sr_tape *tape, sampled_state *state, size_t target, sr_tensor *table, int32_t place,
                               sr_real gradient, sr_real factor)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t width = width_of(state);
    const sr_real *x = state->x->values + target * width, *row = row_at(table, place);
    if (state->x->wants_gradient)
        kernels->accumulate_scaled(state->x->gradient + target * width, gradient * factor, row, width);
    if (!table->wants_gradient)
        return;
    sr_real *row_gradient = table->gradient + (size_t)place * width;
    kernels->accumulate_scaled(row_gradient, gradient * factor, x, width);
    if (!state->with.scoring.unit_rows || unit_factor_is_constant(factor))
        return;
    const sr_real along = kernels->dot(row, x, width);
    kernels->accumulate_scaled(row_gradient, -factor * factor * factor * along * gradient, row, width);
}

static void backward_tile(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context)
{
    const double loss_gradient = *(const double *)context;
    const size_t width = width_of(state);
    sr_tensor *x = state->x;
    if (!tile->is_kept)
        compute_tile(tape, state, tile, false);
    for (size_t i = 0; i < tile->rows; ++i)
        state->kind->differentiate_row(tape, state, tile, i, loss_gradient);
    if (tile->is_single) {
        const int32_t *places = places_of(state, tile);
        for (size_t i = 0; i < tile->columns; ++i)
            differentiate_pair(tape, state, tile->target, state->with.table, places[i], tile->values[i], state->row_factors[i]);
        return;
    }
    if (x->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, width, tile->columns}, 1,
                     sr_plain(tile->values, tile->columns), sr_plain(state->rows, width), 1, x->gradient + tile->target * width,
                     width);
    if (state->with.table->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->columns, width, tile->rows}, 1,
                     sr_transposed(tile->values, tile->columns), sr_plain(x->values + tile->target * width, width), 1,
                     state->row_gradients, width);
}

/* Entries that name the same row add to its gradient in their order. */
static void scatter_columns(sr_tape *tape, sampled_state *state, const list_tile *tile, void *context)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_tensor *table = state->with.table;
    const size_t width = width_of(state);
    const int32_t *places = places_of(state, tile);
    (void)context;
    if (tile->is_single || !table->wants_gradient)
        return;
    for (size_t i = 0; i < tile->columns; ++i) {
        sr_real *gradient = table->gradient + (size_t)places[i] * width;
        const sr_real *of_row = state->row_gradients + i * width;
        if (state->with.scoring.unit_rows)
            accumulate_from_unit(kernels, gradient, of_row, row_at(table, places[i]), state->row_factors[i], width);
        else
            kernels->accumulate(gradient, of_row, width);
    }
}

static void sampled_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    static const tile_walk walk = {begin_columns, backward_tile, scatter_columns};
    sampled_state *state = (sampled_state *)saved;
    double loss_gradient = (double)loss->gradient[0];
    if (state->kind == &pairs_kind)
        memset(state->target_slopes, 0, state->x->rows * sizeof *state->target_slopes);
    walk_tiles(tape, state, &walk, &loss_gradient);
    /* Kept tiles are overwritten here: a second backward pass through the same loss has to compute them again. */
    state->kept = 0;
    sr_tensor *table = state->with.target_table;
    for (size_t i = 0; i < state->x->rows; ++i) {
        const int32_t place = state->with.target_places[i];
        const double gradient = loss_gradient * state->target_slopes[i] * state->inverse_temperature;
        differentiate_pair(tape, state, i, table, place, (sr_real)gradient, factor_of(tape, state, table, place));
    }
}

static const sr_operation sampled_operation = {.name = "sampled", .backward = sampled_backward};

/* ---- forward ---- */

/* The kept tiles: their elements and rows, and room for the largest of those that are not kept. */
static tile_place room_for(sampled_state *state, size_t kept_bytes)
{
    const sr_comparison *with = &state->with;
    tile_place room = {0, 0, 0};
    size_t elements = 0, rows = 0;
    state->kept = SIZE_MAX;
    for (size_t list = 0; list < with->lists; ++list)
        for (size_t column = 0; column < with->length; column += TILE_COLUMNS)
            for (size_t row = 0; row < targets_of(with, list); row += TILE_ROWS) {
                list_tile tile = tile_shape(with, list, column, row);
                const size_t size = tile.rows * tile.columns;
                tile.is_kept = state->kept == SIZE_MAX && (room.elements + size) * sizeof(sr_real) <= kept_bytes;
                if (!tile.is_kept) {
                    state->kept = smaller(state->kept, room.number);
                    elements = larger(elements, size);
                    rows = larger(rows, tile.rows);
                }
                pass_tile(&room, &tile);
            }
    room.elements += elements;
    room.rows += rows;
    return room;
}

static bool take_room(sr_tape *tape, sampled_state *state)
{
    const size_t n = state->x->rows, width = width_of(state), columns = smaller(state->with.length, TILE_COLUMNS);
    const tile_place room = room_for(state, sr_tape_is_recording(tape) ? sr_tape_kept_bytes(tape) : 0);
    state->tiles = sr_tape_take(tape, room.elements, sizeof *state->tiles);
    state->tile_maxima = sr_tape_take(tape, room.rows, sizeof *state->tile_maxima);
    state->target_scores = sr_tape_take(tape, n, sizeof *state->target_scores);
    state->sums = sr_tape_take(tape, n, sizeof *state->sums);
    state->maxima = sr_tape_take(tape, n, sizeof *state->maxima);
    state->target_slopes = sr_tape_take(tape, n, sizeof *state->target_slopes);
    state->rows = sr_tape_take(tape, columns * width, sizeof *state->rows);
    state->row_gradients = sr_tape_take(tape, columns * width, sizeof *state->row_gradients);
    state->row_factors = sr_tape_take(tape, columns, sizeof *state->row_factors);
    state->shifts = sr_tape_take(tape, columns, sizeof *state->shifts);
    state->spare = sr_tape_take(tape, columns, sizeof *state->spare);
    state->ones = sr_tape_take(tape, columns, sizeof *state->ones);
    return state->tiles && state->tile_maxima && state->target_scores && state->sums && state->maxima && state->target_slopes &&
           state->rows && state->row_gradients && state->row_factors && state->shifts && state->spare && state->ones;
}

/* Factors of all rows of the table, where lists name more rows than it has. */
static bool take_factors(sr_tape *tape, sampled_state *state)
{
    const sr_tensor *table = state->with.table;
    if (!state->with.scoring.unit_rows || table->rows > state->with.lists * state->with.length)
        return true;
    state->factors = sr_tape_take(tape, table->rows, sizeof *state->factors);
    for (size_t row = 0; state->factors && row < table->rows; ++row)
        state->factors[row] = unit_factor(sr_tape_kernels(tape), table->values + row * table->columns, table->columns);
    return state->factors;
}

static void begin_sums(sr_tape *tape, sampled_state *state)
{
    const sr_comparison *with = &state->with;
    const size_t width = width_of(state);
    for (size_t i = 0; i < smaller(with->length, TILE_COLUMNS); ++i)
        state->ones[i] = 1;
    for (size_t i = 0; i < state->x->rows; ++i) {
        const int32_t place = with->target_places[i];
        const sr_real product = sr_tape_kernels(tape)->dot(state->x->values + i * width, row_at(with->target_table, place),
                                                           width);
        state->target_scores[i] = (sr_real)state->inverse_temperature * factor_of(tape, state, with->target_table, place) *
                                  product;
        state->sums[i] = 0;
        state->maxima[i] = -INFINITY;
    }
}

/* The loss of a kind; all of `wanted` that is not known yet is made here. */
static sr_tensor *compare(sr_tape *tape, const sampled_state *wanted)
{
    static const tile_walk walk = {.begin_columns = gather_columns, .tile = forward_tile};
    const sr_comparison *with = &wanted->with;
    if (!wanted->x || !with->table || !with->target_table)
        return NULL;
    assert(wanted->x->columns == with->table->columns && wanted->x->columns == with->target_table->columns);
    assert(with->first_target[with->lists] == wanted->x->rows && with->scoring.temperature > 0);
    sampled_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = *wanted;
    state->inverse_temperature = 1 / with->scoring.temperature;
    if (!take_room(tape, state) || !take_factors(tape, state))
        return NULL;
    sr_tensor *inputs[] = {state->x, with->target_table, with->table};
    sr_tensor *loss = sr_tape_record(tape, 1, 1, inputs, 3, &sampled_operation, state);
    if (!loss)
        return NULL;
    begin_sums(tape, state);
    walk_tiles(tape, state, &walk, NULL);
    double total = 0;
    for (size_t i = 0; i < state->x->rows; ++i)
        total += state->kind->finish_target(state, i);
    loss->values[0] = (sr_real)total;
    return loss;
}

sr_tensor *sr_sampled_softmax(sr_tape *tape, sr_tensor *x, const sr_comparison *with, const sr_score_corrections *corrections,
                              double weight)
{
    return compare(
        tape, &(sampled_state){.kind = &softmax_kind, .x = x, .with = *with, .corrections = *corrections, .weight = weight});
}

sr_tensor *sr_sampled_logistic(sr_tape *tape, sr_tensor *x, const sr_comparison *with, double target_weight, double weight)
{
    return compare(tape, &(sampled_state){
                             .kind = &logistic_kind, .x = x, .with = *with, .target_weight = target_weight, .weight = weight});
}

sr_tensor *sr_sampled_pairs(sr_tape *tape, sr_tensor *x, const sr_comparison *with, double weight)
{
    return compare(tape, &(sampled_state){.kind = &pairs_kind, .x = x, .with = *with, .weight = weight});
}
