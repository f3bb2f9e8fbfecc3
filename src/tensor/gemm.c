/* sr_gemm() on top of CBLAS, with tall products cut into row tiles. */
#include "tensor/gemm.h"

#include <cblas.h>

enum {
    /* A tall product over a small right-hand matrix runs faster in tiles of rows than in one call: OpenBLAS then takes its
     * unpacked small-matrix kernels and the tile stays in the cache (docs/performance.md). */
    ROW_TILE = 64,
    SMALL_OPERAND = 64 * 1024 /* elements of the right-hand matrix up to which tiling is tried */
};

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

void sr_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, sr_real alpha, const sr_real *a, size_t a_stride,
             const sr_real *b, size_t b_stride, sr_real beta, sr_real *c, size_t c_stride)
{
    if (m == 0 || n == 0)
        return;
    const bool tiled = !transpose_a && !transpose_b && m > ROW_TILE && n * k <= SMALL_OPERAND;
    const size_t tile = tiled ? ROW_TILE : m;
    for (size_t row = 0; row < m; row += tile) {
        const size_t rows = m - row < tile ? m - row : tile;
        one_call(transpose_a, transpose_b, rows, n, k, alpha, transpose_a ? a + row : a + row * a_stride, a_stride, b, b_stride,
                 beta, c + row * c_stride, c_stride);
    }
}
