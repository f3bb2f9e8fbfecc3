/* Products without packing; tensor/product.h. Compiled once for each CPU level (cmake/CpuLevels.cmake) with SR_CPU_LEVEL naming
 * the table.
 *
 * The innermost piece keeps a block of c, ROWS x VECTORS vectors, in registers while it runs down k: each step loads one row of
 * b's panel and multiplies it by ROWS numbers of a. */
#include "tensor/product.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, BLOCK_ROWS = 6, PANEL_VECTORS = 4 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, BLOCK_ROWS = 6, PANEL_VECTORS = 2 };
#else
enum { VECTOR_BYTES = 16, BLOCK_ROWS = 4, PANEL_VECTORS = 2 };
#endif

enum {
    LANES = VECTOR_BYTES / sizeof(sr_real),
    PANEL = PANEL_VECTORS * LANES, /* columns of c at a time */
    DEPTH = 128,                   /* rows of b at a time: a panel of them stays in the first-level cache */
    TILE_ROWS = 16 * BLOCK_ROWS    /* rows of a at a time: they stay in the second-level cache while panels pass */
};

typedef sr_real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef sr_real loose_vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(sr_real)), may_alias));

/* The part of a product that is being computed: some of the rows, of the columns, and of the depth. */
typedef struct {
    const sr_real *a, *b;
    sr_real *c;
    size_t depth, a_row_stride, a_column_stride, b_stride, c_stride;
    sr_real alpha, beta;
} piece;

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
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            loose_vector *c = (loose_vector *)(p->c + (size_t)r * p->c_stride + v * LANES);
            if (p->beta == 0)
                *c = p->alpha * sums[r][v];
            else
                *c = p->beta * *c + p->alpha * sums[r][v];
        }
}

static inline __attribute__((always_inline)) void multiply_rows(const piece *p, size_t rows, const int vectors)
{
    piece block = *p;
    for (; rows >= BLOCK_ROWS; rows -= BLOCK_ROWS) {
        multiply_block(&block, BLOCK_ROWS, vectors);
        block.a += BLOCK_ROWS * p->a_row_stride;
        block.c += BLOCK_ROWS * p->c_stride;
    }
    for (; rows > 0; --rows) {
        multiply_block(&block, 1, vectors);
        block.a += p->a_row_stride;
        block.c += p->c_stride;
    }
}

static void multiply_panel(const piece *p, size_t rows, size_t vectors)
{
    switch (vectors) {
    case 1:
        multiply_rows(p, rows, 1);
        break;
    case 2:
        multiply_rows(p, rows, 2);
        break;
#if defined(__AVX512F__)
    case 3:
        multiply_rows(p, rows, 3);
        break;
    case 4:
        multiply_rows(p, rows, 4);
        break;
#endif
    }
}

/* b[depth, columns] of a transposed b. */
static void transpose_panel(sr_real *panel, const sr_real *b, size_t stride, size_t depth, size_t columns)
{
    for (size_t j = 0; j < columns; ++j)
        for (size_t p = 0; p < depth; ++p)
            panel[p * PANEL + j] = b[j * stride + p];
}

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* All columns, for some rows and some of the depth. */
static void multiply_tile(const matrix_product *product, size_t row, size_t rows, size_t step, size_t depth)
{
    sr_real transposed[DEPTH * PANEL] __attribute__((aligned(64)));
    for (size_t column = 0; column < product->n; column += PANEL) {
        const size_t columns = least(PANEL, product->n - column);
        piece p = {.a = product->a + row * product->a_row_stride + step * product->a_column_stride,
                   .b = product->b + step * product->b_stride + column,
                   .c = product->c + row * product->c_stride + column,
                   .depth = depth,
                   .a_row_stride = product->a_row_stride,
                   .a_column_stride = product->a_column_stride,
                   .b_stride = product->b_stride,
                   .c_stride = product->c_stride,
                   .alpha = product->alpha,
                   .beta = step == 0 ? product->beta : 1};
        if (product->transpose_b) {
            transpose_panel(transposed, product->b + column * product->b_stride + step, product->b_stride, depth, columns);
            p.b = transposed;
            p.b_stride = PANEL;
        }
        multiply_panel(&p, rows, columns / LANES);
    }
}

static void multiply(const matrix_product *product)
{
    const size_t tile = product->transpose_b ? product->m : TILE_ROWS; /* transposing once is enough */
    for (size_t step = 0; step < product->k; step += DEPTH)
        for (size_t row = 0; row < product->m; row += tile)
            multiply_tile(product, row, least(tile, product->m - row), step, least(DEPTH, product->k - step));
}

#define NAME_OF(level) NAME_TEXT(level)
#define NAME_TEXT(level) product_engine_##level

extern const product_engine NAME_OF(SR_CPU_LEVEL);
const product_engine NAME_OF(SR_CPU_LEVEL) = {.lanes = LANES, .multiply = multiply};
