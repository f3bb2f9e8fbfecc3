/* What all dropouts share; the factors themselves come from sr_kernels.dropout_factors. */
#ifndef SRTRAIN_TENSOR_DROPOUT_H
#define SRTRAIN_TENSOR_DROPOUT_H

#include "srtrain/operations.h"

#include <math.h>

/* The probability of keeping an element, as the number of 65536ths that the kernel wants. */
static inline uint32_t dropout_keep_steps(const sr_dropout_site *site)
{
    const double keep = round((1 - site->probability) * 65536);
    return keep < 1 ? 1 : (uint32_t)keep;
}

#endif
