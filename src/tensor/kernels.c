/* The hot loops; srtrain/kernels.h says what each computes. Compiled once for each CPU level (cmake/CpuLevels.cmake) with
 * SR_CPU_LEVEL naming the table. Plain loops that the compiler vectorises, so that one text serves every level; what processors
 * have instructions of their own for lies in headers (exponentials.h, gelu.h, philox.h). */
#include "srtrain/kernels.h"

#include "tensor/elementary.h"
#include "tensor/exponentials.h"
#include "tensor/gelu.h"
#include "tensor/gemm.h"
#include "tensor/philox.h"
#include "tensor/simd.h"
#include "tensor/square.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- sums and products ---- */

static void add(sr_real *out, const sr_real *left, const sr_real *right, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = left[i] + right[i];
}

static void multiply(sr_real *out, const sr_real *left, const sr_real *right, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = left[i] * right[i];
}

static void accumulate(sr_real *sum, const sr_real *term, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        sum[i] += term[i];
}

static void accumulate_rows(sr_real *sum, const sr_real *rows, size_t count, size_t n)
{
    enum { ROWS = 8 }; /* at a time, so that the sum is read and written once for so many */
    size_t row = 0;
    for (; row + ROWS <= count; row += ROWS) {
        const sr_real *restrict term = rows + row * n;
        SIMD
        for (size_t i = 0; i < n; ++i) {
            sr_real total = sum[i];
#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; ++r)
                total += term[r * n + i];
            sum[i] = total;
        }
    }
    for (; row < count; ++row)
        accumulate(sum, rows + row * n, n);
}

static void accumulate_scaled(sr_real *sum, sr_real factor, const sr_real *term, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        sum[i] += factor * term[i];
}

static void accumulate_product(sr_real *sum, const sr_real *left, const sr_real *right, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        sum[i] += left[i] * right[i];
}

static void accumulate_difference_product(sr_real *sum, const sr_real *left, const sr_real *right, const sr_real *factor,
                                          size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        sum[i] += (left[i] - right[i]) * factor[i];
}

static void interpolate(sr_real *out, const sr_real *from, const sr_real *to, const sr_real *share, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = from[i] + share[i] * (to[i] - from[i]);
}

static sr_real sum_of(const sr_real *values, size_t n)
{
    sr_real sum = 0;
    SIMD_SUM(sum)
    for (size_t i = 0; i < n; ++i)
        sum += values[i];
    return sum;
}

static sr_real dot(const sr_real *left, const sr_real *right, size_t n)
{
    sr_real sum = 0;
    SIMD_SUM(sum)
    for (size_t i = 0; i < n; ++i)
        sum += left[i] * right[i];
    return sum;
}

static double sum_of_squares(const sr_real *values, size_t n)
{
    double sum = 0;
    SIMD_SUM(sum)
    for (size_t i = 0; i < n; ++i)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

static void scale(sr_real *values, sr_real factor, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        values[i] *= factor;
}

static void raise_maximum(sr_real *restrict maximum, int32_t *restrict index, const sr_real *restrict values, int32_t candidate,
                          size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const bool greater = values[i] > maximum[i];
        maximum[i] = greater ? values[i] : maximum[i];
        index[i] = greater ? candidate : index[i];
    }
}

/* In squares that fit into registers; what is left over number by number. */
static void transpose(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns)
{
    const size_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
    for (size_t row = 0; row < whole_rows; row += LANES)
        for (size_t column = 0; column < whole_columns; column += LANES)
            transpose_square(transposed + column * rows + row, rows, matrix + row * columns + column, columns, LANES);
    for (size_t row = 0; row < rows; ++row)
        for (size_t column = row < whole_rows ? whole_columns : 0; column < columns; ++column)
            transposed[column * rows + row] = matrix[row * columns + column];
}

static size_t count_above(const sr_real *values, sr_real threshold, size_t n)
{
    size_t total = 0;
    while (n) {
        /* Counted in 32 bits within a piece, which vectorises better. */
        const size_t piece = n < ((size_t)1 << 20) ? n : (size_t)1 << 20;
        uint32_t count = 0;
        SIMD_SUM(count)
        for (size_t i = 0; i < piece; ++i)
            count += values[i] > threshold;
        total += count;
        values += piece;
        n -= piece;
    }
    return total;
}

/* ---- activations ---- */

#define EACH_ELEMENT(expression)         \
    do {                                 \
        SIMD                             \
        for (size_t i = 0; i < n; ++i) { \
            const sr_real x = in[i];     \
            out[i] = (expression);       \
        }                                \
    } while (0)

static void activation(sr_activation kind, sr_real *restrict out, const sr_real *restrict in, size_t n)
{
    switch (kind) {
    case SR_ACTIVATION_GELU:
        gelu(out, in, n);
        break;
    case SR_ACTIVATION_RELU:
        EACH_ELEMENT(x < 0 ? 0 : x);
        break;
    case SR_ACTIVATION_SWISH:
        EACH_ELEMENT(x * sigmoid(x));
        break;
    case SR_ACTIVATION_TANH:
        EACH_ELEMENT(hyperbolic_tangent(x));
        break;
    case SR_ACTIVATION_SIGMOID:
        EACH_ELEMENT(sigmoid(x));
        break;
    case SR_ACTIVATION_ELU:
        EACH_ELEMENT(x > 0 ? x : exponential_minus_one(x > 0 ? 0 : x));
        break;
    }
}

static inline sr_real swish_derivative(sr_real x)
{
    const sr_real s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static inline sr_real tanh_derivative(sr_real x)
{
    const sr_real t = hyperbolic_tangent(x);
    return 1 - t * t;
}

static inline sr_real sigmoid_derivative(sr_real x)
{
    const sr_real s = sigmoid(x);
    return s * (1 - s);
}

#define EACH_DERIVATIVE(expression)                           \
    do {                                                      \
        SIMD                                                  \
        for (size_t i = 0; i < n; ++i) {                      \
            const sr_real x = in[i];                          \
            in_gradient[i] += out_gradient[i] * (expression); \
        }                                                     \
    } while (0)

static void activation_backward(sr_activation kind, sr_real *restrict in_gradient, const sr_real *restrict in,
                                const sr_real *restrict out_gradient, size_t n)
{
    switch (kind) {
    case SR_ACTIVATION_GELU:
        gelu_backward(in_gradient, in, out_gradient, n);
        break;
    case SR_ACTIVATION_RELU:
        EACH_DERIVATIVE(x > 0 ? 1 : 0);
        break;
    case SR_ACTIVATION_SWISH:
        EACH_DERIVATIVE(swish_derivative(x));
        break;
    case SR_ACTIVATION_TANH:
        EACH_DERIVATIVE(tanh_derivative(x));
        break;
    case SR_ACTIVATION_SIGMOID:
        EACH_DERIVATIVE(sigmoid_derivative(x));
        break;
    case SR_ACTIVATION_ELU:
        EACH_DERIVATIVE(x > 0 ? 1 : exponential(x > 0 ? 0 : x));
        break;
    }
}

static void exponential_of(sr_real *out, const sr_real *in, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = exponential(in[i]);
}

static void log_sigmoid(sr_real *out, const sr_real *in, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real x = in[i], magnitude = x < 0 ? -x : x;
        out[i] = (x < 0 ? x : 0) - logarithm_of_one_plus(exponential(-magnitude));
    }
}

static void log_sigmoid_backward(sr_real *restrict in_gradient, const sr_real *restrict in,
                                 const sr_real *restrict out_gradient, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        in_gradient[i] += out_gradient[i] * sigmoid(-in[i]);
}

static void gru(sr_real *restrict out, sr_real *restrict gates, const sr_real *restrict input, const sr_real *restrict previous,
                size_t n)
{
    sr_real *restrict reset = gates, *restrict update = gates + n, *restrict candidate = gates + 2 * n,
                      *restrict hidden = gates + 3 * n;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real product = candidate[i];
        const sr_real r = sigmoid(input[i] + reset[i]), z = sigmoid(input[n + i] + update[i]);
        const sr_real c = hyperbolic_tangent(input[2 * n + i] + r * product);
        out[i] = c + z * (previous[i] - c);
        reset[i] = r;
        update[i] = z;
        candidate[i] = c;
        hidden[i] = product;
    }
}

static void gru_backward(sr_real *restrict gate_gradients, sr_real *restrict state_gradient, const sr_real *restrict gates,
                         const sr_real *restrict previous, size_t n)
{
    const sr_real *restrict reset = gates, *restrict update = gates + n, *restrict candidate = gates + 2 * n,
                            *restrict hidden = gates + 3 * n;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real r = reset[i], z = update[i], c = candidate[i], gradient = state_gradient[i];
        const sr_real of_new = gradient * (1 - z) * (1 - c * c);
        gate_gradients[i] = of_new * hidden[i] * r * (1 - r);
        gate_gradients[n + i] = gradient * (previous[i] - c) * z * (1 - z);
        gate_gradients[2 * n + i] = of_new * r;
        gate_gradients[3 * n + i] = of_new;
        state_gradient[i] = gradient * z;
    }
}

/* ---- rows ---- */

static sr_row_statistics layer_norm(sr_real *restrict out, const sr_real *restrict in, const sr_real *restrict gain,
                                    const sr_real *restrict bias, sr_real epsilon, size_t n)
{
    sr_real sum = 0;
    SIMD_SUM(sum)
    for (size_t i = 0; i < n; ++i)
        sum += in[i];
    const sr_real mean = sum / (sr_real)n;
    sr_real squares = 0;
    SIMD_SUM(squares)
    for (size_t i = 0; i < n; ++i)
        squares += (in[i] - mean) * (in[i] - mean);
    const sr_real inverse_deviation = 1 / (sr_real)sqrt((double)(squares / (sr_real)n + epsilon));
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = gain[i] * ((in[i] - mean) * inverse_deviation) + bias[i];
    return (sr_row_statistics){mean, inverse_deviation};
}

static void layer_norm_backward(sr_real *restrict in_gradient, const sr_real *restrict in, const sr_row_statistics *statistics,
                                const sr_real *restrict gain, const sr_real *restrict out_gradient, size_t n)
{
    const sr_real mean = statistics->mean, inverse_deviation = statistics->inverse_deviation;
    sr_real sum = 0, product_sum = 0;
    SIMD_TEXT(omp simd reduction(+ : sum, product_sum))
    for (size_t i = 0; i < n; ++i) {
        const sr_real g = gain[i] * out_gradient[i];
        sum += g;
        product_sum += g * ((in[i] - mean) * inverse_deviation);
    }
    const sr_real gradient_mean = sum / (sr_real)n, product_mean = product_sum / (sr_real)n;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real normalised = (in[i] - mean) * inverse_deviation;
        in_gradient[i] += inverse_deviation * (gain[i] * out_gradient[i] - gradient_mean - normalised * product_mean);
    }
}

static void layer_norm_gain_backward(sr_real *restrict gain_gradient, const sr_real *restrict in,
                                     const sr_row_statistics *statistics, const sr_real *restrict out_gradient, size_t n)
{
    const sr_real mean = statistics->mean, inverse_deviation = statistics->inverse_deviation;
    SIMD
    for (size_t i = 0; i < n; ++i)
        gain_gradient[i] += (in[i] - mean) * inverse_deviation * out_gradient[i];
}

static sr_real exponentials(sr_real *values, sr_real *maximum, size_t n)
{
    *maximum = maximum_of(values, n);
    return exponentials_below(values, values, *maximum, n);
}

static void softmax(sr_real *out, const sr_real *in, size_t n)
{
    const sr_real sum = exponentials_below(out, in, maximum_of(in, n), n);
    scale(out, 1 / sum, n);
}

static void softmax_backward(sr_real *restrict in_gradient, const sr_real *restrict probabilities,
                             const sr_real *restrict out_gradient, size_t n)
{
    const sr_real inner = dot(probabilities, out_gradient, n);
    SIMD
    for (size_t i = 0; i < n; ++i)
        in_gradient[i] += probabilities[i] * (out_gradient[i] - inner);
}

static void softmax_gradient(sr_real *restrict gradient, const sr_real *restrict probabilities, sr_real inner, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        gradient[i] = probabilities[i] * (gradient[i] - inner);
}

/* ---- dropout ---- */

/* Consecutive blocks of one row, in consecutive lanes. */
typedef struct {
    size_t lane, start, count; /* elements kept[start .. start + count) */
} lane_run;

static void dropout_mask(uint8_t *kept, size_t rows, const size_t *offsets, const uint32_t *row_words,
                         const uint64_t *identities, const uint32_t key[2], uint32_t keep)
{
    size_t row = 0, element = 0; /* the next block to be drawn */
    while (row < rows) {
        uint32_t words[4][PHILOX_LANES] = {{0}};
        lane_run runs[PHILOX_LANES];
        size_t used = 0, run_count = 0;
        while (used < PHILOX_LANES && row < rows) {
            const size_t left = offsets[row + 1] - offsets[row] - element;
            const size_t wanted = (left + ELEMENTS_OF_BLOCK - 1) / ELEMENTS_OF_BLOCK;
            const size_t lanes = wanted < PHILOX_LANES - used ? wanted : PHILOX_LANES - used;
            const bool is_end = lanes == wanted;
            for (size_t lane = used; lane < used + lanes; ++lane) {
                words[0][lane] = (uint32_t)(element / ELEMENTS_OF_BLOCK + lane - used);
                words[1][lane] = row_words[row];
                words[2][lane] = (uint32_t)identities[row];
                words[3][lane] = (uint32_t)(identities[row] >> 32);
            }
            if (lanes > 0)
                runs[run_count++] = (lane_run){used, offsets[row] + element, is_end ? left : lanes * ELEMENTS_OF_BLOCK};
            used += lanes;
            element = is_end ? 0 : element + lanes * ELEMENTS_OF_BLOCK;
            row += is_end;
        }
        uint32_t blocks[PHILOX_LANES][2];
        draw_lanes(blocks, words, key, keep);
        for (size_t r = 0; r < run_count; ++r)
            memcpy(kept + runs[r].start, (const uint8_t *)blocks + runs[r].lane * ELEMENTS_OF_BLOCK, runs[r].count);
    }
}

static void drop(sr_real *out, const sr_real *in, const uint8_t *kept, sr_real factor, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = kept[i] ? factor * in[i] : 0;
}

static void add_dropped(sr_real *restrict out, const sr_real *restrict residual, const sr_real *restrict in,
                        const uint8_t *restrict kept, sr_real factor, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = residual[i] + (kept[i] ? factor * in[i] : 0);
}

static void accumulate_kept(sr_real *restrict sum, const sr_real *restrict term, const uint8_t *restrict kept, sr_real factor,
                            size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        sum[i] += kept[i] ? factor * term[i] : 0;
}

#include "tensor/optimizer_kernels.h"

/* ---- the tables ---- */

#define NAME_OF(name, level) NAME_TEXT(name, level)
#define NAME_TEXT(name, level) name##_##level
#define LEVEL_TEXT_OF(level) #level
#define LEVEL_TEXT(level) LEVEL_TEXT_OF(level)

/* Whether products of our own are as fast as a processor allows. Every 64-bit ARM processor multiplies and adds at once, and
 * has registers for a whole block. */
#if defined(__AVX2__) || defined(__aarch64__)
enum { IS_FAST = true };
#else
enum { IS_FAST = false };
#endif

static const sr_products full_precision = {.name = "fp32",
                                           .multiply = NAME_OF(multiply, SR_CPU_LEVEL),
                                           .takes_bias = true,
                                           .leaves_some_to_blas = true,
                                           .is_fast = IS_FAST};
/* Rounding takes longer than anything but a matrix unit saves. */
static const sr_products bf16_in_full_precision = {.name = "bf16 in fp32",
                                                   .multiply = NAME_OF(multiply, SR_CPU_LEVEL),
                                                   .takes_bias = true,
                                                   .leaves_some_to_blas = true,
                                                   .is_fast = IS_FAST};

/* What all levels of one instruction set have in common. */
#define LOOPS                                                                                                              \
    .add = add, .multiply = multiply, .accumulate = accumulate, .accumulate_rows = accumulate_rows,                        \
    .accumulate_scaled = accumulate_scaled, .accumulate_product = accumulate_product,                                      \
    .accumulate_difference_product = accumulate_difference_product, .interpolate = interpolate, .sum = sum_of, .dot = dot, \
    .sum_of_squares = sum_of_squares, .activation = activation, .activation_backward = activation_backward,                \
    .exponential = exponential_of, .log_sigmoid = log_sigmoid, .log_sigmoid_backward = log_sigmoid_backward, .gru = gru,   \
    .gru_backward = gru_backward, .layer_norm = layer_norm, .layer_norm_backward = layer_norm_backward,                    \
    .layer_norm_gain_backward = layer_norm_gain_backward, .softmax = softmax, .softmax_backward = softmax_backward,        \
    .softmax_gradient = softmax_gradient, .exponentials = exponentials, .transpose = transpose, .scale = scale,            \
    .raise_maximum = raise_maximum, .count_above = count_above, .dropout_mask = dropout_mask, .drop = drop,                \
    .add_dropped = add_dropped, .accumulate_kept = accumulate_kept, .adam = adam, .adam_gap = adam_gap,                    \
    .adam_gap_sum = adam_gap_sum, .sgd = sgd, .lamb_measure = lamb_measure, .lamb_move = lamb_move

extern const sr_kernels NAME_OF(sr_kernels, SR_CPU_LEVEL);
const sr_kernels NAME_OF(sr_kernels, SR_CPU_LEVEL) = {
    .level = LEVEL_TEXT(SR_CPU_LEVEL), .products = {&full_precision, &bf16_in_full_precision}, LOOPS};

#ifdef SR_WITH_AMX
static const sr_products by_amx = {.name = "bf16 by AMX",
                                   .multiply = multiply_amx,
                                   .of_small = &full_precision,
                                   .softmax = &softmax_amx,
                                   .takes_bias = true,
                                   .is_fast = true};

extern const sr_kernels sr_kernels_amx;
const sr_kernels sr_kernels_amx = {.level = "amx", .products = {&full_precision, &by_amx}, LOOPS};
#endif
