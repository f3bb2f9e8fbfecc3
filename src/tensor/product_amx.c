/* Products of bf16 by AMX, Intel's matrix unit: eight tile registers of 16 rows of 64 bytes.
 *
 *   c tile [16, 16] += a tile [16, 32] b tile [32, 16]
 *
 * a's tile holds rows of 32 numbers of bf16; b's holds pairs of rows, entwined: b[2q, j], b[2q + 1, j], so that both are 16
 * rows of 16 pairs. Operands are rounded and laid out tile by tile, a kilobyte each; four tiles of c, 32 x 32 numbers, are
 * summed up at a time. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.) */
#include "tensor/bf16.h"
#include "tensor/product.h"
#include "tensor/square.h"

#include <string.h>

#ifdef SR_AMX_EMULATED
#include "amx_emulated.h" /* tests, on processors without AMX */
#else
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
/* GCC is not told that a tile is loaded from memory: what was written there before has to be kept from being thought unread. */
#define MEMORY_IS_READ() __asm__ volatile("" ::: "memory")
#define TILE_CONFIGURE(configuration) _tile_loadconfig(configuration)
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from) _tile_loadd(tile, from, 64)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_PRODUCT(c, a, b) _tile_dpbf16ps(c, a, b)
#endif

enum {
    SIDE = 16,        /* rows of a tile, and pairs in a row */
    BLOCK = 2 * SIDE, /* rows and columns of c at a time */
    DEPTH = 256,      /* numbers of k at a time, */
    DEPTH_TILES = DEPTH / (2 * SIDE),
    ROW_TILES = 8, /* tiles of a, and of b, that are laid out at a time: together they fit into the second-level cache */
    COLUMN_TILES = 16
};

/* A pair of bf16 numbers: that of the smaller k in the lower half. */
typedef uint32_t tile[SIDE][SIDE];

static inline uint32_t pair_of(float first, float second)
{
    return bf16_bits(first) >> 16 | bf16_bits(second);
}

static inline void transpose_tile(tile pairs)
{
    tile transposed;
    for (size_t i = 0; i < SIDE; i += LANES)
        for (size_t j = 0; j < SIDE; j += LANES)
            transpose_square((float *)&transposed[j][i], SIDE, (const float *)&pairs[i][j], SIDE, LANES);
    memcpy(pairs, transposed, sizeof transposed);
}

/* The source of a tile: 16 rows of a or columns of b (`lines`, some may be missing) by 32 numbers of k (`depth`, some may be
 * missing). */
typedef struct {
    const float *from;
    size_t stride, lines, depth;
    bool line_by_line; /* numbers of k are neighbours in memory; else numbers of different lines are */
} tile_source;

/* Missing numbers become zero. `by_lines`: each row of the tile is a line (a), not each column (b). */
static void lay_out(tile pairs, const tile_source *source, bool by_lines)
{
    float whole[SIDE * 2 * SIDE];
    const float *from = source->from;
    size_t stride = source->stride;
    if (source->lines < SIDE || source->depth < 2 * SIDE) {
        const size_t rows = source->line_by_line ? source->lines : source->depth;
        const size_t columns = source->line_by_line ? source->depth : source->lines;
        const size_t width = source->line_by_line ? 2 * SIDE : SIDE;
        memset(whole, 0, sizeof whole);
        for (size_t row = 0; row < rows; ++row)
            memcpy(whole + row * width, from + row * stride, columns * sizeof *whole);
        from = whole;
        stride = width;
    }
    for (size_t i = 0; i < SIDE; ++i)
        for (size_t j = 0; j < SIDE; ++j)
            pairs[i][j] = source->line_by_line ? pair_of(from[i * stride + 2 * j], from[i * stride + 2 * j + 1])
                                               : pair_of(from[2 * i * stride + j], from[(2 * i + 1) * stride + j]);
    if (source->line_by_line != by_lines)
        transpose_tile(pairs);
}

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Tiles [tiles of lines, tiles of depth] of some lines and some of the depth of an operand, from `first` on. */
static void lay_out_all(tile (*tiles)[DEPTH_TILES], const float *first, size_t stride, bool line_by_line, size_t lines,
                        size_t depth, bool by_lines)
{
    for (size_t line = 0; line < lines; line += SIDE)
        for (size_t k = 0; k < depth; k += 2 * SIDE) {
            const tile_source source = {.from = first + (line_by_line ? line * stride + k : k * stride + line),
                                        .stride = stride,
                                        .lines = least(SIDE, lines - line),
                                        .depth = least(2 * SIDE, depth - k),
                                        .line_by_line = line_by_line};
            lay_out(tiles[line / SIDE][k / (2 * SIDE)], &source, by_lines);
        }
    if ((lines + SIDE - 1) / SIDE % 2) /* blocks are two tiles wide */
        memset(tiles[(lines + SIDE - 1) / SIDE], 0, sizeof *tiles);
}

/* The block of c from `row` and `column` on, up to 32 x 32, of two rows of tiles of a and two columns of tiles of b. */
static void multiply_block(const matrix_product *p, size_t row, size_t column, tile (*a)[DEPTH_TILES], tile (*b)[DEPTH_TILES],
                           size_t depth_tiles, float beta)
{
    const size_t rows = least(BLOCK, p->m - row), columns = least(BLOCK, p->n - column);
    float *c = p->c + row * p->c_stride + column;
    float sums[BLOCK][BLOCK] __attribute__((aligned(64)));
    MEMORY_IS_READ();
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (size_t k = 0; k < depth_tiles; ++k) {
        TILE_LOAD(4, a[0][k]);
        TILE_LOAD(5, a[1][k]);
        TILE_LOAD(6, b[0][k]);
        TILE_LOAD(7, b[1][k]);
        TILE_PRODUCT(0, 4, 6);
        TILE_PRODUCT(1, 4, 7);
        TILE_PRODUCT(2, 5, 6);
        TILE_PRODUCT(3, 5, 7);
    }
    TILE_STORE(0, &sums[0][0], sizeof sums[0]);
    TILE_STORE(1, &sums[0][SIDE], sizeof sums[0]);
    TILE_STORE(2, &sums[SIDE][0], sizeof sums[0]);
    TILE_STORE(3, &sums[SIDE][SIDE], sizeof sums[0]);
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < columns; ++j)
            c[i * p->c_stride + j] = p->alpha * sums[i][j] + (beta == 0 ? 0 : beta * c[i * p->c_stride + j]);
}

void multiply_amx(const matrix_product *p)
{
    static const struct {
        uint8_t palette, first_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } configuration = {
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE}};
    tile a[ROW_TILES][DEPTH_TILES] __attribute__((aligned(64)));
    tile b[COLUMN_TILES][DEPTH_TILES] __attribute__((aligned(64)));
    enum { ROWS = ROW_TILES * SIDE, COLUMNS = COLUMN_TILES * SIDE };
    TILE_CONFIGURE(&configuration);
    for (size_t k = 0; k < p->k; k += DEPTH) {
        const size_t depth = least(DEPTH, p->k - k), depth_tiles = (depth + 2 * SIDE - 1) / (2 * SIDE);
        const float beta = k == 0 ? p->beta : 1;
        for (size_t column = 0; column < p->n; column += COLUMNS) {
            const size_t columns = least(COLUMNS, p->n - column);
            lay_out_all(b, p->b + (p->transpose_b ? column * p->b_stride + k : k * p->b_stride + column), p->b_stride,
                        p->transpose_b, columns, depth, false);
            for (size_t row = 0; row < p->m; row += ROWS) {
                const size_t rows = least(ROWS, p->m - row);
                lay_out_all(a, p->a + (p->transpose_a ? k * p->a_stride + row : row * p->a_stride + k), p->a_stride,
                            !p->transpose_a, rows, depth, true);
                for (size_t i = 0; i < rows; i += BLOCK)
                    for (size_t j = 0; j < columns; j += BLOCK)
                        multiply_block(p, row + i, column + j, a + i / SIDE, b + j / SIDE, depth_tiles, beta);
            }
        }
    }
    TILE_RELEASE();
}

bool amx_allow(void)
{
#ifdef SR_AMX_EMULATED
    return true;
#else
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM and the state component of tiles */
    unsigned a, b, c, d;
    const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & amx_bf16) || !(d & amx_tile))
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#endif
}
