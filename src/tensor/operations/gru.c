/* Gated recurrent units over ragged sequences (Cho et al. 2014, in the form of cuDNN, where the reset gate acts after
 * the product).
 *
 * Sequences take their steps together: longest first, those alive at a step are the first rows, whose products with
 * the hidden weights are one matrix product. Nothing is computed for a sequence that has ended. */
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"
#include "tensor/gemm.h"

#include <assert.h>
#include <string.h>

/* The tokens in order of time: all first ones, then all second ones; within a step by length of the sequence, longest
 * first. */
typedef struct {
    size_t count;   /* steps of the longest sequence */
    size_t *starts; /* [count + 1]: step t has places starts[t] .. starts[t + 1] */
    size_t *tokens; /* [T]: the token of each place */
} time_order;

typedef struct {
    sr_tensor *input, *weight;
    time_order order;
    sr_real *gates;           /* [T, 4g] in order of time, see sr_kernels.gru */
    sr_real *previous;        /* [T, g] in order of time: the state before the step */
    sr_real *gate_gradients;  /* [T, 4g] scratch of backward */
    sr_real *state_gradients; /* [S, g] scratch of backward */
} gru_state;

static size_t length_of(const sr_layout *layout, size_t s)
{
    return layout->offsets[s + 1] - layout->offsets[s];
}

static bool make_order(sr_tape *tape, const sr_layout *layout, time_order *order)
{
    const size_t tokens = layout->offsets[layout->sequences];
    size_t longest = 0;
    for (size_t s = 0; s < layout->sequences; ++s)
        longest = length_of(layout, s) > longest ? length_of(layout, s) : longest;
    *order = (time_order){.count = longest,
                          .starts = sr_tape_take(tape, longest + 1, sizeof *order->starts),
                          .tokens = sr_tape_take(tape, tokens, sizeof *order->tokens)};
    /* How many sequences are longer than t, which is the rank of the first one of length t. */
    size_t *ranks = sr_tape_take(tape, longest + 1, sizeof *ranks);
    if (!order->starts || !order->tokens || !ranks)
        return false;
    memset(ranks, 0, (longest + 1) * sizeof *ranks);
    for (size_t s = 0; s < layout->sequences; ++s)
        for (size_t t = 0; t < length_of(layout, s); ++t)
            ++ranks[t];
    order->starts[0] = 0;
    for (size_t t = 0; t < longest; ++t)
        order->starts[t + 1] = order->starts[t] + ranks[t];
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t length = length_of(layout, s), rank = ranks[length]++;
        for (size_t t = 0; t < length; ++t)
            order->tokens[order->starts[t] + rank] = layout->offsets[s] + t;
    }
    return true;
}

/* One step of all sequences that are alive. */
static void step_forward(sr_tape *tape, const gru_state *state, const sr_real *transposed, size_t step, sr_tensor *out)
{
    const size_t g = out->columns, first = state->order.starts[step], rows = state->order.starts[step + 1] - first;
    const size_t *tokens = state->order.tokens + first;
    sr_real *gates = state->gates + first * 4 * g, *previous = state->previous + first * g;
    for (size_t i = 0; i < rows; ++i)
        if (step == 0) {
            memset(previous + i * g, 0, g * sizeof *previous);
            memset(gates + i * 4 * g, 0, 3 * g * sizeof *gates);
        } else
            memcpy(previous + i * g, out->values + (tokens[i] - 1) * g, g * sizeof *previous);
    if (step > 0)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){rows, 3 * g, g}, 1, sr_plain(previous, g),
                     sr_plain(transposed, 3 * g), 0, gates, 4 * g);
    for (size_t i = 0; i < rows; ++i)
        sr_tape_kernels(tape)->gru(out->values + tokens[i] * g, gates + i * 4 * g, state->input->values + tokens[i] * 3 * g,
                                   previous + i * g, g);
}

/* From the gradients of a step's states (state_gradients, without what reaches them from outside) to those of the
 * step before. */
static void step_backward(sr_tape *tape, const gru_state *state, size_t step, const sr_tensor *out)
{
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t g = out->columns, first = state->order.starts[step], rows = state->order.starts[step + 1] - first;
    for (size_t i = 0; i < rows; ++i) {
        const size_t place = first + i, token = state->order.tokens[place];
        sr_real *gradients = state->gate_gradients + place * 4 * g, *state_gradient = state->state_gradients + i * g;
        kernels->accumulate(state_gradient, out->gradient + token * g, g);
        kernels->gru_backward(gradients, state_gradient, state->gates + place * 4 * g, state->previous + place * g, g);
        if (state->input->wants_gradient) {
            kernels->accumulate(state->input->gradient + token * 3 * g, gradients, 2 * g);
            kernels->accumulate(state->input->gradient + token * 3 * g + 2 * g, gradients + 3 * g, g);
        }
    }
    if (step > 0)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){rows, g, 3 * g}, 1,
                     sr_plain(state->gate_gradients + first * 4 * g, 4 * g), sr_plain(state->weight->values, g), 1,
                     state->state_gradients, g);
}

/* Time runs backwards; dW = sum over tokens of (gradients of the hidden products)ᵀ (state before the step) */
static void gru_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const gru_state *state = saved;
    const size_t g = out->columns, steps = state->order.count;
    if (steps == 0)
        return;
    const size_t sequences = state->order.starts[1], rows = out->rows - sequences; /* the first step has no state before it */
    memset(state->state_gradients, 0, sequences * g * sizeof *state->state_gradients);
    for (size_t step = steps; step-- > 0;)
        step_backward(tape, state, step, out);
    if (state->weight->wants_gradient && rows > 0)
        sr_gemm_with(sr_tape_products(tape), (sr_product_size){3 * g, g, rows}, 1,
                     sr_transposed(state->gate_gradients + sequences * 4 * g, 4 * g),
                     sr_plain(state->previous + sequences * g, g), 1, state->weight->gradient, g);
}

/* Which row of a matrix with gates reset, update, new each row is that has them in ONNX's order: update, reset, new.
 */
static sr_graph_value describe_gate_order(sr_graph *g, size_t units)
{
    const sr_graph_value units_of_gate = SR_GRAPH(g, "Range", sr_graph_integer(g, 0), sr_graph_integer(g, (int64_t)units),
                                                  sr_graph_integer(g, 1));
    const int64_t first[] = {(int64_t)units, 0, 2 * (int64_t)units}, all[] = {-1};
    const sr_graph_value starts = sr_graph_integers(g, (const size_t[]){3, 1}, 2, first);
    return sr_graph_reshape(g, SR_GRAPH(g, "Add", starts, units_of_gate), all, 1);
}

/* ONNX's operation has the product with the input weights inside: here that is a matrix that only brings gates in
 * order. Where a sequence has no token, inputs of 0 keep a state of 0. */
static sr_graph_value describe_gru(sr_description *to, const sr_tensor *output, const void *saved)
{
    const gru_state *state = saved;
    sr_graph *g = description_graph(to);
    const int64_t time_first[] = {1, 0, 2};
    const sr_graph_attribute attributes[] = {
        {.name = "hidden_size", .kind = SR_GRAPH_INTEGER, .integer = (int64_t)output->columns},
        {.name = "linear_before_reset", .kind = SR_GRAPH_INTEGER, .integer = 1},
        {.kind = SR_GRAPH_NO_MORE}};
    const sr_graph_value order = describe_gate_order(g, output->columns);
    const sr_graph_value is_gate = SR_GRAPH(g, "Equal", sr_graph_add_axis(g, order, 1),
                                            SR_GRAPH(g, "Range", sr_graph_integer(g, 0),
                                                     sr_graph_integer(g, 3 * (int64_t)output->columns),
                                                     sr_graph_integer(g, 1)));
    const sr_graph_value bring = SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_FLOAT, is_gate);
    const sr_graph_value hidden = SR_GRAPH_WITH(g, "Gather", "axis", 0, described(to, state->weight), order);
    const sr_graph_value input = SR_GRAPH(g, "Where", sr_graph_add_axis(g, described_tokens(to), 2),
                                          described(to, state->input), sr_graph_number(g, 0));
    const sr_graph_value inputs[] = {sr_graph_transpose(g, input, time_first, 3), sr_graph_add_axis(g, bring, 0),
                                     sr_graph_add_axis(g, hidden, 0)};
    const sr_graph_value states = sr_graph_node(g, "GRU", attributes, inputs, 3, 1);
    return sr_graph_transpose(g, sr_graph_drop_axis(g, states, 1), time_first, 3);
}

static const sr_operation gru_operation = {.name = "gru", .backward = gru_backward, .describe = describe_gru};

sr_tensor *sr_gru(sr_tape *tape, sr_tensor *input, sr_tensor *weight, const sr_layout *layout)
{
    if (!input || !weight)
        return NULL;
    const size_t g = weight->columns, tokens = layout->offsets[layout->sequences];
    assert(weight->rows == 3 * g && input->columns == 3 * g && input->rows == tokens);
    gru_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *transposed = sr_tape_take(tape, weight->rows * weight->columns, sizeof *transposed);
    if (!state || !transposed)
        return NULL;
    sr_tape_kernels(tape)->transpose(transposed, weight->values, weight->rows, weight->columns);
    *state = (gru_state){.input = input,
                         .weight = weight,
                         .gates = sr_tape_take(tape, tokens * 4 * g, sizeof *state->gates),
                         .previous = sr_tape_take(tape, tokens * g, sizeof *state->previous)};
    if (!make_order(tape, layout, &state->order) || !state->gates || !state->previous)
        return NULL;
    if (sr_tape_is_recording(tape)) {
        state->gate_gradients = sr_tape_take(tape, tokens * 4 * g, sizeof *state->gate_gradients);
        state->state_gradients = sr_tape_take(tape, layout->sequences * g, sizeof *state->state_gradients);
        if (!state->gate_gradients || !state->state_gradients)
            return NULL;
    }
    sr_tensor *inputs[] = {input, weight};
    sr_tensor *out = sr_tape_record(tape, tokens, g, inputs, 2, &gru_operation, state);
    for (size_t step = 0; out && step < state->order.count; ++step)
        step_forward(tape, state, transposed, step, out);
    return out;
}
