/* The Frobenius norm of a matrix, which may lie in several parts. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <math.h>

typedef struct {
    sr_tensor *const *parts;
    size_t count;
    double norm;
} norm_state;

/* dx += dnorm x / norm; at x = 0, where there is no derivative, nothing */
static void frobenius_norm_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const norm_state *state = saved;
    for (size_t i = 0; state->norm > 0 && i < state->count; ++i) {
        const sr_tensor *x = state->parts[i];
        if (x->wants_gradient)
            sr_tape_kernels(tape)->accumulate_scaled(x->gradient, (sr_real)((double)out->gradient[0] / state->norm), x->values,
                                                     x->rows * x->columns);
    }
}

static const sr_operation frobenius_norm_operation = {.name = "frobenius_norm", .backward = frobenius_norm_backward};

sr_tensor *sr_frobenius_norm(sr_tape *tape, sr_tensor *x)
{
    sr_tensor **parts = sr_tape_take(tape, 1, sizeof(sr_tensor *));
    if (!parts)
        return NULL;
    parts[0] = x;
    return sr_frobenius_norm_of_all(tape, parts, 1);
}

sr_tensor *sr_frobenius_norm_of_all(sr_tape *tape, sr_tensor *const *parts, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; ++i) {
        if (!parts[i])
            return NULL;
        squares += sr_tape_kernels(tape)->sum_of_squares(parts[i]->values, parts[i]->rows * parts[i]->columns);
    }
    norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (norm_state){parts, count, sqrt(squares)};
    sr_tensor *out = sr_tape_record(tape, 1, 1, parts, count, &frobenius_norm_operation, state);
    if (out)
        out->values[0] = (sr_real)state->norm;
    return out;
}
