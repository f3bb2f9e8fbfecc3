/* The instructions of AMX that src/tensor/product_amx.c uses, in plain C: the same results to the bit. */
#ifndef SRTRAIN_TESTS_AMX_EMULATED_H
#define SRTRAIN_TESTS_AMX_EMULATED_H

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static _Thread_local uint8_t emulated_tiles[8][16][64];
static _Thread_local int emulated_tiles_are_configured;

static inline void emulated_configure(const void *configuration)
{
    const uint8_t *bytes = configuration;
    assert(bytes[0] == 1); /* the palette */
    for (int t = 0; t < 8; ++t) {
        uint16_t row_bytes;
        memcpy(&row_bytes, bytes + 16 + 2 * t, sizeof row_bytes);
        assert(row_bytes == 64 && bytes[48 + t] == 16);
    }
    memset(emulated_tiles, 0, sizeof emulated_tiles);
    emulated_tiles_are_configured = 1;
}

static inline void emulated_release(void)
{
    assert(emulated_tiles_are_configured);
    emulated_tiles_are_configured = 0;
}

static inline void emulated_load(int tile, const void *from, size_t stride)
{
    assert(emulated_tiles_are_configured);
    for (size_t row = 0; row < 16; ++row)
        memcpy(emulated_tiles[tile][row], (const uint8_t *)from + row * stride, 64);
}

static inline void emulated_store(int tile, void *to, size_t stride)
{
    assert(emulated_tiles_are_configured);
    for (size_t row = 0; row < 16; ++row)
        memcpy((uint8_t *)to + row * stride, emulated_tiles[tile][row], 64);
}

static inline float emulated_flushed(float value)
{
    return fabsf(value) < 0x1p-126f ? copysignf(0, value) : value;
}

static inline float emulated_number(const uint8_t *bytes)
{
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return emulated_flushed(value);
}

/* TDPBF16PS: for each m, k, n: c[m][n] += a[m][2k] b[k][2n] + a[m][2k + 1] b[k][2n + 1]. The manual leaves the order of sums
 * open. Processors take two chains of fused multiplications and additions from zero, one over the numbers with even and one
 * over those with odd k, in rising order; then c + (even + odd), each addition rounded. Denormals count as zero everywhere. */
static inline void emulated_product(int c, int a, int b)
{
    float left[16][32], right[16][32];
    assert(emulated_tiles_are_configured);
    for (size_t row = 0; row < 16; ++row)
        for (size_t i = 0; i < 32; ++i) {
            left[row][i] = emulated_number(&emulated_tiles[a][row][2 * i]);
            right[row][i] = emulated_number(&emulated_tiles[b][row][2 * i]);
        }
    for (size_t m = 0; m < 16; ++m)
        for (size_t n = 0; n < 16; ++n) {
            float even = 0, odd = 0, sum;
            for (size_t k = 0; k < 16; ++k) {
                even = emulated_flushed(fmaf(left[m][2 * k], right[k][2 * n], even));
                odd = emulated_flushed(fmaf(left[m][2 * k + 1], right[k][2 * n + 1], odd));
            }
            memcpy(&sum, &emulated_tiles[c][m][4 * n], sizeof sum);
            sum = emulated_flushed(emulated_flushed(sum) + emulated_flushed(even + odd));
            memcpy(&emulated_tiles[c][m][4 * n], &sum, sizeof sum);
        }
}

#define TILES_READ_MEMORY() ((void)0)
#define TILE_CONFIGURE(configuration) emulated_configure(configuration)
#define TILE_RELEASE() emulated_release()
#define TILE_ZERO(tile) memset(emulated_tiles[tile], 0, sizeof emulated_tiles[tile])
#define TILE_LOAD(tile, from, stride) emulated_load(tile, from, stride)
#define TILE_STORE(tile, to, stride) emulated_store(tile, to, stride)
#define TILE_PRODUCT(c, a, b) emulated_product(c, a, b)

#endif
