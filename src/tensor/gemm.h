/* Matrix products: the one place that calls BLAS. */
#ifndef SRTRAIN_TENSOR_GEMM_H
#define SRTRAIN_TENSOR_GEMM_H

#include "srtrain/arithmetic.h"
#include "srtrain/kernels.h"
#include "tensor/product.h"
#include "tensor/softmax_unit.h"

/* Products of a precision at a CPU level. Sums are kept in full precision. Operands of bf16 are rounded where the level has a
 * matrix unit and the product is large enough for it; else bf16 is computed in full precision, which is faster. */
typedef struct sr_products {
    const char *name; /* "fp32", "bf16 by AMX", "bf16 in fp32" */
    multiply_function *multiply;
    const struct sr_products *of_small; /* what is faster for small products (sr_gemm_is_small()); NULL: these themselves */
    const sr_softmax_unit *softmax;     /* of many classes; NULL: by products */
    bool takes_bias;                    /* multiply() adds a bias; where it does not, sr_gemm_with_bias() lays it out before */
    bool leaves_some_to_blas;           /* shapes for which sr_gemm_choose() finds BLAS the faster one */
    bool is_fast;                       /* has more than the vectors that every processor of this kind has */
} sr_products;

/* op(a) is [m, k], op(b) is [k, n], c is [m, n]. */
typedef struct {
    size_t m, n, k;
} sr_product_size;

/* The same of a product of causal attention, of which a part may be left out (tensor/product.h). */
typedef struct {
    sr_product_size whole;
    causal_part causal;
    size_t diagonal;
} sr_causal_size;

/* A factor, row-major as it is stored: its rows begin `stride` numbers apart. op() is the matrix itself, or its transpose. */
typedef struct {
    const sr_real *values;
    size_t stride;
    bool transposed;
} sr_operand;

static inline sr_operand sr_plain(const sr_real *values, size_t stride)
{
    return (sr_operand){.values = values, .stride = stride, .transposed = false};
}

static inline sr_operand sr_transposed(const sr_real *values, size_t stride)
{
    return (sr_operand){.values = values, .stride = stride, .transposed = true};
}

/* c = beta c + alpha op(a) op(b); c must not overlap a or b. Nothing happens when m or n is 0. */
void sr_gemm_with(const sr_products *products, sr_product_size size, sr_real alpha, sr_operand a, sr_operand b, sr_real beta,
                  sr_real *c, size_t c_stride);

/* Each row of c = bias + op(a) op(b); bias [n]. */
void sr_gemm_with_bias(const sr_products *products, sr_product_size size, sr_operand a, sr_operand b, const sr_real *bias,
                       sr_real *c, size_t c_stride);

/* The first of causal attention. */
void sr_gemm_causal(const sr_products *products, const sr_causal_size *size, sr_real alpha, sr_operand a, sr_operand b,
                    sr_real beta, sr_real *c, size_t c_stride);

/* The first by the kernels' products of full precision. */
void sr_gemm(const sr_kernels *kernels, sr_product_size size, sr_real alpha, sr_operand a, sr_operand b, sr_real beta,
             sr_real *c, size_t c_stride);

/* Engines of fp32. */
typedef enum {
    SR_GEMM_BLAS,       /* one call */
    SR_GEMM_BLAS_TILES, /* calls for tiles of the rows of a */
    SR_GEMM_OWN,        /* the products' own */
    SR_GEMM_ENGINES
} sr_gemm_engine;

const char *sr_gemm_engine_name(sr_gemm_engine engine);

/* Whether a product is too small for a matrix unit: laying its operands out takes longer than the unit saves. */
bool sr_gemm_is_small(sr_product_size size);

/* The engine that sr_gemm_with() takes for a product, by its shape: rules found with benchmark_operations. */
sr_gemm_engine sr_gemm_choose(const sr_products *products, const matrix_product *product);

/* Whether a product with so many rows is as fast with a transposed right-hand side as with one that was transposed before. */
bool sr_gemm_transposes(const sr_products *products, size_t rows);

/* Multiplies with an engine that was chosen otherwise. */
void sr_gemm_by(sr_gemm_engine engine, const sr_products *products, const matrix_product *product);

/* The name, configuration and chosen core type of the BLAS in use, as one line. */
void sr_blas_description(char *text, size_t size);

/* The processor whose kernels OpenBLAS uses, as "Haswell"; "" for another BLAS. */
const char *sr_blas_core(void);

/* Makes OpenBLAS use the kernels for another processor, while no other thread uses BLAS. False where it was left as it is: it
 * cannot change, or the user has set OPENBLAS_CORETYPE. */
bool sr_blas_use_core(const char *core);

/* Whether several threads may call this BLAS at once: OpenBLAS built without threads has no locks. */
bool sr_blas_is_thread_safe(void);

/* Keeps BLAS to one thread a call, unless OPENBLAS_NUM_THREADS says otherwise: parallelism comes from ranks and from their own
 * threads. Call it first in main(). */
void sr_blas_use_one_thread(void);

/* Threads that a call of BLAS may use; 0 where it does not tell. */
int sr_blas_threads(void);

#endif
