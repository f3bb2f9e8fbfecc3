/* Sums, products and functions of single elements. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct {
    sr_tensor *left, *right;
} add_state;

/* dx += dout */
static void pass_gradient(sr_tape *tape, sr_tensor *x, const sr_real *gradient, size_t n)
{
    if (x->gradient_is_new)
        memcpy(x->gradient, gradient, n * sizeof *gradient);
    else
        sr_tape_kernels(tape)->accumulate(x->gradient, gradient, n);
}

static void add_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const add_state *state = saved;
    const size_t n = out->rows * out->columns;
    if (state->left->wants_gradient)
        pass_gradient(tape, state->left, out->gradient, n);
    if (state->right->wants_gradient)
        pass_gradient(tape, state->right, out->gradient, n);
}

static sr_graph_value describe_add(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const add_state *state = saved;
    return SR_GRAPH(description_graph(to), "Add", described(to, state->left), described(to, state->right));
}

static const sr_operation add_operation = {.name = "add", .backward = add_backward, .stores = true, .describe = describe_add};

sr_tensor *sr_add(sr_tape *tape, sr_tensor *left, sr_tensor *right)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows && left->columns == right->columns);
    add_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (add_state){left, right};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns, inputs, 2, &add_operation, state);
    if (out)
        sr_tape_kernels(tape)->add(out->values, left->values, right->values, left->rows * left->columns);
    return out;
}

typedef struct {
    sr_tensor *left, *right;
} multiply_state;

/* dleft += right dout,  dright += left dout */
static void multiply_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const multiply_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t n = out->rows * out->columns;
    if (state->left->wants_gradient)
        kernels->accumulate_product(state->left->gradient, state->right->values, out->gradient, n);
    if (state->right->wants_gradient)
        kernels->accumulate_product(state->right->gradient, state->left->values, out->gradient, n);
}

static sr_graph_value describe_multiply(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const multiply_state *state = saved;
    return SR_GRAPH(description_graph(to), "Mul", described(to, state->left), described(to, state->right));
}

static const sr_operation multiply_operation = {
    .name = "multiply", .backward = multiply_backward, .describe = describe_multiply};

sr_tensor *sr_multiply(sr_tape *tape, sr_tensor *left, sr_tensor *right)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows && left->columns == right->columns);
    multiply_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (multiply_state){left, right};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns, inputs, 2, &multiply_operation, state);
    if (out)
        sr_tape_kernels(tape)->multiply(out->values, left->values, right->values, left->rows * left->columns);
    return out;
}

/* out = left_factor * left + right_factor * right */
static void combine(sr_tape *tape, sr_tensor *out, const sr_tensor *left, sr_real left_factor, const sr_tensor *right,
                    sr_real right_factor)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t n = out->rows * out->columns;
    memcpy(out->values, left->values, n * sizeof *out->values);
    kernels->scale(out->values, left_factor, n);
    kernels->accumulate_scaled(out->values, right_factor, right->values, n);
}

/* dleft += left_factor dout,  dright += right_factor dout */
static void combine_backward(sr_tape *tape, const sr_tensor *out, sr_tensor *left, sr_real left_factor, sr_tensor *right,
                             sr_real right_factor)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t n = out->rows * out->columns;
    if (left->wants_gradient)
        kernels->accumulate_scaled(left->gradient, left_factor, out->gradient, n);
    if (right->wants_gradient)
        kernels->accumulate_scaled(right->gradient, right_factor, out->gradient, n);
}

typedef struct {
    sr_tensor *left, *right;
    sr_real left_factor, right_factor;
} weighted_add_state;

static void weighted_add_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const weighted_add_state *state = saved;
    combine_backward(tape, out, state->left, state->left_factor, state->right, state->right_factor);
}

static sr_graph_value describe_weighted_add(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const weighted_add_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value left = sr_graph_scaled(g, described(to, state->left), (double)state->left_factor);
    if (state->right_factor == 0)
        return left;
    return SR_GRAPH(g, "Add", left, sr_graph_scaled(g, described(to, state->right), (double)state->right_factor));
}

static const sr_operation weighted_add_operation = {
    .name = "weighted_add", .backward = weighted_add_backward, .describe = describe_weighted_add};

sr_tensor *sr_weighted_add(sr_tape *tape, sr_tensor *left, double left_factor, sr_tensor *right, double right_factor)
{
    if (!left || !right)
        return NULL;
    assert(left->rows == right->rows && left->columns == right->columns);
    weighted_add_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (weighted_add_state){left, right, (sr_real)left_factor, (sr_real)right_factor};
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns, inputs, 2, &weighted_add_operation, state);
    if (out)
        combine(tape, out, left, state->left_factor, right, state->right_factor);
    return out;
}

typedef struct {
    sr_tensor *left, *right, *ratio;
} mix_state;

/* sum of gradient * (left - right), in pieces whose differences fit on the stack. Two separate sums would cancel
 * where left and right are close. */
static double sum_of_differences(const sr_kernels *kernels, const sr_real *gradient, const sr_tensor *left,
                                 const sr_tensor *right)
{
    enum { PIECE = 512 };
    sr_real difference[PIECE];
    const size_t n = left->rows * left->columns;
    double sum = 0;
    for (size_t first = 0; first < n; first += PIECE) {
        const size_t count = n - first < PIECE ? n - first : (size_t)PIECE;
        memcpy(difference, left->values + first, count * sizeof *difference);
        kernels->accumulate_scaled(difference, -1, right->values + first, count);
        sum += (double)kernels->dot(gradient + first, difference, count);
    }
    return sum;
}

/* dleft += ratio dout,  dright += (1 - ratio) dout,  dratio += <dout, left - right> */
static void mix_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const mix_state *state = saved;
    const sr_real ratio = state->ratio->values[0];
    combine_backward(tape, out, state->left, ratio, state->right, 1 - ratio);
    if (state->ratio->wants_gradient)
        state->ratio->gradient[0] += (sr_real)sum_of_differences(sr_tape_kernels(tape), out->gradient, state->left,
                                                                 state->right);
}

static sr_graph_value describe_mix(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const mix_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value ratio = described(to, state->ratio);
    const sr_graph_value rest = SR_GRAPH(g, "Sub", sr_graph_number(g, 1), ratio);
    return SR_GRAPH(g, "Add", SR_GRAPH(g, "Mul", described(to, state->left), ratio),
                    SR_GRAPH(g, "Mul", described(to, state->right), rest));
}

static const sr_operation mix_operation = {.name = "mix", .backward = mix_backward, .describe = describe_mix};

sr_tensor *sr_mix(sr_tape *tape, sr_tensor *left, sr_tensor *right, sr_tensor *ratio)
{
    if (!left || !right || !ratio)
        return NULL;
    assert(left->rows == right->rows && left->columns == right->columns && ratio->rows == 1 && ratio->columns == 1);
    mix_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (mix_state){left, right, ratio};
    sr_tensor *inputs[] = {left, right, ratio};
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns, inputs, 3, &mix_operation, state);
    if (out)
        combine(tape, out, left, ratio->values[0], right, 1 - ratio->values[0]);
    return out;
}

typedef struct {
    sr_tensor *x;
    sr_activation kind;
} activation_state;

/* dx += f'(x) dout */
static void activate_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    enum { PIECE = 2048 };
    const activation_state *state = saved;
    const sr_tensor *x = state->x;
    const size_t n = out->rows * out->columns;
    for (size_t first = 0; first < n; first += PIECE) {
        const size_t count = n - first < PIECE ? n - first : (size_t)PIECE;
        sr_gradient_begin(x, first, count);
        sr_tape_kernels(tape)->activation_backward(state->kind, x->gradient + first, x->values + first, out->gradient + first,
                                                   count);
    }
}

/* x (1 + erf(x / sqrt 2)) / 2 */
static sr_graph_value describe_gelu(sr_graph *g, sr_graph_value x)
{
    const sr_graph_value error = SR_GRAPH(g, "Erf", sr_graph_scaled(g, x, sqrt(0.5)));
    return SR_GRAPH(g, "Mul", sr_graph_scaled(g, x, 0.5), SR_GRAPH(g, "Add", error, sr_graph_number(g, 1)));
}

static sr_graph_value describe_activate(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const activation_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value x = described(to, state->x);
    switch (state->kind) {
    case SR_ACTIVATION_GELU:
        return describe_gelu(g, x);
    case SR_ACTIVATION_RELU:
        return SR_GRAPH(g, "Relu", x);
    case SR_ACTIVATION_SWISH:
        return SR_GRAPH(g, "Mul", x, SR_GRAPH(g, "Sigmoid", x));
    case SR_ACTIVATION_TANH:
        return SR_GRAPH(g, "Tanh", x);
    case SR_ACTIVATION_SIGMOID:
        return SR_GRAPH(g, "Sigmoid", x);
    case SR_ACTIVATION_ELU:
        return SR_GRAPH(g, "Elu", x);
    }
    return 0;
}

static const sr_operation activate_operation = {
    .name = "activate", .backward = activate_backward, .stores = true, .describe = describe_activate};

sr_tensor *sr_activate(sr_tape *tape, sr_tensor *x, sr_activation kind)
{
    if (!x)
        return NULL;
    activation_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (activation_state){x, kind};
    sr_tensor *out = sr_tape_record(tape, x->rows, x->columns, &x, 1, &activate_operation, state);
    if (out)
        sr_tape_kernels(tape)->activation(kind, out->values, x->values, x->rows * x->columns);
    return out;
}

typedef struct {
    sr_tensor *x;
    const sr_real *weights;
} weighted_sum_state;

/* dx += weights dout */
static void weighted_sum_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const weighted_sum_state *state = saved;
    sr_tape_kernels(tape)->accumulate_scaled(state->x->gradient, out->gradient[0], state->weights,
                                             state->x->rows * state->x->columns);
}

static const sr_operation weighted_sum_operation = {.name = "weighted_sum", .backward = weighted_sum_backward};

sr_tensor *sr_weighted_sum(sr_tape *tape, sr_tensor *x, const sr_real *weights)
{
    if (!x)
        return NULL;
    weighted_sum_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (weighted_sum_state){x, weights};
    sr_tensor *out = sr_tape_record(tape, 1, 1, &x, 1, &weighted_sum_operation, state);
    if (out)
        out->values[0] = sr_tape_kernels(tape)->dot(x->values, weights, x->rows * x->columns);
    return out;
}
