/* Steps whose loss or gradient is not finite. */
#ifndef SRTRAIN_STEP_NONFINITE_H
#define SRTRAIN_STEP_NONFINITE_H

#include "srtrain/step.h"

/* Whether a term of the loss or the norm of the gradient is not finite: the same on every rank, because both are sums that all
 * of them have. */
bool nonfinite_is_found(const sr_step_result *result);

/* Says in words which term of the loss and which parameter, by its values or its summed gradient. */
void nonfinite_describe(const sr_parameters *parameters, const sr_step_result *result, char *text, size_t size);

#endif
