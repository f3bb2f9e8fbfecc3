/* The two engines of Fourier transforms: the one place of training that calls FFTW. */
#include "srtrain/fourier.h"

#include "srtrain/memory.h"
#include "tensor/gemm.h"

#include <fftw3.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef SR_REAL_IS_DOUBLE
#define FFTW(name) fftw_##name
#else
#define FFTW(name) fftwf_##name
#endif

/* What transforms of one length need; parts that no engine has asked for are NULL. */
typedef struct {
    FFTW(plan) forward, backward; /* between the scratch buffers */
    size_t bins;                  /* that the matrices have: [0, bins) */
    sr_real *basis;               /* [2 bins, n]: B */
    sr_real *transposed;          /* [n, 2 bins]: Bᵀ */
} transforms;

struct sr_fourier {
    sr_fourier_engine engine;
    const sr_kernels *kernels; /* of the last sr_fourier_prepare() */
    size_t channels;
    transforms *lengths; /* [length_count]: entry n belongs to sequences of n positions */
    size_t length_count;
    /* Between which FFTW works; room for `longest` positions. Plans belong to these addresses. */
    sr_real *signal;   /* [n, d] */
    sr_real *spectrum; /* [2 bins, d]: real and imaginary parts in turn, as coordinates are, but not scaled */
    size_t longest;
};

sr_status sr_fourier_create(sr_fourier **fourier, sr_fourier_engine engine, size_t channels, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(fourier, 1, "Fourier transforms", error));
    (*fourier)->engine = engine;
    (*fourier)->channels = channels;
    return SR_OK;
}

sr_status sr_fourier_share(sr_fourier **share, const sr_fourier *fourier, sr_error *error)
{
    return sr_fourier_create(share, fourier->engine, fourier->channels, error);
}

/* FFTW's planner, of which destroying a plan is a part, is for one thread at a time. */
static void forget_plans(transforms *length)
{
    if (!length->forward && !length->backward)
        return;
#pragma omp critical(sr_fftw_planner)
    {
        if (length->forward)
            FFTW(destroy_plan)(length->forward);
        if (length->backward)
            FFTW(destroy_plan)(length->backward);
    }
    length->forward = length->backward = NULL;
}

static void forget_matrices(transforms *length)
{
    free(length->basis);
    free(length->transposed);
    length->basis = length->transposed = NULL;
    length->bins = 0;
}

void sr_fourier_free(sr_fourier *fourier)
{
    if (!fourier)
        return;
    for (size_t n = 0; n < fourier->length_count; ++n) {
        forget_plans(&fourier->lengths[n]);
        forget_matrices(&fourier->lengths[n]);
    }
    free(fourier->lengths);
    free(fourier->signal);
    free(fourier->spectrum);
    free(fourier);
}

/* ---- which engine ---- */

/* benchmarks/benchmark_fourier: FFTW's time for a number grows about as log n, that of a product with the rows of the band. The
 * two meet at 75 bins of 200 positions, 90 of 512 and 110 of 2048. */
static bool matrix_is_faster(size_t n, size_t bins)
{
    return (double)bins <= 12 * log2((double)n) - 16 || n < 128;
}

sr_fourier_engine sr_fourier_engine_for(const sr_fourier *fourier, size_t n, sr_band band)
{
    if (fourier->engine != SR_FOURIER_AUTO)
        return fourier->engine;
    return matrix_is_faster(n, band.last - band.first) ? SR_FOURIER_PROJECTION : SR_FOURIER_FFTW;
}

/* c_k, the factor that makes coordinates of sums. */
static double coordinate_factor(size_t n, size_t bin)
{
    return sqrt((bin == 0 || 2 * bin == n ? 1.0 : 2.0) / (double)n);
}

/* ---- making ready ---- */

static sr_status make_room(sr_fourier *fourier, size_t n, sr_error *error)
{
    if (n < fourier->length_count)
        return SR_OK;
    const size_t before = fourier->length_count;
    SR_TRY(SR_GROW(&fourier->lengths, &fourier->length_count, n + 1, "Fourier transforms", error));
    memset(fourier->lengths + before, 0, (fourier->length_count - before) * sizeof *fourier->lengths);
    return SR_OK;
}

/* B has a row of cosines and one of sines for each bin; sines of bin 0 and of bin n/2 are 0. */
static sr_status make_matrices(transforms *length, size_t n, size_t bins, sr_error *error)
{
    if (length->bins >= bins)
        return SR_OK;
    forget_matrices(length);
    SR_TRY(SR_ALLOCATE(&length->basis, 2 * bins * n, "a Fourier basis", error));
    SR_TRY(SR_ALLOCATE(&length->transposed, 2 * bins * n, "a Fourier basis", error));
    for (size_t k = 0; k < bins; ++k) {
        const double factor = coordinate_factor(n, k);
        for (size_t t = 0; t < n; ++t) {
            const double angle = 2 * M_PI * (double)(k * t % n) / (double)n;
            const bool has_sines = k != 0 && 2 * k != n;
            length->basis[2 * k * n + t] = length->transposed[t * 2 * bins + 2 * k] = (sr_real)(factor * cos(angle));
            length->basis[(2 * k + 1) * n + t] = length->transposed[t * 2 * bins + 2 * k + 1] = has_sines
                                                                                                    ? (sr_real)(-factor *
                                                                                                                sin(angle))
                                                                                                    : 0;
        }
    }
    length->bins = bins;
    return SR_OK;
}

/* Scratch for n positions. Growing moves it, so that plans are made anew. */
static sr_status make_scratch(sr_fourier *fourier, size_t n, sr_error *error)
{
    if (n <= fourier->longest)
        return SR_OK;
    for (size_t i = 0; i < fourier->length_count; ++i)
        forget_plans(&fourier->lengths[i]);
    free(fourier->signal);
    free(fourier->spectrum);
    fourier->signal = fourier->spectrum = NULL;
    fourier->longest = 0;
    SR_TRY(SR_ALLOCATE_ZERO(&fourier->signal, n * fourier->channels, "scratch of Fourier transforms", error));
    SR_TRY(SR_ALLOCATE_ZERO(&fourier->spectrum, 2 * sr_fourier_bins(n) * fourier->channels, "scratch of Fourier transforms",
                            error));
    fourier->longest = n;
    return SR_OK;
}

/* Every channel is a transform of its own, with its numbers `channels` apart. */
static void plan(sr_fourier *fourier, size_t n, unsigned flags, FFTW(plan) * forward, FFTW(plan) * backward)
{
    const int width = (int)fourier->channels;
    const FFTW(iodim) signal_to_spectrum = {.n = (int)n, .is = width, .os = 2 * width};
    const FFTW(iodim) spectrum_to_signal = {.n = (int)n, .is = 2 * width, .os = width};
    const FFTW(iodim) channels = {.n = width, .is = 1, .os = 1};
#pragma omp critical(sr_fftw_planner)
    {
        *forward = FFTW(plan_guru_split_dft_r2c)(1, &signal_to_spectrum, 1, &channels, fourier->signal, fourier->spectrum,
                                                 fourier->spectrum + width, flags);
        *backward = FFTW(plan_guru_split_dft_c2r)(1, &spectrum_to_signal, 1, &channels, fourier->spectrum,
                                                  fourier->spectrum + width, fourier->signal, flags);
    }
}

/* By wisdom where there is some. */
static sr_status make_plans(sr_fourier *fourier, size_t n, sr_error *error)
{
    SR_TRY(make_scratch(fourier, n, error));
    transforms *length = &fourier->lengths[n];
    if (length->forward && length->backward)
        return SR_OK;
    forget_plans(length);
    plan(fourier, n, FFTW_MEASURE | FFTW_WISDOM_ONLY, &length->forward, &length->backward);
    if (!length->forward || !length->backward) {
        forget_plans(length);
        plan(fourier, n, FFTW_ESTIMATE, &length->forward, &length->backward);
    }
    if (length->forward && length->backward)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "FFTW has no plan for %zu transforms of length %zu", fourier->channels, n);
}

sr_status sr_fourier_prepare(sr_fourier *fourier, const sr_kernels *kernels, size_t n, sr_band band, sr_error *error)
{
    fourier->kernels = kernels;
    SR_TRY(make_room(fourier, n, error));
    if (sr_fourier_engine_for(fourier, n, band) == SR_FOURIER_FFTW)
        return make_plans(fourier, n, error);
    return make_matrices(&fourier->lengths[n], n, band.last, error);
}

/* ---- FFTW ---- */

static void copy_rows(sr_real *out, const sr_real *in, size_t rows, size_t width, double factor)
{
    for (size_t i = 0; i < rows * width; ++i)
        out[i] = (sr_real)factor * in[i];
}

static void fftw_analyse(sr_fourier *fourier, size_t n, sr_band band, const size_t *positions, size_t count, const sr_real *x,
                         sr_real *coordinates)
{
    const size_t width = fourier->channels;
    if (positions) {
        memset(fourier->signal, 0, n * width * sizeof *fourier->signal);
        for (size_t i = 0; i < count; ++i)
            memcpy(fourier->signal + positions[i] * width, x + i * width, width * sizeof *x);
    } else {
        memcpy(fourier->signal, x, n * width * sizeof *x);
    }
    FFTW(execute)(fourier->lengths[n].forward);
    for (size_t k = band.first; k < band.last; ++k)
        copy_rows(coordinates + 2 * (k - band.first) * width, fourier->spectrum + 2 * k * width, 2, width,
                  coordinate_factor(n, k));
}

/* FFTW adds X_k and its conjugate for 0 < k < n/2, so that these coordinates count half. */
static void fftw_synthesise(sr_fourier *fourier, size_t n, sr_band band, const sr_real *coordinates, const size_t *positions,
                            size_t count, sr_real *x, bool accumulate)
{
    const size_t width = fourier->channels, rows = positions ? count : n;
    memset(fourier->spectrum, 0, 2 * sr_fourier_bins(n) * width * sizeof *fourier->spectrum);
    for (size_t k = band.first; k < band.last; ++k) {
        const bool alone = k == 0 || 2 * k == n;
        copy_rows(fourier->spectrum + 2 * k * width, coordinates + 2 * (k - band.first) * width, alone ? 1 : 2, width,
                  coordinate_factor(n, k) / (alone ? 1 : 2));
    }
    FFTW(execute)(fourier->lengths[n].backward);
    for (size_t i = 0; i < rows; ++i) {
        const sr_real *row = fourier->signal + (positions ? positions[i] : i) * width;
        for (size_t c = 0; c < width; ++c)
            x[i * width + c] = row[c] + (accumulate ? x[i * width + c] : 0);
    }
}

/* ---- products with the basis ---- */

static void project_analyse(const sr_fourier *fourier, size_t n, sr_band band, const size_t *positions, size_t count,
                            const sr_real *x, sr_real *coordinates)
{
    const transforms *length = &fourier->lengths[n];
    const size_t width = fourier->channels, rows = 2 * (band.last - band.first);
    if (!positions) {
        sr_gemm(fourier->kernels, (sr_product_size){rows, width, n}, 1, sr_plain(length->basis + 2 * band.first * n, n),
                sr_plain(x, width), 0, coordinates, width);
        return;
    }
    memset(coordinates, 0, rows * width * sizeof *coordinates);
    for (size_t i = 0; i < count; ++i)
        sr_gemm(fourier->kernels, (sr_product_size){rows, width, 1}, 1,
                sr_plain(length->basis + 2 * band.first * n + positions[i], n), sr_plain(x + i * width, width), 1, coordinates,
                width);
}

static void project_synthesise(const sr_fourier *fourier, size_t n, sr_band band, const sr_real *coordinates,
                               const size_t *positions, size_t count, sr_real *x, bool accumulate)
{
    const transforms *length = &fourier->lengths[n];
    const size_t width = fourier->channels, inner = 2 * (band.last - band.first), stride = 2 * length->bins;
    const sr_real *transposed = length->transposed + 2 * band.first, beta = accumulate ? 1 : 0;
    if (!positions) {
        sr_gemm(fourier->kernels, (sr_product_size){n, width, inner}, 1, sr_plain(transposed, stride),
                sr_plain(coordinates, width), beta, x, width);
        return;
    }
    for (size_t i = 0; i < count; ++i)
        sr_gemm(fourier->kernels, (sr_product_size){1, width, inner}, 1, sr_plain(transposed + positions[i] * stride, stride),
                sr_plain(coordinates, width), beta, x + i * width, width);
}

/* ---- either ---- */

void sr_fourier_analyse(sr_fourier *fourier, size_t n, sr_band band, const size_t *positions, size_t count, const sr_real *x,
                        sr_real *coordinates)
{
    if (sr_fourier_engine_for(fourier, n, band) == SR_FOURIER_FFTW)
        fftw_analyse(fourier, n, band, positions, count, x, coordinates);
    else
        project_analyse(fourier, n, band, positions, count, x, coordinates);
}

void sr_fourier_synthesise(sr_fourier *fourier, size_t n, sr_band band, const sr_real *coordinates, const size_t *positions,
                           size_t count, sr_real *x, bool accumulate)
{
    if (sr_fourier_engine_for(fourier, n, band) == SR_FOURIER_FFTW)
        fftw_synthesise(fourier, n, band, coordinates, positions, count, x, accumulate);
    else
        project_synthesise(fourier, n, band, coordinates, positions, count, x, accumulate);
}

/* ---- wisdom ---- */

sr_status sr_fourier_measure(sr_fourier *fourier, size_t n, sr_band band, sr_error *error)
{
    if (sr_fourier_engine_for(fourier, n, band) != SR_FOURIER_FFTW)
        return SR_OK;
    SR_TRY(make_room(fourier, n, error));
    SR_TRY(make_scratch(fourier, n, error));
    forget_plans(&fourier->lengths[n]);
    plan(fourier, n, FFTW_MEASURE, &fourier->lengths[n].forward, &fourier->lengths[n].backward);
    return make_plans(fourier, n, error);
}

sr_status sr_fourier_wisdom(char **text, sr_error *error)
{
    char *wisdom = FFTW(export_wisdom_to_string)();
    if (!wisdom)
        return sr_fail_memory(error, 0, "FFTW's wisdom");
    const sr_status status = sr_copy_string(text, wisdom, error);
    FFTW(free)(wisdom);
    return status;
}

bool sr_fourier_learn(const char *text)
{
    return FFTW(import_wisdom_from_string)(text) != 0;
}
