/* sr_gemm(): CBLAS, with tall products cut into row tiles, and products of our own for shapes that BLAS is slow at. */
#include "tensor/gemm.h"

#include "srtrain/kernels.h"
#include "tensor/product.h"

#include <cblas.h>
#include <string.h>

enum {
    /* OpenBLAS has kernels for small products that do without packing. A tall product over a small matrix runs faster as many
     * small ones, and its tile stays in the cache (docs/performance.md). */
    SMALL_PRODUCT = 1000000, /* multiplications up to which those kernels are taken */
    LARGEST_TILE = 128,      /* rows; larger ones gain nothing */
    TILE_STEP = 16
};

/* Rows of the tall side that make a product with a matrix of `small` elements small; 0 when hardly any do. */
static size_t rows_of_a_tile(size_t small)
{
    const size_t rows = SMALL_PRODUCT / small / TILE_STEP * TILE_STEP;
    return rows < LARGEST_TILE ? rows : (size_t)LARGEST_TILE;
}

static void one_call(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a,
                     size_t a_stride, const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride)
{
    const CBLAS_TRANSPOSE operation_a = transpose_a ? CblasTrans : CblasNoTrans;
    const CBLAS_TRANSPOSE operation_b = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef SR_REAL_IS_DOUBLE
    cblas_dgemm(
#else
    cblas_sgemm(
#endif
        CblasRowMajor, operation_a, operation_b, (int)m, (int)n, (int)k, alpha, a, (int)a_stride, b, (int)b_stride, beta, c,
        (int)c_stride);
}

#ifdef SR_HAVE_X86_LEVELS
extern const product_engine product_engine_avx2, product_engine_avx512;

/* NULL where only BLAS multiplies. */
static const product_engine *own_engine(void)
{
    const char *level = sr_kernels_choose(NULL)->level;
    return strcmp(level, "avx512") == 0 ? &product_engine_avx512 : strcmp(level, "avx2") == 0 ? &product_engine_avx2 : NULL;
}
#else
static const product_engine *own_engine(void)
{
    return NULL;
}
#endif

/* Whether BLAS would pack both operands although one of them is narrow. With a transposed b our own products transpose it,
 * which rows of c must pay for. */
static bool is_narrow(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k)
{
    enum { NARROW = 128, ROWS = 64 };
    if (transpose_a && transpose_b)
        return false;
    if (m * n * k <= SMALL_PRODUCT || m < ROWS)
        return false;
    return transpose_b ? k <= NARROW && n >= ROWS : n <= NARROW;
}

/* The columns of c that fill whole vectors by our own product, the others by BLAS. */
static void own_product(const product_engine *engine, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k,
                        sr_real alpha, const sr_real *a, size_t a_stride, const sr_real *b, size_t b_stride, sr_real beta,
                        sr_real *c, size_t c_stride)
{
    const size_t whole = n / engine->lanes * engine->lanes;
    const matrix_product product = {.m = m,
                                    .n = whole,
                                    .k = k,
                                    .alpha = alpha,
                                    .beta = beta,
                                    .a = a,
                                    .b = b,
                                    .a_row_stride = transpose_a ? 1 : a_stride,
                                    .a_column_stride = transpose_a ? a_stride : 1,
                                    .b_stride = b_stride,
                                    .c_stride = c_stride,
                                    .transpose_b = transpose_b,
                                    .c = c};
    engine->multiply(&product);
    if (whole < n)
        one_call(transpose_a, transpose_b, m, n - whole, k, alpha, a, a_stride, transpose_b ? b + whole * b_stride : b + whole,
                 b_stride, beta, c + whole, c_stride);
}

void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride)
{
    if (m == 0 || n == 0)
        return;
    const size_t tile = transpose_b || k == 0 ? 0 : rows_of_a_tile(transpose_a ? m * n : n * k);
    const size_t tall = transpose_a ? k : m;
    if (tile == 0 || tall <= tile) {
        const product_engine *engine = is_narrow(transpose_a, transpose_b, m, n, k) ? own_engine() : NULL;
        if (engine) {
            own_product(engine, transpose_a, transpose_b, m, n, k, alpha, a, a_stride, b, b_stride, beta, c, c_stride);
            return;
        }
        one_call(transpose_a, transpose_b, m, n, k, alpha, a, a_stride, b, b_stride, beta, c, c_stride);
        return;
    }
    for (size_t row = 0; row < tall; row += tile) {
        const size_t rows = tall - row < tile ? tall - row : tile;
        if (transpose_a) /* c is a sum over the rows */
            one_call(true, false, m, n, rows, alpha, a + row * a_stride, a_stride, b + row * b_stride, b_stride,
                     row == 0 ? beta : 1, c, c_stride);
        else
            one_call(false, false, rows, n, k, alpha, a + row * a_stride, a_stride, b, b_stride, beta, c + row * c_stride,
                     c_stride);
    }
}

void sr_transpose(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns)
{
    for (size_t column = 0; column < columns; ++column)
        for (size_t row = 0; row < rows; ++row)
            transposed[column * rows + row] = matrix[row * columns + column];
}
