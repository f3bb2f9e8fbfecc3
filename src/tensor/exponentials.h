/* Maxima and exponentials of rows. By AVX-512 in 13 instructions for 16 numbers, by AVX2 in 15 for eight, and with the last
 * vector masked: rows of 7 or 50 cost no more than their share. */
#ifndef SRTRAIN_TENSOR_EXPONENTIALS_H
#define SRTRAIN_TENSOR_EXPONENTIALS_H

#include "tensor/elementary.h"
#include "tensor/simd.h"

#include <stddef.h>

#if defined(__AVX512F__) && !defined(SR_REAL_IS_DOUBLE)
#include <immintrin.h>

/* exp(x) for x <= 0 to about 1 ulp: n = round(x log2 e), f = x log2 e - n in two parts, a polynomial for 2^f, and VSCALEFPS,
 * which multiplies by 2^n and underflows by itself. What is not a number stays so. */
static inline __attribute__((always_inline)) __m512 exponential_16(__m512 x)
{
    const __m512 high = _mm512_set1_ps(1.44269502f), low = _mm512_set1_ps(1.92596303e-8f); /* log2 e */
    const __m512 bounded = _mm512_max_ps(_mm512_set1_ps(-128), x); /* f is small only where x is not too large */
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(bounded, high), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_fmadd_ps(bounded, low, _mm512_fmsub_ps(bounded, high, n));
    __m512 p = _mm512_set1_ps(1.54035304e-4f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.33335581e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.40226507e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.93147181e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1));
    return _mm512_scalef_ps(p, n);
}

/* The first `count` lanes, up to 16. */
static inline __mmask16 lanes_below(size_t count)
{
    return (__mmask16)(count >= 16 ? 0xFFFF : (1u << count) - 1);
}

static inline float maximum_of(const float *values, size_t n)
{
    __m512 first = _mm512_set1_ps(-INFINITY), second = first;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        first = _mm512_max_ps(first, _mm512_loadu_ps(values + i));
        second = _mm512_max_ps(second, _mm512_loadu_ps(values + i + 16));
    }
    for (; i < n; i += 16) {
        const __mmask16 there = lanes_below(n - i);
        first = _mm512_mask_max_ps(first, there, first, _mm512_maskz_loadu_ps(there, values + i));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(first, second));
}

/* out = exp(in - shift), and the sum of that; out may be in. */
static inline float exponentials_below(float *out, const float *in, float maximum, size_t n)
{
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512 first = _mm512_setzero_ps(), second = first;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m512 e = exponential_16(_mm512_sub_ps(_mm512_loadu_ps(in + i), shift));
        const __m512 f = exponential_16(_mm512_sub_ps(_mm512_loadu_ps(in + i + 16), shift));
        _mm512_storeu_ps(out + i, e);
        _mm512_storeu_ps(out + i + 16, f);
        first = _mm512_add_ps(first, e);
        second = _mm512_add_ps(second, f);
    }
    for (; i < n; i += 16) {
        const __mmask16 there = lanes_below(n - i);
        const __m512 e = exponential_16(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, in + i), shift));
        _mm512_mask_storeu_ps(out + i, there, e);
        first = _mm512_mask_add_ps(first, there, first, e);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(first, second));
}
#elif defined(__AVX2__) && defined(__FMA__) && !defined(SR_REAL_IS_DOUBLE)
#include "tensor/partial_vector.h"

/* The same of eight numbers: f as there, n added to the exponent of 2^f. 0 below -87.3. */
static inline __attribute__((always_inline)) __m256 exponential_8(__m256 x)
{
    const __m256 high = _mm256_set1_ps(1.44269502f), low = _mm256_set1_ps(1.92596303e-8f); /* log2 e */
    const __m256 integers = _mm256_set1_ps(12582912);                                      /* 1.5 * 2^23, as in exponential() */
    const __m256 lowest = _mm256_set1_ps(-87.3f), bounded = _mm256_max_ps(lowest, x);
    const __m256 shifted = _mm256_fmadd_ps(bounded, high, integers), n = _mm256_sub_ps(shifted, integers);
    const __m256 f = _mm256_fmadd_ps(bounded, low, _mm256_fmsub_ps(bounded, high, n));
    __m256 p = _mm256_set1_ps(1.54035304e-4f);
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.33335581e-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(9.61812911e-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(5.55041087e-2f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(2.40226507e-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(6.93147181e-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1));
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    const __m256 scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
    return _mm256_and_ps(scaled, _mm256_cmp_ps(x, lowest, _CMP_NLT_UQ));
}

/* The first `count` lanes, up to 8. */
static inline __attribute__((always_inline)) __m256 lanes_below(size_t count)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
}

static inline float maximum_of(const float *values, size_t n)
{
    __m256 largest[4];
    for (int i = 0; i < 4; ++i)
        largest[i] = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; ++v)
            largest[v] = _mm256_max_ps(largest[v], _mm256_loadu_ps(values + i + 8 * v));
    for (; i + 8 <= n; i += 8)
        largest[0] = _mm256_max_ps(largest[0], _mm256_loadu_ps(values + i));
    if (i < n)
        largest[1] = _mm256_max_ps(largest[1], _mm256_blendv_ps(_mm256_set1_ps(-INFINITY),
                                                                (__m256)load_partial(values + i, n - i), lanes_below(n - i)));
    const __m256 eight = _mm256_max_ps(_mm256_max_ps(largest[0], largest[1]), _mm256_max_ps(largest[2], largest[3]));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline float exponentials_below(float *out, const float *in, float maximum, size_t n)
{
    const __m256 shift = _mm256_set1_ps(maximum);
    __m256 first = _mm256_setzero_ps(), second = first;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 e = exponential_8(_mm256_sub_ps(_mm256_loadu_ps(in + i), shift));
        const __m256 f = exponential_8(_mm256_sub_ps(_mm256_loadu_ps(in + i + 8), shift));
        _mm256_storeu_ps(out + i, e);
        _mm256_storeu_ps(out + i + 8, f);
        first = _mm256_add_ps(first, e);
        second = _mm256_add_ps(second, f);
    }
    if (i + 8 <= n) {
        const __m256 e = exponential_8(_mm256_sub_ps(_mm256_loadu_ps(in + i), shift));
        _mm256_storeu_ps(out + i, e);
        first = _mm256_add_ps(first, e);
        i += 8;
    }
    if (i < n) {
        const __m256 e = exponential_8(_mm256_sub_ps((__m256)load_partial(in + i, n - i), shift));
        store_partial(out + i, (vector)e, n - i);
        second = _mm256_add_ps(second, _mm256_and_ps(e, lanes_below(n - i)));
    }
    const __m256 eight = _mm256_add_ps(first, second);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#else
static inline sr_real maximum_of(const sr_real *values, size_t n)
{
    sr_real maximum = values[0];
    SIMD_MAXIMUM(maximum)
    for (size_t i = 1; i < n; ++i)
        maximum = values[i] > maximum ? values[i] : maximum;
    return maximum;
}

#ifdef SR_REAL_IS_DOUBLE
/* exp() is a call, and the loop stays one over single numbers. Told to make vectors for SVE, gcc 12 read such a sum before it
 * was written. */
#define SUM_OF_EXPONENTIALS
#else
#define SUM_OF_EXPONENTIALS SIMD_SUM(sum)
#endif

/* out = exp(in - shift), and the sum of that; out may be in. */
static inline sr_real exponentials_below(sr_real *out, const sr_real *in, sr_real maximum, size_t n)
{
    sr_real sum = 0;
    SUM_OF_EXPONENTIALS
    for (size_t i = 0; i < n; ++i) {
        const sr_real e = exponential(in[i] - maximum);
        out[i] = e;
        sum += e;
    }
    return sum;
}
#undef SUM_OF_EXPONENTIALS
#endif

#endif
