/* What FEARec's ratios come to, in the arithmetic of the released code (Du et al. 2023). */
#include "srtrain/config.h"

#include <math.h>

/* A ramp: the last layer begins at bin 0, each earlier one a step higher, the first one ends at the highest bin. */
void sr_fearec_band(const sr_model_settings *model, size_t layer, size_t *first, size_t *last)
{
    const double layers = (double)model->layers, bins = (double)(model->max_length / 2 + 1);
    double share = model->global_ratio, step = 0;
    if (share > 1 / layers) { /* not with a single layer */
        step = floor(bins * (1 - share) / (layers - 1));
    } else {
        share = 1 / layers;
        step = bins / layers;
    }
    const double begin = bins * (1 - share) - (double)layer * step, end = bins - (double)layer * step;
    *first = begin > 0 ? (size_t)begin : 0;
    *last = end > 0 ? (size_t)end : 0;
}

size_t sr_fearec_lags(const sr_model_settings *model)
{
    return (size_t)(model->topk_factor * log((double)model->max_length));
}
