/* Products without packing; tensor/product.h. Compiled once for each CPU level (cmake/CpuLevels.cmake) with SR_CPU_LEVEL naming
 * the function.
 *
 * The innermost piece keeps a block of c, ROWS x VECTORS vectors, in registers while it runs down k: each step loads one row of
 * b's panel and multiplies it by ROWS numbers of a. Only a transposed b, and columns that do not fill a vector, are copied, to
 * a panel of their own. */
#include "tensor/product.h"

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, PANEL_VECTORS = 4 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, PANEL_VECTORS = 2 };
#else
enum { VECTOR_BYTES = 16, PANEL_VECTORS = 2 };
#endif

enum {
    BLOCK_ROWS = 6,
    LANES = VECTOR_BYTES / sizeof(sr_real),
    PANEL = PANEL_VECTORS * LANES, /* columns of c at a time */
    DEPTH = 256,                   /* rows of b at a time: a panel of them stays in the first-level cache */
    TILE_ROWS = 16 * BLOCK_ROWS    /* rows of a at a time: they stay in the second-level cache while panels pass */
};

typedef sr_real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef sr_real loose_vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(sr_real)), may_alias));
#ifdef SR_REAL_IS_DOUBLE
typedef int64_t lane_numbers __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t lane_numbers __attribute__((vector_size(VECTOR_BYTES)));
#endif

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
#if defined(__AVX512F__)
BLOCKS(3)
BLOCKS(4)
#endif

static void multiply_panel(const piece *p, size_t rows)
{
    static void (*const blocks[PANEL_VECTORS][BLOCK_ROWS])(const piece *) = {
        {NAMES(1)},
        {NAMES(2)},
#if defined(__AVX512F__)
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
            rows[r] = __builtin_shuffle(upper, lower, low);
            rows[r + half] = __builtin_shuffle(upper, lower, high);
        }
}

/* to [LANES, LANES] becomes the transposed of from, in log2 LANES rounds. Of `from`, rows at and behind `count` are taken as
 * zero. */
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
    if (LANES == 16)
        exchange_blocks(rows, 8);
    if (LANES >= 8)
        exchange_blocks(rows, 4);
    if (LANES >= 4)
        exchange_blocks(rows, 2);
    exchange_blocks(rows, 1);
#pragma GCC unroll 16
    for (int l = 0; l < LANES; ++l)
        *(loose_vector *)(to + (size_t)l * to_stride) = rows[l];
}

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

/* All columns, for some rows and some of the depth. */
static void multiply_tile(const matrix_product *product, size_t row, size_t rows, size_t step, size_t depth)
{
    sr_real panel[DEPTH * PANEL] __attribute__((aligned(64)));
    const size_t a_row_stride = product->transpose_a ? 1 : product->a_stride;
    const size_t a_column_stride = product->transpose_a ? product->a_stride : 1;
    for (size_t column = 0; column < product->n; column += PANEL) {
        const size_t columns = least(PANEL, product->n - column);
        piece p = {.a = product->a + row * a_row_stride + step * a_column_stride,
                   .b = panel,
                   .c = product->c + row * product->c_stride + column,
                   .depth = depth,
                   .columns = columns,
                   .a_row_stride = a_row_stride,
                   .a_column_stride = a_column_stride,
                   .b_stride = PANEL,
                   .c_stride = product->c_stride,
                   .alpha = product->alpha,
                   .beta = step == 0 ? product->beta : 1};
        if (product->transpose_b) {
            transpose_panel(panel, product->b + column * product->b_stride + step, product->b_stride, depth, columns);
        } else if (columns % LANES) {
            copy_panel(panel, product->b + step * product->b_stride + column, product->b_stride, depth, columns);
        } else {
            p.b = product->b + step * product->b_stride + column;
            p.b_stride = product->b_stride;
        }
        multiply_panel(&p, rows);
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
#define NAME_TEXT(level) multiply_##level

void NAME_OF(SR_CPU_LEVEL)(const matrix_product *product)
{
    multiply(product);
}
