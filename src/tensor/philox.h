/* Philox-4x32-10 on 16 counters at once (Salmon et al. 2011), and what dropout keeps by its words. */
#ifndef SRTRAIN_TENSOR_PHILOX_H
#define SRTRAIN_TENSOR_PHILOX_H

#include "tensor/simd.h"

#include <stddef.h>
#include <stdint.h>

enum { PHILOX_LANES = 16, PHILOX_ROUNDS = 10, ELEMENTS_OF_BLOCK = 8 };

static const uint32_t PHILOX_FACTOR0 = 0xD2511F53u, PHILOX_FACTOR1 = 0xCD9E8D57u;
static const uint32_t PHILOX_STEP0 = 0x9E3779B9u, PHILOX_STEP1 = 0xBB67AE85u;

#if defined(__AVX512BW__)
#include <immintrin.h>

/* Upper and lower halves of 16 products of 32 by 32 bits: VPMULUDQ multiplies even lanes, and a shift brings it the odd ones.
 */
static inline __attribute__((always_inline)) void multiply_wide(__m512i *high, __m512i *low, __m512i words, __m512i factor)
{
    const __m512i even = _mm512_mul_epu32(words, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(words, 32), factor);
    *low = _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
    *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

/* A byte for each half of each word: those of the first eight lanes' words in one half of 128 bits each, then the other's. */
static inline __attribute__((always_inline)) __m512i kept_of_pairs(__m512i first, __m512i second, __m512i largest)
{
    const __m512i one = _mm512_set1_epi16(1);
    const __m512i of_first = _mm512_maskz_mov_epi16(_mm512_cmple_epu16_mask(first, largest), one);
    const __m512i of_second = _mm512_maskz_mov_epi16(_mm512_cmple_epu16_mask(second, largest), one);
    /* Of four lanes: two bytes each of the first words, then of the second ones; entwined: four bytes a lane. */
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    return _mm512_shuffle_epi8(_mm512_packus_epi16(of_first, of_second), order);
}

enum { EXCLUSIVE_OR = 0x96 }; /* of three */

/* blocks [lane, 8 bytes]: what is kept of the elements of counter words [word, lane]; keep >= 1. */
static inline void draw_lanes(uint32_t blocks[PHILOX_LANES][2], uint32_t words[4][PHILOX_LANES], const uint32_t key[2],
                              uint32_t keep)
{
    const __m512i factor0 = _mm512_set1_epi32((int)PHILOX_FACTOR0), factor1 = _mm512_set1_epi32((int)PHILOX_FACTOR1);
    __m512i word0 = _mm512_loadu_si512(words[0]), word1 = _mm512_loadu_si512(words[1]);
    __m512i word2 = _mm512_loadu_si512(words[2]), word3 = _mm512_loadu_si512(words[3]);
    uint32_t key0 = key[0], key1 = key[1];
#pragma GCC unroll 10
    for (int round = 0; round < PHILOX_ROUNDS; ++round) {
        __m512i high0, low0, high1, low1;
        multiply_wide(&high0, &low0, word0, factor0);
        multiply_wide(&high1, &low1, word2, factor1);
        word0 = _mm512_ternarylogic_epi32(high1, word1, _mm512_set1_epi32((int)key0), EXCLUSIVE_OR);
        word2 = _mm512_ternarylogic_epi32(high0, word3, _mm512_set1_epi32((int)key1), EXCLUSIVE_OR);
        word1 = low1;
        word3 = low0;
        key0 += PHILOX_STEP0;
        key1 += PHILOX_STEP1;
    }
    const __m512i largest = _mm512_set1_epi16((short)(keep - 1)); /* that is kept */
    const __m512i first = kept_of_pairs(word0, word1, largest), second = kept_of_pairs(word2, word3, largest);
    /* Eight bytes a lane: of four lanes, two are in `low` and two in `high`. */
    const __m512i low = _mm512_unpacklo_epi32(first, second), high = _mm512_unpackhi_epi32(first, second);
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(blocks[0], _mm512_permutex2var_epi64(low, front, high));
    _mm512_storeu_si512(blocks[PHILOX_LANES / 2], _mm512_permutex2var_epi64(low, back, high));
}
#elif defined(__AVX2__)
#include <immintrin.h>

/* Upper and lower halves of eight products of 32 by 32 bits, even and odd lanes by themselves. */
static inline __attribute__((always_inline)) void multiply_wide(__m256i *high, __m256i *low, __m256i words, __m256i factor)
{
    const __m256i even = _mm256_mul_epu32(words, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(words, 32), factor);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

/* A byte for each half of each word: four a lane, those of the first word in front. */
static inline __attribute__((always_inline)) __m256i kept_of_pairs(__m256i first, __m256i second, __m256i largest)
{
    const __m256i of_first = _mm256_srli_epi16(_mm256_cmpeq_epi16(_mm256_min_epu16(first, largest), first), 15);
    const __m256i of_second = _mm256_srli_epi16(_mm256_cmpeq_epi16(_mm256_min_epu16(second, largest), second), 15);
    const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    return _mm256_shuffle_epi8(_mm256_packus_epi16(of_first, of_second), order);
}

/* Eight counters, from lane `begin` on. */
static inline __attribute__((always_inline)) void draw_eight_lanes(uint32_t blocks[PHILOX_LANES][2],
                                                                   uint32_t words[4][PHILOX_LANES], const uint32_t key[2],
                                                                   uint32_t keep, size_t begin)
{
    const __m256i factor0 = _mm256_set1_epi32((int)PHILOX_FACTOR0), factor1 = _mm256_set1_epi32((int)PHILOX_FACTOR1);
    __m256i word[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i)
        word[i] = _mm256_loadu_si256((const __m256i *)(words[i] + begin));
    uint32_t key0 = key[0], key1 = key[1];
#pragma GCC unroll 10
    for (int round = 0; round < PHILOX_ROUNDS; ++round) {
        __m256i high0, low0, high1, low1;
        multiply_wide(&high0, &low0, word[0], factor0);
        multiply_wide(&high1, &low1, word[2], factor1);
        word[0] = _mm256_xor_si256(_mm256_xor_si256(high1, word[1]), _mm256_set1_epi32((int)key0));
        word[2] = _mm256_xor_si256(_mm256_xor_si256(high0, word[3]), _mm256_set1_epi32((int)key1));
        word[1] = low1;
        word[3] = low0;
        key0 += PHILOX_STEP0;
        key1 += PHILOX_STEP1;
    }
    const __m256i largest = _mm256_set1_epi16((short)(keep - 1)); /* that is kept */
    const __m256i first = kept_of_pairs(word[0], word[1], largest), second = kept_of_pairs(word[2], word[3], largest);
    /* Eight bytes a lane: of four lanes, two are in `low` and two in `high`. */
    const __m256i low = _mm256_unpacklo_epi32(first, second), high = _mm256_unpackhi_epi32(first, second);
    _mm256_storeu_si256((__m256i *)blocks[begin], _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)blocks[begin + 4], _mm256_permute2x128_si256(low, high, 0x31));
}

/* blocks [lane, 8 bytes]: what is kept of the elements of counter words [word, lane]; keep >= 1. */
static inline void draw_lanes(uint32_t blocks[PHILOX_LANES][2], uint32_t words[4][PHILOX_LANES], const uint32_t key[2],
                              uint32_t keep)
{
    draw_eight_lanes(blocks, words, key, keep, 0);
    draw_eight_lanes(blocks, words, key, keep, PHILOX_LANES / 2);
}
#else
static inline void philox_lanes(uint32_t words[4][PHILOX_LANES], const uint32_t key[2])
{
    uint32_t key0 = key[0], key1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; ++round) {
        SIMD
        for (size_t lane = 0; lane < PHILOX_LANES; ++lane) {
            const uint64_t product0 = (uint64_t)PHILOX_FACTOR0 * words[0][lane];
            const uint64_t product1 = (uint64_t)PHILOX_FACTOR1 * words[2][lane];
            const uint32_t word1 = words[1][lane], word3 = words[3][lane];
            words[0][lane] = (uint32_t)(product1 >> 32) ^ word1 ^ key0;
            words[1][lane] = (uint32_t)product1;
            words[2][lane] = (uint32_t)(product0 >> 32) ^ word3 ^ key1;
            words[3][lane] = (uint32_t)product0;
        }
        key0 += PHILOX_STEP0;
        key1 += PHILOX_STEP1;
    }
}

/* What is kept of the two elements of a random word: a byte each, the low half's first in memory. */
static inline uint32_t kept_of_word(uint32_t word, uint32_t keep)
{
    const uint32_t low = (word & 0xFFFF) < keep, high = (word >> 16) < keep;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return low | high << 8;
#else
    return low << 8 | high;
#endif
}

/* blocks [lane, 8 bytes]: what is kept of the elements of counter words [word, lane]; without branches, which no predictor
 * could learn. */
static inline void draw_lanes(uint32_t blocks[PHILOX_LANES][2], uint32_t words[4][PHILOX_LANES], const uint32_t key[2],
                              uint32_t keep)
{
    philox_lanes(words, key);
    SIMD
    for (size_t lane = 0; lane < PHILOX_LANES; ++lane)
        for (size_t i = 0; i < 2; ++i) {
            const uint32_t first = kept_of_word(words[2 * i][lane], keep), second = kept_of_word(words[2 * i + 1][lane], keep);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            blocks[lane][i] = first | second << 16;
#else
            blocks[lane][i] = first << 16 | second;
#endif
        }
}
#endif

#endif
