/* Layer normalisation (Ba, Kiros, Hinton 2016), biased variance, epsilon inside the root. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"

#include <assert.h>

typedef struct {
    sr_tensor *x, *gain, *bias;
    double epsilon;
    sr_row_statistics *statistics; /* [T] */
} layer_norm_state;

/* With g = gain dout and normalised = (x - mean) / deviation:  dx += (g - mean(g) - normalised mean(g normalised)) /
 * deviation, dgain += sum_t normalised dout,  dbias += sum_t dout */
static void layer_norm_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const layer_norm_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t width = out->columns;
    sr_gradient_begin(state->gain, 0, width);
    sr_gradient_begin(state->bias, 0, width);
    for (size_t t = 0; t < out->rows; ++t) {
        const sr_real *out_gradient = out->gradient + t * width, *x = state->x->values + t * width;
        sr_gradient_begin(state->x, t * width, width);
        if (state->x->wants_gradient)
            kernels->layer_norm_backward(state->x->gradient + t * width, x, &state->statistics[t], state->gain->values,
                                         out_gradient, width);
        if (state->gain->wants_gradient)
            kernels->layer_norm_gain_backward(state->gain->gradient, x, &state->statistics[t], out_gradient, width);
        if (state->bias->wants_gradient)
            kernels->accumulate(state->bias->gradient, out_gradient, width);
    }
}

static sr_graph_value describe_layer_norm(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const layer_norm_state *state = saved;
    const sr_graph_attribute attributes[] = {{.name = "axis", .kind = SR_GRAPH_INTEGER, .integer = -1},
                                             {.name = "epsilon", .kind = SR_GRAPH_NUMBER, .number = state->epsilon},
                                             {.kind = SR_GRAPH_NO_MORE}};
    const sr_graph_value inputs[] = {described(to, state->x), described(to, state->gain), described(to, state->bias)};
    return sr_graph_node(description_graph(to), "LayerNormalization", attributes, inputs, 3, 1);
}

static const sr_operation layer_norm_operation = {
    .name = "layer_norm", .backward = layer_norm_backward, .stores = true, .describe = describe_layer_norm};

sr_tensor *sr_plain_layer_norm(sr_tape *tape, sr_tensor *x, double epsilon)
{
    const size_t width = x ? x->columns : 0;
    sr_real *gain = x ? sr_tape_take(tape, width, sizeof *gain) : NULL,
            *bias = x ? sr_tape_take(tape, width, sizeof *bias) : NULL;
    if (!gain || !bias)
        return NULL;
    for (size_t i = 0; i < width; ++i) {
        gain[i] = 1;
        bias[i] = 0;
    }
    return sr_layer_norm(tape, x, sr_tape_constant(tape, gain, 1, width), sr_tape_constant(tape, bias, 1, width), epsilon);
}

sr_tensor *sr_layer_norm(sr_tape *tape, sr_tensor *x, sr_tensor *gain, sr_tensor *bias, double epsilon)
{
    if (!x || !gain || !bias)
        return NULL;
    const size_t width = x->columns;
    assert(gain->columns == width && bias->columns == width);
    layer_norm_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_row_statistics *statistics = sr_tape_take(tape, x->rows, sizeof *statistics);
    if (!state || !statistics)
        return NULL;
    *state = (layer_norm_state){x, gain, bias, epsilon, statistics};
    sr_tensor *inputs[] = {x, gain, bias};
    sr_tensor *out = sr_tape_record(tape, x->rows, width, inputs, 3, &layer_norm_operation, state);
    for (size_t t = 0; out && t < x->rows; ++t)
        statistics[t] = sr_tape_kernels(tape)->layer_norm(out->values + t * width, x->values + t * width, gain->values,
                                                          bias->values, (sr_real)epsilon, width);
    return out;
}
