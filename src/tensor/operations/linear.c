/* y = x Wᵀ + b, and y = x W. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"

#include <assert.h>

typedef struct {
    sr_tensor *x, *weight, *bias;
} linear_state;

/* dx += dy W,  dW += dyᵀ x,  db += sum of the rows of dy */
static void linear_backward(sr_tape *tape, const sr_tensor *y, const void *saved)
{
    const linear_state *state = saved;
    sr_tensor *x = state->x, *weight = state->weight, *bias = state->bias;
    const size_t rows = y->rows, in = x->columns, out = y->columns;
    if (x->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){rows, in, out}, 1, sr_plain(y->gradient, out),
                     sr_plain(weight->values, in), sr_gradient_kept(x), x->gradient, in);
    if (weight->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){out, in, rows}, 1, sr_transposed(y->gradient, out),
                     sr_plain(x->values, in), sr_gradient_kept(weight), weight->gradient, in);
    if (bias && bias->wants_gradient) {
        sr_gradient_begin(bias, 0, out);
        sr_tape_kernels(tape)->accumulate_rows(bias->gradient, y->gradient, rows, out);
    }
}

static sr_graph_value describe_linear(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const linear_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value weight = sr_graph_transpose(g, described(to, state->weight), (const int64_t[]){1, 0}, 2);
    const sr_graph_value product = SR_GRAPH(g, "MatMul", described(to, state->x), weight);
    return state->bias ? SR_GRAPH(g, "Add", product, described(to, state->bias)) : product;
}

static const sr_operation linear_operation = {
    .name = "linear", .backward = linear_backward, .stores = true, .describe = describe_linear};

/* The weight as the right-hand side of products with so many rows; NULL values when memory runs out. */
static sr_operand right_hand_side(sr_tape *tape, const sr_tensor *weight, size_t rows)
{
    const size_t out = weight->rows, in = weight->columns;
    if (sr_gemm_transposes(sr_tape_products(tape), rows))
        return sr_transposed(weight->values, in);
    sr_real *transposed = sr_tape_take(tape, in * out, sizeof *transposed);
    if (transposed)
        sr_tape_kernels(tape)->transpose(transposed, weight->values, out, in);
    return sr_plain(transposed, out);
}

sr_tensor *sr_linear(sr_tape *tape, sr_tensor *x, sr_tensor *weight, sr_tensor *bias)
{
    if (!x || !weight)
        return NULL;
    const size_t rows = x->rows, in = x->columns, out = weight->rows;
    assert(weight->columns == in && (!bias || (bias->rows == 1 && bias->columns == out)));
    linear_state *state = sr_tape_take(tape, 1, sizeof *state);
    const sr_operand right = right_hand_side(tape, weight, rows);
    if (!state || !right.values)
        return NULL;
    *state = (linear_state){x, weight, bias};
    sr_tensor *inputs[] = {x, weight, bias};
    sr_tensor *y = sr_tape_record(tape, rows, out, inputs, bias ? 3 : 2, &linear_operation, state);
    if (!y)
        return NULL;
    const sr_product_size size = {rows, out, in};
    if (bias)
        sr_gemm_with_bias(sr_tape_products(tape), size, sr_plain(x->values, in), right, bias->values, y->values, out);
    else
        sr_gemm_with(sr_tape_products(tape), size, 1, sr_plain(x->values, in), right, 0, y->values, out);
    return y;
}

/* ---- the way back ---- */

typedef struct {
    sr_tensor *x, *weight;
} back_state;

/* dx += dy Wᵀ,  dW += xᵀ dy */
static void back_backward(sr_tape *tape, const sr_tensor *y, const void *saved)
{
    const back_state *state = saved;
    sr_tensor *x = state->x, *weight = state->weight;
    const size_t rows = y->rows, in = x->columns, out = y->columns;
    if (x->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){rows, in, out}, 1, sr_plain(y->gradient, out),
                     sr_transposed(weight->values, out), sr_gradient_kept(x), x->gradient, in);
    if (weight->wants_gradient)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){in, out, rows}, 1, sr_transposed(x->values, in),
                     sr_plain(y->gradient, out), sr_gradient_kept(weight), weight->gradient, out);
}

static sr_graph_value describe_back(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const back_state *state = saved;
    return SR_GRAPH(description_graph(to), "MatMul", described(to, state->x), described(to, state->weight));
}

static const sr_operation back_operation = {
    .name = "linear_back", .backward = back_backward, .stores = true, .describe = describe_back};

sr_tensor *sr_linear_back(sr_tape *tape, sr_tensor *x, sr_tensor *weight)
{
    if (!x || !weight)
        return NULL;
    const size_t rows = x->rows, in = x->columns, out = weight->columns;
    assert(weight->rows == in);
    back_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (back_state){x, weight};
    sr_tensor *inputs[] = {x, weight};
    sr_tensor *y = sr_tape_record(tape, rows, out, inputs, 2, &back_operation, state);
    if (y)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){rows, out, in}, 1, sr_plain(x->values, in),
                     sr_plain(weight->values, out), 0, y->values, out);
    return y;
}
