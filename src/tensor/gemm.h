/* Matrix products: the one place that calls BLAS. */
#ifndef SRTRAIN_GEMM_H
#define SRTRAIN_GEMM_H

#include "srtrain/config.h"
#include "tensor/product.h"

/* c = beta c + alpha op(a) op(b), row-major; op(a) is [m, k], op(b) is [k, n], c is [m, n]; *_stride are the row strides of the
 * matrices as they are stored. c must not overlap a or b. Nothing happens when m or n is 0. */
void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride);

/* Products of a precision, and by whom they are done here. */
typedef struct sr_products {
    const char *name; /* "fp32", "bf16 by AMX", "bf16 by rounding" */
    multiply_function *multiply;
} sr_products;

/* bf16: operands are rounded to bf16, sums are kept in single precision. By AMX where the processor and the operating system
 * allow it and a first product comes out right, else by rounding and multiplying in single precision, which is no faster than
 * fp32. */
const sr_products *sr_products_choose(sr_precision precision);

/* sr_gemm() by these products. */
void sr_gemm_with(const sr_products *products, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha,
                  const sr_real *a, size_t a_stride, const sr_real *b, size_t b_stride, sr_real beta, sr_real *c,
                  size_t c_stride);

/* Engines of fp32. */
typedef enum {
    SR_GEMM_BLAS,       /* one call */
    SR_GEMM_BLAS_TILES, /* calls for tiles of the rows of a */
    SR_GEMM_OWN,        /* tensor/product.h, at the best level of this CPU */
    SR_GEMM_ENGINES
} sr_gemm_engine;

const char *sr_gemm_engine_name(sr_gemm_engine engine);

/* The engine that sr_gemm() takes for a product, by its shape: rules found with benchmark_operations. */
sr_gemm_engine sr_gemm_choose(const matrix_product *product);

/* Multiplies with an engine that was chosen otherwise. */
void sr_gemm_by(sr_gemm_engine engine, const matrix_product *product);

/* Rows and columns change places: matrix [rows, columns] -> transposed [columns, rows]. Of a weight: products with an
 * untransposed right-hand side are the fast ones. */
void sr_transpose(sr_real *transposed, const sr_real *matrix, size_t rows, size_t columns);

/* The name, configuration and chosen core type of the BLAS in use, as one line. */
void sr_blas_description(char *text, size_t size);

/* Whether several threads may call this BLAS at once: OpenBLAS built without threads has no locks. */
bool sr_blas_is_thread_safe(void);

/* Keeps BLAS to one thread a call, unless OPENBLAS_NUM_THREADS says otherwise: parallelism comes from ranks and from their own
 * threads. Call it first in main(). */
void sr_blas_use_one_thread(void);

/* Threads that a call of BLAS may use; 0 where it does not tell. */
int sr_blas_threads(void);

#endif
