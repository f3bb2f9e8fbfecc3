/* Cross entropy over the whole catalogue, tile by tile.
 *
 *   loss = weight sum_i sum_t in T(i) ( logsumexp_v l_iv - l_it ),   l = X Eᵀ / temperature
 *   D = g weight / temperature (|T| P - onehot),   dX += D E,   dE += Dᵀ X,   P = exp(l - logsumexp)
 *
 * V is the number of classes, T(i) are the targets of a row, of which onehot counts each. Of cosines E are rows of length 1.
 * Their lengths are found once, and each tile has such copies of its rows. Rows of the table may lie in several slabs, whose
 * order only changes the order of additions. The [n, V] logits are never held as a whole: forward passes over tiles of them
 * with an online softmax (Milakov & Gimelshein 2018), and backward goes over the same tiles again. The first of them are kept
 * from forward to backward, as many as sr_tape_kept_bytes() hold; backward computes the others again: memory is bounded
 * whatever n and V are. Tiles of the same items follow each other. A matrix unit keeps exponentials as it multiplies them
 * (tensor/softmax_unit.h), and multiplies P before onehot is subtracted. */
#include "base/sizes.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/gemm.h"
#include "tensor/unit_rows.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    TILE_ROWS = SOFTMAX_UNIT_ROWS, /* examples of a tile */
    TILE_COLUMNS = 960 /* items of a tile: together about 1 MiB in single precision, what a core's L2 cache holds; no
                           power of two, whose columns would all lie in the same few sets of the L1 cache */
};

typedef struct {
    sr_tensor *x;
    const sr_slab *slabs;
    size_t slab_count;
    sr_row_targets targets;
    double weight;
    sr_scoring scoring;
    sr_real *log_sum; /* [n]: logsumexp of each row */
    /* Of unit rows: the factors of all rows, slab after slab; room for a tile's rows and their gradients
     * [TILE_COLUMNS, width]
     * */
    sr_real *factors, *unit_rows, *unit_gradients;
    sr_real *tiles;              /* room for the kept tiles one after the other, and for one that is not kept */
    sr_real *maxima;             /* likewise of their rows */
    size_t kept;                 /* tiles: the first ones */
    const sr_softmax_unit *unit; /* or NULL */
    void *unit_room;
} catalogue_state;

/* A tile: examples [row, row + rows) against rows [column, column + columns) of a slab. */
typedef struct {
    size_t row, rows, column, columns;
    const sr_slab *slab;
    const sr_real *items;   /* [columns, width]: its rows, of length 1 where scores are cosines */
    const sr_real *factors; /* [columns]: then what these were multiplied by */
    sr_real
        *exponentials; /* [rows, columns]: exp(logit - maximum of the row within the tile); or what the unit makes of that */
    sr_real *maxima;   /* [rows] */
    bool kept;
} logits_tile;

static size_t tiles_across(const sr_slab *slab)
{
    return (slab->numbers.count + TILE_COLUMNS - 1) / TILE_COLUMNS;
}

/* Tiles that lie beside each other, over all slabs. */
static size_t tiles_across_all(const sr_slab *slabs, size_t slab_count)
{
    size_t across = 0;
    for (size_t i = 0; i < slab_count; ++i)
        across += tiles_across(&slabs[i]);
    return across;
}

/* How many tiles the logits of n examples have. */
static size_t tiles_of(size_t n, const sr_slab *slabs, size_t slab_count)
{
    return (n + TILE_ROWS - 1) / TILE_ROWS * tiles_across_all(slabs, slab_count);
}

/* The numbers that a tile's exponentials take. */
static size_t elements_of(const sr_softmax_unit *unit, size_t rows, size_t columns)
{
    return unit ? unit->tile_bytes(rows, columns) / sizeof(sr_real) : rows * columns;
}

/* Where tile `number` of the logits lies: all rows of tiles for some items, then for the next ones. */
static logits_tile tile_at(size_t n, const sr_slab *slabs, size_t number)
{
    const size_t down = (n + TILE_ROWS - 1) / TILE_ROWS, row = number % down * TILE_ROWS;
    const sr_slab *slab = slabs;
    size_t place = number / down;
    while (place >= tiles_across(slab))
        place -= tiles_across(slab++);
    const size_t column = place * TILE_COLUMNS;
    return (logits_tile){.row = row,
                         .rows = smaller(n - row, TILE_ROWS),
                         .column = column,
                         .columns = smaller(slab->numbers.count - column, TILE_COLUMNS),
                         .slab = slab};
}

/* The rows of a tile, as they are scored. Unit rows are copied for the first of the tiles that have them. */
static void find_items(const sr_tape *tape, const catalogue_state *state, logits_tile *tile)
{
    const size_t width = state->x->columns;
    const sr_real *rows = tile->slab->rows->values + tile->column * width;
    tile->items = rows;
    if (!state->scoring.unit_rows)
        return;
    tile->factors = state->factors + tile->column;
    for (const sr_slab *slab = state->slabs; slab < tile->slab; ++slab)
        tile->factors += slab->numbers.count;
    tile->items = state->unit_rows;
    if (tile->row > 0)
        return;
    memcpy(state->unit_rows, rows, tile->columns * width * sizeof *rows);
    for (size_t i = 0; i < tile->columns; ++i)
        sr_tape_kernels(tape)->scale(state->unit_rows + i * width, tile->factors[i], width);
}

/* Tile `number` is the first of those with its items. What is not kept is computed in backward too. */
static void lay_items_out(const catalogue_state *state, const logits_tile *tile, size_t number, bool backward)
{
    const size_t width = state->x->columns, down = (state->x->rows + TILE_ROWS - 1) / TILE_ROWS;
    if (!backward || number + down > state->kept)
        state->unit->read_classes(state->unit_room, tile->items, tile->columns, width, false);
    if (backward)
        state->unit->read_classes(state->unit_room, tile->items, tile->columns, width, true);
}

typedef void (*tile_function)(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context);

static void for_each_tile(sr_tape *tape, const catalogue_state *state, bool backward, tile_function function, void *context)
{
    const size_t n = state->x->rows;
    sr_real *exponentials = state->tiles, *maxima = state->maxima;
    for (size_t number = 0; number < tiles_of(n, state->slabs, state->slab_count); ++number) {
        logits_tile tile = tile_at(n, state->slabs, number);
        tile.exponentials = exponentials;
        tile.maxima = maxima;
        tile.kept = number < state->kept;
        find_items(tape, state, &tile);
        if (state->unit && tile.row == 0)
            lay_items_out(state, &tile, number, backward);
        function(tape, state, &tile, context);
        if (tile.kept) {
            exponentials += elements_of(state->unit, tile.rows, tile.columns);
            maxima += tile.rows;
        }
    }
}

static softmax_part part_of(const catalogue_state *state, const logits_tile *tile)
{
    const size_t width = state->x->columns;
    return (softmax_part){.rows = tile->rows,
                          .columns = tile->columns,
                          .width = width,
                          .x = state->x->values + tile->row * width,
                          .exponentials = tile->exponentials,
                          .maxima = tile->maxima,
                          .room = state->unit_room};
}

static softmax_targets targets_of(const catalogue_state *state, const logits_tile *tile)
{
    return (softmax_targets){.targets = state->targets.items,
                             .first = state->targets.first,
                             .row = tile->row,
                             .numbers = &tile->slab->numbers,
                             .column = tile->column,
                             .columns = tile->columns};
}

/* What forward gathers of each row while it walks the tiles. */
typedef struct {
    sr_real *sums;          /* [n] of exp(logit - maximum so far); the maximum so far is in state->log_sum */
    sr_real *target_logits; /* of each target */
} forward_sums;

/* Exponentials and maxima of a tile. */
static void exponentiate(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const softmax_findings *findings)
{
    const size_t width = state->x->columns;
    const sr_real factor = (sr_real)(1 / state->scoring.temperature);
    if (state->unit) {
        const softmax_part part = part_of(state, tile);
        state->unit->forward(&part, factor, findings);
        return;
    }
    sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, tile->columns, width}, factor,
                 sr_plain(state->x->values + tile->row * width, width), sr_transposed(tile->items, width), 0,
                 tile->exponentials, tile->columns);
    for (size_t i = 0; i < tile->rows; ++i) {
        sr_real *row = tile->exponentials + i * tile->columns;
        find_targets(findings, i, row);
        findings->sums[i] = sr_tape_kernels(tape)->exponentials(row, &tile->maxima[i], tile->columns);
    }
}

static void compute_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const forward_sums *sums)
{
    sr_real of_rows[TILE_ROWS];
    const softmax_targets targets = targets_of(state, tile);
    exponentiate(tape, state, tile, &(softmax_findings){of_rows, &targets, sums ? sums->target_logits : NULL});
    for (size_t i = 0; sums && i < tile->rows; ++i) {
        sr_real *maximum = &state->log_sum[tile->row + i], *total = &sums->sums[tile->row + i];
        if (tile->maxima[i] > *maximum) {
            *total = *total * (sr_real)exp((double)(*maximum - tile->maxima[i])) + of_rows[i];
            *maximum = tile->maxima[i];
        } else {
            *total += of_rows[i] * (sr_real)exp((double)(tile->maxima[i] - *maximum));
        }
    }
}

static void forward_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context)
{
    compute_tile(tape, state, tile, context);
}

/* Where the gradient of a tile's rows as they are scored is added up; NULL: it is not wanted. */
static sr_real *begin_items(const catalogue_state *state, const logits_tile *tile)
{
    const sr_tensor *table = tile->slab->rows;
    const size_t width = table->columns;
    if (!table->wants_gradient || !state->scoring.unit_rows)
        return table->wants_gradient ? table->gradient + tile->column * width : NULL;
    memset(state->unit_gradients, 0, tile->columns * width * sizeof *state->unit_gradients);
    return state->unit_gradients;
}

static void finish_items(const sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const sr_real *gradient)
{
    const sr_tensor *table = tile->slab->rows;
    const size_t width = table->columns;
    for (size_t i = 0; gradient && state->scoring.unit_rows && i < tile->columns; ++i)
        accumulate_from_unit(sr_tape_kernels(tape), table->gradient + (tile->column + i) * width, gradient + i * width,
                             table->values + (tile->column + i) * width, tile->factors[i], width);
}

/* What products of D add: factors [rows] make |T| P of a tile's exponentials. */
static void add_products(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const sr_real *factors,
                         sr_real slope, sr_real *item_gradient)
{
    const size_t width = state->x->columns;
    sr_tensor *x = state->x;
    const softmax_targets targets = targets_of(state, tile);
    sr_real *difference = tile->exponentials; /* becomes D */
    for (size_t i = 0; i < tile->rows; ++i) {
        size_t column;
        sr_tape_kernels(tape)->scale(difference + i * tile->columns, factors[i], tile->columns);
        for (size_t target = first_target(&targets, i); target < first_target(&targets, i + 1); ++target)
            if (has_target(&targets, target, &column))
                difference[i * tile->columns + column] -= slope;
    }
    if (x->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->rows, width, tile->columns}, 1,
                     sr_plain(difference, tile->columns), sr_plain(tile->items, width), 1, x->gradient + tile->row * width,
                     width);
    if (item_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){tile->columns, width, tile->rows}, 1,
                     sr_transposed(difference, tile->columns), sr_plain(x->values + tile->row * width, width), 1, item_gradient,
                     width);
}

/* The same by the unit: products of P, and what onehot takes away. */
static void add_products_by_unit(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, const sr_real *factors,
                                 sr_real slope, sr_real *item_gradient)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t width = state->x->columns;
    const sr_real *x = state->x->values + tile->row * width;
    sr_real *x_gradient = state->x->wants_gradient ? state->x->gradient + tile->row * width : NULL;
    const softmax_part part = part_of(state, tile);
    const softmax_targets targets = targets_of(state, tile);
    state->unit->backward(&part, factors, x_gradient, item_gradient);
    for (size_t i = 0; i < tile->rows; ++i)
        for (size_t target = first_target(&targets, i); target < first_target(&targets, i + 1); ++target) {
            size_t column;
            if (!has_target(&targets, target, &column))
                continue;
            if (x_gradient)
                kernels->accumulate_scaled(x_gradient + i * width, -slope, tile->items + column * width, width);
            if (item_gradient)
                kernels->accumulate_scaled(item_gradient + column * width, -slope, x + i * width, width);
        }
}

static void backward_tile(sr_tape *tape, const catalogue_state *state, const logits_tile *tile, void *context)
{
    const sr_real slope = *(const sr_real *)context;
    sr_real factors[TILE_ROWS];
    const softmax_targets targets = targets_of(state, tile);
    if (!tile->kept)
        compute_tile(tape, state, tile, NULL);
    for (size_t i = 0; i < tile->rows; ++i) {
        const sr_real count = (sr_real)(first_target(&targets, i + 1) - first_target(&targets, i));
        factors[i] = count * slope * (sr_real)exp((double)(tile->maxima[i] - state->log_sum[tile->row + i]));
    }
    sr_real *item_gradient = begin_items(state, tile);
    (state->unit ? add_products_by_unit : add_products)(tape, state, tile, factors, slope, item_gradient);
    finish_items(tape, state, tile, item_gradient);
}

static void catalogue_backward(sr_tape *tape, const sr_tensor *loss, const void *saved)
{
    const catalogue_state *state = saved;
    sr_real slope = loss->gradient[0] * (sr_real)state->weight * (sr_real)(1 / state->scoring.temperature);
    /* Kept tiles are overwritten here: a second backward pass through the same loss has to compute them again. */
    for_each_tile(tape, state, true, backward_tile, &slope);
    ((catalogue_state *)saved)->kept = 0;
}

static const sr_operation catalogue_operation = {.name = "catalogue", .backward = catalogue_backward};

/* The kept tiles, and the elements of them and of one more where not all are kept, with the maxima of their rows. */
typedef struct {
    size_t kept, elements, maxima;
} tile_room;

/* The most columns of a tile. */
static size_t widest_of(const sr_slab *slabs, size_t slab_count)
{
    size_t widest = 0;
    for (size_t i = 0; i < slab_count; ++i)
        widest = larger(widest, smaller(slabs[i].numbers.count, TILE_COLUMNS));
    return widest;
}

static tile_room room_for(const sr_softmax_unit *unit, size_t n, const sr_slab *slabs, size_t slab_count, size_t kept_bytes)
{
    tile_room room = {0, 0, 0};
    for (; room.kept < tiles_of(n, slabs, slab_count); ++room.kept) {
        const logits_tile tile = tile_at(n, slabs, room.kept);
        const size_t elements = elements_of(unit, tile.rows, tile.columns);
        if ((room.elements + elements) * sizeof(sr_real) > kept_bytes) {
            room.elements += elements_of(unit, smaller(n, TILE_ROWS), widest_of(slabs, slab_count));
            room.maxima += smaller(n, TILE_ROWS);
            return room;
        }
        room.elements += elements;
        room.maxima += tile.rows;
    }
    return room;
}

/* The matrix unit, where there is one and n states of `width` numbers fill its tiles. */
static const sr_softmax_unit *unit_for(const sr_tape *tape, size_t n, size_t width)
{
    enum { FEWEST = 32 };
    return n >= FEWEST && width >= FEWEST ? sr_tape_products(tape)->softmax : NULL;
}

static void *take_unit_room(sr_tape *tape, const sr_softmax_unit *unit, const sr_slab *slabs, size_t slab_count)
{
    return sr_tape_take(tape, unit->room_bytes(widest_of(slabs, slab_count), slabs[0].rows->columns), 1);
}

size_t sr_catalogue_cross_entropy_memory(size_t rows, size_t classes, size_t kept_bytes)
{
    const sr_slab all = {.numbers = {.count = classes}};
    const tile_room room = room_for(NULL, rows, &all, 1, kept_bytes);
    const size_t of_rows = 3; /* logarithms, sums, logits of targets */
    return (room.elements + room.maxima + of_rows * rows) * sizeof(sr_real);
}

/* The elements that unit rows take: factors of all, and room for a tile's rows and their gradients. */
static size_t room_for_unit_rows(size_t classes, size_t width)
{
    return classes + 2 * smaller(classes, TILE_COLUMNS) * width;
}

size_t sr_unit_classes_memory(size_t classes, size_t width)
{
    return room_for_unit_rows(classes, width) * sizeof(sr_real);
}

static bool take_unit_rows(sr_tape *tape, catalogue_state *state)
{
    const size_t width = state->x->columns;
    size_t classes = 0;
    for (size_t i = 0; i < state->slab_count; ++i)
        classes += state->slabs[i].numbers.count;
    sr_real *room = sr_tape_take(tape, room_for_unit_rows(classes, width), sizeof *room);
    if (!room)
        return false;
    state->factors = room;
    state->unit_rows = room + classes;
    state->unit_gradients = state->unit_rows + smaller(classes, TILE_COLUMNS) * width;
    for (size_t i = 0; i < state->slab_count; ++i)
        for (size_t row = 0; row < state->slabs[i].numbers.count; ++row)
            *room++ = unit_factor(sr_tape_kernels(tape), state->slabs[i].rows->values + row * width, width);
    return true;
}

static bool take_state(sr_tape *tape, catalogue_state *state)
{
    const size_t n = state->x->rows;
    state->unit = unit_for(tape, n, state->x->columns);
    state->unit_room = state->unit ? take_unit_room(tape, state->unit, state->slabs, state->slab_count) : NULL;
    const tile_room room = room_for(state->unit, n, state->slabs, state->slab_count,
                                    sr_tape_is_recording(tape) ? sr_tape_kept_bytes(tape) : 0);
    state->kept = room.kept;
    state->tiles = sr_tape_take(tape, room.elements, sizeof *state->tiles);
    state->maxima = sr_tape_take(tape, room.maxima, sizeof *state->maxima);
    state->log_sum = sr_tape_take(tape, n, sizeof *state->log_sum);
    return (!state->unit || state->unit_room) && state->tiles && state->maxima && state->log_sum &&
           (!state->scoring.unit_rows || take_unit_rows(tape, state));
}

/* The tensors that the loss depends on: the states and each slab. */
static sr_tensor *record_loss(sr_tape *tape, const catalogue_state *state)
{
    sr_tensor **inputs = sr_tape_take(tape, 1 + state->slab_count, sizeof(sr_tensor *));
    if (!inputs)
        return NULL;
    inputs[0] = state->x;
    for (size_t i = 0; i < state->slab_count; ++i)
        inputs[1 + i] = state->slabs[i].rows;
    return sr_tape_record(tape, 1, 1, inputs, 1 + state->slab_count, &catalogue_operation, state);
}

static void begin_sums(size_t n, size_t target_count, sr_real *maxima, const forward_sums *sums)
{
    for (size_t i = 0; i < n; ++i) {
        maxima[i] = (sr_real)-INFINITY;
        sums->sums[i] = 0;
    }
    for (size_t target = 0; target < target_count; ++target)
        sums->target_logits[target] = (sr_real)NAN; /* stays so where no slab has it */
}

sr_tensor *sr_slabs_cross_entropy(sr_tape *tape, sr_tensor *x, const sr_slab *slabs, size_t slab_count,
                                  const sr_row_targets *targets, const sr_scoring *scoring, double weight)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < slab_count; ++i) {
        if (!slabs[i].rows)
            return NULL;
        assert(x->columns == slabs[i].rows->columns && slabs[i].numbers.count >= 1 &&
               slabs[i].numbers.count <= slabs[i].rows->rows);
    }
    const size_t n = x->rows, target_count = targets->first ? targets->first[n] : n;
    catalogue_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (catalogue_state){
        .x = x, .slabs = slabs, .slab_count = slab_count, .targets = *targets, .weight = weight, .scoring = *scoring};
    forward_sums sums = {sr_tape_take(tape, n, sizeof *sums.sums),
                         sr_tape_take(tape, target_count, sizeof *sums.target_logits)};
    if (!take_state(tape, state) || !sums.sums || !sums.target_logits)
        return NULL;
    sr_tensor *loss = record_loss(tape, state);
    if (!loss)
        return NULL;
    begin_sums(n, target_count, state->log_sum, &sums);
    for_each_tile(tape, state, false, forward_tile, &sums);
    double total = 0;
    for (size_t i = 0; i < n; ++i) {
        state->log_sum[i] += (sr_real)log((double)sums.sums[i]);
        const size_t first = targets->first ? targets->first[i] : i, end = targets->first ? targets->first[i + 1] : i + 1;
        for (size_t target = first; target < end; ++target)
            total += (double)state->log_sum[i] - (double)sums.target_logits[target];
    }
    loss->values[0] = (sr_real)(weight * total);
    return loss;
}

/* ---- slabs of which other processes have the rest ---- */

bool sr_softmax_begin(sr_tape *tape, const sr_slab *slabs, size_t slab_count, const sr_scoring *scoring,
                      sr_softmax_slabs *begun)
{
    sr_tensor width_alone = {.columns = slabs[0].rows->columns};
    catalogue_state state = {.x = &width_alone, .slabs = slabs, .slab_count = slab_count, .scoring = *scoring};
    *begun = (sr_softmax_slabs){.slabs = slabs, .slab_count = slab_count, .scoring = *scoring};
    const sr_softmax_unit *unit = unit_for(tape, SIZE_MAX, width_alone.columns);
    begun->unit_room = unit ? take_unit_room(tape, unit, slabs, slab_count) : NULL;
    if (unit && !begun->unit_room)
        return false;
    if (!scoring->unit_rows)
        return true;
    if (!take_unit_rows(tape, &state))
        return false;
    begun->factors = state.factors;
    begun->unit_rows = state.unit_rows;
    begun->unit_gradients = state.unit_gradients;
    return true;
}

bool sr_softmax_take_tiles(sr_tape *tape, size_t n, const sr_softmax_slabs *slabs, size_t *kept_bytes, sr_softmax_tiles *tiles)
{
    const tile_room room = room_for(unit_for(tape, n, slabs->slabs[0].rows->columns), n, slabs->slabs, slabs->slab_count,
                                    *kept_bytes);
    *tiles = (sr_softmax_tiles){.tiles = sr_tape_take(tape, room.elements, sizeof(sr_real)),
                                .maxima = sr_tape_take(tape, room.maxima, sizeof(sr_real)),
                                .kept = room.kept};
    const size_t used = room.elements * sizeof(sr_real);
    *kept_bytes -= smaller(used, *kept_bytes);
    return tiles->tiles && tiles->maxima;
}

static catalogue_state state_of(const sr_tape *tape, sr_tensor *x, const sr_softmax_slabs *slabs, const int32_t *targets,
                                const sr_softmax_tiles *tiles)
{
    return (catalogue_state){.x = x,
                             .slabs = slabs->slabs,
                             .slab_count = slabs->slab_count,
                             .targets = {.items = targets},
                             .scoring = slabs->scoring,
                             .factors = slabs->factors,
                             .unit_rows = slabs->unit_rows,
                             .unit_gradients = slabs->unit_gradients,
                             .tiles = tiles->tiles,
                             .maxima = tiles->maxima,
                             .kept = tiles->kept,
                             .unit = unit_for(tape, x->rows, x->columns),
                             .unit_room = slabs->unit_room};
}

void sr_softmax_forward(sr_tape *tape, sr_tensor *x, const sr_softmax_slabs *slabs, const int32_t *targets,
                        const sr_softmax_parts *parts, const sr_softmax_tiles *tiles)
{
    catalogue_state state = state_of(tape, x, slabs, targets, tiles);
    forward_sums sums = {parts->sums, parts->target_logits};
    state.log_sum = parts->maxima;
    begin_sums(x->rows, x->rows, parts->maxima, &sums);
    for_each_tile(tape, &state, false, forward_tile, &sums);
}

void sr_softmax_backward(sr_tape *tape, sr_tensor *x, const sr_softmax_slabs *slabs, const int32_t *targets,
                         const sr_real *log_sums, double weight, sr_softmax_tiles *tiles)
{
    catalogue_state state = state_of(tape, x, slabs, targets, tiles);
    sr_real slope = (sr_real)weight * (sr_real)(1 / slabs->scoring.temperature);
    state.log_sum = (sr_real *)log_sums; /* only read */
    for_each_tile(tape, &state, true, backward_tile, &slope);
    tiles->kept = 0; /* they were overwritten */
}

sr_tensor *sr_catalogue_cross_entropy(sr_tape *tape, sr_tensor *x, sr_tensor *table, size_t classes, const int32_t *targets,
                                      double weight)
{
    static const sr_scoring products = {.temperature = 1};
    sr_slab *all = sr_tape_take(tape, 1, sizeof *all);
    if (!all)
        return NULL;
    *all = (sr_slab){.rows = table, .numbers = {.count = classes}};
    for (size_t i = 0; x && i < x->rows; ++i)
        assert(targets[i] >= 0 && (size_t)targets[i] < classes);
    return sr_slabs_cross_entropy(tape, x, all, 1, &(sr_row_targets){.items = targets}, &products, weight);
}
