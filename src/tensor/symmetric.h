/* Symmetric matrices in double precision, for analyses: the one place that calls LAPACK. */
#ifndef SRTRAIN_TENSOR_SYMMETRIC_H
#define SRTRAIN_TENSOR_SYMMETRIC_H

#include "srtrain/status.h"

#include <stddef.h>

/* gram [width, width] += rowsᵀ rows, rows [count, width], row-major; the upper triangle only. */
void sr_gram_accumulate(double *gram, const double *rows, size_t count, size_t width);

/* The eigenvalues of a symmetric matrix [n, n], of which the upper triangle is read, in ascending order. The matrix is
 * overwritten. SR_ERROR_RUNTIME for memory and when the iteration does not converge (not finite numbers). */
sr_status sr_symmetric_eigenvalues(double *matrix, size_t n, double *values, sr_error *error);

#endif
