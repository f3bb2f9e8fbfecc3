/* The first numbers of a vector, where memory has room for no more. */
#ifndef SRTRAIN_TENSOR_PARTIAL_VECTOR_H
#define SRTRAIN_TENSOR_PARTIAL_VECTOR_H

#include "tensor/square.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* `count` in [0, LANES) numbers from memory, zero behind them; and the first `count` numbers of a vector to memory. */
static inline __attribute__((always_inline)) vector load_partial(const sr_real *from, size_t count)
{
#if defined(__AVX512F__) && defined(SR_REAL_IS_DOUBLE)
    return (vector)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
#elif defined(__AVX512F__)
    return (vector)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
#elif defined(__AVX2__) && defined(SR_REAL_IS_DOUBLE)
    const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0);
    return (vector)_mm256_maskload_pd(from, _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), lane));
#elif defined(__AVX2__)
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return (vector)_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
#else
    vector loaded = {0};
    memcpy(&loaded, from, count * sizeof *from);
    return loaded;
#endif
}

static inline __attribute__((always_inline)) void store_partial(sr_real *to, vector stored, size_t count)
{
#if defined(__AVX512F__) && defined(SR_REAL_IS_DOUBLE)
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)stored);
#elif defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)stored);
#elif defined(__AVX2__) && defined(SR_REAL_IS_DOUBLE)
    const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0);
    _mm256_maskstore_pd(to, _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), lane), (__m256d)stored);
#elif defined(__AVX2__)
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane), (__m256)stored);
#else
    memcpy(to, &stored, count * sizeof *to);
#endif
}

#endif
