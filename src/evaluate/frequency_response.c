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

/* The parameter "layers.LAYER.NAME", or NULL. */
static const sr_parameter *find(sr_model *model, size_t layer, const char *name, const sr_real **values)
{
    const sr_parameters *parameters = sr_model_parameters(model);
    char whole[SR_PARAMETER_NAME_SIZE];
    snprintf(whole, sizeof whole, "layers.%zu.%s", layer, name);
    const size_t index = sr_parameters_find(parameters, whole);
    if (index == SIZE_MAX)
        return NULL;
    *values = parameters->values + parameters->list[index].offset;
    return &parameters->list[index];
}

/* BSARec: low + beta (x - low), low the bins 0 .. cutoff / 2 and beta = sqrt_beta^2 [channels]. */
sr_status rescaler_response(sr_model *model, sr_filter_analysis *rescaler, sr_error *error)
{
    static const char name[] = "frequency.sqrt_beta";
    const sr_model_settings *settings = sr_model_configuration(model);
    const sr_real *root;
    const sr_parameter *first = find(model, 0, name, &root);
    *rescaler = (sr_filter_analysis){.layers = 0};
    if (!first)
        return SR_OK;
    const size_t window = (size_t)settings->max_length + (sr_model_mask_token(model) ? 1 : 0);
    const size_t kept = sr_frequency_low_bins(&settings->calibrators.frequency), bins = window / 2 + 1, channels = first->size;
    SR_TRY(allocate(rescaler, (size_t)settings->layers, bins, channels, error));
    SR_TRY(SR_ALLOCATE(&rescaler->factor, rescaler->layers * channels, "the response of filters", error));
    for (size_t layer = 0; layer < rescaler->layers; ++layer) {
        (void)find(model, layer, name, &root);
        double *beta = rescaler->factor + layer * channels;
        for (size_t i = 0; i < channels; ++i)
            beta[i] = (double)root[i] * (double)root[i];
        for (size_t bin = 0; bin < bins; ++bin)
            for (size_t i = 0; i < channels; ++i)
                rescaler->response[(layer * bins + bin) * channels + i] = bin < kept ? 1 : beta[i];
    }
    return summarise_all(rescaler, error);
}

/* |w_k| of FMLP-Rec: weight [bins, channels, 2], real and imaginary parts. The imaginary part has no effect in bin 0, nor in
 * the last one of a window of even length. */
sr_status filter_response(sr_model *model, sr_filter_analysis *filter, sr_error *error)
{
    static const char name[] = "filter.weight";
    const sr_real *weight;
    const sr_parameter *first = find(model, 0, name, &weight);
    *filter = (sr_filter_analysis){.layers = 0};
    if (!first)
        return SR_OK;
    const size_t bins = first->shape[0], channels = first->shape[1], window = (size_t)sr_model_configuration(model)->max_length;
    SR_TRY(allocate(filter, (size_t)sr_model_configuration(model)->layers, bins, channels, error));
    for (size_t layer = 0; layer < filter->layers; ++layer) {
        (void)find(model, layer, name, &weight);
        for (size_t bin = 0; bin < bins; ++bin)
            for (size_t i = 0; i < channels; ++i) {
                const double real = (double)weight[2 * (bin * channels + i)];
                const double imaginary = bin == 0 || 2 * bin == window ? 0 : (double)weight[2 * (bin * channels + i) + 1];
                filter->response[(layer * bins + bin) * channels + i] = hypot(real, imaginary);
            }
    }
    return summarise_all(filter, error);
}
