/* Elementary functions for hot loops, in the precision of this build. In single precision they are arithmetic without branches
 * and calls, so that loops over them become vectors. */
#ifndef SRTRAIN_TENSOR_ELEMENTARY_H
#define SRTRAIN_TENSOR_ELEMENTARY_H

#include "srtrain/real.h"

#include <math.h>
#include <stdint.h>

#ifdef SR_REAL_IS_DOUBLE
static inline double exponential(double x)
{
    return exp(x);
}

static inline double error_function(double x)
{
    return erf(x);
}
#else
/* exp(x) to about 1 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial of degree 6 for exp(r), then n into the exponent bits.
 * Underflows to 0 below -87.3, saturates above 88.3 and keeps what is not a number. Without branches and conversions, which are
 * not defined for every number, so that loops over it vectorise: beyond the bounds anything may come out before the choice at
 * the end. */
static inline float exponential(float x)
{
    const float lowest = -87.3f, highest = 88.3f, largest = 2.2294826e38f;
    const float integers =
        12582912.0f; /* 1.5 * 2^23: added to a small number it leaves the nearest integer in the lowest bits */
    union {
        float value;
        uint32_t bits;
    } shifted = {.value = x * 1.44269504088896341f + integers}, power;
    const float n = shifted.value - integers;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    power.bits = (shifted.bits + 127) << 23;
    const float bounded = x > highest ? largest : p * power.value;
    return x < lowest ? 0.0f : bounded;
}

/* erf(x) with absolute error below 3e-7: an odd rational minimax approximation, as XLA uses it, up to where erf is 1 to single
 * precision. What is not a number stays so. */
static inline float error_function(float x)
{
    const float end = 3.92f, inside = fabsf(x) < end ? fabsf(x) : end;
    const float z = inside * inside;
    float p = 0.00022905065861350646f;
    p = p * z + 0.0034082910107109506f;
    p = p * z + 0.050955695062380861f;
    p = p * z + 0.18520832239976145f;
    p = p * z + 1.128379143519084f;
    float q = -1.1791602954361697e-7f;
    q = q * z + 0.000023547966471313185f;
    q = q * z + 0.0010179625278914885f;
    q = q * z + 0.014070470171167667f;
    q = q * z + 0.11098505178285362f;
    q = q * z + 0.49746925110067538f;
    q = q * z + 1.0f;
    const float ratio = inside < end ? inside * p / q : 1.0f, magnitude = ratio < 1.0f ? ratio : 1.0f;
    return x < 0 ? -magnitude : (x >= 0 ? magnitude : x);
}
#endif

static inline sr_real sigmoid(sr_real x)
{
    return 1 / (1 + exponential(-x));
}

static inline sr_real hyperbolic_tangent(sr_real x)
{
#ifdef SR_REAL_IS_DOUBLE
    return tanh(x);
#else
    /* Near 0 the quotient cancels; the odd series is exact to rounding there. */
    const float square = x * x;
    const float series = x * (1.0f + square * (-0.333333333f + square * (0.133333333f - square * 0.0539682540f)));
    const float e = exponential(2.0f * x);
    return fabsf(x) < 0.15f ? series : 1.0f - 2.0f / (e + 1.0f);
#endif
}

static inline sr_real exponential_minus_one(sr_real x)
{
#ifdef SR_REAL_IS_DOUBLE
    return expm1(x);
#else
    const float series = x * (1.0f + x * (0.5f + x * (0.166666667f + x * 0.0416666667f)));
    return fabsf(x) < 0.05f ? series : exponential(x) - 1.0f;
#endif
}

/* ln(1 + t) for t in [0, 1] */
static inline sr_real logarithm_of_one_plus(sr_real t)
{
#ifdef SR_REAL_IS_DOUBLE
    return log1p(t);
#else
    /* 2 artanh(u) with u = t / (2 + t) <= 1/3: seven terms are exact to rounding. */
    const float u = t / (2.0f + t), square = u * u;
    float p = 1.0f / 13.0f;
    p = p * square + 1.0f / 11.0f;
    p = p * square + 1.0f / 9.0f;
    p = p * square + 1.0f / 7.0f;
    p = p * square + 1.0f / 5.0f;
    p = p * square + 1.0f / 3.0f;
    p = p * square + 1.0f;
    return 2.0f * u * p;
#endif
}

static inline sr_real square_root(sr_real x)
{
#ifdef SR_REAL_IS_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

#endif
