/* Sums and functions of single elements. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <assert.h>

typedef struct {
    sr_tensor *left, *right;
} add_state;

static void add_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const add_state *state = saved;
    const size_t n = out->rows * out->columns;
    if (state->left->wants_gradient)
        sr_tape_kernels(tape)->accumulate(state->left->gradient, out->gradient, n);
    if (state->right->wants_gradient)
        sr_tape_kernels(tape)->accumulate(state->right->gradient, out->gradient, n);
}

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
    sr_tensor *out = sr_tape_record(tape, left->rows, left->columns, inputs, 2, add_backward, state);
    if (out)
        sr_tape_kernels(tape)->add(out->values, left->values, right->values, left->rows * left->columns);
    return out;
}

typedef struct {
    sr_tensor *x;
    sr_activation kind;
} activation_state;

/* dx += f'(x) dout */
static void activate_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const activation_state *state = saved;
    sr_tape_kernels(tape)->activation_backward(state->kind, state->x->gradient, state->x->values, out->gradient,
                                               out->rows * out->columns);
}

sr_tensor *sr_activate(sr_tape *tape, sr_tensor *x, sr_activation kind)
{
    if (!x)
        return NULL;
    activation_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (activation_state){x, kind};
    sr_tensor *out = sr_tape_record(tape, x->rows, x->columns, &x, 1, activate_backward, state);
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

sr_tensor *sr_weighted_sum(sr_tape *tape, sr_tensor *x, const sr_real *weights)
{
    if (!x)
        return NULL;
    weighted_sum_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (weighted_sum_state){x, weights};
    sr_tensor *out = sr_tape_record(tape, 1, 1, &x, 1, weighted_sum_backward, state);
    if (out)
        out->values[0] = sr_tape_kernels(tape)->dot(x->values, weights, x->rows * x->columns);
    return out;
}
