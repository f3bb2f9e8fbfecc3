/* An attack on attention (Zhou et al. 2023, section 4.2): what a mask M over the attention weights does to them.
 *
 *   attacked   = base * M + noise * (1 - M)
 *   calibrated = base * exp(1 - M)
 *
 * and how the calibrated weights are brought back to a distribution and combined with the base. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <string.h>

/* ---- attacked ---- */

typedef struct {
    sr_tensor *base, *mask;
    const sr_real *noise;
} attacked_state;

/* dbase += dout M,  dM += dout (base - noise) */
static void attacked_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)tape;
    const attacked_state *state = saved;
    const sr_tensor *base = state->base, *mask = state->mask;
    for (size_t cell = 0; cell < out->rows; ++cell) {
        if (base->wants_gradient)
            base->gradient[cell] += out->gradient[cell] * mask->values[cell];
        if (mask->wants_gradient)
            mask->gradient[cell] += out->gradient[cell] * (base->values[cell] - state->noise[cell]);
    }
}

static const sr_operation attacked_operation = {.name = "attacked", .backward = attacked_backward};

sr_tensor *sr_attacked_weights(sr_tape *tape, sr_tensor *base, sr_tensor *mask, const sr_real *noise)
{
    if (!base || !mask || !noise)
        return NULL;
    assert(base->rows == mask->rows);
    attacked_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (attacked_state){base, mask, noise};
    sr_tensor *inputs[] = {base, mask};
    sr_tensor *out = sr_tape_record(tape, base->rows, 1, inputs, 2, &attacked_operation, state);
    for (size_t cell = 0; out && cell < base->rows; ++cell)
        out->values[cell] = base->values[cell] * mask->values[cell] + noise[cell] * (1 - mask->values[cell]);
    return out;
}

/* ---- calibrated ---- */

enum { PIECE = 512 }; /* cells whose factors are held at a time */

typedef struct {
    sr_tensor *base, *mask;
} calibrated_state;

/* factors = exp(1 - M) for `count` cells from `first` on. */
static void calibrating_factors(const sr_kernels *kernels, const sr_tensor *mask, size_t first, size_t count, sr_real *factors)
{
    for (size_t i = 0; i < count; ++i)
        factors[i] = 1 - mask->values[first + i];
    kernels->exponential(factors, factors, count);
}

/* dbase += dout exp(1 - M),  dM -= dout base exp(1 - M) */
static void calibrated_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const calibrated_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_real factors[PIECE];
    for (size_t first = 0; state->base->wants_gradient && first < out->rows; first += PIECE) {
        const size_t count = out->rows - first < PIECE ? out->rows - first : PIECE;
        calibrating_factors(kernels, state->mask, first, count, factors);
        kernels->accumulate_product(state->base->gradient + first, out->gradient + first, factors, count);
    }
    for (size_t cell = 0; state->mask->wants_gradient && cell < out->rows; ++cell)
        state->mask->gradient[cell] -= out->gradient[cell] * out->values[cell];
}

static sr_graph_value describe_calibrated(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const calibrated_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value rest = SR_GRAPH(g, "Sub", sr_graph_number(g, 1), described(to, state->mask));
    return SR_GRAPH(g, "Mul", described(to, state->base), SR_GRAPH(g, "Exp", rest));
}

static const sr_operation calibrated_operation = {
    .name = "calibrated_weights", .backward = calibrated_backward, .describe = describe_calibrated};

sr_tensor *sr_calibrated_weights(sr_tape *tape, sr_tensor *base, sr_tensor *mask)
{
    if (!base || !mask)
        return NULL;
    assert(base->rows == mask->rows);
    calibrated_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (calibrated_state){base, mask};
    sr_tensor *inputs[] = {base, mask};
    sr_tensor *out = sr_tape_record(tape, base->rows, 1, inputs, 2, &calibrated_operation, state);
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_real factors[PIECE];
    for (size_t first = 0; out && first < base->rows; first += PIECE) {
        const size_t count = base->rows - first < PIECE ? base->rows - first : PIECE;
        calibrating_factors(kernels, mask, first, count, factors);
        kernels->multiply(out->values + first, base->values + first, factors, count);
    }
    return out;
}

/* ---- gate ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *base, *calibrated, *logits, *out;
    sr_real *gates; /* [window] scratch: sigmoid(logits) of one row's visible keys */
} gate_state;

/* One row of the map: query `query` of sequence s, whose visible keys are [begin, end). All heads share its gates. */
typedef struct {
    size_t s, query, begin, end;
    size_t first_cell, cell_stride; /* of the first head's row; those of the others follow `cell_stride` apart */
    const int32_t *columns;         /* of the sequence's keys */
} gate_row;

/* Calls `function` for each row, with the gates of its visible keys in state->gates. */
static void for_each_gate_row(const sr_kernels *kernels, const gate_state *state,
                              void (*function)(const gate_state *, const gate_row *))
{
    const sr_attention_map *map = state->map;
    const sr_layout *layout = map->layout;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t first_query = map->queries->offsets[s], end_query = map->queries->offsets[s + 1];
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        gate_row row = {.s = s, .cell_stride = (end_query - first_query) * keys};
        row.columns = layout->columns + map->keys->tokens[map->keys->offsets[s]]; /* keys of a sequence are neighbours */
        for (row.query = first_query; row.query < end_query; ++row.query) {
            row.first_cell = map->offsets[s] + (row.query - first_query) * keys;
            sr_visible_keys(map, s, row.query, &row.begin, &row.end);
            const sr_real *logits = state->logits->values + row.query * state->logits->columns + row.columns[0];
            kernels->activation(SR_ACTIVATION_SIGMOID, state->gates + row.begin, logits + row.begin, row.end - row.begin);
            function(state, &row);
        }
    }
}

static void gate_forward_row(const gate_state *state, const gate_row *row)
{
    const size_t keys = state->map->keys->offsets[row->s + 1] - state->map->keys->offsets[row->s];
    for (size_t head = 0; head < state->map->heads; ++head) {
        const size_t first = row->first_cell + head * row->cell_stride;
        const sr_real *base = state->base->values + first, *calibrated = state->calibrated->values + first;
        sr_real *out = state->out->values + first;
        memset(out, 0, keys * sizeof *out);
        for (size_t j = row->begin; j < row->end; ++j)
            out[j] = calibrated[j] + state->gates[j] * (base[j] - calibrated[j]);
    }
}

/* dbase += g dout,  dcalibrated += (1 - g) dout,  dlogit_ij += sum over heads of dout (base - calibrated) g (1 - g) */
static void gate_backward_row(const gate_state *state, const gate_row *row)
{
    sr_tensor *base = state->base, *calibrated = state->calibrated, *logits = state->logits;
    const size_t logit_row = row->query * logits->columns + (size_t)row->columns[0];
    for (size_t head = 0; head < state->map->heads; ++head)
        for (size_t j = row->begin; j < row->end; ++j) {
            const size_t cell = row->first_cell + head * row->cell_stride + j;
            const sr_real gate = state->gates[j], gradient = state->out->gradient[cell];
            if (base->wants_gradient)
                base->gradient[cell] += gate * gradient;
            if (calibrated->wants_gradient)
                calibrated->gradient[cell] += (1 - gate) * gradient;
            if (logits->wants_gradient)
                logits->gradient[logit_row + j] += gradient * (base->values[cell] - calibrated->values[cell]) * gate *
                                                   (1 - gate);
        }
}

static void gate_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)out;
    for_each_gate_row(sr_tape_kernels(tape), saved, gate_backward_row);
}

/* The gates of columns behind the window, if there are any, are not read. */
static sr_graph_value describe_gate(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const gate_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value calibrated = described(to, state->calibrated);
    sr_graph_value logits = described(to, state->logits);
    if (state->logits->columns > state->map->layout->window)
        logits = sr_graph_slice(g, logits, -1, 0, (int64_t)state->map->layout->window);
    const sr_graph_value gates = sr_graph_add_axis(g, SR_GRAPH(g, "Sigmoid", logits), 1);
    const sr_graph_value difference = SR_GRAPH(g, "Sub", described(to, state->base), calibrated);
    return SR_GRAPH(g, "Add", calibrated, SR_GRAPH(g, "Mul", gates, difference));
}

static const sr_operation gate_operation = {.name = "gated_weights", .backward = gate_backward, .describe = describe_gate};

sr_tensor *sr_gated_weights(sr_tape *tape, sr_tensor *base, sr_tensor *calibrated, sr_tensor *logits,
                            const sr_attention_map *map)
{
    if (!base || !calibrated || !logits)
        return NULL;
    assert(base->rows == sr_attention_map_cells(map) && calibrated->rows == base->rows);
    assert(logits->rows == sr_rows_count(map->queries, map->layout) && logits->columns >= map->layout->window);
    gate_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *gates = sr_tape_take(tape, map->layout->window, sizeof *gates);
    if (!state || !gates)
        return NULL;
    sr_tensor *inputs[] = {base, calibrated, logits};
    sr_tensor *out = sr_tape_record(tape, base->rows, 1, inputs, 3, &gate_operation, state);
    if (!out)
        return NULL;
    *state = (gate_state){map, base, calibrated, logits, out, gates};
    for_each_gate_row(sr_tape_kernels(tape), state, gate_forward_row);
    return out;
}

/* ---- mass ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *weights, *out;
} mass_state;

/* What a row is divided by: its sum, or 1 when nothing is left of it (dropout may take every weight). */
static sr_real divisor(const sr_kernels *kernels, const sr_real *values, size_t count)
{
    const sr_real sum = kernels->sum(values, count);
    return sum == 0 ? 1 : sum;
}

static void mass_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const mass_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const sr_real *in = state->weights->values + block->cell + i * block->keys;
        sr_real *out = state->out->values + block->cell + i * block->keys;
        const sr_real mass = divisor(sr_tape_kernels(tape), in + begin, end - begin);
        memset(out, 0, block->keys * sizeof *out);
        for (size_t j = begin; j < end; ++j)
            out[j] = in[j] / mass;
    }
}

/* dW_ij += (dout_ij - sum_j out_ij dout_ij) / mass_i */
static void mass_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const mass_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        visible_keys(map, block, i, &begin, &end);
        const size_t first = block->cell + i * block->keys + begin, count = end - begin;
        const sr_real *out_gradient = state->out->gradient + first;
        const sr_real mass = divisor(sr_tape_kernels(tape), state->weights->values + first, count);
        const sr_real inner = sr_tape_kernels(tape)->dot(state->out->values + first, out_gradient, count);
        for (size_t j = 0; j < count; ++j)
            state->weights->gradient[first + j] += (out_gradient[j] - inner) / mass;
    }
}

static void mass_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)out;
    const mass_state *state = saved;
    for_each_head(tape, state->map, 0, mass_backward_head, state);
}

static sr_graph_value describe_mass(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const mass_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value weights = described(to, state->weights), sums = sr_graph_sum(g, weights, -1);
    const sr_graph_value is_nothing = SR_GRAPH(g, "Equal", sums, sr_graph_number(g, 0));
    return SR_GRAPH(g, "Div", weights, SR_GRAPH(g, "Where", is_nothing, sr_graph_number(g, 1), sums));
}

static const sr_operation mass_operation = {.name = "attention_mass", .backward = mass_backward, .describe = describe_mass};

sr_tensor *sr_attention_mass(sr_tape *tape, sr_tensor *weights, const sr_attention_map *map)
{
    if (!weights)
        return NULL;
    assert(weights->rows == sr_attention_map_cells(map));
    mass_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *out = sr_tape_record(tape, weights->rows, 1, &weights, 1, &mass_operation, state);
    if (!out)
        return NULL;
    *state = (mass_state){map, weights, out};
    for_each_head(tape, map, 0, mass_forward_head, state);
    return out;
}

/* ---- penalty ---- */

typedef struct {
    const sr_attention_map *map;
    sr_tensor *mask;
    bool visible_only;
    sr_real factor; /* backward: gradient of the sum */
    double *sum;    /* forward */
} squares_state;

/* The cells of a query's row that count: of a padding query none, if only visible cells do. */
static void counted_cells(const squares_state *state, const head_block *block, size_t i, size_t *begin, size_t *end)
{
    const sr_layout *layout = state->map->layout;
    *begin = 0;
    *end = block->keys;
    if (!state->visible_only)
        return;
    visible_keys(state->map, block, i, begin, end);
    if (!sr_is_item(layout, block->s, state->map->queries->tokens[block->query_row + i]))
        *end = *begin;
}

static void squares_forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    const squares_state *state = saved;
    double sum = 0;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        counted_cells(state, block, i, &begin, &end);
        const sr_real *row = state->mask->values + block->cell + i * block->keys;
        sr_real row_sum = 0;
        for (size_t j = begin; j < end; ++j)
            row_sum += (1 - row[j]) * (1 - row[j]);
        sum += (double)row_sum;
    }
    if (!state->visible_only) /* columns that are not even keys of the map */
        sum += (double)(block->queries * (map->layout->window - block->keys));
    *state->sum += sum;
}

/* dM -= 2 g (1 - M) */
static void squares_backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    (void)tape;
    (void)map;
    const squares_state *state = saved;
    for (size_t i = 0; i < block->queries; ++i) {
        size_t begin, end;
        counted_cells(state, block, i, &begin, &end);
        const size_t row = block->cell + i * block->keys;
        for (size_t j = begin; j < end; ++j)
            state->mask->gradient[row + j] -= 2 * state->factor * (1 - state->mask->values[row + j]);
    }
}

static void squares_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    squares_state state = *(const squares_state *)saved;
    state.factor = out->gradient[0];
    for_each_head(tape, state.map, 0, squares_backward_head, &state);
}

static const sr_operation squares_operation = {.name = "squares", .backward = squares_backward};

sr_tensor *sr_mask_squares(sr_tape *tape, sr_tensor *mask, const sr_attention_map *map, bool visible_only, double *sum)
{
    *sum = 0;
    if (!mask)
        return NULL;
    assert(mask->rows == sr_attention_map_cells(map));
    squares_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    sr_tensor *out = sr_tape_record(tape, 1, 1, &mask, 1, &squares_operation, state);
    if (!out)
        return NULL;
    *state = (squares_state){.map = map, .mask = mask, .visible_only = visible_only, .sum = sum};
    for_each_head(tape, map, 0, squares_forward_head, state);
    out->values[0] = (sr_real)*sum;
    return out;
}
