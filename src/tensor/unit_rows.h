/* Rows of length 1, for operations that compare directions. With f = 1 / max(|v|, 1e-8) the row of v is u = f v. */
#ifndef SRTRAIN_TENSOR_UNIT_ROWS_H
#define SRTRAIN_TENSOR_UNIT_ROWS_H

#include "srtrain/kernels.h"
#include "srtrain/real.h"

#include <stdbool.h>
#include <stddef.h>

/* f of a vector of `width` numbers. */
sr_real unit_factor(const sr_kernels *kernels, const sr_real *vector, size_t width);

/* Whether f of a vector is a constant, because the vector is shorter than 1e-8. */
bool unit_factor_is_constant(sr_real factor);

/* gradient += f (g - u <u, g>), or f g where f is constant: from the gradient g of u to that of v. */
void accumulate_from_unit(const sr_kernels *kernels, sr_real *gradient, const sr_real *unit_gradient, const sr_real *vector,
                          sr_real factor, size_t width);

#endif
