/* Convolutions over the window of each sequence (Tang and Wang 2018).
 *
 * Short histories leave most of a window to padding, and every row of padding is the same vector p. So a filter's
 * product with a part of the window is a sum of two. The first is its product with p in every row, the same for all
 * windows. The second is its product with the items' rows, p taken off: its matrix products run over columns that
 * some item stands in. */
#include "base/sizes.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The columns [begin, end) of a window in which items stand, and the token of the first. */
typedef struct {
    size_t begin, end, token;
} item_range;

static item_range items_of(const sr_layout *layout, size_t s)
{
    const size_t first = layout->offsets[s] + layout->leading[s], last = layout->offsets[s + 1] - layout->trailing[s];
    const size_t begin = first < last ? (size_t)layout->columns[first] : 0;
    assert(begin + (last - first) <= layout->window);
    return (item_range){begin, begin + (last - first), first};
}

/* ---- vertical: filters of one column that run over the channels ---- */

typedef struct {
    sr_tensor *x, *padding, *weight, *bias;
    const sr_layout *layout;
} vertical_state;

/* The sum of a filter's weights in the columns of padding. */
static sr_real sum_of_padding(const sr_real *filter, size_t window, item_range items)
{
    sr_real sum = 0;
    for (size_t column = 0; column < window; ++column)
        if (column < items.begin || column >= items.end)
            sum += filter[column];
    return sum;
}

/* The rows of each window, [batch, window, d]: padding where no item stands. */
static sr_graph_value describe_window(sr_description *to, const sr_tensor *x, const sr_tensor *padding)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value is_item = sr_graph_add_axis(g, described_items(to), 2);
    return SR_GRAPH(g, "Where", is_item, described(to, x), described(to, padding));
}

/* dx_t += sum_f W_ft dout_f,  dp += sum_f dout_f (sum of W_ft over padding),  dW_ft += <dout_f, x_t or p>,  db_f +=
 * sum(dout_f) */
static void vertical_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const vertical_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    sr_tensor *x = state->x, *padding = state->padding, *weight = state->weight;
    const size_t filters = weight->rows, window = weight->columns, width = x->columns;
    for (size_t s = 0; s < out->rows; ++s) {
        const item_range items = items_of(state->layout, s);
        const size_t count = items.end - items.begin;
        const sr_real *gradient = out->gradient + s * filters * width;
        if (x->wants_gradient)
            sr_gemm_with(sr_tape_products(tape), (sr_product_size){count, width, filters}, 1,
                         sr_transposed(weight->values + items.begin, window), sr_plain(gradient, width), 1,
                         x->gradient + items.token * width, width);
        if (weight->wants_gradient)
            sr_gemm_with(sr_tape_products(tape), (sr_product_size){filters, count, width}, 1, sr_plain(gradient, width),
                         sr_transposed(x->values + items.token * width, width), 1, weight->gradient + items.begin, window);
        for (size_t filter = 0; filter < filters; ++filter) {
            const sr_real *row = gradient + filter * width;
            if (weight->wants_gradient) {
                const sr_real product = kernels->dot(row, padding->values, width);
                for (size_t column = 0; column < window; ++column)
                    if (column < items.begin || column >= items.end)
                        weight->gradient[filter * window + column] += product;
            }
            if (padding->wants_gradient)
                kernels->accumulate_scaled(padding->gradient, sum_of_padding(weight->values + filter * window, window, items),
                                           row, width);
            if (state->bias->wants_gradient)
                state->bias->gradient[filter] += kernels->sum(row, width);
        }
    }
}

static sr_graph_value describe_vertical(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const vertical_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t one_row[] = {0, 1, -1};
    const sr_graph_value sums = SR_GRAPH(g, "MatMul", described(to, state->weight),
                                         describe_window(to, state->x, state->padding));
    return sr_graph_reshape(g, SR_GRAPH(g, "Add", sums, sr_graph_add_axis(g, described(to, state->bias), 1)), one_row, 3);
}

static const sr_operation vertical_operation = {
    .name = "vertical_convolution", .backward = vertical_backward, .describe = describe_vertical};

sr_tensor *sr_vertical_convolution(sr_tape *tape, sr_tensor *x, sr_tensor *padding, sr_tensor *weight, sr_tensor *bias,
                                   const sr_layout *layout)
{
    if (!x || !padding || !weight || !bias)
        return NULL;
    const size_t filters = weight->rows, window = weight->columns, width = x->columns;
    assert(window == layout->window && padding->columns == width && bias->columns == filters);
    vertical_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (vertical_state){x, padding, weight, bias, layout};
    sr_tensor *inputs[] = {x, padding, weight, bias};
    sr_tensor *out = sr_tape_record(tape, layout->sequences, filters * width, inputs, 4, &vertical_operation, state);
    for (size_t s = 0; out && s < layout->sequences; ++s) {
        const item_range items = items_of(layout, s);
        sr_real *rows = out->values + s * filters * width;
        for (size_t filter = 0; filter < filters; ++filter) {
            const sr_real sum = sum_of_padding(weight->values + filter * window, window, items);
            for (size_t channel = 0; channel < width; ++channel)
                rows[filter * width + channel] = bias->values[filter] + sum * padding->values[channel];
        }
        if (items.end > items.begin)
            sr_gemm_with(sr_tape_products(tape), (sr_product_size){filters, width, items.end - items.begin}, 1,
                         sr_plain(weight->values + items.begin, window), sr_plain(x->values + items.token * width, width), 1,
                         rows, width);
    }
    return out;
}

/* ---- horizontal: filters of several rows that run over time ---- */

enum {
    BLOCK = 64,        /* sequences whose products are one matrix product */
    GROUP_COLUMNS = 64 /* filters of neighbouring heights that share a matrix product, as far as one height has no more */
};

typedef struct {
    sr_tensor *x, *padding, *out;
    sr_tensor **weights, **biases; /* [window] */
    const sr_layout *layout;
    size_t filters;            /* of each height */
    const size_t *order;       /* [S]: sequences by number of items, so that those of a block have similar ranges */
    int32_t *starts;           /* [S, window * filters]: where the maximum over time was found */
    sr_real *rows;             /* [BLOCK, window, d] scratch: items' rows less p, p being 0 */
    sr_real *row_gradients;    /* the same of their gradients; when recording */
    sr_real *output_gradients; /* [window * filters] scratch: sums over sequences; when recording */
} horizontal_state;

/* Some sequences, and the columns [begin, end) that hold all their items. */
typedef struct {
    const size_t *sequences;
    size_t count, begin, end;
} block;

static block block_at(const horizontal_state *state, size_t first)
{
    block b = {.sequences = state->order + first,
               .count = smaller(BLOCK, state->layout->sequences - first),
               .begin = state->layout->window};
    for (size_t i = 0; i < b.count; ++i) {
        const item_range items = items_of(state->layout, b.sequences[i]);
        if (items.begin == items.end)
            continue;
        b.begin = smaller(b.begin, items.begin);
        b.end = larger(b.end, items.end);
    }
    return b.begin < b.end ? b : (block){.sequences = b.sequences, .count = b.count};
}

/* Row `column` of sequence `i` of the block. */
static size_t row_at(const block *b, size_t i, size_t column)
{
    return i * (b->end - b->begin) + column - b->begin;
}

/* state->rows = x - p where there is an item, else 0. */
static void fill_rows(sr_tape *tape, const horizontal_state *state, const block *b)
{
    const sr_tensor *x = state->x;
    const size_t width = x->columns;
    memset(state->rows, 0, b->count * (b->end - b->begin) * width * sizeof *state->rows);
    for (size_t i = 0; i < b->count; ++i) {
        const item_range items = items_of(state->layout, b->sequences[i]);
        for (size_t column = items.begin; column < items.end; ++column) {
            sr_real *row = state->rows + row_at(b, i, column) * width;
            memcpy(row, x->values + (items.token + column - items.begin) * width, width * sizeof *row);
            sr_tape_kernels(tape)->accumulate_scaled(row, -1, state->padding->values, width);
        }
    }
}

/* Heights [first, last] (from 1), whose filters are the columns of one matrix [last * d, columns]: weights of the
 * rows from a filter's first one on, 0 below its last one. */
typedef struct {
    size_t first, last, columns;
    sr_real *matrix;
} height_group;

static void pack_group(const horizontal_state *state, height_group *group)
{
    const size_t width = state->x->columns;
    memset(group->matrix, 0, group->last * width * group->columns * sizeof *group->matrix);
    for (size_t height = group->first; height <= group->last; ++height)
        for (size_t filter = 0; filter < state->filters; ++filter) {
            const sr_real *weights = state->weights[height - 1]->values + filter * height * width;
            sr_real *column = group->matrix + (height - group->first) * state->filters + filter;
            for (size_t i = 0; i < height * width; ++i)
                column[i * group->columns] = weights[i];
        }
}

static size_t heights_of_a_group(const horizontal_state *state)
{
    return larger(1, GROUP_COLUMNS / state->filters);
}

/* All heights in groups, in memory of the tape; NULL when there is none. */
static const height_group *pack_groups(sr_tape *tape, const horizontal_state *state, size_t *count)
{
    const size_t window = state->layout->window, heights = heights_of_a_group(state);
    *count = (window + heights - 1) / heights;
    height_group *groups = sr_tape_take(tape, *count, sizeof *groups);
    for (size_t i = 0; groups && i < *count; ++i) {
        height_group *group = &groups[i];
        *group = (height_group){.first = i * heights + 1, .last = smaller((i + 1) * heights, window)};
        group->columns = (group->last - group->first + 1) * state->filters;
        group->matrix = sr_tape_take(tape, group->last * state->x->columns * group->columns, sizeof *group->matrix);
        if (!group->matrix)
            return NULL;
        pack_group(state, group);
    }
    return groups;
}

/* Products with windows that hold no item are 0; where there are none, the maximum is found among the others. */
static void start_maxima(const horizontal_state *state, size_t s)
{
    const size_t window = state->layout->window;
    const item_range items = items_of(state->layout, s);
    for (size_t height = 1; height <= window; ++height) {
        const bool in_front = height <= items.begin, behind = items.end + height <= window;
        for (size_t filter = 0; filter < state->filters; ++filter) {
            const size_t at = (s * window + height - 1) * state->filters + filter;
            state->out->values[at] = in_front || behind ? 0 : -(sr_real)INFINITY;
            state->starts[at] = in_front ? 0 : (int32_t)items.end;
        }
    }
}

/* The maxima over time of a block's products with the filters of a group. products: [BLOCK, columns] scratch. */
static void find_maxima(sr_tape *tape, const horizontal_state *state, const block *b, const height_group *group,
                        sr_real *products)
{
    const size_t width = state->x->columns, window = state->layout->window, stride = (b->end - b->begin) * width;
    for (size_t start = 0; start + group->first <= window && start < b->end; ++start) {
        const size_t last = smaller(group->last, window - start); /* of the heights that fit behind the start */
        const size_t columns = (last - group->first + 1) * state->filters;
        const size_t begin = larger(start, b->begin), end = smaller(start + last, b->end);
        if (begin >= end)
            continue;
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){b->count, columns, (end - begin) * width}, 1,
                     sr_plain(state->rows + row_at(b, 0, begin) * width, stride),
                     sr_plain(group->matrix + (begin - start) * width * group->columns, group->columns), 0, products,
                     group->columns);
        for (size_t i = 0; i < b->count; ++i) {
            const size_t at = (b->sequences[i] * window + group->first - 1) * state->filters;
            sr_tape_kernels(tape)->raise_maximum(state->out->values + at, state->starts + at, products + i * group->columns,
                                                 (int32_t)start, columns);
        }
    }
}

/* What a filter makes of a window of padding, bias included. */
static sr_real product_with_padding(sr_tape *tape, const horizontal_state *state, size_t height, size_t filter)
{
    const size_t width = state->x->columns;
    const sr_real *weights = state->weights[height - 1]->values + filter * height * width;
    sr_real sum = state->biases[height - 1]->values[filter];
    for (size_t row = 0; row < height; ++row)
        sum += sr_tape_kernels(tape)->dot(weights + row * width, state->padding->values, width);
    return sum;
}

/* out = relu(maximum + what padding gives) */
static void finish_maxima(sr_tape *tape, const horizontal_state *state)
{
    const size_t window = state->layout->window, outputs = window * state->filters;
    for (size_t height = 1; height <= window; ++height)
        for (size_t filter = 0; filter < state->filters; ++filter) {
            const sr_real constant = product_with_padding(tape, state, height, filter);
            sr_real *maxima = state->out->values + (height - 1) * state->filters + filter;
            for (size_t s = 0; s < state->out->rows; ++s) {
                const sr_real sum = maxima[s * outputs] + constant;
                maxima[s * outputs] = sum < 0 ? 0 : sum;
            }
        }
}

/* Of one height and filter over a block: with g = dout where the maximum is above 0, at window start t,
 * dW += g (rows from t on),  drows += g W; both over the items alone. Returns the sum of g. */
static sr_real backward_of_filter(const sr_kernels *kernels, const horizontal_state *state, const block *b, size_t height,
                                  size_t filter)
{
    const size_t width = state->x->columns, window = state->layout->window;
    sr_tensor *weight = state->weights[height - 1];
    const size_t first = filter * height * width;
    sr_real sum = 0;
    for (size_t i = 0; i < b->count; ++i) {
        const size_t at = (b->sequences[i] * window + height - 1) * state->filters + filter;
        const sr_real gradient = state->out->gradient[at];
        if (!(state->out->values[at] > 0) || gradient == 0)
            continue;
        sum += gradient;
        const size_t start = (size_t)state->starts[at];
        const item_range items = items_of(state->layout, b->sequences[i]);
        const size_t begin = larger(start, items.begin), end = smaller(start + height, items.end);
        if (begin >= end)
            continue;
        const size_t row = row_at(b, i, begin) * width, offset = first + (begin - start) * width, n = (end - begin) * width;
        if (weight->wants_gradient)
            kernels->accumulate_scaled(weight->gradient + offset, gradient, state->rows + row, n);
        kernels->accumulate_scaled(state->row_gradients + row, gradient, weight->values + offset, n);
    }
    return sum;
}

/* From the gradients of x - p to those of x and p. */
static void pass_row_gradients(const sr_kernels *kernels, const horizontal_state *state, const block *b)
{
    const size_t width = state->x->columns;
    for (size_t i = 0; i < b->count; ++i) {
        const item_range items = items_of(state->layout, b->sequences[i]);
        for (size_t column = items.begin; column < items.end; ++column) {
            const sr_real *gradient = state->row_gradients + row_at(b, i, column) * width;
            if (state->x->wants_gradient)
                kernels->accumulate(state->x->gradient + (items.token + column - items.begin) * width, gradient, width);
            if (state->padding->wants_gradient)
                kernels->accumulate_scaled(state->padding->gradient, -1, gradient, width);
        }
    }
}

/* What every window has of padding: with G the sum of the gradients of a filter, dW += G p in each row, db += G, dp
 * += G W. */
static void backward_of_padding(const sr_kernels *kernels, const horizontal_state *state, size_t height, size_t filter)
{
    const size_t width = state->x->columns;
    const sr_real sum = state->output_gradients[(height - 1) * state->filters + filter];
    sr_tensor *weight = state->weights[height - 1], *bias = state->biases[height - 1];
    if (bias->wants_gradient)
        bias->gradient[filter] += sum;
    for (size_t row = filter * height; row < (filter + 1) * height; ++row) {
        if (weight->wants_gradient)
            kernels->accumulate_scaled(weight->gradient + row * width, sum, state->padding->values, width);
        if (state->padding->wants_gradient)
            kernels->accumulate_scaled(state->padding->gradient, sum, weight->values + row * width, width);
    }
}

static void horizontal_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    (void)out;
    const horizontal_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t window = state->layout->window, width = state->x->columns;
    memset(state->output_gradients, 0, window * state->filters * sizeof *state->output_gradients);
    for (size_t first = 0; first < state->layout->sequences; first += BLOCK) {
        const block b = block_at(state, first);
        fill_rows(tape, state, &b);
        memset(state->row_gradients, 0, b.count * (b.end - b.begin) * width * sizeof *state->row_gradients);
        for (size_t height = 1; height <= window; ++height)
            for (size_t filter = 0; filter < state->filters; ++filter)
                state->output_gradients[(height - 1) * state->filters + filter] += backward_of_filter(kernels, state, &b,
                                                                                                      height, filter);
        pass_row_gradients(kernels, state, &b);
    }
    for (size_t height = 1; height <= window; ++height)
        for (size_t filter = 0; filter < state->filters; ++filter)
            backward_of_padding(kernels, state, height, filter);
}

/* The maximum over time of the filters of one height, [batch, 1, filters]. */
static sr_graph_value describe_height(sr_description *to, const horizontal_state *state, sr_graph_value image, size_t height)
{
    sr_graph *g = description_graph(to);
    const sr_graph_attribute over_time[] = {{.name = "axes", .kind = SR_GRAPH_INTEGERS, .integers = {2}, .count = 1},
                                            {.kind = SR_GRAPH_NO_MORE}};
    const int64_t one_row[] = {0, 1, -1};
    const sr_graph_value filters = sr_graph_add_axis(g, described(to, state->weights[height - 1]), 1);
    const sr_graph_value sums = SR_GRAPH(g, "Conv", image, filters, described(to, state->biases[height - 1]));
    return sr_graph_reshape(g, sr_graph_node(g, "ReduceMax", over_time, &sums, 1, 1), one_row, 3);
}

static sr_graph_value describe_horizontal(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const horizontal_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value image = sr_graph_add_axis(g, describe_window(to, state->x, state->padding), 1);
    sr_graph_value maxima = describe_height(to, state, image, 1);
    for (size_t height = 2; height <= state->layout->window; ++height)
        maxima = SR_GRAPH_WITH(g, "Concat", "axis", -1, maxima, describe_height(to, state, image, height));
    return SR_GRAPH(g, "Relu", maxima);
}

static const sr_operation horizontal_operation = {
    .name = "horizontal_convolutions", .backward = horizontal_backward, .describe = describe_horizontal};

/* Sequences by number of items, most first. */
static const size_t *sort_by_items(sr_tape *tape, const sr_layout *layout)
{
    size_t *order = sr_tape_take(tape, layout->sequences, sizeof *order);
    size_t *counts = sr_tape_take(tape, layout->window + 1, sizeof *counts); /* then the place of the first one with so many */
    if (!order || !counts)
        return NULL;
    memset(counts, 0, (layout->window + 1) * sizeof *counts);
    for (size_t s = 0; s < layout->sequences; ++s)
        ++counts[items_of(layout, s).end - items_of(layout, s).begin];
    size_t place = 0;
    for (size_t items = layout->window + 1; items-- > 0;) {
        const size_t count = counts[items];
        counts[items] = place;
        place += count;
    }
    for (size_t s = 0; s < layout->sequences; ++s)
        order[counts[items_of(layout, s).end - items_of(layout, s).begin]++] = s;
    return order;
}

/* The arrays of a state and the tensors that it reads, in memory of the tape; false when there is none. */
static bool take_state(sr_tape *tape, horizontal_state *state, sr_tensor *const *weights, sr_tensor *const *biases)
{
    const sr_layout *layout = state->layout;
    const size_t window = layout->window, scratch = BLOCK * window * state->x->columns;
    state->weights = sr_tape_take(tape, window, sizeof(sr_tensor *));
    state->biases = sr_tape_take(tape, window, sizeof(sr_tensor *));
    state->order = sort_by_items(tape, layout);
    state->starts = sr_tape_take(tape, layout->sequences * window * state->filters, sizeof *state->starts);
    state->rows = sr_tape_take(tape, scratch, sizeof *state->rows);
    if (!state->weights || !state->biases || !state->order || !state->starts || !state->rows)
        return false;
    memcpy(state->weights, weights, window * sizeof *weights);
    memcpy(state->biases, biases, window * sizeof *biases);
    if (!sr_tape_is_recording(tape))
        return true;
    state->row_gradients = sr_tape_take(tape, scratch, sizeof *state->row_gradients);
    state->output_gradients = sr_tape_take(tape, window * state->filters, sizeof *state->output_gradients);
    return state->row_gradients && state->output_gradients;
}

static sr_tensor *record(sr_tape *tape, const horizontal_state *state)
{
    const size_t window = state->layout->window;
    sr_tensor **inputs = sr_tape_take(tape, 2 + 2 * window, sizeof(sr_tensor *));
    if (!inputs)
        return NULL;
    inputs[0] = state->x;
    inputs[1] = state->padding;
    memcpy(inputs + 2, state->weights, window * sizeof *inputs);
    memcpy(inputs + 2 + window, state->biases, window * sizeof *inputs);
    return sr_tape_record(tape, state->layout->sequences, window * state->filters, inputs, 2 + 2 * window,
                          &horizontal_operation, state);
}

sr_tensor *sr_horizontal_convolutions(sr_tape *tape, sr_tensor *x, sr_tensor *padding, sr_tensor *const *weights,
                                      sr_tensor *const *biases, const sr_layout *layout)
{
    if (!x || !padding)
        return NULL;
    for (size_t i = 0; i < layout->window; ++i) {
        if (!weights[i] || !biases[i])
            return NULL;
        assert(weights[i]->columns == (i + 1) * x->columns && weights[i]->rows == weights[0]->rows);
        assert(biases[i]->columns == weights[0]->rows);
    }
    const size_t filters = weights[0]->rows;
    horizontal_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (horizontal_state){.x = x, .padding = padding, .layout = layout, .filters = filters};
    size_t group_count;
    const height_group *groups = NULL;
    sr_real *products = sr_tape_take(tape, BLOCK * heights_of_a_group(state) * filters, sizeof *products);
    if (!products || !take_state(tape, state, weights, biases) || !(groups = pack_groups(tape, state, &group_count)))
        return NULL;
    state->out = record(tape, state);
    if (!state->out)
        return NULL;
    for (size_t s = 0; s < layout->sequences; ++s)
        start_maxima(state, s);
    for (size_t first = 0; first < layout->sequences; first += BLOCK) {
        const block b = block_at(state, first);
        fill_rows(tape, state, &b);
        for (size_t i = 0; i < group_count; ++i)
            find_maxima(tape, state, &b, &groups[i], products);
    }
    finish_maxima(tape, state);
    return state->out;
}
