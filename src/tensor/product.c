/* Products without packing; tensor/product.h. Compiled once for each CPU level (cmake/CpuLevels.cmake) with SR_CPU_LEVEL naming
 * the function.
 *
 * The innermost piece keeps a block of c, ROWS x VECTORS vectors, in registers while it runs down k: each step loads one row of
 * b's panel and multiplies it by ROWS numbers of a. Only a transposed b, and columns that do not fill a vector, are copied, to
 * a panel of their own. */
#include "tensor/product.h"

#include "tensor/bf16.h"
#include "tensor/square.h"

#include <string.h>

enum {
    BLOCK_ROWS = 6,
    PANEL_VECTORS = HAS_32_REGISTERS ? 4 : 2, /* as many as there are registers for */
    PANEL = PANEL_VECTORS * LANES,            /* columns of c at a time */
    DEPTH = 256,                              /* rows of b at a time: a panel of them stays in the first-level cache */
    TILE_ROWS = 16 * BLOCK_ROWS               /* rows of a at a time: they stay in the second-level cache while panels pass */
};

/* The part of a product that is being computed: some of the rows, of the columns, and of the depth. Here
 * a[i, p] = a[i * a_row_stride + p * a_column_stride]. */
typedef struct {
    const sr_real *a, *b;
    sr_real *c;
    size_t depth, columns, a_row_stride, a_column_stride, b_stride, c_stride;
    sr_real alpha, beta;
} piece;

/* ---- blocks in registers ---- */

/* What c has room for of a row's last vector. */
static inline __attribute__((always_inline)) void add_partial(sr_real *c, vector sum, const piece *p, size_t count)
{
    vector old = {0};
    if (p->beta != 0)
        memcpy(&old, c, count * sizeof *c);
    const vector result = p->beta == 0 ? p->alpha * sum : p->beta * old + p->alpha * sum;
    memcpy(c, &result, count * sizeof *c);
}

/* The numbers of rows and vectors are constants wherever this is expanded. */
static inline __attribute__((always_inline)) void multiply_block(const piece *p, const int rows, const int vectors)
{
    vector sums[BLOCK_ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
            sums[r][v] = (vector){0};
    const sr_real *a = p->a, *b = p->b;
    for (size_t step = 0; step < p->depth; ++step, a += p->a_column_stride, b += p->b_stride) {
        vector row[PANEL_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
            row[v] = *(const loose_vector *)(b + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                sums[r][v] += a[(size_t)r * p->a_row_stride] * row[v];
    }
    const size_t partial = p->columns % LANES;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            sr_real *c = p->c + (size_t)r * p->c_stride + v * LANES;
            if (v == vectors - 1 && partial)
                add_partial(c, sums[r][v], p, partial);
            else if (p->beta == 0)
                *(loose_vector *)c = p->alpha * sums[r][v];
            else
                *(loose_vector *)c = p->beta * *(loose_vector *)c + p->alpha * sums[r][v];
        }
}

/* One function for each size, so that the compiler gives each its registers. */
#define BLOCK(rows, vectors)                                                       \
    static __attribute__((noinline)) void block_##rows##_##vectors(const piece *p) \
    {                                                                              \
        multiply_block(p, rows, vectors);                                          \
    }
#define BLOCKS(vectors) \
    BLOCK(1, vectors) BLOCK(2, vectors) BLOCK(3, vectors) BLOCK(4, vectors) BLOCK(5, vectors) BLOCK(6, vectors)
#define NAMES(vectors) \
    block_1_##vectors, block_2_##vectors, block_3_##vectors, block_4_##vectors, block_5_##vectors, block_6_##vectors
BLOCKS(1)
BLOCKS(2)
#if HAS_32_REGISTERS
BLOCKS(3)
BLOCKS(4)
#endif

static void multiply_panel(const piece *p, size_t rows)
{
    static void (*const blocks[PANEL_VECTORS][BLOCK_ROWS])(const piece *) = {
        {NAMES(1)},
        {NAMES(2)},
#if HAS_32_REGISTERS
        {NAMES(3)},
        {NAMES(4)}
#endif
    };
    const size_t vectors = (p->columns + LANES - 1) / LANES;
    piece block = *p;
    for (; rows >= BLOCK_ROWS; rows -= BLOCK_ROWS) {
        blocks[vectors - 1][BLOCK_ROWS - 1](&block);
        block.a += BLOCK_ROWS * p->a_row_stride;
        block.c += BLOCK_ROWS * p->c_stride;
    }
    if (rows > 0)
        blocks[vectors - 1][rows - 1](&block);
}

/* ---- panels ---- */

/* panel [depth, columns] of b [columns, depth]; columns up to a whole vector become zero. */
static void transpose_panel(sr_real *panel, const sr_real *b, size_t stride, size_t depth, size_t columns)
{
    for (size_t j = 0; j < columns; j += LANES) {
        const size_t count = columns - j < LANES ? columns - j : LANES;
        size_t p = 0;
        for (; p + LANES <= depth; p += LANES)
            if (count == LANES)
                transpose_square(panel + p * PANEL + j, PANEL, b + j * stride + p, stride, LANES);
            else
                transpose_square(panel + p * PANEL + j, PANEL, b + j * stride + p, stride, count);
        for (; p < depth; ++p)
            for (size_t l = 0; l < LANES; ++l)
                panel[p * PANEL + j + l] = l < count ? b[(j + l) * stride + p] : 0;
    }
}

/* panel [depth, columns] of b [depth, columns], the last columns up to a whole vector being zero. */
static void copy_panel(sr_real *panel, const sr_real *b, size_t stride, size_t depth, size_t columns)
{
    for (size_t p = 0; p < depth; ++p) {
        memcpy(panel + p * PANEL, b + p * stride, columns * sizeof *panel);
        for (size_t j = columns; j % LANES; ++j)
            panel[p * PANEL + j] = 0;
    }
}

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* a tile of op(a) [rows, depth], rounded, in its own order: with rows of DEPTH numbers, or of TILE_ROWS numbers if transposed.
 */
static void round_tile(sr_real *rounded, const matrix_product *product, size_t row, size_t rows, size_t step, size_t depth)
{
    const bool transposed = product->transpose_a;
    const size_t outer = transposed ? depth : rows, inner = transposed ? rows : depth;
    const sr_real *a = product->a + (transposed ? step * product->a_stride + row : row * product->a_stride + step);
    for (size_t i = 0; i < outer; ++i)
        for (size_t j = 0; j < inner; ++j)
            rounded[i * (transposed ? TILE_ROWS : DEPTH) + j] = bf16_round(a[i * product->a_stride + j]);
}

/* All columns, for some rows and some of the depth. */
static inline __attribute__((always_inline)) void multiply_tile(const matrix_product *product, size_t row, size_t rows,
                                                                size_t step, size_t depth, const bool rounds)
{
    sr_real panel[DEPTH * PANEL] __attribute__((aligned(64)));
    sr_real rounded[TILE_ROWS * DEPTH];
    piece p = {.depth = depth,
               .a_row_stride = product->transpose_a ? 1 : product->a_stride,
               .a_column_stride = product->transpose_a ? product->a_stride : 1,
               .c_stride = product->c_stride,
               .alpha = product->alpha,
               .beta = step == 0 ? product->beta : 1};
    p.a = product->a + row * p.a_row_stride + step * p.a_column_stride;
    if (rounds) {
        round_tile(rounded, product, row, rows, step, depth);
        p.a = rounded;
        p.a_row_stride = product->transpose_a ? 1 : DEPTH;
        p.a_column_stride = product->transpose_a ? TILE_ROWS : 1;
    }
    for (size_t column = 0; column < product->n; column += PANEL) {
        p.columns = least(PANEL, product->n - column);
        p.c = product->c + row * product->c_stride + column;
        p.b = panel;
        p.b_stride = PANEL;
        if (product->transpose_b) {
            transpose_panel(panel, product->b + column * product->b_stride + step, product->b_stride, depth, p.columns);
        } else if (rounds || p.columns % LANES) {
            copy_panel(panel, product->b + step * product->b_stride + column, product->b_stride, depth, p.columns);
        } else {
            p.b = product->b + step * product->b_stride + column;
            p.b_stride = product->b_stride;
        }
        for (size_t i = 0; rounds && i < depth; ++i)
            for (size_t j = 0; j < PANEL; ++j)
                panel[i * PANEL + j] = bf16_round(panel[i * PANEL + j]);
        multiply_panel(&p, rows);
    }
}

static inline __attribute__((always_inline)) void multiply(const matrix_product *product, const bool rounds)
{
    const size_t tile = product->transpose_b && !rounds ? product->m : TILE_ROWS; /* transposing once is enough */
    for (size_t step = 0; step < product->k; step += DEPTH)
        for (size_t row = 0; row < product->m; row += tile)
            multiply_tile(product, row, least(tile, product->m - row), step, least(DEPTH, product->k - step), rounds);
}

#define NAME_OF(name, level) NAME_TEXT(name, level)
#define NAME_TEXT(name, level) name##_##level

void NAME_OF(multiply, SR_CPU_LEVEL)(const matrix_product *product)
{
    multiply(product, false);
}

void NAME_OF(multiply_rounded, SR_CPU_LEVEL)(const matrix_product *product)
{
    multiply(product, true);
}
