/* GELU: x Phi(x) with Phi the normal distribution, (1 + erf(x / root of 2)) / 2, and its derivative, Phi(x) + x phi(x). By
 * AVX-512 without divisions: by a reciprocal of 14 bits, and twice by what is left of the numerator. Numbers do not depend on
 * where they stand: the last ones are computed as the others. */
#ifndef SRTRAIN_TENSOR_GELU_H
#define SRTRAIN_TENSOR_GELU_H

#include "tensor/elementary.h"
#include "tensor/exponentials.h"
#include "tensor/simd.h"

#include <stddef.h>

static const sr_real INVERSE_ROOT_TWO = (sr_real)0.70710678118654752440;
static const sr_real INVERSE_ROOT_TWO_PI = (sr_real)0.39894228040143267794;

#if defined(__AVX512DQ__) && !defined(SR_REAL_IS_DOUBLE)

/* error_function() of 16 numbers. */
static inline __attribute__((always_inline)) __m512 error_function_16(__m512 x)
{
    const __m512 end = _mm512_set1_ps(3.92f), one = _mm512_set1_ps(1), sign = _mm512_set1_ps(-0.0f);
    const __m512 magnitude = _mm512_andnot_ps(sign, x), inside = _mm512_min_ps(end, magnitude);
    const __m512 z = _mm512_mul_ps(inside, inside);
    __m512 p = _mm512_set1_ps(0.00022905065861350646f), q = _mm512_set1_ps(-1.1791602954361697e-7f);
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(0.0034082910107109506f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(0.050955695062380861f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(0.18520832239976145f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(1.128379143519084f));
    q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(0.000023547966471313185f));
    q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(0.0010179625278914885f));
    q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(0.014070470171167667f));
    q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(0.11098505178285362f));
    q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(0.49746925110067538f));
    q = _mm512_fmadd_ps(q, z, one);
    const __m512 numerator = _mm512_mul_ps(inside, p), reciprocal = _mm512_rcp14_ps(q);
    __m512 ratio = _mm512_mul_ps(numerator, reciprocal);
    ratio = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, ratio, numerator), reciprocal, ratio);
    ratio = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, ratio, numerator), reciprocal, ratio);
    ratio = _mm512_min_ps(one, ratio);
    const __m512 result = _mm512_mask_mov_ps(ratio, _mm512_cmp_ps_mask(magnitude, end, _CMP_GE_OQ), one);
    return _mm512_or_ps(result, _mm512_and_ps(sign, x));
}

static inline __attribute__((always_inline)) __m512 gelu_16(__m512 x)
{
    const __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    return _mm512_fmadd_ps(half, error_function_16(_mm512_mul_ps(x, _mm512_set1_ps(INVERSE_ROOT_TWO))), half);
}

static inline __attribute__((always_inline)) __m512 gelu_derivative_16(__m512 x)
{
    const __m512 half = _mm512_set1_ps(0.5f),
                 falling = exponential_16(_mm512_mul_ps(_mm512_mul_ps(x, _mm512_set1_ps(-0.5f)), x));
    const __m512 density = _mm512_mul_ps(_mm512_set1_ps(INVERSE_ROOT_TWO_PI), falling);
    const __m512 share = _mm512_fmadd_ps(half, error_function_16(_mm512_mul_ps(x, _mm512_set1_ps(INVERSE_ROOT_TWO))), half);
    return _mm512_fmadd_ps(x, density, share);
}

static inline void gelu(float *restrict out, const float *restrict in, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 there = lanes_below(n - i);
        _mm512_mask_storeu_ps(out + i, there, gelu_16(_mm512_maskz_loadu_ps(there, in + i)));
    }
}

static inline void gelu_backward(float *restrict in_gradient, const float *restrict in, const float *restrict out_gradient,
                                 size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 there = lanes_below(n - i);
        const __m512 slope = gelu_derivative_16(_mm512_maskz_loadu_ps(there, in + i));
        const __m512 sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(there, out_gradient + i), slope,
                                           _mm512_maskz_loadu_ps(there, in_gradient + i));
        _mm512_mask_storeu_ps(in_gradient + i, there, sum);
    }
}
#elif defined(__AVX2__) && defined(__FMA__) && !defined(SR_REAL_IS_DOUBLE)

/* error_function() of eight numbers. */
static inline __attribute__((always_inline)) __m256 error_function_8(__m256 x)
{
    const __m256 end = _mm256_set1_ps(3.92f), one = _mm256_set1_ps(1), sign = _mm256_set1_ps(-0.0f);
    const __m256 magnitude = _mm256_andnot_ps(sign, x), inside = _mm256_min_ps(end, magnitude);
    const __m256 z = _mm256_mul_ps(inside, inside);
    __m256 p = _mm256_set1_ps(0.00022905065861350646f), q = _mm256_set1_ps(-1.1791602954361697e-7f);
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(0.0034082910107109506f));
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(0.050955695062380861f));
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(0.18520832239976145f));
    p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(1.128379143519084f));
    q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(0.000023547966471313185f));
    q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(0.0010179625278914885f));
    q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(0.014070470171167667f));
    q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(0.11098505178285362f));
    q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(0.49746925110067538f));
    q = _mm256_fmadd_ps(q, z, one);
    const __m256 ratio = _mm256_min_ps(one, _mm256_div_ps(_mm256_mul_ps(inside, p), q));
    const __m256 result = _mm256_blendv_ps(ratio, one, _mm256_cmp_ps(magnitude, end, _CMP_GE_OQ));
    return _mm256_or_ps(result, _mm256_and_ps(sign, x));
}

/* Phi(x) */
static inline __attribute__((always_inline)) __m256 normal_share_8(__m256 x)
{
    const __m256 half = _mm256_set1_ps(0.5f);
    return _mm256_fmadd_ps(half, error_function_8(_mm256_mul_ps(x, _mm256_set1_ps(INVERSE_ROOT_TWO))), half);
}

static inline __attribute__((always_inline)) __m256 gelu_8(__m256 x)
{
    return _mm256_mul_ps(x, normal_share_8(x));
}

static inline __attribute__((always_inline)) __m256 gelu_derivative_8(__m256 x)
{
    const __m256 falling = exponential_8(_mm256_mul_ps(_mm256_mul_ps(x, _mm256_set1_ps(-0.5f)), x));
    return _mm256_fmadd_ps(x, _mm256_mul_ps(_mm256_set1_ps(INVERSE_ROOT_TWO_PI), falling), normal_share_8(x));
}

static inline void gelu(float *restrict out, const float *restrict in, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, gelu_8(_mm256_loadu_ps(in + i)));
    if (i < n)
        store_partial(out + i, (vector)gelu_8((__m256)load_partial(in + i, n - i)), n - i);
}

static inline void gelu_backward(float *restrict in_gradient, const float *restrict in, const float *restrict out_gradient,
                                 size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 slope = gelu_derivative_8(_mm256_loadu_ps(in + i));
        _mm256_storeu_ps(in_gradient + i,
                         _mm256_fmadd_ps(_mm256_loadu_ps(out_gradient + i), slope, _mm256_loadu_ps(in_gradient + i)));
    }
    if (i < n) {
        const __m256 slope = gelu_derivative_8((__m256)load_partial(in + i, n - i));
        const __m256 sum = _mm256_fmadd_ps((__m256)load_partial(out_gradient + i, n - i), slope,
                                           (__m256)load_partial(in_gradient + i, n - i));
        store_partial(in_gradient + i, (vector)sum, n - i);
    }
}
#else
static inline void gelu(sr_real *restrict out, const sr_real *restrict in, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        out[i] = (sr_real)0.5 * in[i] * (1 + error_function(in[i] * INVERSE_ROOT_TWO));
}

static inline sr_real gelu_derivative(sr_real x)
{
    const sr_real density = INVERSE_ROOT_TWO_PI * exponential((sr_real)-0.5 * x * x);
    return (sr_real)0.5 * (1 + error_function(x * INVERSE_ROOT_TWO)) + x * density;
}

static inline void gelu_backward(sr_real *restrict in_gradient, const sr_real *restrict in,
                                 const sr_real *restrict out_gradient, size_t n)
{
    SIMD
    for (size_t i = 0; i < n; ++i)
        in_gradient[i] += out_gradient[i] * gelu_derivative(in[i]);
}
#endif

#endif
