/* Our own matrix products, for shapes that BLAS is slow at: one dimension of a model's width, too large for OpenBLAS's kernels
 * that do without packing, too narrow for packing to pay (the scores of a catalogue and their gradients). Compiled for each CPU
 * level; gemm.c decides where they are used. */
#ifndef SRTRAIN_TENSOR_PRODUCT_H
#define SRTRAIN_TENSOR_PRODUCT_H

#include "srtrain/real.h"

#include <stdbool.h>
#include <stddef.h>

/* c [m, n] = beta c + alpha a b with a[i, p] = a[i * a_row_stride + p * a_column_stride], b[p, j] = b[p * b_stride + j], or
 * b[j * b_stride + p] if `transpose_b`; beta 0 does not read c. */
typedef struct {
    size_t m, n, k;
    sr_real alpha, beta;
    const sr_real *a, *b;
    size_t a_row_stride, a_column_stride, b_stride, c_stride;
    bool transpose_b;
    sr_real *c;
} matrix_product;

typedef struct {
    size_t lanes; /* n must be a multiple of this */
    void (*multiply)(const matrix_product *product);
} product_engine;

#endif
