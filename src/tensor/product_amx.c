/* Products by AMX of operands laid out, and of operands in single precision; tensor/amx.h. Of c 32 x 32 numbers at a time are
 * summed up, in tile registers 0 to 3: four tiles are read for four products, in half their time. */
#include "tensor/amx.h"
#include "tensor/product.h"

#ifdef SR_AMX_EMULATED
#include "amx_emulated.h" /* tests, on processors without AMX */
#else
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
/* GCC is not told that a tile is loaded from memory: what was written there before has to be kept from being thought unread,
 * and what is written behind from coming first. */
#define TILES_READ_MEMORY() __asm__ volatile("" ::: "memory")
#define TILE_CONFIGURE(configuration) _tile_loadconfig(configuration)
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_PRODUCT(c, a, b) _tile_dpbf16ps(c, a, b)
#endif

#ifdef __AVX512F__
#include <immintrin.h>
#else
#include <math.h>
#endif

/* Tiles that are laid out at a time: together they stay in the second-level cache. */
enum { DEPTH = 1024, TILES_A = 256, TILES_B = 512 };

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

bool amx_allow(void)
{
#ifdef SR_AMX_EMULATED
    return true;
#else
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM and the state component of tiles */
    unsigned a, b, c, d;
    const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24, avx512_bf16 = 1u << 5; /* the last lays operands out */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & amx_bf16) || !(d & amx_tile))
        return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & avx512_bf16))
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#endif
}

void amx_begin(void)
{
    static const struct {
        uint8_t palette, first_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } configuration = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES, TILE_LINES}};
    TILES_READ_MEMORY();
    TILE_CONFIGURE(&configuration);
}

void amx_end(void)
{
    TILE_RELEASE();
}

/* ---- blocks of c ---- */

/* The operands of a block: two lines of tiles of a, two of b. */
typedef struct {
    const bf16_tile *above, *below, *left, *right;
} block_operands;

static inline __attribute__((always_inline)) void begin_with_zero(void)
{
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

static inline __attribute__((always_inline)) void begin_with(const float *c, size_t stride)
{
    TILE_LOAD(0, c, stride * sizeof *c);
    TILE_LOAD(1, c + TILE_LINES, stride * sizeof *c);
    TILE_LOAD(2, c + TILE_LINES * stride, stride * sizeof *c);
    TILE_LOAD(3, c + TILE_LINES * stride + TILE_LINES, stride * sizeof *c);
}

/* Stride 0: all rows of these tiles are the bias. */
static inline __attribute__((always_inline)) void begin_with_bias(const float *bias)
{
    TILE_LOAD(0, bias, 0);
    TILE_LOAD(1, bias + TILE_LINES, 0);
    TILE_LOAD(2, bias, 0);
    TILE_LOAD(3, bias + TILE_LINES, 0);
}

/* Tiles of k from `first` to below `end`. */
typedef struct {
    size_t first, end;
} tile_range;

static inline __attribute__((always_inline)) void sum_up(const block_operands *of, tile_range range)
{
    for (size_t k = range.first; k < range.end; ++k) {
        TILE_LOAD(4, of->above + k, sizeof of->above->numbers[0]);
        TILE_LOAD(6, of->left + k, sizeof of->left->numbers[0]);
        TILE_PRODUCT(0, 4, 6);
        TILE_LOAD(7, of->right + k, sizeof of->right->numbers[0]);
        TILE_PRODUCT(1, 4, 7);
        TILE_LOAD(5, of->below + k, sizeof of->below->numbers[0]);
        TILE_PRODUCT(2, 5, 6);
        TILE_PRODUCT(3, 5, 7);
    }
}

static inline __attribute__((always_inline)) void end_in(float *c, size_t stride)
{
    TILE_STORE(0, c, stride * sizeof *c);
    TILE_STORE(1, c + TILE_LINES, stride * sizeof *c);
    TILE_STORE(2, c + TILE_LINES * stride, stride * sizeof *c);
    TILE_STORE(3, c + TILE_LINES * stride + TILE_LINES, stride * sizeof *c);
}

/* Fetches the lines of a block of c that is written soon. */
static inline __attribute__((always_inline)) void ask_for(const float *c, size_t stride)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < TILE_BLOCK; ++i) {
        __builtin_prefetch(c + i * stride, 1);
        __builtin_prefetch(c + i * stride + TILE_LINES, 1);
    }
}

/* c [rows, columns] = beta c + alpha sums, or bias + sums */
static void add_part(const tile_product *p, float *c, const float *bias, size_t rows, size_t columns,
                     float sums[TILE_BLOCK][TILE_BLOCK])
{
#ifdef __AVX512F__
    const __mmask16 first = (__mmask16)(columns >= 16 ? 0xFFFF : (1u << columns) - 1);
    const __mmask16 second = (__mmask16)(columns >= 32 ? 0xFFFF : columns > 16 ? (1u << (columns - 16)) - 1 : 0);
    const __m512 alpha = _mm512_set1_ps(p->alpha), beta = _mm512_set1_ps(p->beta);
    const bool adds = p->beta != 0;
    const __m512 zero = _mm512_setzero_ps();
    const __m512 left = bias ? _mm512_maskz_loadu_ps(first, bias) : zero;
    const __m512 right = bias && second ? _mm512_maskz_loadu_ps(second, bias + 16) : zero;
    for (size_t i = 0; i < rows; ++i, c += p->c_stride) {
        __m512 x = _mm512_mul_ps(alpha, _mm512_load_ps(sums[i])), y = _mm512_mul_ps(alpha, _mm512_load_ps(sums[i] + 16));
        if (bias) {
            x = _mm512_add_ps(left, x);
            y = _mm512_add_ps(right, y);
        } else if (adds) {
            x = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(first, c), x);
            y = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(second, c + 16), y);
        }
        _mm512_mask_storeu_ps(c, first, x);
        _mm512_mask_storeu_ps(c + 16, second, y);
    }
#else
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < columns; ++j) {
            float *to = &c[i * p->c_stride + j];
            if (bias)
                *to = bias[j] + sums[i][j];
            else
                *to = p->beta == 0 ? p->alpha * sums[i][j] : fmaf(p->beta, *to, p->alpha * sums[i][j]);
        }
#endif
}

/* Whether tile registers can be read from and written to c at once. Rows of c that do not lie on 64 bytes take three times as
 * long to write, and six times to read. */
static bool is_direct(const tile_product *p)
{
    const bool is_aligned = (uintptr_t)p->c % 64 == 0 && p->c_stride % TILE_LINES == 0;
    return p->alpha == 1 && (p->bias || p->beta == 0 || (p->beta == 1 && is_aligned));
}

/* Whether a block of a result is all behind the diagonal. */
static inline bool is_unseen(const tile_product *p, size_t row, size_t rows, size_t column)
{
    return p->causal == CAUSAL_RESULT && (ptrdiff_t)column > (ptrdiff_t)(row + rows - 1) + p->diagonal;
}

/* The tiles of k in which lines [row, row + rows) of the factor are not all zero. */
static inline tile_range depth_of(const tile_product *p, size_t row, size_t rows)
{
    if (p->causal != CAUSAL_FACTOR)
        return (tile_range){0, p->depth};
    if (p->factor_is_transposed) { /* keys, which queries from `first` on see */
        const ptrdiff_t first = (ptrdiff_t)row - p->diagonal;
        return (tile_range){first > 0 ? least((size_t)first / TILE_DEPTH, p->depth) : 0, p->depth};
    }
    const ptrdiff_t end = (ptrdiff_t)(row + rows) + p->diagonal;
    return (tile_range){0, end > 0 ? least(tiles_over((size_t)end, TILE_DEPTH), p->depth) : 0};
}

static inline __attribute__((always_inline)) void multiply_block(const tile_product *p, size_t i, size_t j, bool direct)
{
    const bf16_tile *a = p->a + i / TILE_LINES * p->a_row, *b = p->b + j / TILE_LINES * p->b_row;
    const size_t rows = least(TILE_BLOCK, p->m - i), columns = least(TILE_BLOCK, p->n - j);
    if (is_unseen(p, i, rows, j))
        return;
    const tile_range range = depth_of(p, i, rows);
    const block_operands operands = {
        .above = a, .below = rows > TILE_LINES ? a + p->a_row : a, .left = b, .right = columns > TILE_LINES ? b + p->b_row : b};
    float *c = p->c + i * p->c_stride + j;
    if (p->n - j > TILE_BLOCK && rows == TILE_BLOCK)
        ask_for(c + TILE_BLOCK, p->c_stride);
    if (direct && rows == TILE_BLOCK && columns == TILE_BLOCK) {
        if (p->bias)
            begin_with_bias(p->bias + j);
        else if (p->beta == 0)
            begin_with_zero();
        else
            begin_with(c, p->c_stride);
        sum_up(&operands, range);
        end_in(c, p->c_stride);
        return;
    }
    float sums[TILE_BLOCK][TILE_BLOCK] __attribute__((aligned(64)));
    begin_with_zero();
    sum_up(&operands, range);
    end_in(sums[0], TILE_BLOCK);
    TILES_READ_MEMORY();
    add_part(p, c, p->bias ? p->bias + j : NULL, rows, columns, sums);
}

void amx_multiply(const tile_product *p)
{
    const bool direct = is_direct(p);
    TILES_READ_MEMORY();
    for (size_t i = 0; i < p->m; i += TILE_BLOCK)
        for (size_t j = 0; j < p->n; j += TILE_BLOCK)
            multiply_block(p, i, j, direct);
    TILES_READ_MEMORY();
}

/* ---- operands in single precision ---- */

static tile_source part_of_a(const matrix_product *p, size_t row, size_t rows, size_t step, size_t depth)
{
    return (tile_source){.from = p->a + (p->transpose_a ? step * p->a_stride + row : row * p->a_stride + step),
                         .stride = p->a_stride,
                         .along = !p->transpose_a,
                         .lines = rows,
                         .depth = depth};
}

static tile_source part_of_b(const matrix_product *p, size_t column, size_t columns, size_t step, size_t depth)
{
    return (tile_source){.from = p->b + (p->transpose_b ? column * p->b_stride + step : step * p->b_stride + column),
                         .stride = p->b_stride,
                         .along = p->transpose_b,
                         .lines = columns,
                         .depth = depth};
}

/* Some columns of b, then all rows of a in turn. */
void multiply_amx(const matrix_product *p)
{
    bf16_tile a[TILES_A], b[TILES_B];
    amx_begin();
    for (size_t step = 0; step < p->k; step += DEPTH) {
        const size_t depth = least(DEPTH, p->k - step), tiles = tiles_over(depth, TILE_DEPTH);
        const size_t most_columns = TILES_B / tiles / 2 * TILE_BLOCK, most_rows = TILES_A / tiles / 2 * TILE_BLOCK;
        for (size_t column = 0; column < p->n; column += most_columns) {
            const size_t columns = least(most_columns, p->n - column);
            const tile_source of_b = part_of_b(p, column, columns, step, depth);
            amx_lay_out(b, tiles, TILES_OF_B, &of_b);
            for (size_t row = 0; row < p->m; row += most_rows) {
                const size_t rows = least(most_rows, p->m - row);
                const tile_source of_a = part_of_a(p, row, rows, step, depth);
                amx_lay_out(a, tiles, TILES_OF_A, &of_a);
                const size_t queries = p->transpose_a ? step : row; /* passed, and likewise: */
                const size_t keys = p->causal == CAUSAL_RESULT ? column : p->transpose_a ? row : step;
                amx_multiply(&(tile_product){.a = a,
                                             .b = b,
                                             .a_row = tiles,
                                             .b_row = tiles,
                                             .m = rows,
                                             .n = columns,
                                             .depth = tiles,
                                             .alpha = p->alpha,
                                             .beta = step == 0 ? p->beta : 1,
                                             .c = p->c + row * p->c_stride + column,
                                             .c_stride = p->c_stride,
                                             .bias = step == 0 && p->bias ? p->bias + column : NULL,
                                             .causal = p->causal,
                                             .factor_is_transposed = p->transpose_a,
                                             .diagonal = (ptrdiff_t)(p->diagonal + queries) - (ptrdiff_t)keys});
            }
        }
    }
    amx_end();
}
