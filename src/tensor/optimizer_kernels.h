/* The loops of optimizers beside Adam's; a part of kernels.c, which compiles it for every CPU level. */
#ifndef SRTRAIN_TENSOR_OPTIMIZER_KERNELS_H
#define SRTRAIN_TENSOR_OPTIMIZER_KERNELS_H

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
