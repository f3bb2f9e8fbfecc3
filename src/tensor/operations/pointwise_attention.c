/* Pointwise attention with biases of relative positions and times (Zhai et al. 2024).
 *
 *   b_ij = s_ij + positions[i - j] + times[bucket_ij],   A_ij = SiLU(b_ij) / divisor
 *
 * There is no softmax: rows need not sum to 1. b is computed again in the backward pass. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/head_block.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- buckets of time ---- */

static const double BUCKET_WIDTH = 0.301; /* of the natural logarithm, as published */

/* In double precision: in single precision gaps close to a boundary would come into another bucket. */
static size_t bucket_of(uint64_t gap)
{
    return gap <= 1 ? 0 : (size_t)floor(log((double)gap) / BUCKET_WIDTH);
}

/* The smallest gap of each bucket; and by the number of bits of a gap, the bucket of the smallest gap with so many,
 * where the search begins. A logarithm for every cell would take longer than all else. */
enum { LAST_BUCKET = 147, BITS = 64 }; /* that of the largest gap */
typedef struct {
    uint64_t begins[LAST_BUCKET + 1];
    size_t first[BITS + 1];
} bucket_table;

static size_t bits_of(uint64_t gap)
{
    return gap ? (size_t)(BITS - __builtin_clzll(gap)) : 0;
}

/* The smallest gap in this bucket or a later one: close to what the exponential says. */
static uint64_t begin_of(size_t bucket)
{
    const double guess = exp((double)bucket * BUCKET_WIDTH);
    uint64_t low = (uint64_t)(guess * (1 - 1e-12)), high = (uint64_t)(guess * (1 + 1e-12)) + 2;
    if (bucket == 0)
        return 0;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (bucket_of(middle) >= bucket)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void fill(bucket_table *table)
{
    for (size_t bucket = 0; bucket <= LAST_BUCKET; ++bucket)
        table->begins[bucket] = begin_of(bucket);
    table->first[0] = 0;
    for (size_t bits = 1; bits <= BITS; ++bits)
        table->first[bits] = bucket_of((uint64_t)1 << (bits - 1));
}

static size_t look_up(const bucket_table *table, uint64_t gap)
{
    size_t bucket = table->first[bits_of(gap)];
    while (bucket < LAST_BUCKET && gap >= table->begins[bucket + 1])
        ++bucket;
    return bucket;
}

size_t sr_time_bucket(int64_t left, int64_t right, int64_t unit, size_t largest)
{
    const uint64_t difference = left > right ? (uint64_t)left - (uint64_t)right : (uint64_t)right - (uint64_t)left;
    const size_t bucket = bucket_of(difference / (uint64_t)unit);
    return bucket < largest ? bucket : largest;
}

typedef struct {
    const sr_attention_map *map;
    sr_bucketing by;
} buckets_note;

/* [batch, queries, keys] */
static sr_graph_value describe_buckets(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const buckets_note *note = saved;
    sr_graph *g = description_graph(to);
    sr_graph_value query_times = described_array(to, note->by.query_times);
    if (are_read(to, note->map->queries->tokens))
        query_times = described_read_rows(to, query_times);
    const sr_graph_value key_times = described_array(to, note->by.key_times);
    const sr_graph_value gap = SR_GRAPH(
        g, "Abs", SR_GRAPH(g, "Sub", sr_graph_add_axis(g, query_times, 2), sr_graph_add_axis(g, key_times, 1)));
    const sr_graph_value units = SR_GRAPH(g, "Max", SR_GRAPH(g, "Div", gap, sr_graph_integer(g, note->by.unit)),
                                          sr_graph_integer(g, 1));
    const sr_graph_value logarithm = SR_GRAPH(g, "Log", SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_DOUBLE, units));
    const sr_graph_value bucket = SR_GRAPH(g, "Floor", SR_GRAPH(g, "Div", logarithm, sr_graph_double(g, BUCKET_WIDTH)));
    return SR_GRAPH(g, "Min", SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, bucket),
                    sr_graph_integer(g, (int64_t)note->by.largest));
}

static const sr_operation buckets_operation = {.name = "time_buckets", .describe = describe_buckets};

const uint16_t *sr_time_buckets(sr_tape *tape, const sr_attention_map *map, const sr_bucketing *by)
{
    if (!map)
        return NULL;
    bucket_table *table = sr_tape_take(tape, 1, sizeof *table);
    uint16_t *buckets = sr_tape_take(tape, sr_attention_map_cells(map) / map->heads, sizeof *buckets);
    buckets_note *note = sr_tape_take(tape, 1, sizeof *note);
    if (!table || !buckets || !note)
        return NULL;
    *note = (buckets_note){map, *by};
    if (!sr_tape_note(tape, buckets, &buckets_operation, note))
        return NULL;
    fill(table);
    uint16_t *cell = buckets;
    for (size_t s = 0; s < map->layout->sequences; ++s)
        for (size_t query = map->queries->offsets[s]; query < map->queries->offsets[s + 1]; ++query) {
            const int64_t time = by->query_times[map->queries->tokens[query]];
            for (size_t key = map->keys->offsets[s]; key < map->keys->offsets[s + 1]; ++key, ++cell) {
                const int64_t other = by->key_times[map->keys->tokens[key]];
                const uint64_t gap = time > other ? (uint64_t)time - (uint64_t)other : (uint64_t)other - (uint64_t)time;
                const size_t bucket = look_up(table, by->unit == 1 ? gap : gap / (uint64_t)by->unit);
                *cell = (uint16_t)(bucket < by->largest ? bucket : by->largest);
            }
        }
    return buckets;
}

/* ---- attention ---- */

typedef struct {
    const sr_attention_map *map;
    sr_relative_biases biases;
    sr_tensor *scores, *weights;
    sr_real factor;                    /* 1 / divisor */
    sr_real *biased, *gradient;        /* [keys of the longest sequence]: a row of b, and of its gradient */
    double *position_sums, *time_sums; /* gradients of the biases; NULL: they want none */
} pointwise_state;

/* The keys that row `query` of the block sees: none where it is padding. */
static void keys_of_item(const sr_attention_map *map, const head_block *block, size_t query, size_t *begin, size_t *end)
{
    visible_keys(map, block, query, begin, end);
    if (!sr_is_item(map->layout, block->s, map->queries->tokens[block->query_row + query]))
        *end = *begin;
}

/* Of a row of the block: the buckets of its keys. */
static const uint16_t *buckets_of(const pointwise_state *state, const head_block *block, size_t query)
{
    return state->biases.buckets + state->map->offsets[block->s] / state->map->heads + query * block->keys;
}

/* b_ij of keys begin .. end in state->biased, from its start. */
static void add_biases(const pointwise_state *state, const head_block *block, size_t query, size_t begin, size_t end)
{
    const sr_real *scores = state->scores->values + block->cell + query * block->keys;
    memcpy(state->biased, scores + begin, (end - begin) * sizeof *scores);
    if (state->biases.positions) {
        const int32_t column = query_column(state->map, block, query);
        for (size_t key = begin; key < end; ++key)
            state->biased[key - begin] += state->biases.positions->values[column - key_column(state->map, block, key)];
    }
    if (state->biases.times) {
        const uint16_t *buckets = buckets_of(state, block, query);
        for (size_t key = begin; key < end; ++key)
            state->biased[key - begin] += state->biases.times->values[buckets[key]];
    }
}

static void forward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const pointwise_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t query = 0; query < block->queries; ++query) {
        size_t begin, end;
        keys_of_item(map, block, query, &begin, &end);
        sr_real *row = state->weights->values + block->cell + query * block->keys;
        memset(row, 0, begin * sizeof *row);
        memset(row + end, 0, (block->keys - end) * sizeof *row);
        add_biases(state, block, query, begin, end);
        kernels->activation(SR_ACTIVATION_SWISH, row + begin, state->biased, end - begin);
        kernels->scale(row + begin, state->factor, end - begin);
    }
}

/* dS_ij += dA_ij SiLU'(b_ij) / divisor,  dpositions[i - j] and dtimes[bucket_ij] += the same */
static void backward_head(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *saved)
{
    const pointwise_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t query = 0; query < block->queries; ++query) {
        size_t begin, end;
        keys_of_item(map, block, query, &begin, &end);
        const size_t first = block->cell + query * block->keys + begin, count = end - begin;
        add_biases(state, block, query, begin, end);
        memset(state->gradient, 0, count * sizeof *state->gradient);
        kernels->activation_backward(SR_ACTIVATION_SWISH, state->gradient, state->biased, state->weights->gradient + first,
                                     count);
        kernels->scale(state->gradient, state->factor, count);
        if (state->scores->wants_gradient)
            kernels->accumulate(state->scores->gradient + first, state->gradient, count);
        const int32_t column = query_column(map, block, query);
        for (size_t key = 0; state->position_sums && key < count; ++key)
            state->position_sums[column - key_column(map, block, begin + key)] += (double)state->gradient[key];
        const uint16_t *buckets = state->time_sums ? buckets_of(state, block, query) + begin : NULL;
        for (size_t key = 0; buckets && key < count; ++key)
            state->time_sums[buckets[key]] += (double)state->gradient[key];
    }
}

/* Room for the gradient of a bias, all 0; NULL where it wants none. */
static double *cleared(double *sums, const sr_tensor *bias)
{
    if (!bias || !bias->wants_gradient)
        return NULL;
    memset(sums, 0, bias->columns * sizeof *sums);
    return sums;
}

static void add_sums(sr_tensor *bias, const double *sums)
{
    for (size_t i = 0; sums && i < bias->columns; ++i)
        bias->gradient[i] += (sr_real)sums[i];
}

static void pointwise_backward(sr_tape *tape, const sr_tensor *weights, const void *saved)
{
    (void)weights;
    pointwise_state state = *(const pointwise_state *)saved;
    state.position_sums = cleared(state.position_sums, state.biases.positions);
    state.time_sums = cleared(state.time_sums, state.biases.times);
    for_each_head(tape, state.map, 0, backward_head, &state);
    add_sums(state.biases.positions, state.position_sums);
    add_sums(state.biases.times, state.time_sums);
}

/* The bias of each distance of columns, [window, window]; what it is where the key is later has no effect. */
static sr_graph_value describe_position_biases(sr_description *to, const pointwise_state *state)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value columns = described_columns(to);
    const sr_graph_value apart = SR_GRAPH(g, "Sub", sr_graph_add_axis(g, columns, 1), columns);
    const sr_graph_value distance = SR_GRAPH(g, "Max", apart, sr_graph_integer(g, 0));
    const sr_graph_value biases = SR_GRAPH_WITH(g, "Gather", "axis", 0, described(to, state->biases.positions), distance);
    return described_by_columns(to, state->map, biases);
}

static sr_graph_value describe_pointwise(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const pointwise_state *state = saved;
    sr_graph *g = description_graph(to);
    sr_graph_value biased = described(to, state->scores), is_item = described_items(to);
    if (state->biases.positions)
        biased = SR_GRAPH(g, "Add", biased, describe_position_biases(to, state));
    if (state->biases.times) {
        const sr_graph_value of_cells = SR_GRAPH_WITH(g, "Gather", "axis", 0, described(to, state->biases.times),
                                                      described_array(to, state->biases.buckets));
        biased = SR_GRAPH(g, "Add", biased, sr_graph_add_axis(g, of_cells, 1));
    }
    if (are_read(to, state->map->queries->tokens))
        is_item = described_read_rows(to, is_item);
    const sr_graph_value seen = SR_GRAPH(g, "And", described_visible(to, state->map),
                                         sr_graph_add_axis(g, sr_graph_add_axis(g, is_item, 1), 3));
    const sr_graph_value opened = SR_GRAPH(g, "Mul", biased, SR_GRAPH(g, "Sigmoid", biased));
    return SR_GRAPH(g, "Where", seen, sr_graph_scaled(g, opened, (double)state->factor), sr_graph_number(g, 0));
}

static const sr_operation pointwise_operation = {
    .name = "pointwise_attention", .backward = pointwise_backward, .describe = describe_pointwise};

static size_t most_keys(const sr_attention_map *map)
{
    size_t most = 1;
    for (size_t s = 0; s < map->layout->sequences; ++s) {
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        most = keys > most ? keys : most;
    }
    return most;
}

sr_tensor *sr_pointwise_attention(sr_tape *tape, sr_tensor *scores, const sr_attention_map *map,
                                  const sr_relative_biases *biases, double divisor)
{
    if (!scores || !map || (biases->times && !biases->buckets))
        return NULL;
    assert(scores->rows == sr_attention_map_cells(map) && !map->whole && map->layout->causal);
    assert(!biases->positions || biases->positions->columns >= map->layout->window);
    const size_t keys = most_keys(map);
    pointwise_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *rows = sr_tape_take(tape, 2 * keys, sizeof *rows);
    double *position_sums = sr_tape_take(tape, biases->positions ? biases->positions->columns : 0, sizeof *position_sums);
    double *time_sums = sr_tape_take(tape, biases->times ? biases->times->columns : 0, sizeof *time_sums);
    if (!state || !rows || !position_sums || !time_sums)
        return NULL;
    sr_tensor *inputs[3] = {scores};
    size_t count = 1;
    if (biases->positions)
        inputs[count++] = biases->positions;
    if (biases->times)
        inputs[count++] = biases->times;
    sr_tensor *weights = sr_tape_record(tape, scores->rows, 1, inputs, count, &pointwise_operation, state);
    if (!weights)
        return NULL;
    *state = (pointwise_state){.map = map,
                               .biases = *biases,
                               .scores = scores,
                               .weights = weights,
                               .factor = (sr_real)(1 / divisor),
                               .biased = rows,
                               .gradient = rows + keys,
                               .position_sums = position_sums,
                               .time_sums = time_sums};
    for_each_head(tape, map, 0, forward_head, state);
    return weights;
}
