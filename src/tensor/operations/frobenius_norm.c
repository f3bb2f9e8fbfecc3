/* The Frobenius norm of a matrix. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <math.h>

typedef struct {
    sr_tensor *x;
    double norm;
} norm_state;

/* dx += dnorm x / norm; at x = 0, where there is no derivative, nothing */
static void frobenius_norm_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const norm_state *state = saved;
    if (state->norm > 0)
        sr_tape_kernels(tape)->accumulate_scaled(state->x->gradient, (sr_real)((double)out->gradient[0] / state->norm),
                                                 state->x->values, state->x->rows * state->x->columns);
}

sr_tensor *sr_frobenius_norm(sr_tape *tape, sr_tensor *x)
{
    if (!x)
        return NULL;
    norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (norm_state){x, sqrt(sr_tape_kernels(tape)->sum_of_squares(x->values, x->rows * x->columns))};
    sr_tensor *out = sr_tape_record(tape, 1, 1, &x, 1, frobenius_norm_backward, state);
    if (out)
        out->values[0] = (sr_real)state->norm;
    return out;
}
