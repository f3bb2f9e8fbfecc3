/* Matrix products: the one place that calls BLAS. */
#ifndef SRTRAIN_GEMM_H
#define SRTRAIN_GEMM_H

#include "srtrain/real.h"

#include <stdbool.h>
#include <stddef.h>

/* c = beta c + alpha op(a) op(b), row-major; op(a) is [m, k], op(b) is [k, n], c is [m, n]; *_stride are the row strides of the
 * matrices as they are stored. c must not overlap a or b. Nothing happens when m or n is 0. */
void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride);

#endif
