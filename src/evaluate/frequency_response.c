#include "evaluate/frequency_response.h"

#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"

#include <fftw3.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- attention ---- */

/* `count` transforms of length n of the matrix [n, n] at `cells`, in place. */
static bool transform(fftwf_complex *cells, size_t n, size_t stride, size_t distance, int sign)
{
    const int size = (int)n;
    const fftwf_plan plan = fftwf_plan_many_dft(1, &size, size, cells, NULL, (int)stride, (int)distance, cells, NULL,
                                                (int)stride, (int)distance, sign, FFTW_ESTIMATE);
    if (!plan)
        return false;
    fftwf_execute(plan);
    fftwf_destroy_plan(plan);
    return true;
}

static double square_of(const float cell[2])
{
    return (double)cell[0] * (double)cell[0] + (double)cell[1] * (double)cell[1];
}

/* sqrt(n) A f_k in column k: each row transformed backward. Then each column forward: n F A F^-1. */
static bool respond(fftwf_complex *cells, size_t n, double *gain, double *spectrum)
{
    if (!transform(cells, n, 1, n, FFTW_BACKWARD))
        return false;
    for (size_t k = 0; k <= n / 2; ++k) {
        double square = 0;
        for (size_t row = 0; row < n; ++row)
            square += square_of(cells[row * n + k]);
        gain[k] = sqrt(square / (double)n);
    }
    if (!spectrum)
        return true;
    if (!transform(cells, n, n, 1, FFTW_FORWARD))
        return false;
    for (size_t cell = 0; cell < n * n; ++cell)
        spectrum[cell] = sqrt(square_of(cells[cell])) / (double)n;
    return true;
}

sr_status frequency_response(const double *attention, size_t n, double *gain, double *spectrum, sr_error *error)
{
    fftwf_complex *cells = fftwf_alloc_complex(n * n);
    if (!cells)
        return sr_fail_memory(error, n * n * sizeof *cells, "a Fourier transform");
    for (size_t cell = 0; cell < n * n; ++cell) {
        cells[cell][0] = (float)attention[cell];
        cells[cell][1] = 0;
    }
    const bool done = respond(cells, n, gain, spectrum);
    fftwf_free(cells);
    return done ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "FFTW has no plan for transforms of length %zu", n);
}

/* ---- filters ---- */

const double sr_analysis_quantiles[SR_ANALYSIS_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};

/* Mean and quantiles over channels of one bin of one layer. Quantiles between two values are interpolated. */
static void summarise(const double *response, size_t channels, double *sorted, double *mean, double *quantiles)
{
    *mean = 0;
    for (size_t i = 0; i < channels; ++i) {
        *mean += response[i] / (double)channels;
        sorted[i] = response[i];
    }
    qsort(sorted, channels, sizeof *sorted, sr_compare_doubles);
    for (size_t q = 0; q < SR_ANALYSIS_QUANTILES; ++q) {
        const double place = sr_analysis_quantiles[q] * (double)(channels - 1);
        const size_t below = (size_t)place, above = below + 1 < channels ? below + 1 : below;
        quantiles[q] = sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
    }
}

static sr_status allocate(sr_filter_analysis *filter, size_t layers, size_t bins, size_t channels, sr_error *error)
{
    *filter = (sr_filter_analysis){.layers = layers, .bins = bins, .channels = channels};
    SR_TRY(SR_ALLOCATE(&filter->response, layers * bins * channels, "the response of filters", error));
    SR_TRY(SR_ALLOCATE(&filter->mean, layers * bins, "the response of filters", error));
    return SR_ALLOCATE(&filter->quantile, layers * bins * SR_ANALYSIS_QUANTILES, "the response of filters", error);
}

static sr_status summarise_all(sr_filter_analysis *filter, sr_error *error)
{
    double *sorted;
    SR_TRY(SR_ALLOCATE(&sorted, filter->channels, "the response of filters", error));
    for (size_t i = 0; i < filter->layers * filter->bins; ++i)
        summarise(filter->response + i * filter->channels, filter->channels, sorted, &filter->mean[i],
                  filter->quantile + i * SR_ANALYSIS_QUANTILES);
    free(sorted);
    return SR_OK;
}

sr_status filter_response(const sr_model *model, sr_model_filter_kind kind, sr_filter_analysis *filter, sr_error *error)
{
    const sr_model_settings *settings = sr_model_configuration(model);
    const size_t window = (size_t)settings->max_length + (sr_model_mask_token(model) ? 1 : 0);
    const size_t layers = (size_t)settings->layers, bins = window / 2 + 1, channels = (size_t)settings->hidden_size;
    double *factors = NULL;
    *filter = (sr_filter_analysis){.layers = 0};
    if (!sr_model_filters(model, kind))
        return SR_OK;
    SR_TRY(allocate(filter, layers, bins, channels, error));
    if (kind == SR_FILTER_CALIBRATOR)
        SR_TRY(SR_ALLOCATE(&filter->factor, layers * channels, "the response of filters", error));
    for (size_t layer = 0; layer < layers; ++layer) {
        if (filter->factor)
            factors = filter->factor + layer * channels;
        for (size_t bin = 0; bin < bins; ++bin)
            sr_model_filter(model, kind, layer, bin, filter->response + (layer * bins + bin) * channels, factors);
    }
    return summarise_all(filter, error);
}
