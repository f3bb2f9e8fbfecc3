/* What all dropouts share; what they keep comes from sr_kernels.dropout_mask. */
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

/* What kept elements are multiplied by, so that the expectation stays. */
static inline sr_real dropout_factor(const sr_dropout_site *site)
{
    return (sr_real)(65536.0 / dropout_keep_steps(site));
}

/* The word that stands for a row of an attention map among the counters of its mask. Columns stay below 2^16
 * (model.max_length), so that head and column do not meet. */
static inline uint32_t attention_dropout_word(size_t head, int32_t column)
{
    return (uint32_t)head << 16 | (uint32_t)column;
}

#endif
