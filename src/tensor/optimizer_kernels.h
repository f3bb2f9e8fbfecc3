/* The loops of optimizers: a part of kernels.c, which compiles them for every CPU level. */
#ifndef SRTRAIN_TENSOR_OPTIMIZER_KERNELS_H
#define SRTRAIN_TENSOR_OPTIMIZER_KERNELS_H

static void adam(sr_real *restrict values, const sr_real *restrict gradients, sr_real *restrict first_moment,
                 sr_real *restrict second_moment, size_t n, const sr_adam_step *step)
{
    const sr_adam_step s = *step;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real gradient = s.gradient_scale * gradients[i] + s.l2 * values[i];
        const sr_real first = s.beta1 * first_moment[i] + (1 - s.beta1) * gradient;
        const sr_real second = s.beta2 * second_moment[i] + (1 - s.beta2) * gradient * gradient;
        const sr_real deviation = square_root(second) * s.second_correction + s.epsilon;
        first_moment[i] = first;
        second_moment[i] = second;
        values[i] = values[i] - s.decay * values[i] - s.step_size * first / deviation;
    }
}

/* sum_j factor_j / (r root_j + epsilon) = scale / (r root + epsilon) sum_p (-share)^p moment_p, where share = r root / (r root
 * + epsilon): the geometric series of each term about the mean, in which moment_0 = 1 and moment_1 = 0. */
static void adam_gap(sr_real *restrict values, sr_real *restrict first_moment, sr_real *restrict second_moment, size_t n,
                     const sr_adam_gap *gap)
{
    const sr_adam_gap g = *gap;
    const sr_real *m = g.moments;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real deviation = square_root(second_moment[i]) * g.root, inverse = 1 / (deviation + g.epsilon);
        const sr_real share = inverse > 0 ? deviation * inverse : 1; /* 1 where the moment has overflowed: nothing moves */
        sr_real series = m[5] - share * m[6];
        series = m[4] - share * series;
        series = m[3] - share * series;
        series = m[2] - share * series;
        series = m[1] - share * series;
        series = m[0] - share * series;
        series = 1 + share * share * series;
        values[i] = g.value_factor * values[i] - g.scale * first_moment[i] * inverse * series;
        first_moment[i] *= g.first_factor;
        second_moment[i] *= g.second_factor;
    }
}

static void adam_gap_sum(sr_real *restrict values, sr_real *restrict first_moment, sr_real *restrict second_moment, size_t n,
                         const sr_adam_gap *gap, const sr_real *factors, const sr_real *roots, size_t count)
{
    enum { PIECE = 64 };
    const sr_adam_gap g = *gap;
    sr_real deviations[PIECE], sums[PIECE];
    for (size_t begin = 0; begin < n; begin += PIECE) {
        const size_t length = n - begin < PIECE ? n - begin : (size_t)PIECE;
        SIMD
        for (size_t i = 0; i < length; ++i) {
            deviations[i] = square_root(second_moment[begin + i]);
            sums[i] = 0;
        }
        for (size_t j = 0; j < count; ++j) {
            const sr_real factor = factors[j], root = roots[j];
            SIMD
            for (size_t i = 0; i < length; ++i)
                sums[i] += factor / (deviations[i] * root + g.epsilon);
        }
        SIMD
        for (size_t i = 0; i < length; ++i) {
            values[begin + i] = g.value_factor * values[begin + i] - first_moment[begin + i] * sums[i];
            first_moment[begin + i] *= g.first_factor;
            second_moment[begin + i] *= g.second_factor;
        }
    }
}

static void sgd(sr_real *restrict values, const sr_real *restrict gradients, sr_real *restrict momentum, size_t n,
                const sr_sgd_step *step)
{
    const sr_sgd_step s = *step;
    SIMD
    for (size_t i = 0; i < n; ++i) {
        const sr_real gradient = s.gradient_scale * gradients[i] + s.l2 * values[i];
        const sr_real moved = s.momentum * momentum[i] + gradient;
        momentum[i] = moved;
        values[i] = values[i] - s.decay * values[i] - s.step_size * (s.of_gradient * gradient + s.of_momentum * moved);
    }
}

/* Where LAMB goes from here, before its size is known. */
static inline sr_real lamb_direction(sr_real value, sr_real first, sr_real second, const sr_lamb_step *s)
{
    return s->first_correction * first / (square_root(second) * s->second_correction + s->epsilon) + s->weight_decay * value;
}

static void lamb_measure(const sr_real *restrict values, const sr_real *restrict gradients, sr_real *restrict first_moment,
                         sr_real *restrict second_moment, size_t n, const sr_lamb_step *step, double squares[2])
{
    const sr_lamb_step s = *step;
    double of_values = 0, of_directions = 0;
    SIMD_SUM(of_values, of_directions)
    for (size_t i = 0; i < n; ++i) {
        const sr_real gradient = s.gradient_scale * gradients[i];
        const sr_real first = s.beta1 * first_moment[i] + (1 - s.beta1) * gradient;
        const sr_real second = s.beta2 * second_moment[i] + (1 - s.beta2) * gradient * gradient;
        const sr_real direction = lamb_direction(values[i], first, second, &s);
        first_moment[i] = first;
        second_moment[i] = second;
        of_values += (double)values[i] * (double)values[i];
        of_directions += (double)direction * (double)direction;
    }
    squares[0] += of_values;
    squares[1] += of_directions;
}

static void lamb_move(sr_real *restrict values, const sr_real *restrict first_moment, const sr_real *restrict second_moment,
                      size_t n, const sr_lamb_step *step, sr_real size)
{
    const sr_lamb_step s = *step;
    SIMD
    for (size_t i = 0; i < n; ++i)
        values[i] -= size * lamb_direction(values[i], first_moment[i], second_moment[i], &s);
}

#endif
