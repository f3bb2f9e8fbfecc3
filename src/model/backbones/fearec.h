/* What FEARec's ratios come to, for its file and its test. */
#ifndef SRTRAIN_MODEL_BACKBONES_FEAREC_H
#define SRTRAIN_MODEL_BACKBONES_FEAREC_H

#include "model/backbone.h"

/* The bins that layer `layer` sees, and how many lags a layer keeps, in the arithmetic of the released code (Du et al. 2023).
 * Settings that break no rule have at least one of each. */
sr_band fearec_band(const sr_model_settings *settings, size_t layer);
size_t fearec_lags(const sr_model_settings *settings);

#endif
