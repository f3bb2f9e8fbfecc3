/* Numbers of 8 bits of precision: the upper half of a float. */
#ifndef SRTRAIN_TENSOR_BF16_H
#define SRTRAIN_TENSOR_BF16_H

#include "srtrain/real.h"

#include <stdint.h>

/* The bits of a float rounded to bf16, to nearest and ties to even, in the upper half; the lower half is zero. What is not a
 * number stays so, and what is too small for full precision becomes zero, as in the processors' own conversions. */
static inline uint32_t bf16_bits(float value)
{
    union {
        float value;
        uint32_t bits;
    } number = {.value = value};
    const uint32_t rounded = (number.bits + 0x7FFFu + (number.bits >> 16 & 1)) & 0xFFFF0000u;
    const uint32_t flushed = number.bits & 0x7F800000u ? rounded : number.bits & 0x80000000u;
    return value == value ? flushed : (number.bits & 0xFFFF0000u) | 0x00400000u;
}

static inline sr_real bf16_round(sr_real value)
{
    union {
        uint32_t bits;
        float value;
    } number = {.bits = bf16_bits((float)value)};
    return number.value;
}

#endif
