/* Operands from single precision to tiles of bf16; tensor/amx.h. Two instructions do the work: VCVTNE2PS2BF16 rounds 32
 * numbers, and where pairs have to be entwined VPERMW does that. */
#include "tensor/amx.h"

#include "tensor/bf16.h"
#include "tensor/square.h"

static inline size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

#ifdef __AVX512BF16__
#include <immintrin.h>

static inline __attribute__((always_inline)) __m512 some(const float *from, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)(count >= 16 ? 0xFFFF : (1u << count) - 1), from);
}

/* `first` becomes the lower half. */
static inline __attribute__((always_inline)) __m512i round_both(__m512 first, __m512 second)
{
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

/* Row l: the numbers of line l. */
static inline __attribute__((always_inline)) void read_along(vector *rows, const float *from, size_t stride, size_t lines,
                                                             size_t depth)
{
    const size_t second = depth > 16 ? depth - 16 : 0;
#pragma GCC unroll 16
    for (size_t l = 0; l < TILE_LINES; ++l)
        rows[l] = l < lines ? (vector)round_both(some(from + l * stride, depth), some(from + l * stride + 16, second))
                            : (vector){0};
}

/* Row q: pairs of k = 2q, 2q + 1 of 16 lines. */
static inline __attribute__((always_inline)) void read_across(vector *rows, const float *from, size_t stride, size_t lines,
                                                              size_t depth)
{
    static const uint16_t entwined[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i order = _mm512_loadu_si512(entwined);
#pragma GCC unroll 16
    for (size_t q = 0; q < TILE_DEPTH / 2; ++q) {
        const __m512 first = 2 * q < depth ? some(from + 2 * q * stride, lines) : _mm512_setzero_ps();
        const __m512 second = 2 * q + 1 < depth ? some(from + (2 * q + 1) * stride, lines) : _mm512_setzero_ps();
        rows[q] = (vector)_mm512_permutexvar_epi16(order, round_both(first, second));
    }
}

static inline __attribute__((always_inline)) void lay_out_tile(bf16_tile *tile, tile_side side, bool along, const float *from,
                                                               size_t stride, size_t lines, size_t depth)
{
    vector rows[TILE_LINES];
    if (along)
        read_along(rows, from, stride, lines, depth);
    else
        read_across(rows, from, stride, lines, depth);
    if (along != (side == TILES_OF_A))
        transpose_rows(rows);
#pragma GCC unroll 16
    for (int i = 0; i < TILE_LINES; ++i)
        _mm512_store_si512(tile->numbers[i], (__m512i)rows[i]);
}
#else /* any processor: the same number by number */
static inline void lay_out_tile(bf16_tile *tile, tile_side side, bool along, const float *from, size_t stride, size_t lines,
                                size_t depth)
{
    for (size_t l = 0; l < TILE_LINES; ++l)
        for (size_t k = 0; k < TILE_DEPTH; ++k) {
            const bool is_there = l < lines && k < depth;
            const float value = !is_there ? 0 : along ? from[l * stride + k] : from[k * stride + l];
            uint16_t *to = side == TILES_OF_A ? &tile->numbers[l][k] : &tile->numbers[k / 2][2 * l + k % 2];
            *to = (uint16_t)(bf16_bits(value) >> 16);
        }
}
#endif

/* The tile at line `line` and number `k`. Whole tiles have loops of their own; `side` and `along` are constants wherever this
 * is expanded. */
static inline __attribute__((always_inline)) void lay_out_at(bf16_tile *tiles, size_t row, tile_side side, bool along,
                                                             const tile_source *source, size_t line, size_t k)
{
    bf16_tile *tile = tiles + line / TILE_LINES * row + k / TILE_DEPTH;
    const float *from = source->from + (along ? line * source->stride + k : k * source->stride + line);
    const size_t lines = least(TILE_LINES, source->lines - line), depth = least(TILE_DEPTH, source->depth - k);
    if (lines == TILE_LINES && depth == TILE_DEPTH)
        lay_out_tile(tile, side, along, from, source->stride, TILE_LINES, TILE_DEPTH);
    else
        lay_out_tile(tile, side, along, from, source->stride, lines, depth);
}

/* Goes along the rows of what is read, 16 or 32 of them at a time: the other order touches a page for each line of the cache.
 */
static inline __attribute__((always_inline)) void lay_out(bf16_tile *tiles, size_t row, tile_side side, bool along,
                                                          const tile_source *source)
{
    if (along)
        for (size_t line = 0; line < source->lines; line += TILE_LINES)
            for (size_t k = 0; k < source->depth; k += TILE_DEPTH)
                lay_out_at(tiles, row, side, along, source, line, k);
    else
        for (size_t k = 0; k < source->depth; k += TILE_DEPTH)
            for (size_t line = 0; line < source->lines; line += TILE_LINES)
                lay_out_at(tiles, row, side, along, source, line, k);
}

void amx_lay_out(bf16_tile *tiles, size_t row, tile_side side, const tile_source *source)
{
    if (side == TILES_OF_A && source->along)
        lay_out(tiles, row, TILES_OF_A, true, source);
    else if (side == TILES_OF_A)
        lay_out(tiles, row, TILES_OF_A, false, source);
    else if (source->along)
        lay_out(tiles, row, TILES_OF_B, true, source);
    else
        lay_out(tiles, row, TILES_OF_B, false, source);
}
