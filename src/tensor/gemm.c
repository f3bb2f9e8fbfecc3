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

/* Products of our own at a CPU level. */
typedef struct {
    multiply_function *multiply, *multiply_rounded;
    bool is_fast; /* has more than the vectors that every CPU of this kind has */
} own_products;

static own_products own_at_best_level(void)
{
#ifdef SR_HAVE_X86_LEVELS
    const char *level = sr_kernels_choose(NULL)->level;
    if (strcmp(level, "avx512") == 0)
        return (own_products){multiply_avx512, multiply_rounded_avx512, true};
    if (strcmp(level, "avx2") == 0)
        return (own_products){multiply_avx2, multiply_rounded_avx2, true};
#endif
    return (own_products){multiply_generic, multiply_rounded_generic, false};
}

static void own(const matrix_product *product)
{
    own_at_best_level().multiply(product);
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

/* `has_fast_own`: own_at_best_level().is_fast. */
static sr_gemm_engine choose(const matrix_product *p, bool has_fast_own)
{
    enum { FEW_ROWS = 16 }; /* that do not pay for transposing b */
    if (p->k == 0 || (p->transpose_b && p->m < FEW_ROWS))
        return SR_GEMM_BLAS;
    return has_fast_own ? SR_GEMM_OWN : SR_GEMM_BLAS_TILES;
}

sr_gemm_engine sr_gemm_choose(const matrix_product *product)
{
    return choose(product, own_at_best_level().is_fast);
}

/* ---- precisions ---- */

static void full_precision(const matrix_product *product)
{
    const own_products best = own_at_best_level();
    const sr_gemm_engine engine = choose(product, best.is_fast);
    if (engine == SR_GEMM_OWN)
        best.multiply(product);
    else
        sr_gemm_by(engine, product);
}

static void rounded(const matrix_product *product)
{
    own_at_best_level().multiply_rounded(product);
}

#if defined(SR_HAVE_AMX) && !defined(SR_REAL_IS_DOUBLE)
/* Whether AMX gives what rounding gives, up to the order of sums: a processor or virtual machine that promises it and does not
 * keep it should cost speed, not results. */
static bool amx_works(void)
{
    enum { M = 35, N = 37, K = 70 };
    float a[M * K], b[K * N], by_amx[M * N], by_rounding[M * N];
    if (!amx_allow())
        return false;
    for (size_t i = 0; i < M * K; ++i)
        a[i] = (float)(i % 23) / 23 - 0.4f;
    for (size_t i = 0; i < K * N; ++i)
        b[i] = (float)(i % 29) / 29 - 0.6f;
    matrix_product product = {
        .m = M, .n = N, .k = K, .alpha = 1, .a = a, .a_stride = K, .b = b, .b_stride = N, .c = by_amx, .c_stride = N};
    multiply_amx(&product);
    product.c = by_rounding;
    rounded(&product);
    for (size_t i = 0; i < M * N; ++i)
        if (!(by_amx[i] - by_rounding[i] < 1e-3f && by_rounding[i] - by_amx[i] < 1e-3f))
            return false;
    return true;
}
#endif

const sr_products *sr_products_choose(sr_precision precision)
{
    static const sr_products fp32 = {"fp32", full_precision}, by_rounding = {"bf16 by rounding", rounded};
    if (precision == SR_PRECISION_FP32)
        return &fp32;
#if defined(SR_HAVE_AMX) && !defined(SR_REAL_IS_DOUBLE)
    static const sr_products by_amx = {"bf16 by AMX", multiply_amx};
    if (amx_works())
        return &by_amx;
#endif
    return &by_rounding;
}

static void multiply(multiply_function *function, const matrix_product *product)
{
    if (product->m == 0 || product->n == 0)
        return;
    if (product->k == 0)
        sr_gemm_by(SR_GEMM_BLAS, product);
    else
        function(product);
}

void sr_gemm_with(const sr_products *products, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha,
                  const sr_real *a, size_t a_stride, const sr_real *b, size_t b_stride, sr_real beta, sr_real *c,
                  size_t c_stride)
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
    multiply(products->multiply, &product);
}

void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride)
{
    sr_gemm_with(sr_products_choose(SR_PRECISION_FP32), transpose_a, transpose_b, m, n, k, alpha, a, a_stride, b, b_stride,
                 beta, c, c_stride);
}

void sr_transpose(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns)
{
    for (size_t column = 0; column < columns; ++column)
        for (size_t row = 0; row < rows; ++row)
            transposed[column * rows + row] = matrix[row * columns + column];
}
