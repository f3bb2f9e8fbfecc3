/* The loops that cost time, compiled for several CPU levels and chosen at run time by CPU feature flags.
 *
 * One table of function pointers per level; all levels compute the same mathematics and differ in rounding only. A program
 * finds its table once and hands it on: nothing below chooses again. Vectors are contiguous; n counts elements. Arrays must not
 * overlap unless it is said. */
#ifndef SRTRAIN_KERNELS_H
#define SRTRAIN_KERNELS_H

#include "srtrain/arithmetic.h"
#include "srtrain/real.h"

#include <stddef.h>
#include <stdint.h>

/* Everything that one step of Adam needs for a range of parameters (Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter
 * 2019). */
typedef struct {
    sr_real step_size; /* learning rate / (1 - beta1^t) */
    sr_real beta1, beta2;
    sr_real second_correction; /* 1 / sqrt(1 - beta2^t) */
    sr_real epsilon;
    sr_real decay;          /* decoupled: learning rate * weight decay; 0 for none */
    sr_real l2;             /* added to the gradient as l2 * value; 0 for none */
    sr_real gradient_scale; /* from clipping by the global norm; 1 for none */
} sr_adam_step;

/* The same of stochastic gradient descent (src/step/optimizers/sgd.c has its equations). */
typedef struct {
    sr_real step_size;                 /* learning rate */
    sr_real momentum;                  /* what is left of the momentum in a step */
    sr_real of_gradient, of_momentum;  /* what values move by: Nesterov's 1 and momentum, or else 0 and 1 */
    sr_real decay, l2, gradient_scale; /* as for Adam */
} sr_sgd_step;

/* The same of LAMB (src/step/optimizers/lamb.c has its equations). */
typedef struct {
    sr_real beta1, beta2;
    sr_real first_correction;  /* 1 / (1 - beta1^t) */
    sr_real second_correction; /* 1 / sqrt(1 - beta2^t) */
    sr_real epsilon, weight_decay, gradient_scale;
} sr_lamb_step;

/* Several steps of Adam without a gradient, all at once (docs/internals/ranks.md). With m the first moment and r the root of
 * the second one, step j of them divides factor_j m by r root_j + epsilon; root_j varies little about a weighted mean. */
enum { SR_ADAM_POWERS = 7 };
typedef struct {
    sr_real first_factor, second_factor; /* what is left of the moments */
    sr_real value_factor;                /* what decay leaves of the values */
    sr_real scale;                       /* sum of factor_j */
    sr_real root;                        /* mean of root_j, weighted by factor_j */
    sr_real epsilon;
    sr_real moments[SR_ADAM_POWERS]; /* weighted means of (root_j / root - 1)^p, p = 2 .. 8 */
} sr_adam_gap;

/* Of one row that is normalised. */
typedef struct {
    sr_real mean, inverse_deviation;
} sr_row_statistics;

struct sr_products;

typedef struct sr_kernels {
    const char *level; /* a name of those below */
    /* Matrix products of each precision (src/tensor/gemm.h). */
    const struct sr_products *products[SR_PRECISIONS];

    /* out = left + right; out may be left or right. */
    void (*add)(sr_real *out, const sr_real *left, const sr_real *right, size_t n);
    /* out = left * right; out may be left or right. */
    void (*multiply)(sr_real *out, const sr_real *left, const sr_real *right, size_t n);
    /* sum += term */
    void (*accumulate)(sr_real *sum, const sr_real *term, size_t n);
    /* sum [n] += each of the rows [count, n], in their order */
    void (*accumulate_rows)(sr_real *sum, const sr_real *rows, size_t count, size_t n);
    /* sum += factor * term */
    void (*accumulate_scaled)(sr_real *sum, sr_real factor, const sr_real *term, size_t n);
    /* sum += left * right */
    void (*accumulate_product)(sr_real *sum, const sr_real *left, const sr_real *right, size_t n);
    /* sum += (left - right) * factor */
    void (*accumulate_difference_product)(sr_real *sum, const sr_real *left, const sr_real *right, const sr_real *factor,
                                          size_t n);
    /* out = from + share * (to - from) */
    void (*interpolate)(sr_real *out, const sr_real *from, const sr_real *to, const sr_real *share, size_t n);
    /* sum of values */
    sr_real (*sum)(const sr_real *values, size_t n);
    /* sum of left * right */
    sr_real (*dot)(const sr_real *left, const sr_real *right, size_t n);
    /* sum of squares in double precision */
    double (*sum_of_squares)(const sr_real *values, size_t n);

    /* out = f(in), and in_gradient += out_gradient * f'(in). in may not be out. */
    void (*activation)(sr_activation kind, sr_real *out, const sr_real *in, size_t n);
    void (*activation_backward)(sr_activation kind, sr_real *in_gradient, const sr_real *in, const sr_real *out_gradient,
                                size_t n);

    /* out = exp(in); out may be in. */
    void (*exponential)(sr_real *out, const sr_real *in, size_t n);
    /* out = ln sigmoid(in) without overflow; out may be in. in_gradient += out_gradient sigmoid(-in). */
    void (*log_sigmoid)(sr_real *out, const sr_real *in, size_t n);
    void (*log_sigmoid_backward)(sr_real *in_gradient, const sr_real *in, const sr_real *out_gradient, size_t n);

    /* Layer normalisation of one row: out = gain * normalised + bias with normalised = (in - mean) / deviation, deviation =
     * sqrt(variance + epsilon). Gives what backward needs. */
    sr_row_statistics (*layer_norm)(sr_real *out, const sr_real *in, const sr_real *gain, const sr_real *bias, sr_real epsilon,
                                    size_t n);
    /* in_gradient += d, for one row; gain_gradient += normalised * out_gradient. */
    void (*layer_norm_backward)(sr_real *in_gradient, const sr_real *in, const sr_row_statistics *statistics,
                                const sr_real *gain, const sr_real *out_gradient, size_t n);
    void (*layer_norm_gain_backward)(sr_real *gain_gradient, const sr_real *in, const sr_row_statistics *statistics,
                                     const sr_real *out_gradient, size_t n);

    /* One step of a gated recurrent unit over one sequence; n is its width. `gates` [4n] holds the products of the previous
     * state with the hidden weights in its first 3n elements, as `input` [3n] those of the step's input (reset, update, new):
     *
     *   r = sigmoid(input_r + hidden_r),  z = sigmoid(input_z + hidden_z),  c = tanh(input_n + r hidden_n)
     *   out = (1 - z) c + z previous
     *
     * On return gates is [r, z, c, hidden_n], what backward needs. */
    void (*gru)(sr_real *out, sr_real *gates, const sr_real *input, const sr_real *previous, size_t n);
    /* From the gradient of `out` in state_gradient: gate_gradients [4n] = those of hidden_r (and input_r), hidden_z (and
     * input_z), hidden_n, input_n; state_gradient becomes what goes straight on to `previous`. */
    void (*gru_backward)(sr_real *gate_gradients, sr_real *state_gradient, const sr_real *gates, const sr_real *previous,
                         size_t n);

    /* One row of softmax; out may be in. n >= 1. */
    void (*softmax)(sr_real *out, const sr_real *in, size_t n);
    /* in_gradient += probabilities * (out_gradient - <probabilities, out_gradient>) */
    void (*softmax_backward)(sr_real *in_gradient, const sr_real *probabilities, const sr_real *out_gradient, size_t n);

    /* gradient = probabilities * (gradient - inner) in place: the last step of it, where inner is known. */
    void (*softmax_gradient)(sr_real *gradient, const sr_real *probabilities, sr_real inner, size_t n);

    /* values = exp(values - maximum) in place; *maximum is that of the row, the result their sum. n >= 1. */
    sr_real (*exponentials)(sr_real *values, sr_real *maximum, size_t n);
    /* transposed [columns, rows] = matrix [rows, columns] */
    void (*transpose)(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns);
    /* values *= factor */
    void (*scale)(sr_real *values, sr_real factor, size_t n);
    /* Where a value is greater than the maximum, it becomes the maximum and `candidate` the index. */
    void (*raise_maximum)(sr_real *maximum, int32_t *index, const sr_real *values, int32_t candidate, size_t n);
    /* The number of values greater than `threshold`. */
    size_t (*count_above)(const sr_real *values, sr_real threshold, size_t n);

    /* What dropout keeps: 1 with probability keep / 65536, else 0, for `rows` rows of which row r has elements offsets[r] ..
     * offsets[r + 1]. Element i of a row takes 16 bits of the Philox block with key `key` and counter
     * (i / 8, row_words[r], identities[r]): it depends on no other row and not on where the row stands. */
    void (*dropout_mask)(uint8_t *kept, size_t rows, const size_t *offsets, const uint32_t *row_words,
                         const uint64_t *identities, const uint32_t key[2], uint32_t keep);
    /* out = kept ? factor * in : 0; out may be in. */
    void (*drop)(sr_real *out, const sr_real *in, const uint8_t *kept, sr_real factor, size_t n);
    /* out = residual + (kept ? factor * in : 0). */
    void (*add_dropped)(sr_real *out, const sr_real *residual, const sr_real *in, const uint8_t *kept, sr_real factor,
                        size_t n);
    /* sum += kept ? factor * term : 0 */
    void (*accumulate_kept)(sr_real *sum, const sr_real *term, const uint8_t *kept, sr_real factor, size_t n);

    /* One step of Adam over n parameters. */
    void (*adam)(sr_real *values, const sr_real *gradients, sr_real *first_moment, sr_real *second_moment, size_t n,
                 const sr_adam_step *step);
    /* Steps without a gradient over n parameters: in one by the moments of `gap`, or as a sum over `count` factors and roots
     * instead. */
    void (*adam_gap)(sr_real *values, sr_real *first_moment, sr_real *second_moment, size_t n, const sr_adam_gap *gap);
    void (*adam_gap_sum)(sr_real *values, sr_real *first_moment, sr_real *second_moment, size_t n, const sr_adam_gap *gap,
                         const sr_real *factors, const sr_real *roots, size_t count);
    /* One step of stochastic gradient descent over n parameters. */
    void (*sgd)(sr_real *values, const sr_real *gradients, sr_real *momentum, size_t n, const sr_sgd_step *step);
    /* The first half of a step of LAMB: both moments move, and the squares of the values and of the directions in which they
     * will go are added to squares[0] and squares[1]. The second half: the values go `size` times that way. */
    void (*lamb_measure)(const sr_real *values, const sr_real *gradients, sr_real *first_moment, sr_real *second_moment,
                         size_t n, const sr_lamb_step *step, double squares[2]);
    void (*lamb_move)(sr_real *values, const sr_real *first_moment, const sr_real *second_moment, size_t n,
                      const sr_lamb_step *step, sr_real size);
} sr_kernels;

/* The CPU levels of this build, from the lowest to the highest. On x86 processors a machine that has one has all below it:
 *
 *   generic   what every processor of this kind has
 *   avx2      AVX2 and FMA
 *   avx512    AVX-512 F, BW, DQ and VL
 *   amx       those, and products of bf16 by the matrix unit; everything else is as in avx512, to the bit
 *
 * On 64-bit ARM processors a machine has generic and one other at most:
 *
 *   generic   NEON, which every processor of this kind has; also where the vectors of SVE have another length
 *   sve256    SVE with vectors of 256 bits
 *   sve512    SVE with vectors of 512 bits
 *
 * The name of level `index`, NULL behind the last one. */
const char *sr_kernels_level_name(size_t index);

/* The highest level that this machine has, or the named one; NULL if the level is unknown or the machine lacks it. `level`
 * NULL: the highest. A level counts only where the operating system allows it, and amx only where a first product comes out
 * right. */
const sr_kernels *sr_kernels_choose(const char *level);

#endif
