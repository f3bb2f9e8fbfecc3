/* What attention and learned filters do to frequencies along the positions of a sequence. */
#ifndef SRTRAIN_EVALUATE_FREQUENCY_RESPONSE_H
#define SRTRAIN_EVALUATE_FREQUENCY_RESPONSE_H

#include "srtrain/analysis.h"
#include "srtrain/model.h"

/* Of attention A [n, n], rows queries: gain[k] = |A f_k| for k = 0 .. n / 2, f_k[t] = exp(2 pi i k t / n) / sqrt(n), and
 * (unless NULL) the spectrum |F A F^-1| [n, n], F the unitary Fourier matrix. gain[k] is the length of the spectrum's column
 * k. Exact to single precision. */
sr_status frequency_response(const double *attention, size_t n, double *gain, double *spectrum, sr_error *error);

/* How a model's filters along the window answer, of its backbone or of a calibrator; `layers` 0 where there are none. A
 * calibrator's response is that to a window full of items. */
sr_status filter_response(const sr_model *model, sr_model_filter_kind kind, sr_filter_analysis *filter, sr_error *error);

#endif
