/* Layer normalisation (Ba, Kiros, Hinton 2016), biased variance, epsilon inside the root. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"

#include <assert.h>

typedef struct {
    sr_tensor *x, *gain, *bias;
    sr_real *normalised;        /* [T, d]: (x - mean) / deviation */
    sr_real *inverse_deviation; /* [T] */
} layer_norm_state;

/* With g = gain dout:  dx += (g - mean(g) - normalised mean(g normalised)) / deviation,
 * dgain += sum_t normalised dout,  dbias += sum_t dout */
static void layer_norm_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const layer_norm_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t width = out->columns;
    for (size_t t = 0; t < out->rows; ++t) {
        const sr_real *out_gradient = out->gradient + t * width, *normalised = state->normalised + t * width;
        if (state->x->wants_gradient)
            kernels->layer_norm_backward(state->x->gradient + t * width, normalised, state->gain->values, out_gradient,
                                         state->inverse_deviation[t], width);
        if (state->gain->wants_gradient)
            kernels->accumulate_product(state->gain->gradient, normalised, out_gradient, width);
        if (state->bias->wants_gradient)
            kernels->accumulate(state->bias->gradient, out_gradient, width);
    }
}

sr_tensor *sr_layer_norm(sr_tape *tape, sr_tensor *x, sr_tensor *gain, sr_tensor *bias, double epsilon)
{
    if (!x || !gain || !bias)
        return NULL;
    const size_t width = x->columns;
    assert(gain->columns == width && bias->columns == width);
    layer_norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state)
        return NULL;
    *state = (layer_norm_state){.x = x, .gain = gain, .bias = bias};
    if (sr_tape_is_recording(tape)) {
        state->normalised = sr_tape_take(tape, x->rows * width, sizeof *state->normalised);
        state->inverse_deviation = sr_tape_take(tape, x->rows, sizeof *state->inverse_deviation);
        if (!state->normalised || !state->inverse_deviation)
            return NULL;
    }
    sr_tensor *inputs[] = {x, gain, bias};
    sr_tensor *out = sr_tape_record(tape, x->rows, width, inputs, 3, layer_norm_backward, state);
    if (!out)
        return NULL;
    for (size_t t = 0; t < x->rows; ++t) {
        sr_real *normalised = state->normalised ? state->normalised + t * width : NULL;
        const sr_real inverse_deviation = sr_tape_kernels(tape)->layer_norm(
            out->values + t * width, normalised, x->values + t * width, gain->values, bias->values, (sr_real)epsilon, width);
        if (normalised)
            state->inverse_deviation[t] = inverse_deviation;
    }
    return out;
}
