/* Products of matrices as they are stored; tensor/product.h. Compiled once for each CPU level (cmake/CpuLevels.cmake) with
 * SR_CPU_LEVEL naming the function.
 *
 * The innermost piece keeps a block of c, ROWS x VECTORS vectors, in registers while it runs down k: each step loads one row of
 * b's panel and multiplies it by ROWS numbers of a. b is copied to panels where it is transposed, where its columns do not fill
 * a vector, and where its rows lie so far apart that many rows of c pay for the copy. */
#include "tensor/product.h"

#include "tensor/partial_vector.h"
#include "tensor/square.h"

#include <stdint.h>
#include <string.h>

/* Sizes follow the caches: of 32 to 48 KB a core at the first level, and of 1 MB or more at the second. These numbers and
 * depth_of(), asks_ahead(), copies_strips() and copies_panels() are all that depends on them. Measured with 48 KB and 2 MB
 * (AVX-512), and with 32 KB and 512 KB (AVX2). */
enum {
    LINE_BYTES = 64,
    LINE_NUMBERS = LINE_BYTES / sizeof(sr_real),
    BLOCK_ROWS = 6,
    PANEL_VECTORS = HAS_32_REGISTERS ? 4 : 2, /* as many as there are registers for */
    PANEL = PANEL_VECTORS * LANES,            /* columns of c at a time */
    DEPTH = 256,                              /* rows of b at a time */
    DEPTH_TRANSPOSED = 128, /* where a is transposed: each of its rows brings a line for a block, beside b's panel */
    DEPTH_WIDE = 64,        /* the same where its rows are wide and b's are narrow */
    TILE_STRIPS = 16,       /* blocks of rows of a at a time: they stay in the second-level cache while panels pass */
    TILE_ROWS = TILE_STRIPS * BLOCK_ROWS,
    COPIED_BYTES = 512 << 10,                  /* panels that are copied at a time, which stay there too */
    STRIP = DEPTH * BLOCK_ROWS + LINE_NUMBERS, /* strips begin in different sets of the first-level cache */
    COPIED_PANELS = COPIED_BYTES / (DEPTH * PANEL * sizeof(sr_real)),
    WIDE_ROWS = 512, /* numbers of a row of a from which DEPTH_WIDE is taken, or strips where c has more columns than: */
    FEW_COLUMNS = 64,
    FAR_BYTES = 1024 /* between rows of b that are worth copying */
};

/* A block of c. Here a[i, p] = a[i * a_row_stride + p * a_column_stride]. */
typedef struct {
    const sr_real *a, *b;
    sr_real *c;
    const sr_real *begin; /* what sums begin as, row by row; NULL: zero */
    size_t begin_stride, depth, partial, a_row_stride, a_column_stride, b_stride, c_stride;
    sr_real alpha, beta; /* beta 0 where sums begin as c */
    const char *ahead;   /* what to ask the memory for, a line a step, and how far apart */
    size_t ahead_stride;
} piece;

/* ---- blocks in registers ---- */

static inline __attribute__((always_inline)) vector load(const sr_real *from, bool is_last, size_t partial)
{
    if (is_last && partial)
        return load_partial(from, partial);
    return *(const loose_vector *)from;
}

/* The numbers of rows and vectors are constants wherever this is expanded. */
static inline __attribute__((always_inline)) void begin_block(vector sums[BLOCK_ROWS][PANEL_VECTORS], const piece *p,
                                                              const int rows, const int vectors)
{
    const sr_real *from = p->begin;
    if (!from) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                sums[r][v] = (vector){0};
        return;
    }
    const size_t stride = p->begin_stride, partial = p->partial;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r, from += stride)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
            sums[r][v] = load(from + v * LANES, v == vectors - 1, partial);
}

/* From sums to c. */
static inline __attribute__((always_inline)) void end_block(vector sums[BLOCK_ROWS][PANEL_VECTORS], const piece *p,
                                                            const int rows, const int vectors)
{
    const sr_real alpha = p->alpha, beta = p->beta;
    const size_t c_stride = p->c_stride, partial = p->partial;
    sr_real *c = p->c;
    if (beta != 0) {
        const sr_real *old = c;
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r, old += c_stride)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                sums[r][v] = beta * load(old + v * LANES, v == vectors - 1, partial) + alpha * sums[r][v];
    } else if (alpha != 1) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                sums[r][v] *= alpha;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r, c += c_stride)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
            if (v == vectors - 1 && partial)
                store_partial(c + v * LANES, sums[r][v], partial);
            else
                *(loose_vector *)(c + v * LANES) = sums[r][v];
}

static inline __attribute__((always_inline)) void multiply_block(const piece *p, const int rows, const int vectors,
                                                                 const bool asks)
{
    vector sums[BLOCK_ROWS][PANEL_VECTORS];
    begin_block(sums, p, rows, vectors);
    const sr_real *a = p->a, *b = p->b;
    const char *ahead = p->ahead;
    const size_t a_row_stride = p->a_row_stride, a_column_stride = p->a_column_stride, b_stride = p->b_stride;
    const size_t ahead_stride = p->ahead_stride;
#pragma GCC unroll 1
    for (size_t step = p->depth; step > 0; --step, a += a_column_stride, b += b_stride) {
        vector row[PANEL_VECTORS];
        if (asks) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_stride;
        }
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
            row[v] = *(const loose_vector *)(b + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
                sums[r][v] += a[(size_t)r * a_row_stride] * row[v];
    }
    /* What is read from here on is no operand of the loop. Otherwise gcc keeps factors and addresses of c in vector registers
     * while it runs, of which none is left: it stores a vector of b, and loads it again for each row. */
    __asm__("" : "+r"(p));
    end_block(sums, p, rows, vectors);
}

/* One function for each size, so that the compiler gives each its registers. */
#define BLOCK(rows, vectors, asks)                                                          \
    static __attribute__((noinline)) void block_##rows##_##vectors##_##asks(const piece *p) \
    {                                                                                       \
        multiply_block(p, rows, vectors, asks);                                             \
    }
#define BLOCKS(vectors, asks) \
    BLOCK(1, vectors, asks)   \
    BLOCK(2, vectors, asks) BLOCK(3, vectors, asks) BLOCK(4, vectors, asks) BLOCK(5, vectors, asks) BLOCK(6, vectors, asks)
#define NAMES(vectors, asks)                                                                                            \
    {                                                                                                                   \
        block_1_##vectors##_##asks, block_2_##vectors##_##asks, block_3_##vectors##_##asks, block_4_##vectors##_##asks, \
            block_5_##vectors##_##asks, block_6_##vectors##_##asks                                                      \
    }
BLOCKS(1, 0)
BLOCKS(2, 0)
BLOCKS(1, 1)
BLOCKS(2, 1)
#if HAS_32_REGISTERS
BLOCKS(3, 0)
BLOCKS(4, 0)
BLOCKS(3, 1)
BLOCKS(4, 1)
#define SIZES(asks)                                                    \
    {                                                                  \
        NAMES(1, asks), NAMES(2, asks), NAMES(3, asks), NAMES(4, asks) \
    }
#else
#define SIZES(asks)                    \
    {                                  \
        NAMES(1, asks), NAMES(2, asks) \
    }
#endif
static void (*const blocks[2][PANEL_VECTORS][BLOCK_ROWS])(const piece *) = {SIZES(0), SIZES(1)};

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

/* ---- the choice by sizes ---- */

/* Whether a is copied to strips. Where it is transposed, a block's numbers lie a row apart: each in a line, and with wide rows
 * in a page of its own. */
static bool copies_strips(const matrix_product *product)
{
    return !HAS_32_REGISTERS && product->transpose_a && product->n > FEW_COLUMNS && product->a_stride > WIDE_ROWS;
}

/* Numbers of k at a time: what one block reads of a and of b stays in the first-level cache. Where a is not transposed it is
 * the same for all products, and so is the order of their sums: scores of an item do not depend on what else is scored. */
static size_t depth_of(const matrix_product *product)
{
    if (!product->transpose_a || copies_strips(product))
        return DEPTH;
    return product->a_stride > WIDE_ROWS && product->n <= PANEL ? DEPTH_WIDE : DEPTH_TRANSPOSED;
}

/* Whether blocks ask for the rows of a and b that follow: where a is transposed these come from memory, and where they are
 * short there is a block for each of their lines. */
static bool asks_ahead(const matrix_product *product)
{
    enum { SHORT_ROWS = 512 };
    return product->transpose_a && !copies_strips(product) && product->m + product->n <= SHORT_ROWS &&
           product->k > depth_of(product) && product->causal == CAUSAL_NONE;
}

/* Whether b is copied to panels. */
static bool copies_panels(const matrix_product *product)
{
    const bool is_far = product->b_stride * sizeof(sr_real) >= FAR_BYTES ||
                        product->b_stride * sizeof(sr_real) % LINE_BYTES != 0 || (uintptr_t)product->b % LINE_BYTES != 0;
    return product->transpose_b || product->n % LANES != 0 || (is_far && product->m >= TILE_ROWS);
}

/* ---- the walk over blocks ---- */

/* Room for panels of b, and for strips of a. */
typedef struct {
    sr_real *copied;
    size_t panels;
    sr_real *strips; /* [TILE_STRIPS, STRIP] */
} workspace;

/* Where the walk is: some of the depth, and of the rows of c. */
typedef struct {
    const matrix_product *product;
    size_t step, depth, top, bottom;
    const sr_real *a; /* op(a)[top, step], and how far a block is from the one before it */
    size_t a_block_stride;
    const sr_real *b; /* op(b)[step, column] */
    size_t column;
    bool asks;
} place;

/* Block number i asks for line number i of each row of a and b that comes next: there are at least as many blocks as lines. */
static void look_ahead(piece *block, const place *at, size_t row)
{
    const matrix_product *product = at->product;
    const size_t numbers = LINE_BYTES / sizeof(sr_real), next = at->step + at->depth;
    const size_t number = row / BLOCK_ROWS + at->column / PANEL * ((product->m + BLOCK_ROWS - 1) / BLOCK_ROWS);
    const size_t lines = product->m / numbers;
    block->ahead = (const char *)block->a;
    block->ahead_stride = 0;
    if (next + at->depth > product->k)
        return;
    if (number < lines) {
        block->ahead = (const char *)(product->a + next * product->a_stride + number * numbers);
        block->ahead_stride = product->a_stride * sizeof(sr_real);
    } else if (number - lines < product->n / numbers) {
        block->ahead = (const char *)(product->b + next * product->b_stride + (number - lines) * numbers);
        block->ahead_stride = product->b_stride * sizeof(sr_real);
    }
}

/* The numbers of k that count for rows [row, row + rows) of c. */
static void bound_depth(const matrix_product *product, size_t row, size_t rows, size_t *begin, size_t *end)
{
    *begin = 0;
    *end = product->k;
    if (product->causal != CAUSAL_FACTOR)
        return;
    if (product->transpose_a)
        *begin = row > product->diagonal ? least(row - product->diagonal, product->k - 1) : 0;
    else
        *end = least(product->k, row + rows + product->diagonal);
}

/* Sums begin as what is added to them where that is not scaled: it is read early, and once. Long sums are added up in pieces
 * instead, which rounds less. */
static void begin_sums(piece *block, const place *at, bool is_first)
{
    const matrix_product *product = at->product;
    block->beta = is_first ? product->beta : 1;
    block->begin = NULL;
    if (is_first && product->bias) {
        block->begin = product->bias + at->column;
        block->begin_stride = 0;
    } else if (block->alpha == 1 && block->beta == 1 && product->k <= DEPTH) {
        block->begin = block->c;
        block->begin_stride = block->c_stride;
    }
    if (block->begin)
        block->beta = 0;
}

/* Rows [top, bottom) of c, for a panel of columns and some of the depth. */
static void multiply_rows(piece *block, const place *at, size_t vectors)
{
    const matrix_product *product = at->product;
    size_t row = at->top;
    if (product->causal == CAUSAL_RESULT && at->column > row + product->diagonal)
        row += (at->column - product->diagonal - row) / BLOCK_ROWS * BLOCK_ROWS;
    for (; row < at->bottom; row += BLOCK_ROWS) {
        const size_t rows = least(BLOCK_ROWS, at->bottom - row);
        size_t begin, end;
        bound_depth(product, row, rows, &begin, &end);
        if (end <= at->step || begin >= at->step + at->depth)
            continue;
        const bool is_first = begin >= at->step;
        const size_t skipped = is_first ? begin - at->step : 0;
        block->depth = least(at->depth, end - at->step) - skipped;
        block->a = at->a + (row - at->top) / BLOCK_ROWS * at->a_block_stride + skipped * block->a_column_stride;
        block->b = at->b + skipped * block->b_stride;
        block->c = product->c + row * product->c_stride + at->column;
        begin_sums(block, at, is_first);
        if (at->asks)
            look_ahead(block, at, row);
        blocks[at->asks][vectors - 1][rows - 1](block);
    }
}

/* Columns [left, right) of c. */
static void multiply_tile(const workspace *room, place *at, bool copies, size_t left, size_t right)
{
    const matrix_product *product = at->product;
    piece block = {.c_stride = product->c_stride, .alpha = product->alpha, .b_stride = copies ? PANEL : product->b_stride};
    block.a_row_stride = product->transpose_a ? 1 : product->a_stride;
    block.a_column_stride = product->transpose_a ? product->a_stride : 1;
    at->a = product->a + at->top * block.a_row_stride + at->step * block.a_column_stride;
    at->a_block_stride = BLOCK_ROWS * block.a_row_stride;
    if (copies_strips(product)) {
        at->a = room->strips;
        at->a_block_stride = STRIP;
        block.a_column_stride = BLOCK_ROWS;
    }
    for (at->column = left; at->column < right; at->column += PANEL) {
        const size_t columns = least(PANEL, right - at->column);
        block.partial = columns % LANES;
        at->b = copies ? room->copied + (at->column - left) * at->depth
                       : product->b + at->step * product->b_stride + at->column;
        multiply_rows(&block, at, (columns + LANES - 1) / LANES);
    }
}

static void fill_panels(const workspace *room, const place *at, size_t left, size_t right)
{
    const matrix_product *product = at->product;
    for (size_t column = left; column < right; column += PANEL) {
        sr_real *panel = room->copied + (column - left) * at->depth;
        const size_t columns = least(PANEL, right - column);
        if (product->transpose_b)
            transpose_panel(panel, product->b + column * product->b_stride + at->step, product->b_stride, at->depth, columns);
        else
            copy_panel(panel, product->b + at->step * product->b_stride + column, product->b_stride, at->depth, columns);
    }
}

/* strips [strip, depth, BLOCK_ROWS] of a's columns [top, bottom); of the last strip only what is there. */
static void fill_strips(const workspace *room, const place *at)
{
    const matrix_product *product = at->product;
    const size_t rows = at->bottom - at->top, whole = rows / BLOCK_ROWS;
    for (size_t p = 0; p < at->depth; ++p) {
        const sr_real *from = product->a + (at->step + p) * product->a_stride + at->top;
        sr_real *to = room->strips + p * BLOCK_ROWS;
        for (size_t strip = 0; strip < whole; ++strip)
            memcpy(to + strip * STRIP, from + strip * BLOCK_ROWS, BLOCK_ROWS * sizeof *to);
        for (size_t row = whole * BLOCK_ROWS; row < rows; ++row)
            to[whole * STRIP + row % BLOCK_ROWS] = from[row];
    }
}

static void walk(const matrix_product *product, const workspace *room)
{
    const bool copies = copies_panels(product);
    const size_t depth = depth_of(product), width = copies ? room->panels * PANEL : product->n;
    place at = {.product = product, .asks = asks_ahead(product)};
    for (at.step = 0; at.step < product->k; at.step += depth) {
        at.depth = least(depth, product->k - at.step);
        for (size_t left = 0; left < product->n; left += width) {
            const size_t right = least(left + width, product->n);
            if (copies)
                fill_panels(room, &at, left, right);
            for (at.top = 0; at.top < product->m; at.top += TILE_ROWS) {
                at.bottom = least(at.top + TILE_ROWS, product->m);
                if (copies_strips(product))
                    fill_strips(room, &at);
                multiply_tile(room, &at, copies, left, right);
            }
        }
    }
}

/* Room on the stack: little for narrow products, of which there are many. */
static __attribute__((noinline)) void multiply_narrow(const matrix_product *product)
{
    sr_real copied[DEPTH * PANEL] __attribute__((aligned(LINE_BYTES)));
    walk(product, &(workspace){copied, 1, NULL});
}

static __attribute__((noinline)) void multiply_wide(const matrix_product *product)
{
    sr_real copied[COPIED_PANELS * DEPTH * PANEL] __attribute__((aligned(LINE_BYTES)));
    sr_real strips[HAS_32_REGISTERS ? 1 : TILE_STRIPS * STRIP] __attribute__((aligned(LINE_BYTES)));
    walk(product, &(workspace){copied, COPIED_PANELS, strips});
}

#define NAME_OF(name, level) NAME_TEXT(name, level)
#define NAME_TEXT(name, level) name##_##level

void NAME_OF(multiply, SR_CPU_LEVEL)(const matrix_product *product)
{
    if (product->n > PANEL)
        multiply_wide(product);
    else
        multiply_narrow(product);
}
