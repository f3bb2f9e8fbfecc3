/* Which Fourier transforms a model computes with: models take the faster ones, tests try both. */
#ifndef SRTRAIN_TESTS_TRANSFORMS_H
#define SRTRAIN_TESTS_TRANSFORMS_H

#include "srtrain/model.h"

/* Gives a model that transforms along the window the transforms of `engine`. Fails the test if the model has none. */
void use_transforms(sr_model *model, sr_fourier_engine engine);

#endif
