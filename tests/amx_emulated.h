/* The instructions of AMX that src/tensor/product_amx.c uses, in plain C, as the manual describes them. */
#ifndef SRTRAIN_TESTS_AMX_EMULATED_H
#define SRTRAIN_TESTS_AMX_EMULATED_H

#include <assert.h>
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

static inline float emulated_number(const uint8_t *bytes)
{
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* TDPBF16PS: for each m, k, n: c[m][n] += a[m][2k] b[k][2n] + a[m][2k + 1] b[k][2n + 1] */
static inline void emulated_product(int c, int a, int b)
{
    assert(emulated_tiles_are_configured);
    for (size_t m = 0; m < 16; ++m)
        for (size_t n = 0; n < 16; ++n) {
            float sum;
            memcpy(&sum, &emulated_tiles[c][m][4 * n], sizeof sum);
            for (size_t k = 0; k < 16; ++k) {
                sum += emulated_number(&emulated_tiles[a][m][4 * k]) * emulated_number(&emulated_tiles[b][k][4 * n]);
                sum += emulated_number(&emulated_tiles[a][m][4 * k + 2]) * emulated_number(&emulated_tiles[b][k][4 * n + 2]);
            }
            memcpy(&emulated_tiles[c][m][4 * n], &sum, sizeof sum);
        }
}

#define MEMORY_IS_READ() ((void)0)
#define TILE_CONFIGURE(configuration) emulated_configure(configuration)
#define TILE_RELEASE() emulated_release()
#define TILE_ZERO(tile) memset(emulated_tiles[tile], 0, sizeof emulated_tiles[tile])
#define TILE_LOAD(tile, from) emulated_load(tile, from, 64)
#define TILE_STORE(tile, to, stride) emulated_store(tile, to, stride)
#define TILE_PRODUCT(c, a, b) emulated_product(c, a, b)

#endif
