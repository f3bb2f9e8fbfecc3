/* sr_gemm(): products of our own where they are the fastest, which is nearly everywhere, and CBLAS. */
#include "tensor/gemm.h"

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

const char *sr_gemm_engine_name(sr_gemm_engine engine)
{
    static const char *const names[SR_GEMM_ENGINES] = {
        [SR_GEMM_BLAS] = "blas", [SR_GEMM_BLAS_TILES] = "blas tiles", [SR_GEMM_OWN] = "own"};
    return names[engine];
}

void sr_gemm_by(sr_gemm_engine engine, const sr_products *products, const matrix_product *product)
{
    if (engine == SR_GEMM_BLAS)
        one_call(product);
    else if (engine == SR_GEMM_BLAS_TILES)
        tiles(product);
    else
        products->multiply(product);
}

enum { FEW_ROWS = 16 }; /* that do not pay for transposing b */

bool sr_gemm_transposes(const sr_products *products, size_t rows)
{
    return products->is_fast && rows >= FEW_ROWS;
}

sr_gemm_engine sr_gemm_choose(const sr_products *products, const matrix_product *product)
{
    if (product->k == 0)
        return SR_GEMM_BLAS;
    if (!products->leaves_some_to_blas)
        return SR_GEMM_OWN;
    if (product->transpose_b && product->m < FEW_ROWS)
        return SR_GEMM_BLAS;
    return products->is_fast ? SR_GEMM_OWN : SR_GEMM_BLAS_TILES;
}

bool sr_gemm_is_small(sr_product_size size)
{
    enum { SHORTEST = 32, FEWEST = 130000 }; /* rows, columns and depth; multiplications */
    return size.m < SHORTEST || size.n < SHORTEST || size.k < SHORTEST || size.m * size.n * size.k < FEWEST;
}

static matrix_product product_of(sr_product_size size, sr_operand a, sr_operand b, sr_real *c, size_t c_stride)
{
    return (matrix_product){.transpose_a = a.transposed,
                            .transpose_b = b.transposed,
                            .m = size.m,
                            .n = size.n,
                            .k = size.k,
                            .alpha = 1,
                            .a = a.values,
                            .a_stride = a.stride,
                            .b = b.values,
                            .b_stride = b.stride,
                            .c = c,
                            .c_stride = c_stride};
}

/* The products that are the faster ones for this size. */
static const sr_products *products_for(const sr_products *products, sr_product_size size)
{
    return products->of_small && sr_gemm_is_small(size) ? products->of_small : products;
}

static void multiply_by_choice(const sr_products *products, const matrix_product *product)
{
    if (product->m > 0 && product->n > 0)
        sr_gemm_by(sr_gemm_choose(products, product), products, product);
}

void sr_gemm_with(const sr_products *products, sr_product_size size, sr_real alpha, sr_operand a, sr_operand b, sr_real beta,
                  sr_real *c, size_t c_stride)
{
    matrix_product product = product_of(size, a, b, c, c_stride);
    product.alpha = alpha;
    product.beta = beta;
    multiply_by_choice(products_for(products, size), &product);
}

void sr_gemm_causal(const sr_products *products, const sr_causal_size *size, sr_real alpha, sr_operand a, sr_operand b,
                    sr_real beta, sr_real *c, size_t c_stride)
{
    matrix_product product = product_of(size->whole, a, b, c, c_stride);
    product.alpha = alpha;
    product.beta = beta;
    product.causal = size->causal;
    product.diagonal = size->diagonal;
    multiply_by_choice(products_for(products, size->whole), &product);
}

void sr_gemm_with_bias(const sr_products *products, sr_product_size size, sr_operand a, sr_operand b, const sr_real *bias,
                       sr_real *c, size_t c_stride)
{
    matrix_product product = product_of(size, a, b, c, c_stride);
    products = products_for(products, size);
    if (products->takes_bias && sr_gemm_choose(products, &product) == SR_GEMM_OWN) {
        product.bias = bias;
    } else {
        product.beta = 1;
        for (size_t row = 0; row < size.m; ++row)
            memcpy(c + row * c_stride, bias, size.n * sizeof *c);
    }
    multiply_by_choice(products, &product);
}

void sr_gemm(const sr_kernels *kernels, sr_product_size size, sr_real alpha, sr_operand a, sr_operand b, sr_real beta,
             sr_real *c, size_t c_stride)
{
    sr_gemm_with(kernels->products[SR_PRECISION_FP32], size, alpha, a, b, beta, c, c_stride);
}
