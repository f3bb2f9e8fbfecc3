/* Vectors of the CPU level that a file is compiled for, and squares of them transposed in registers. */
#ifndef SRTRAIN_TENSOR_SQUARE_H
#define SRTRAIN_TENSOR_SQUARE_H

#include "srtrain/real.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#elif defined(__ARM_FEATURE_SVE_BITS) && __ARM_FEATURE_SVE_BITS > 0
enum { VECTOR_BYTES = __ARM_FEATURE_SVE_BITS / 8 };
#else
enum { VECTOR_BYTES = 16 };
#endif

enum { LANES = VECTOR_BYTES / sizeof(sr_real) };

/* Vector registers; 16 otherwise. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define HAS_32_REGISTERS 1
#else
#define HAS_32_REGISTERS 0
#endif

typedef sr_real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef sr_real loose_vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(sr_real)), may_alias));
#ifdef SR_REAL_IS_DOUBLE
typedef int64_t lane_numbers __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t lane_numbers __attribute__((vector_size(VECTOR_BYTES)));
#endif

/* Lane l of the result is lane from[l] of upper and lower, one behind the other. */
static inline __attribute__((always_inline)) vector shuffle(vector upper, vector lower, lane_numbers from)
{
#ifdef __clang__ /* has no such function for lanes that are no constants in the source; these become constants */
    vector made = {0};
#pragma clang loop unroll(full)
    for (int l = 0; l < LANES; ++l)
        made[l] = from[l] < LANES ? upper[from[l] & (LANES - 1)] : lower[from[l] & (LANES - 1)];
    return made;
#else
    return __builtin_shuffle(upper, lower, from);
#endif
}

/* Of a square of numbers: blocks of half x half numbers above and below the diagonal change places, in every block of twice
 * that size on it. `half` is a constant wherever this is expanded. */
static inline __attribute__((always_inline)) void exchange_blocks(vector *rows, const int half)
{
    lane_numbers lane;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; ++l)
        lane[l] = l;
    const lane_numbers is_second = (lane & half) != 0;
    const lane_numbers low = (is_second & (lane - half + LANES)) | (~is_second & lane);
    const lane_numbers high = (is_second & (lane + LANES)) | (~is_second & (lane + half));
#pragma GCC unroll 16
    for (int r = 0; r < LANES; ++r)
        if (!(r & half)) {
            const vector upper = rows[r], lower = rows[r + half];
            rows[r] = shuffle(upper, lower, low);
            rows[r + half] = shuffle(upper, lower, high);
        }
}

/* rows [LANES] become the columns of what they were, in log2 LANES rounds. */
static inline __attribute__((always_inline)) void transpose_rows(vector *rows)
{
    if (LANES == 16)
        exchange_blocks(rows, 8);
    if (LANES >= 8)
        exchange_blocks(rows, 4);
    if (LANES >= 4)
        exchange_blocks(rows, 2);
    exchange_blocks(rows, 1);
}

/* to [LANES, LANES] becomes the transposed of from. Of `from`, rows at and behind `count` are taken as zero. */
static inline __attribute__((always_inline)) void transpose_square(sr_real *to, size_t to_stride, const sr_real *from,
                                                                   size_t from_stride, size_t count)
{
    vector rows[LANES];
#pragma GCC unroll 16
    for (int l = 0; l < LANES; ++l)
        if ((size_t)l < count)
            rows[l] = *(const loose_vector *)(from + (size_t)l * from_stride);
        else
            rows[l] = (vector){0};
    transpose_rows(rows);
#pragma GCC unroll 16
    for (int l = 0; l < LANES; ++l)
        *(loose_vector *)(to + (size_t)l * to_stride) = rows[l];
}

#endif
