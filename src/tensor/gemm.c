/* sr_gemm(): products of our own where they are the fastest, which is nearly everywhere, and CBLAS. */
#include "tensor/gemm.h"

#include "srtrain/kernels.h"

#include <cblas.h>
#include <string.h>

enum {
    /* OpenBLAS has kernels for small products that do without packing. A tall product over a small matrix runs faster as many
     * small ones, and its tile stays in the cache (docs/performance.md). */
    SMALL_PRODUCT = 1000000, /* multiplications up to which those kernels are taken */
    LARGEST_TILE = 128,      /* rows; larger ones gain nothing */
    TILE_STEP = 16
};

static void one_call(const matrix_product *p)
{
    const CBLAS_TRANSPOSE operation_a = p->transpose_a ? CblasTrans : CblasNoTrans;
    const CBLAS_TRANSPOSE operation_b = p->transpose_b ? CblasTrans : CblasNoTrans;
#ifdef SR_REAL_IS_DOUBLE
    cblas_dgemm(
#else
    cblas_sgemm(
#endif
        CblasRowMajor, operation_a, operation_b, (int)p->m, (int)p->n, (int)p->k, p->alpha, p->a, (int)p->a_stride, p->b,
        (int)p->b_stride, p->beta, p->c, (int)p->c_stride);
}

/* Rows of the tall side that make a product with a matrix of `small` elements small; 0 when hardly any do. */
static size_t rows_of_a_tile(const matrix_product *p)
{
    const size_t small = p->transpose_a ? p->m * p->n : p->n * p->k;
    const size_t rows = p->transpose_b || small == 0 ? 0 : SMALL_PRODUCT / small / TILE_STEP * TILE_STEP;
    return rows < LARGEST_TILE ? rows : (size_t)LARGEST_TILE;
}

static void tiles(const matrix_product *product)
{
    const size_t tile = rows_of_a_tile(product), tall = product->transpose_a ? product->k : product->m;
    if (tile == 0) {
        one_call(product);
        return;
    }
    for (size_t row = 0; row < tall; row += tile) {
        const size_t rows = tall - row < tile ? tall - row : tile;
        matrix_product part = *product;
        part.a += row * product->a_stride;
        if (product->transpose_a) { /* c is a sum over the rows */
            part.k = rows;
            part.b += row * product->b_stride;
            part.beta = row == 0 ? product->beta : 1;
        } else {
            part.m = rows;
            part.c += row * product->c_stride;
        }
        one_call(&part);
    }
}

/* NULL where only the vectors that every CPU of this kind has are there. */
static multiply_function *own_at_best_level(void)
{
#ifdef SR_HAVE_X86_LEVELS
    const char *level = sr_kernels_choose(NULL)->level;
    if (strcmp(level, "avx512") == 0)
        return multiply_avx512;
    if (strcmp(level, "avx2") == 0)
        return multiply_avx2;
#endif
    return NULL;
}

static void own(const matrix_product *product)
{
    multiply_function *multiply = own_at_best_level();
    if (!multiply)
        multiply = multiply_generic;
    multiply(product);
}

static const struct {
    const char *name;
    multiply_function *multiply;
} engines[SR_GEMM_ENGINES] = {
    [SR_GEMM_BLAS] = {"blas", one_call},
    [SR_GEMM_BLAS_TILES] = {"blas tiles", tiles},
    [SR_GEMM_OWN] = {"own", own},
};

const char *sr_gemm_engine_name(sr_gemm_engine engine)
{
    return engines[engine].name;
}

void sr_gemm_by(sr_gemm_engine engine, const matrix_product *product)
{
    engines[engine].multiply(product);
}

sr_gemm_engine sr_gemm_choose(const matrix_product *p)
{
    enum { FEW_ROWS = 16 }; /* that do not pay for transposing b */
    if (p->k == 0 || (p->transpose_b && p->m < FEW_ROWS))
        return SR_GEMM_BLAS;
    return own_at_best_level() ? SR_GEMM_OWN : SR_GEMM_BLAS_TILES;
}

void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride)
{
    const matrix_product product = {.transpose_a = transpose_a,
                                    .transpose_b = transpose_b,
                                    .m = m,
                                    .n = n,
                                    .k = k,
                                    .alpha = alpha,
                                    .a = a,
                                    .a_stride = a_stride,
                                    .b = b,
                                    .b_stride = b_stride,
                                    .beta = beta,
                                    .c = c,
                                    .c_stride = c_stride};
    if (m > 0 && n > 0)
        sr_gemm_by(sr_gemm_choose(&product), &product);
}

void sr_transpose(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns)
{
    for (size_t column = 0; column < columns; ++column)
        for (size_t row = 0; row < rows; ++row)
            transposed[column * rows + row] = matrix[row * columns + column];
}
