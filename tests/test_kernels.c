/* Every CPU level that this machine has, against plain loops in double precision. */
#include "cpu_level.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"

#include <Random123/philox.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LONGEST = 131 };
static const size_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 33, 64, LONGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

typedef struct {
    float a[LONGEST], b[LONGEST], c[LONGEST], out[LONGEST];
} vectors;

static vectors draw(uint64_t index)
{
    vectors v;
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, index);
    for (uint64_t i = 0; i < LONGEST; ++i) {
        v.a[i] = (float)(2 * sr_random_normal(stream, i, 0));
        v.b[i] = (float)sr_random_normal(stream, i, 1);
        v.c[i] = (float)sr_random_normal(stream, i, 2);
        v.out[i] = v.c[i];
    }
    return v;
}

static void assert_near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("%.9g differs from %.9g", actual, expected);
}

static void sums_and_products_agree_with_plain_loops(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 0; l < LENGTHS; ++l) {
        const size_t n = lengths[l];
        vectors v = draw(l);
        double sum = 0, dot = 0, squares = 0;
        for (size_t i = 0; i < n; ++i) {
            sum += (double)v.a[i];
            dot += (double)v.a[i] * (double)v.b[i];
            squares += (double)v.a[i] * (double)v.a[i];
        }
        assert_near((double)k->sum(v.a, n), sum, 1e-5);
        assert_near((double)k->dot(v.a, v.b, n), dot, 1e-5);
        assert_near(k->sum_of_squares(v.a, n), squares, 1e-12);
        k->accumulate_scaled(v.out, 0.5f, v.a, n);
        k->accumulate_product(v.out, v.a, v.b, n);
        k->accumulate(v.out, v.b, n);
        for (size_t i = 0; i < LONGEST; ++i) {
            const double added = (double)v.a[i] * 0.5 + (double)v.a[i] * (double)v.b[i] + (double)v.b[i];
            assert_near((double)v.out[i], (double)v.c[i] + (i < n ? added : 0), 1e-6);
        }
        memcpy(v.out, v.c, sizeof v.out);
        k->accumulate_difference_product(v.out, v.a, v.b, v.c, n);
        for (size_t i = 0; i < LONGEST; ++i)
            assert_near((double)v.out[i], (double)v.c[i] + (i < n ? ((double)v.a[i] - (double)v.b[i]) * (double)v.c[i] : 0),
                        1e-6);
        k->interpolate(v.out, v.a, v.b, v.c, n);
        for (size_t i = 0; i < n; ++i)
            assert_near((double)v.out[i], (double)v.a[i] + (double)v.c[i] * ((double)v.b[i] - (double)v.a[i]), 1e-6);
        k->add(v.out, v.a, v.b, n);
        k->multiply(v.out, v.out, v.b, n);
        k->scale(v.out, 3, n);
        for (size_t i = 0; i < n; ++i)
            assert_near((double)v.out[i], 3 * ((double)v.a[i] + (double)v.b[i]) * (double)v.b[i], 1e-6);
    }
}

static void rows_are_summed_and_matrices_transposed(void **state)
{
    const sr_kernels *k = *state;
    static const size_t shapes[][2] = {{1, 1}, {3, 7}, {4, 16}, {16, 16}, {17, 33}, {33, 17}, {64, 48}, {9, 100}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
        const size_t rows = shapes[s][0], columns = shapes[s][1];
        float matrix[64 * 48], transposed[64 * 48], sums[100], expected[100];
        for (size_t i = 0; i < rows * columns; ++i)
            matrix[i] = (float)(i % 89) / 7;
        for (size_t j = 0; j < columns; ++j) {
            sums[j] = expected[j] = (float)j;
            for (size_t i = 0; i < rows; ++i)
                expected[j] += matrix[i * columns + j];
        }
        k->accumulate_rows(sums, matrix, rows, columns);
        assert_memory_equal(sums, expected, columns * sizeof *sums);
        k->transpose(transposed, matrix, rows, columns);
        for (size_t i = 0; i < rows; ++i)
            for (size_t j = 0; j < columns; ++j)
                assert_true(transposed[j * rows + i] == matrix[i * columns + j]);
    }
}

static double reference_activation(sr_activation kind, double x)
{
    switch (kind) {
    case SR_ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case SR_ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case SR_ACTIVATION_SWISH:
        return x / (1 + exp(-x));
    case SR_ACTIVATION_TANH:
        return tanh(x);
    case SR_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    case SR_ACTIVATION_ELU:
        return x > 0 ? x : expm1(x);
    }
    return NAN;
}

static void activations_and_their_derivatives_agree_with_the_mathematical_library(void **state)
{
    const sr_kernels *k = *state;
    for (int kind = SR_ACTIVATION_GELU; kind <= SR_ACTIVATION_ELU; ++kind)
        for (double x = -95; x < 95; x += 0.37) {
            const float in = (float)x, one = 1;
            float out = 0, derivative = 2;
            k->activation((sr_activation)kind, &out, &in, 1);
            k->activation_backward((sr_activation)kind, &derivative, &in, &one, 1);
            const double h = 1e-5, at = (double)in;
            const double expected = (reference_activation((sr_activation)kind, at + h) -
                                     reference_activation((sr_activation)kind, at - h)) /
                                    (2 * h);
            assert_near((double)out, reference_activation((sr_activation)kind, at), 4e-7);
            if (fabs(at) > 2 * h) /* not at a kink */
                assert_near((double)derivative - 2, expected, 2e-6);
        }
}

static void small_arguments_keep_their_relative_precision(void **state)
{
    const sr_kernels *k = *state;
    for (double x = 1e-6; x < 0.5; x *= 1.3) {
        const float in = (float)-x;
        float out;
        k->activation(SR_ACTIVATION_TANH, &out, &in, 1);
        assert_true(fabs((double)out / tanh((double)in) - 1) < 2e-6);
        k->activation(SR_ACTIVATION_ELU, &out, &in, 1);
        assert_true(fabs((double)out / expm1((double)in) - 1) < 2e-6);
    }
}

static void exponentials_agree_over_their_whole_range(void **state)
{
    const sr_kernels *k = *state;
    for (double x = -120; x <= 0; x += 0.013) {
        float values[2] = {(float)x, 0}, maximum;
        const float sum = k->exponentials(values, &maximum, 2);
        const double expected = exp((double)(float)x);
        assert_true(maximum == 0);
        if (x > -87)
            assert_true(fabs((double)values[0] / expected - 1) < 3e-7);
        else
            assert_true(values[0] >= 0 && (double)values[0] < 2e-38);
        assert_near((double)sum, 1 + expected, 1e-6);
    }
}

/* Rows of every length up to several vectors; what is far below the maximum counts as zero. */
static void exponentials_of_rows_agree_whatever_their_length(void **state)
{
    const sr_kernels *k = *state;
    for (size_t n = 1; n <= LONGEST; ++n) {
        vectors v = draw(n);
        const float behind = v.a[n - 1 + (n < LONGEST)];
        float maximum, most = v.a[0];
        double sum = 0;
        if (n > 2) {
            v.a[1] = -1e30f;
            v.a[2] = -INFINITY;
        }
        memcpy(v.out, v.a, sizeof v.out);
        for (size_t i = 1; i < n; ++i)
            most = v.a[i] > most ? v.a[i] : most;
        const float found = k->exponentials(v.out, &maximum, n);
        assert_true(maximum == most);
        for (size_t i = 0; i < n; ++i) {
            const double expected = exp((double)(v.a[i] - most));
            assert_near((double)v.out[i], expected, 3e-7);
            sum += expected;
        }
        assert_near((double)found, sum, 1e-6);
        assert_true(n == LONGEST || v.out[n] == behind);
        k->softmax(v.out, v.a, n);
        for (size_t i = 0; i < n; ++i)
            assert_near((double)v.out[i], exp((double)(v.a[i] - most)) / sum, 1e-6);
        assert_true(n == LONGEST || v.out[n] == behind);
    }
}

static void what_is_not_a_number_stays_so(void **state)
{
    const sr_kernels *k = *state;
    float values[3] = {1, NAN, 2}, maximum, out[3];
    const float none = NAN;
    const bool sum_is_number = !isnan(k->exponentials(values, &maximum, 3));
    assert_false(sum_is_number);
    for (int kind = SR_ACTIVATION_GELU; kind <= SR_ACTIVATION_ELU; ++kind) {
        k->activation((sr_activation)kind, out, &none, 1);
        const bool lost = !isnan(out[0]);
        assert_false(lost);
    }
}

static void rows_are_normalised_to_mean_zero_and_variance_one(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 1; l < LENGTHS; ++l) {
        const size_t n = lengths[l];
        vectors v = draw(l);
        const sr_row_statistics statistics = k->layer_norm(v.out, v.a, v.b, v.c, 1e-12f, n);
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; ++i)
            mean += (double)v.a[i] / (double)n;
        for (size_t i = 0; i < n; ++i)
            variance += ((double)v.a[i] - mean) * ((double)v.a[i] - mean) / (double)n;
        assert_near((double)statistics.mean, mean, 1e-5);
        assert_near((double)statistics.inverse_deviation, 1 / sqrt(variance), 1e-5);
        for (size_t i = 0; i < n; ++i) {
            const double expected = ((double)v.a[i] - mean) / sqrt(variance);
            assert_near((double)v.out[i], (double)v.b[i] * expected + (double)v.c[i], 1e-5);
        }
    }
}

static void softmax_sums_to_one_and_survives_large_values(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 0; l < LENGTHS; ++l) {
        const size_t n = lengths[l];
        vectors v = draw(l);
        for (size_t i = 0; i < n; ++i)
            v.a[i] += 1e4f;
        k->softmax(v.out, v.a, n);
        double sum = 0, total = 0;
        for (size_t i = 0; i < n; ++i)
            total += exp((double)v.a[i] - 1e4);
        for (size_t i = 0; i < n; ++i) {
            assert_near((double)v.out[i], exp((double)v.a[i] - 1e4) / total, 1e-6);
            sum += (double)v.out[i];
        }
        assert_near(sum, 1, 1e-5);
    }
}

static void maxima_are_raised_where_a_value_is_greater(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 0; l < LENGTHS; ++l) {
        int32_t index[LONGEST];
        vectors v = draw(l);
        for (size_t i = 0; i < LONGEST; ++i)
            index[i] = (int32_t)i;
        v.a[0] = v.out[0]; /* a draw leaves the index as it is */
        k->raise_maximum(v.out, index, v.a, -7, lengths[l]);
        for (size_t i = 0; i < LONGEST; ++i) {
            const bool raised = i < lengths[l] && v.a[i] > v.c[i];
            assert_true(v.out[i] == (raised ? v.a[i] : v.c[i]));
            assert_int_equal(index[i], raised ? -7 : (int32_t)i);
        }
    }
}

static void counting_above_a_threshold_is_exact(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 0; l < LENGTHS; ++l) {
        vectors v = draw(l);
        size_t expected = 0;
        for (size_t i = 0; i < lengths[l]; ++i)
            expected += v.a[i] > v.a[0];
        assert_int_equal(k->count_above(v.a, v.a[0], lengths[l]), expected);
    }
    enum { MANY = (3 << 20) + 5 };
    float *ones = malloc(MANY * sizeof *ones);
    for (size_t i = 0; i < MANY; ++i)
        ones[i] = 1;
    assert_int_equal(k->count_above(ones, 0.5f, MANY), MANY);
    free(ones);
}

/* The factor of element `element` of a row, drawn with Random123 itself. */
static uint8_t reference_kept(uint32_t row_word, uint64_t identity, const uint32_t key[2], size_t element, uint32_t keep)
{
    const philox4x32_ctr_t counter = {{(uint32_t)(element / 8), row_word, (uint32_t)identity, (uint32_t)(identity >> 32)}};
    const philox4x32_key_t philox_key = {{key[0], key[1]}};
    const philox4x32_ctr_t block = philox4x32(counter, philox_key);
    const uint32_t word = block.v[element % 8 / 2];
    const uint32_t half = element % 2 ? word >> 16 : word & 0xFFFF;
    return half < keep;
}

static void dropout_masks_are_those_of_random123(void **state)
{
    const sr_kernels *k = *state;
    enum { ROWS = 41 };
    size_t offsets[ROWS + 1] = {0};
    uint32_t words[ROWS];
    uint64_t identities[ROWS];
    for (size_t row = 0; row < ROWS; ++row) {
        offsets[row + 1] = offsets[row] + row * 7 % 23; /* some rows are empty */
        words[row] = (uint32_t)(row * 3);
        identities[row] = row % 5 ? row << 33 | 7 : row;
    }
    uint8_t *kept = calloc(offsets[ROWS] + 1, sizeof *kept);
    static const uint32_t keys[][2] = {{12345, 678}, {0xFFFFFFFF, 0x80000000}},
                          keeps[] = {1, 20000, 32768, 50000, 65535, 65536};
    for (size_t c = 0; c < sizeof keeps / sizeof *keeps; ++c) {
        kept[offsets[ROWS]] = 42;
        k->dropout_mask(kept, ROWS, offsets, words, identities, keys[c % 2], keeps[c]);
        for (size_t row = 0; row < ROWS; ++row)
            for (size_t i = offsets[row]; i < offsets[row + 1]; ++i)
                assert_true(kept[i] == reference_kept(words[row], identities[row], keys[c % 2], i - offsets[row], keeps[c]));
        assert_int_equal(kept[offsets[ROWS]], 42);
    }
    free(kept);
}

static void dropped_elements_are_zero_and_the_others_scaled(void **state)
{
    const sr_kernels *k = *state;
    for (size_t l = 0; l < LENGTHS; ++l) {
        const size_t n = lengths[l];
        vectors v = draw(l);
        uint8_t kept[LONGEST];
        float sums[LONGEST];
        for (size_t i = 0; i < n; ++i)
            kept[i] = i % 3 == 0;
        memcpy(sums, v.b, sizeof sums);
        k->drop(v.out, v.a, kept, 1.5f, n);
        for (size_t i = 0; i < n; ++i)
            assert_true(v.out[i] == (kept[i] ? 1.5f * v.a[i] : 0));
        k->add_dropped(v.out, v.b, v.a, kept, 1.5f, n);
        k->accumulate_kept(sums, v.a, kept, 1.5f, n);
        for (size_t i = 0; i < n; ++i) {
            assert_near((double)v.out[i], (double)v.b[i] + (kept[i] ? 1.5 * (double)v.a[i] : 0), 1e-6);
            assert_near((double)sums[i], (double)v.out[i], 1e-6);
        }
    }
}

static void log_sigmoids_and_exponentials_agree_with_the_library(void **state)
{
    const sr_kernels *k = *state;
    float in[401], out[401], gradients[401] = {0}, ones[401];
    for (size_t i = 0; i < 401; ++i) {
        in[i] = ((float)i - 200) / 4;
        ones[i] = 1;
    }
    k->log_sigmoid(out, in, 401);
    k->log_sigmoid_backward(gradients, in, ones, 401);
    for (size_t i = 0; i < 401; ++i) {
        const double x = (double)in[i], expected = x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x));
        assert_near((double)out[i], expected, 1e-6 * (1 + fabs(expected)));
        assert_near((double)gradients[i], 1 / (1 + exp(x)), 1e-6);
    }
    k->exponential(out, in, 401);
    for (size_t i = 0; i < 401; ++i)
        assert_near((double)out[i] / exp((double)in[i]), 1, 2e-6);
}

static void a_step_of_gated_recurrent_units_agrees_with_its_definition(void **state)
{
    const sr_kernels *k = *state;
    enum { GATES = 3 };
    for (size_t l = 0; l < LENGTHS; ++l) {
        const size_t n = lengths[l];
        float gates[4 * LONGEST], input[GATES * LONGEST], out[LONGEST], gradients[4 * LONGEST], state_gradient[LONGEST];
        double products[GATES * LONGEST];
        vectors v = draw(l);
        for (size_t gate = 0; gate < GATES; ++gate) {
            const vectors drawn = draw(100 + 10 * l + gate);
            memcpy(gates + gate * n, drawn.a, n * sizeof *gates);
            memcpy(input + gate * n, drawn.b, n * sizeof *input);
        }
        for (size_t i = 0; i < GATES * n; ++i)
            products[i] = (double)gates[i];
        memcpy(state_gradient, v.b, sizeof state_gradient);
        k->gru(out, gates, input, v.a, n);
        k->gru_backward(gradients, state_gradient, gates, v.a, n);
        for (size_t i = 0; i < n; ++i) {
            const double r = 1 / (1 + exp(-(double)input[i] - products[i]));
            const double z = 1 / (1 + exp(-(double)input[n + i] - products[n + i]));
            const double c = tanh((double)input[2 * n + i] + r * products[2 * n + i]), h = (double)v.a[i], g = (double)v.b[i];
            assert_near((double)out[i], (1 - z) * c + z * h, 2e-6);
            const double of_new = g * (1 - z) * (1 - c * c);
            assert_near((double)gradients[i], of_new * products[2 * n + i] * r * (1 - r), 5e-6);
            assert_near((double)gradients[n + i], g * (h - c) * z * (1 - z), 5e-6);
            assert_near((double)gradients[2 * n + i], of_new * r, 5e-6);
            assert_near((double)gradients[3 * n + i], of_new, 5e-6);
            assert_near((double)state_gradient[i], g * z, 5e-6);
        }
    }
}

static void adam_agrees_with_its_definition(void **state)
{
    const sr_kernels *k = *state;
    vectors v = draw(3);
    float first[LONGEST], second[LONGEST], values[LONGEST];
    for (size_t i = 0; i < LONGEST; ++i) {
        first[i] = v.b[i];
        second[i] = v.c[i] * v.c[i];
        values[i] = v.a[i];
    }
    const sr_adam_step step = {.step_size = 0.01f,
                               .beta1 = 0.9f,
                               .beta2 = 0.99f,
                               .second_correction = 1.5f,
                               .epsilon = 1e-8f,
                               .decay = 0.001f,
                               .l2 = 0.1f,
                               .gradient_scale = 0.5f};
    k->adam(values, v.out, first, second, LONGEST, &step);
    for (size_t i = 0; i < LONGEST; ++i) {
        const double gradient = 0.5 * (double)v.out[i] + 0.1 * (double)v.a[i];
        const double m = 0.9 * (double)v.b[i] + 0.1 * gradient;
        const double s = 0.99 * (double)v.c[i] * (double)v.c[i] + 0.01 * gradient * gradient;
        assert_near((double)first[i], m, 1e-6);
        assert_near((double)second[i], s, 1e-6);
        assert_near((double)values[i], (double)v.a[i] * (1 - 0.001) - 0.01 * m / (sqrt(s) * 1.5 + 1e-8), 1e-5);
    }
}

static void sgd_agrees_with_its_definition(void **state)
{
    const sr_kernels *k = *state;
    vectors v = draw(4);
    float momentum[LONGEST], values[LONGEST];
    const sr_sgd_step step = {.step_size = 0.01f,
                              .momentum = 0.9f,
                              .of_gradient = 0.25f,
                              .of_momentum = 0.75f,
                              .decay = 0.001f,
                              .l2 = 0.1f,
                              .gradient_scale = 0.5f};
    memcpy(momentum, v.b, sizeof momentum);
    memcpy(values, v.a, sizeof values);
    k->sgd(values, v.out, momentum, LONGEST, &step);
    for (size_t i = 0; i < LONGEST; ++i) {
        const double gradient = 0.5 * (double)v.out[i] + 0.1 * (double)v.a[i], b = 0.9 * (double)v.b[i] + gradient;
        assert_near((double)momentum[i], b, 1e-6);
        assert_near((double)values[i], (double)v.a[i] * (1 - 0.001) - 0.01 * (0.25 * gradient + 0.75 * b), 1e-6);
    }
}

static void lamb_agrees_with_its_definition(void **state)
{
    const sr_kernels *k = *state;
    vectors v = draw(5);
    float first[LONGEST], second[LONGEST], values[LONGEST];
    const sr_lamb_step step = {.beta1 = 0.9f,
                               .beta2 = 0.99f,
                               .first_correction = 1.25f,
                               .second_correction = 1.5f,
                               .epsilon = 1e-3f,
                               .weight_decay = 0.1f,
                               .gradient_scale = 0.5f};
    double found[2] = {1, 2}, squares[2] = {1, 2}, directions[LONGEST];
    for (size_t i = 0; i < LONGEST; ++i) {
        const double gradient = 0.5 * (double)v.out[i];
        first[i] = v.b[i];
        second[i] = v.c[i] * v.c[i];
        values[i] = v.a[i];
        const double m = 0.9 * (double)v.b[i] + 0.1 * gradient;
        const double s = 0.99 * (double)second[i] + 0.01 * gradient * gradient;
        directions[i] = 1.25 * m / (sqrt(s) * 1.5 + 1e-3) + 0.1 * (double)v.a[i];
        squares[0] += (double)v.a[i] * (double)v.a[i];
        squares[1] += directions[i] * directions[i];
    }
    k->lamb_measure(values, v.out, first, second, LONGEST, &step, found);
    assert_memory_equal(values, v.a, sizeof values);
    assert_near(found[0], squares[0], 1e-12);
    assert_near(found[1], squares[1], 1e-4);
    k->lamb_move(values, first, second, LONGEST, &step, 0.01f);
    for (size_t i = 0; i < LONGEST; ++i)
        assert_near((double)values[i], (double)v.a[i] - 0.01 * directions[i], 1e-5);
}

int main(void)
{
    const sr_kernels *kernels = tested_kernels();
    void *state = (void *)(uintptr_t)kernels;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(sums_and_products_agree_with_plain_loops, state),
        cmocka_unit_test_prestate(rows_are_summed_and_matrices_transposed, state),
        cmocka_unit_test_prestate(activations_and_their_derivatives_agree_with_the_mathematical_library, state),
        cmocka_unit_test_prestate(small_arguments_keep_their_relative_precision, state),
        cmocka_unit_test_prestate(exponentials_agree_over_their_whole_range, state),
        cmocka_unit_test_prestate(exponentials_of_rows_agree_whatever_their_length, state),
        cmocka_unit_test_prestate(what_is_not_a_number_stays_so, state),
        cmocka_unit_test_prestate(rows_are_normalised_to_mean_zero_and_variance_one, state),
        cmocka_unit_test_prestate(softmax_sums_to_one_and_survives_large_values, state),
        cmocka_unit_test_prestate(maxima_are_raised_where_a_value_is_greater, state),
        cmocka_unit_test_prestate(counting_above_a_threshold_is_exact, state),
        cmocka_unit_test_prestate(dropout_masks_are_those_of_random123, state),
        cmocka_unit_test_prestate(dropped_elements_are_zero_and_the_others_scaled, state),
        cmocka_unit_test_prestate(log_sigmoids_and_exponentials_agree_with_the_library, state),
        cmocka_unit_test_prestate(a_step_of_gated_recurrent_units_agrees_with_its_definition, state),
        cmocka_unit_test_prestate(adam_agrees_with_its_definition, state),
        cmocka_unit_test_prestate(sgd_agrees_with_its_definition, state),
        cmocka_unit_test_prestate(lamb_agrees_with_its_definition, state),
    };
    return cmocka_run_group_tests_name(kernels->level, tests, NULL, NULL);
}
