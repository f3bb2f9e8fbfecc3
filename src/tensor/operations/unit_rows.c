/* Rows of length 1: cosines are their dot products.
 *
 *   u = f v,  f = 1 / max(|v|, 1e-8)
 *   dv += f (du - u <u, du>), or f du where |v| < 1e-8 */
#include "tensor/unit_rows.h"

#include "srtrain/operations.h"
#include "tensor/description.h"

#include <math.h>
#include <string.h>

static const double LARGEST_FACTOR = 1e8;

sr_real unit_factor(const sr_kernels *kernels, const sr_real *vector, size_t width)
{
    const double factor = 1 / sqrt(kernels->sum_of_squares(vector, width));
    return (sr_real)(factor < LARGEST_FACTOR ? factor : LARGEST_FACTOR);
}

bool unit_factor_is_constant(sr_real factor)
{
    return factor >= (sr_real)LARGEST_FACTOR;
}

void accumulate_from_unit(const sr_kernels *kernels, sr_real *gradient, const sr_real *unit_gradient, const sr_real *vector,
                          sr_real factor, size_t width)
{
    kernels->accumulate_scaled(gradient, factor, unit_gradient, width);
    if (unit_factor_is_constant(factor))
        return;
    const sr_real along = kernels->dot(vector, unit_gradient, width);
    kernels->accumulate_scaled(gradient, -factor * factor * factor * along, vector, width);
}

typedef struct {
    sr_tensor *x;
    sr_real *factors; /* [n] */
} unit_rows_state;

static void unit_rows_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const unit_rows_state *state = saved;
    const sr_tensor *x = state->x;
    for (size_t i = 0; i < out->rows; ++i)
        accumulate_from_unit(sr_tape_kernels(tape), x->gradient + i * out->columns, out->gradient + i * out->columns,
                             x->values + i * out->columns, state->factors[i], out->columns);
}

static sr_graph_value describe_unit_rows(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const unit_rows_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value x = described(to, state->x);
    const sr_graph_value norms = SR_GRAPH(g, "Sqrt", sr_graph_sum(g, SR_GRAPH(g, "Mul", x, x), -1));
    return SR_GRAPH(g, "Div", x, SR_GRAPH(g, "Max", norms, sr_graph_number(g, 1 / LARGEST_FACTOR)));
}

static const sr_operation unit_rows_operation = {
    .name = "unit_rows", .backward = unit_rows_backward, .describe = describe_unit_rows};

sr_tensor *sr_unit_rows(sr_tape *tape, sr_tensor *x)
{
    if (!x)
        return NULL;
    unit_rows_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *factors = sr_tape_take(tape, x->rows, sizeof *factors);
    if (!state || !factors)
        return NULL;
    *state = (unit_rows_state){x, factors};
    sr_tensor *out = sr_tape_record(tape, x->rows, x->columns, &x, 1, &unit_rows_operation, state);
    if (!out)
        return NULL;
    memcpy(out->values, x->values, x->rows * x->columns * sizeof *out->values);
    for (size_t i = 0; i < x->rows; ++i) {
        factors[i] = unit_factor(sr_tape_kernels(tape), x->values + i * x->columns, x->columns);
        sr_tape_kernels(tape)->scale(out->values + i * x->columns, factors[i], x->columns);
    }
    return out;
}
