/* Steps whose loss or gradient is not finite. */
#ifndef SRTRAIN_STEP_NONFINITE_H
#define SRTRAIN_STEP_NONFINITE_H

#include "srtrain/step.h"

/* Whether a term of the loss or the norm of the gradient is not finite: the same on every rank, because both are sums that all
 * of them have. */
bool nonfinite_is_found(const sr_step_result *result);

/* Of rows in blocks, whether each part of the table has values here that are not finite, and then whether it has such
 * gradients: 1 or 0. Other ranks have other rows: the sums over ranks tell of all. */
enum { NONFINITE_FACTS = 2 * SR_TABLES_MAXIMUM };
void nonfinite_look_at_rows(const sr_parameters *parameters, int64_t facts[NONFINITE_FACTS]);

/* Says in words which term of the loss and which parameter, by its values or its summed gradient. `facts` are sums over ranks
 * of what nonfinite_look_at_rows() found. */
void nonfinite_describe(const sr_parameters *parameters, const int64_t facts[NONFINITE_FACTS], const sr_step_result *result,
                        char *text, size_t size);

#endif
