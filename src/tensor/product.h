/* Matrix products as the engines of gemm.c see them, and our own engine, which packs nothing: for the shapes of these models,
 * where one dimension is a width of some tens to hundreds, packing costs as much as it saves. Compiled for each CPU level. */
#ifndef SRTRAIN_TENSOR_PRODUCT_H
#define SRTRAIN_TENSOR_PRODUCT_H

#include "srtrain/real.h"

#include <stdbool.h>
#include <stddef.h>

/* Products of causal attention. Query i sees no key j > i + diagonal, and what stands there need not be computed: of the result
 * [queries, keys], or of the factor a, [queries, keys] as it is stored. An engine may leave out what it likes of that: of the
 * result nobody reads it, and the factor holds zeros there. */
typedef enum { CAUSAL_NONE, CAUSAL_RESULT, CAUSAL_FACTOR } causal_part;

/* c [m, n] = beta c + alpha op(a) op(b), row-major; op(a) is [m, k], op(b) is [k, n]; strides are those of rows as they are
 * stored. beta 0 does not read c. With a bias [n] each row of c is bias + op(a) op(b) instead; alpha is 1 then. */
typedef struct {
    bool transpose_a, transpose_b;
    size_t m, n, k;
    sr_real alpha;
    const sr_real *a;
    size_t a_stride;
    const sr_real *b;
    size_t b_stride;
    sr_real beta;
    sr_real *c;
    size_t c_stride;
    const sr_real *bias; /* or NULL */
    causal_part causal;
    size_t diagonal;
} matrix_product;

/* Any shape with k >= 1. */
typedef void multiply_function(const matrix_product *product);

multiply_function multiply_generic, multiply_avx2, multiply_avx512, multiply_sve256, multiply_sve512;

/* With both operands rounded, by the matrix unit of x86 processors (AMX); tensor/product_amx.c. Call it only after amx_allow()
 * was true once in this process (tensor/amx.h), before other threads use it. */
multiply_function multiply_amx;

#endif
