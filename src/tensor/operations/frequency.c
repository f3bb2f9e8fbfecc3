/* Operations along the positions of each sequence, in the frequency domain (srtrain/fourier.h): projection onto a
 * band of bins (Shin et al. 2024; Du et al. 2023) and learned filters (Zhou et al. 2022).
 *
 * Every sequence of a layout is transformed over all of its tokens, padding included. Outputs may be some of the rows
 * only. */
#include "srtrain/fourier.h"
#include "srtrain/kernels.h"
#include "srtrain/operations.h"
#include "tensor/description.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- sequences and the rows that are wanted of them ---- */

typedef struct {
    sr_fourier *fourier;
    const sr_layout *layout;
    const sr_rows *rows;
    size_t *positions;    /* [rows]: in their sequence */
    sr_real *coordinates; /* scratch: [2 bins of the longest sequence's band, width] */
    size_t width;
} transformed_sequences;

static size_t length_of(const transformed_sequences *t, size_t s)
{
    return t->layout->offsets[s + 1] - t->layout->offsets[s];
}

/* The band in a sequence of n positions, which may have fewer bins. */
static sr_band clamp(sr_band band, size_t n)
{
    const size_t bins = sr_fourier_bins(n);
    return (sr_band){band.first < bins ? band.first : bins, band.last < bins ? band.last : bins};
}

/* Makes everything ready; false (and a sticky failure of the tape) when memory runs out. `copies` of the coordinates.
 */
static bool prepare(transformed_sequences *t, sr_tape *tape, sr_fourier *fourier, const sr_layout *layout, const sr_rows *rows,
                    sr_band band, size_t width, size_t copies)
{
    size_t longest = 0;
    *t = (transformed_sequences){.fourier = fourier, .layout = layout, .rows = rows, .width = width};
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t n = length_of(t, s);
        sr_error error = {.status = SR_OK};
        if (sr_fourier_prepare(fourier, sr_tape_kernels(tape), n, clamp(band, n), &error) != SR_OK) {
            sr_tape_fail(tape, &error);
            return false;
        }
        longest = n > longest ? n : longest;
    }
    const sr_band widest = clamp(band, longest);
    t->positions = sr_tape_take(tape, sr_rows_count(rows, layout), sizeof *t->positions);
    t->coordinates = sr_tape_take(tape, copies * 2 * (widest.last - widest.first) * width, sizeof *t->coordinates);
    if (!t->positions || !t->coordinates)
        return false;
    for (size_t s = 0; s < layout->sequences; ++s)
        for (size_t row = rows->offsets[s]; row < rows->offsets[s + 1]; ++row)
            t->positions[row] = rows->tokens[row] - layout->offsets[s];
    return true;
}

/* The wanted positions of sequence s; NULL when all are. */
static const size_t *positions_of(const transformed_sequences *t, size_t s, size_t *count)
{
    *count = t->rows->offsets[s + 1] - t->rows->offsets[s];
    return *count == length_of(t, s) ? NULL : t->positions + t->rows->offsets[s];
}

/* ---- the basis of srtrain/fourier.h in a graph ---- */

/* For each bin of a band: cosines and sines at each token, [window, bins] or [batch, window, bins]. */
typedef struct {
    sr_graph_value cosines, sines;
    bool by_batch; /* sequences have different lengths */
} described_basis;

/* How many tokens a sequence has, [batch, 1, 1] or a number. */
static sr_graph_value describe_length(sr_description *to)
{
    sr_graph *g = description_graph(to);
    const described_pass *pass = description_pass(to);
    if (pass->whole_window)
        return sr_graph_integer(g, (int64_t)pass->layout->window);
    const sr_graph_value tokens = SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_INT64, described_tokens(to));
    return sr_graph_add_axis(g, sr_graph_sum(g, tokens, 1), 2);
}

/* Which token of its sequence stands in a column. */
static sr_graph_value describe_places(sr_description *to, sr_graph_value length)
{
    sr_graph *g = description_graph(to);
    const described_pass *pass = description_pass(to);
    const sr_graph_value columns = sr_graph_add_axis(g, described_columns(to), 1);
    if (pass->whole_window || !pass->pads_left)
        return columns;
    return SR_GRAPH(g, "Sub", SR_GRAPH(g, "Add", columns, length), sr_graph_integer(g, (int64_t)pass->layout->window));
}

/* The factor c_k of each bin, 0 for bins that a sequence does not have. */
static sr_graph_value describe_factors(sr_graph *g, sr_graph_value bins, sr_graph_value length, sr_graph_value numbers)
{
    const sr_graph_value twice = SR_GRAPH(g, "Mul", bins, sr_graph_integer(g, 2));
    const sr_graph_value is_real = SR_GRAPH(g, "Or", SR_GRAPH(g, "Equal", twice, sr_graph_integer(g, 0)),
                                            SR_GRAPH(g, "Equal", twice, length));
    const sr_graph_value halves = SR_GRAPH(g, "Where", is_real, sr_graph_number(g, 1), sr_graph_number(g, 2));
    const sr_graph_value factors = SR_GRAPH(g, "Sqrt", SR_GRAPH(g, "Div", halves, numbers));
    return SR_GRAPH(g, "Where", SR_GRAPH(g, "LessOrEqual", twice, length), factors, sr_graph_number(g, 0));
}

/* Angles are those of whole numbers k t mod n, so that they are exact however large k t is. */
static described_basis describe_basis(sr_description *to, sr_band band)
{
    sr_graph *g = description_graph(to);
    const bool by_batch = !description_pass(to)->whole_window;
    const sr_graph_value bins = SR_GRAPH(g, "Range", sr_graph_integer(g, (int64_t)band.first),
                                         sr_graph_integer(g, (int64_t)band.last), sr_graph_integer(g, 1));
    const sr_graph_value length = describe_length(to);
    const sr_graph_value numbers = SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_FLOAT, length);
    const sr_graph_value turns = SR_GRAPH(g, "Mod", SR_GRAPH(g, "Mul", describe_places(to, length), bins), length);
    const sr_graph_value share = SR_GRAPH(g, "Div", SR_GRAPH_WITH(g, "Cast", "to", SR_GRAPH_FLOAT, turns), numbers);
    const sr_graph_value angles = sr_graph_scaled(g, share, 2 * acos(-1));
    sr_graph_value factors = describe_factors(g, bins, length, numbers);
    if (by_batch)
        factors = SR_GRAPH(g, "Where", sr_graph_add_axis(g, described_tokens(to), 2), factors, sr_graph_number(g, 0));
    return (described_basis){SR_GRAPH(g, "Mul", SR_GRAPH(g, "Cos", angles), factors),
                             SR_GRAPH(g, "Neg", SR_GRAPH(g, "Mul", SR_GRAPH(g, "Sin", angles), factors)), by_batch};
}

/* One of the coordinates of x, [batch, bins, d]. */
static sr_graph_value describe_analysis(sr_description *to, const described_basis *basis, sr_graph_value waves,
                                        sr_graph_value x)
{
    sr_graph *g = description_graph(to);
    const sr_graph_value transposed = basis->by_batch ? sr_graph_transpose(g, waves, (const int64_t[]){0, 2, 1}, 3)
                                                      : sr_graph_transpose(g, waves, (const int64_t[]){1, 0}, 2);
    return SR_GRAPH(g, "MatMul", transposed, x);
}

/* What coordinates contribute to rows: to all tokens, or to those that are read. */
static sr_graph_value describe_synthesis(sr_description *to, const described_basis *basis, sr_graph_value waves,
                                         sr_graph_value coordinates, const sr_rows *rows)
{
    sr_graph *g = description_graph(to);
    if (are_read(to, rows->tokens))
        waves = basis->by_batch ? described_read_rows(to, waves)
                                : SR_GRAPH_WITH(g, "Gather", "axis", 0, waves, described_read_columns(to));
    return SR_GRAPH(g, "MatMul", waves, coordinates);
}

/* ---- projection onto a band: out = B_bandᵀ B_band x, a symmetric matrix P for each length ---- */

typedef struct {
    transformed_sequences transformed;
    sr_tensor *x;
    sr_band band;
} band_state;

/* Whether a band has every bin of a sequence: then P is the identity. */
static bool is_everything(sr_band band, size_t n)
{
    return band.first == 0 && band.last >= sr_fourier_bins(n);
}

/* dx += Pᵀ dout = P dout */
static void band_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const band_state *state = saved;
    const transformed_sequences *t = &state->transformed;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    for (size_t s = 0; s < t->layout->sequences; ++s) {
        size_t count;
        const size_t n = length_of(t, s), *positions = positions_of(t, s, &count);
        const sr_band band = clamp(state->band, n);
        const sr_real *out_gradient = out->gradient + t->rows->offsets[s] * t->width;
        sr_real *gradient = state->x->gradient + t->layout->offsets[s] * t->width;
        if (is_everything(state->band, n)) {
            for (size_t i = 0; i < count; ++i)
                kernels->accumulate(gradient + (positions ? positions[i] : i) * t->width, out_gradient + i * t->width,
                                    t->width);
        } else if (count > 0) {
            sr_fourier_analyse(t->fourier, n, band, positions, count, out_gradient, t->coordinates);
            sr_fourier_synthesise(t->fourier, n, band, t->coordinates, NULL, 0, gradient, true);
        }
    }
}

static sr_graph_value describe_band(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const band_state *state = saved;
    sr_graph *g = description_graph(to);
    const transformed_sequences *t = &state->transformed;
    const size_t window = t->layout->window;
    const sr_graph_value x = described(to, state->x);
    if (is_everything(state->band, window))
        return are_read(to, t->rows->tokens) ? described_read_rows(to, x) : x;
    const described_basis basis = describe_basis(to, clamp(state->band, window));
    const sr_graph_value real = describe_analysis(to, &basis, basis.cosines, x),
                         imaginary = describe_analysis(to, &basis, basis.sines, x);
    return SR_GRAPH(g, "Add", describe_synthesis(to, &basis, basis.cosines, real, t->rows),
                    describe_synthesis(to, &basis, basis.sines, imaginary, t->rows));
}

static const sr_operation band_operation = {.name = "band_pass", .backward = band_backward, .describe = describe_band};

sr_tensor *sr_band_pass(sr_tape *tape, sr_fourier *fourier, sr_tensor *x, const sr_layout *layout, const sr_rows *rows,
                        sr_band band)
{
    if (!x)
        return NULL;
    band_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state || !prepare(&state->transformed, tape, fourier, layout, rows, band, x->columns, 1))
        return NULL;
    state->x = x;
    state->band = band;
    const transformed_sequences *t = &state->transformed;
    sr_tensor *out = sr_tape_record(tape, sr_rows_count(rows, layout), x->columns, &x, 1, &band_operation, state);
    for (size_t s = 0; out && s < layout->sequences; ++s) {
        size_t count;
        const size_t n = length_of(t, s), *positions = positions_of(t, s, &count);
        const sr_real *in = x->values + layout->offsets[s] * t->width;
        sr_real *values = out->values + rows->offsets[s] * t->width;
        if (is_everything(band, n)) {
            for (size_t i = 0; i < count; ++i)
                memcpy(values + i * t->width, in + (positions ? positions[i] : i) * t->width, t->width * sizeof *values);
        } else if (count > 0) {
            sr_fourier_analyse(fourier, n, clamp(band, n), NULL, 0, in, t->coordinates);
            sr_fourier_synthesise(fourier, n, clamp(band, n), t->coordinates, positions, count, values, false);
        }
    }
    return out;
}

/* ---- low + b (x - low) with b = root^2 for each channel ---- */

typedef struct {
    sr_tensor *x, *low, *root;
    sr_real *scale; /* [width]: b */
} rescale_state;

/* dx += b g,  dlow += (1 - b) g,  droot += 2 root sum_t g (x - low) */
static void rescale_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const rescale_state *state = saved;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const size_t width = out->columns;
    sr_real *remainder = sr_tape_take(tape, 2 * width, sizeof *remainder);
    if (!remainder)
        return;
    sr_real *sums = remainder + width;
    for (size_t c = 0; c < width; ++c) {
        remainder[c] = 1 - state->scale[c];
        sums[c] = 0;
    }
    for (size_t t = 0; t < out->rows; ++t) {
        const sr_real *gradient = out->gradient + t * width;
        if (state->x->wants_gradient)
            kernels->accumulate_product(state->x->gradient + t * width, state->scale, gradient, width);
        if (state->low->wants_gradient)
            kernels->accumulate_product(state->low->gradient + t * width, remainder, gradient, width);
        if (state->root->wants_gradient)
            kernels->accumulate_difference_product(sums, state->x->values + t * width, state->low->values + t * width, gradient,
                                                   width);
    }
    if (state->root->wants_gradient)
        for (size_t c = 0; c < width; ++c)
            state->root->gradient[c] += 2 * state->root->values[c] * sums[c];
}

static sr_graph_value describe_rescale(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const rescale_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_graph_value low = described(to, state->low), root = described(to, state->root);
    const sr_graph_value rest = SR_GRAPH(g, "Sub", described(to, state->x), low);
    return SR_GRAPH(g, "Add", low, SR_GRAPH(g, "Mul", SR_GRAPH(g, "Mul", root, root), rest));
}

static const sr_operation rescale_operation = {
    .name = "rescale_residual", .backward = rescale_backward, .describe = describe_rescale};

sr_tensor *sr_rescale_residual(sr_tape *tape, sr_tensor *x, sr_tensor *low, sr_tensor *root)
{
    if (!x || !low || !root)
        return NULL;
    const size_t width = x->columns;
    assert(low->rows == x->rows && low->columns == width && root->columns == width);
    rescale_state *state = sr_tape_take(tape, 1, sizeof *state);
    sr_real *scale = sr_tape_take(tape, width, sizeof *scale);
    if (!state || !scale)
        return NULL;
    for (size_t c = 0; c < width; ++c)
        scale[c] = root->values[c] * root->values[c];
    *state = (rescale_state){x, low, root, scale};
    sr_tensor *inputs[] = {x, low, root};
    sr_tensor *out = sr_tape_record(tape, x->rows, width, inputs, 3, &rescale_operation, state);
    for (size_t t = 0; out && t < x->rows; ++t)
        sr_tape_kernels(tape)->interpolate(out->values + t * width, low->values + t * width, x->values + t * width, scale,
                                           width);
    return out;
}

/* ---- learned filters: Y_k = W_k X_k for each channel ---- */

/* Weights as planes, so that channels are neighbours. */
typedef struct {
    sr_real *real, *imaginary, *minus_imaginary; /* [bins, width] */
} filter_planes;

typedef struct {
    transformed_sequences transformed;
    sr_tensor *x, *weight;
    filter_planes planes;
    sr_real *filtered; /* scratch like the coordinates */
    size_t n, bins;
} filter_state;

/* (a + ib)(w + iv) for each bin, or with the conjugate of w + iv. */
static void multiply_bins(const filter_state *state, const sr_kernels *kernels, bool conjugate, const sr_real *in, sr_real *out)
{
    const size_t width = state->transformed.width;
    const filter_planes *planes = &state->planes;
    for (size_t k = 0; k < state->bins; ++k) {
        const sr_real *a = in + 2 * k * width, *b = a + width, *real = planes->real + k * width;
        const sr_real *imaginary = (conjugate ? planes->minus_imaginary : planes->imaginary) + k * width;
        const sr_real *minus_imaginary = (conjugate ? planes->imaginary : planes->minus_imaginary) + k * width;
        sr_real *out_real = out + 2 * k * width, *out_imaginary = out_real + width;
        kernels->multiply(out_real, a, real, width);
        kernels->accumulate_product(out_real, b, minus_imaginary, width);
        kernels->multiply(out_imaginary, b, real, width);
        kernels->accumulate_product(out_imaginary, a, imaginary, width);
    }
}

/* dW_k = conj(X_k) dY_k: sums holds, for each bin, the real part and the two halves of the imaginary part, a dY_im
 * and b dY_re. */
static void accumulate_weight_gradient(const filter_state *state, const sr_kernels *kernels, const sr_real *in,
                                       const sr_real *out_gradient, sr_real *sums)
{
    const size_t width = state->transformed.width;
    for (size_t k = 0; k < state->bins; ++k) {
        const sr_real *a = in + 2 * k * width, *b = a + width;
        const sr_real *real_gradient = out_gradient + 2 * k * width, *imaginary_gradient = real_gradient + width;
        sr_real *sum = sums + 3 * k * width;
        kernels->accumulate_product(sum, a, real_gradient, width);
        kernels->accumulate_product(sum, b, imaginary_gradient, width);
        kernels->accumulate_product(sum + width, a, imaginary_gradient, width);
        kernels->accumulate_product(sum + 2 * width, b, real_gradient, width);
    }
}

static void add_weight_gradient(const filter_state *state, const sr_real *sums)
{
    const size_t width = state->transformed.width;
    for (size_t k = 0; k < state->bins; ++k)
        for (size_t c = 0; c < width; ++c) {
            const sr_real *sum = sums + 3 * k * width + c;
            sr_real *gradient = state->weight->gradient + 2 * (k * width + c);
            gradient[0] += sum[0];
            if (k != 0 && 2 * k != state->n) /* the imaginary part of these bins has no effect */
                gradient[1] += sum[width] - sum[2 * width];
        }
}

/* dX_k = conj(W_k) dY_k, and dW above. The coordinates of x are computed again. */
static void filter_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const filter_state *state = saved;
    const transformed_sequences *t = &state->transformed;
    const sr_kernels *kernels = sr_tape_kernels(tape);
    const sr_band band = {0, state->bins};
    const size_t sum_count = 3 * state->bins * t->width;
    sr_real *sums = sr_tape_take(tape, sum_count, sizeof *sums);
    sr_real *out_coordinates = sr_tape_take(tape, 2 * state->bins * t->width, sizeof *out_coordinates);
    if (!sums || !out_coordinates)
        return;
    memset(sums, 0, sum_count * sizeof *sums);
    for (size_t s = 0; s < t->layout->sequences; ++s) {
        size_t count;
        const size_t *positions = positions_of(t, s, &count), first = t->layout->offsets[s] * t->width;
        if (count == 0)
            continue;
        sr_fourier_analyse(t->fourier, state->n, band, positions, count, out->gradient + t->rows->offsets[s] * t->width,
                           out_coordinates);
        if (state->weight->wants_gradient) {
            sr_fourier_analyse(t->fourier, state->n, band, NULL, 0, state->x->values + first, t->coordinates);
            accumulate_weight_gradient(state, kernels, t->coordinates, out_coordinates, sums);
        }
        if (state->x->wants_gradient) {
            multiply_bins(state, kernels, true, out_coordinates, state->filtered);
            sr_fourier_synthesise(t->fourier, state->n, band, state->filtered, NULL, 0, state->x->gradient + first, true);
        }
    }
    if (state->weight->wants_gradient)
        add_weight_gradient(state, sums);
}

/* (a + ib)(w + iv); the weight is [bins, d, 2]. */
static sr_graph_value describe_filter(sr_description *to, const sr_tensor *output, const void *saved)
{
    (void)output;
    const filter_state *state = saved;
    sr_graph *g = description_graph(to);
    const sr_rows *rows = state->transformed.rows;
    const described_basis basis = describe_basis(to, (sr_band){0, state->bins});
    const sr_graph_value x = described(to, state->x), weight = described(to, state->weight);
    const sr_graph_value a = describe_analysis(to, &basis, basis.cosines, x), b = describe_analysis(to, &basis, basis.sines, x);
    const sr_graph_value w = SR_GRAPH_WITH(g, "Gather", "axis", 2, weight, sr_graph_integer(g, 0)),
                         v = SR_GRAPH_WITH(g, "Gather", "axis", 2, weight, sr_graph_integer(g, 1));
    const sr_graph_value real = SR_GRAPH(g, "Sub", SR_GRAPH(g, "Mul", a, w), SR_GRAPH(g, "Mul", b, v)),
                         imaginary = SR_GRAPH(g, "Add", SR_GRAPH(g, "Mul", b, w), SR_GRAPH(g, "Mul", a, v));
    return SR_GRAPH(g, "Add", describe_synthesis(to, &basis, basis.cosines, real, rows),
                    describe_synthesis(to, &basis, basis.sines, imaginary, rows));
}

static const sr_operation filter_operation = {
    .name = "spectral_filter", .backward = filter_backward, .describe = describe_filter};

static bool make_planes(filter_planes *planes, sr_tape *tape, const sr_real *weight, size_t count)
{
    *planes = (filter_planes){sr_tape_take(tape, count, sizeof(sr_real)), sr_tape_take(tape, count, sizeof(sr_real)),
                              sr_tape_take(tape, count, sizeof(sr_real))};
    if (!planes->real || !planes->imaginary || !planes->minus_imaginary)
        return false;
    for (size_t i = 0; i < count; ++i) {
        planes->real[i] = weight[2 * i];
        planes->imaginary[i] = weight[2 * i + 1];
        planes->minus_imaginary[i] = -weight[2 * i + 1];
    }
    return true;
}

sr_tensor *sr_spectral_filter(sr_tape *tape, sr_fourier *fourier, sr_tensor *x, const sr_layout *layout, const sr_rows *rows,
                              sr_tensor *weight)
{
    if (!x || !weight)
        return NULL;
    const size_t width = x->columns, bins = weight->rows, n = layout->window;
    assert(weight->columns == 2 * width && bins == sr_fourier_bins(n) && x->rows == layout->sequences * n);
    filter_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state || !prepare(&state->transformed, tape, fourier, layout, rows, (sr_band){0, bins}, width, 2) ||
        !make_planes(&state->planes, tape, weight->values, bins * width))
        return NULL;
    const transformed_sequences *t = &state->transformed;
    state->x = x;
    state->weight = weight;
    state->filtered = t->coordinates + 2 * bins * width;
    state->n = n;
    state->bins = bins;
    sr_tensor *inputs[] = {x, weight};
    sr_tensor *out = sr_tape_record(tape, sr_rows_count(rows, layout), width, inputs, 2, &filter_operation, state);
    for (size_t s = 0; out && s < layout->sequences; ++s) {
        size_t count;
        const size_t *positions = positions_of(t, s, &count);
        sr_fourier_analyse(fourier, n, (sr_band){0, bins}, NULL, 0, x->values + layout->offsets[s] * width, t->coordinates);
        multiply_bins(state, sr_tape_kernels(tape), false, t->coordinates, state->filtered);
        if (count > 0)
            sr_fourier_synthesise(fourier, n, (sr_band){0, bins}, state->filtered, positions, count,
                                  out->values + rows->offsets[s] * width, false);
    }
    return out;
}

/* ---- distance of spectra: weight sum |F(left) - F(right)| ---- */

typedef struct {
    transformed_sequences transformed;
    sr_tensor *left, *right;
    sr_real *difference; /* scratch: [n, width] */
    size_t n, bins;
    double weight;
} distance_state;

/* Coordinates of left - right in sequence s. */
static void analyse_difference(const distance_state *state, const sr_kernels *kernels, size_t s)
{
    const transformed_sequences *t = &state->transformed;
    const size_t size = state->n * t->width, first = t->layout->offsets[s] * t->width;
    memcpy(state->difference, state->left->values + first, size * sizeof *state->difference);
    kernels->accumulate_scaled(state->difference, -1, state->right->values + first, size);
    sr_fourier_analyse(t->fourier, state->n, (sr_band){0, state->bins}, NULL, 0, state->difference, t->coordinates);
}

/* What a modulus of coordinates is divided by: all bins but these two stand for a pair of conjugates of half the
 * square each. */
static double scale_of_bin(const distance_state *state, size_t bin)
{
    return bin == 0 || 2 * bin == state->n ? 1 : sqrt(2);
}

static double modulus_of(sr_real real, sr_real imaginary)
{
    return sqrt((double)real * (double)real + (double)imaginary * (double)imaginary);
}

/* dleft += g weight Bᵀ u, dright -= the same, u the coordinates divided by their modulus, and by the bin's scale. */
static void distance_backward(sr_tape *tape, const sr_tensor *out, const void *saved)
{
    const distance_state *state = saved;
    const transformed_sequences *t = &state->transformed;
    const sr_band band = {0, state->bins};
    for (size_t s = 0; s < t->layout->sequences; ++s) {
        analyse_difference(state, sr_tape_kernels(tape), s);
        for (size_t k = 0; k < state->bins; ++k) {
            sr_real *real = t->coordinates + 2 * k * t->width, *imaginary = real + t->width;
            const double factor = state->weight * (double)out->gradient[0] / scale_of_bin(state, k);
            for (size_t c = 0; c < t->width; ++c) {
                const double modulus = modulus_of(real[c], imaginary[c]);
                const sr_real ratio = modulus > 0 ? (sr_real)(factor / modulus) : 0;
                real[c] *= ratio;
                imaginary[c] *= ratio;
            }
        }
        const size_t first = t->layout->offsets[s] * t->width, count = 2 * state->bins * t->width;
        if (state->left->wants_gradient)
            sr_fourier_synthesise(t->fourier, state->n, band, t->coordinates, NULL, 0, state->left->gradient + first, true);
        sr_tape_kernels(tape)->scale(t->coordinates, -1, count);
        if (state->right->wants_gradient)
            sr_fourier_synthesise(t->fourier, state->n, band, t->coordinates, NULL, 0, state->right->gradient + first, true);
    }
}

static const sr_operation distance_operation = {.name = "distance", .backward = distance_backward};

sr_tensor *sr_spectral_distance(sr_tape *tape, sr_fourier *fourier, sr_tensor *left, sr_tensor *right, const sr_layout *layout,
                                double weight)
{
    const sr_rows *all = sr_rows_all(tape, layout);
    if (!left || !right || !all)
        return NULL;
    const size_t width = left->columns, n = layout->window, bins = sr_fourier_bins(n);
    assert(left->rows == layout->sequences * n && right->rows == left->rows && right->columns == width);
    distance_state *state = sr_tape_take(tape, 1, sizeof *state);
    if (!state || !prepare(&state->transformed, tape, fourier, layout, all, (sr_band){0, bins}, width, 1))
        return NULL;
    state->left = left;
    state->right = right;
    state->n = n;
    state->bins = bins;
    state->weight = weight;
    state->difference = sr_tape_take(tape, n * width, sizeof *state->difference);
    sr_tensor *inputs[] = {left, right};
    sr_tensor *out = state->difference ? sr_tape_record(tape, 1, 1, inputs, 2, &distance_operation, state) : NULL;
    if (!out)
        return NULL;
    double sum = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        analyse_difference(state, sr_tape_kernels(tape), s);
        for (size_t k = 0; k < bins; ++k) {
            const sr_real *real = state->transformed.coordinates + 2 * k * width, *imaginary = real + width;
            for (size_t c = 0; c < width; ++c)
                sum += modulus_of(real[c], imaginary[c]) / scale_of_bin(state, k);
        }
    }
    out->values[0] = (sr_real)(weight * sum);
    return out;
}
