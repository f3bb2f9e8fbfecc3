/* benchmark_fourier: a filter along positions by FFTW and by the matrix of cosines and sines, for several lengths and numbers
 * of bins. The rule by which `auto` chooses (src/tensor/fourier.c) comes from its table. */
#include "benchmark.h"
#include "srtrain/clock.h"
#include "srtrain/compare_doubles.h"
#include "srtrain/fourier.h"
#include "srtrain/memory.h"
#include "srtrain/random.h"
#include "tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 64, TOKENS = 12800, REPETITIONS = 15, LONGEST = 2048 };

typedef struct {
    const sr_kernels *kernels;
    sr_real *x, *coordinates;
} buffers;

/* Nanoseconds a number for analysis and synthesis of sequences of n positions, TOKENS in all: the median; negative on failure.
 */
static double measure(sr_fourier_engine engine, bool measured_plan, size_t n, size_t bins, const buffers *b, sr_error *error)
{
    sr_fourier *fourier;
    const sr_band band = {0, bins};
    const size_t sequences = TOKENS / n ? TOKENS / n : 1;
    double seconds[REPETITIONS];
    if (sr_fourier_create(&fourier, engine, CHANNELS, error) != SR_OK)
        return -1;
    sr_status status = measured_plan ? sr_fourier_measure(fourier, n, band, error) : SR_OK;
    if (status == SR_OK)
        status = sr_fourier_prepare(fourier, b->kernels, n, band, error);
    for (size_t i = 0; i < REPETITIONS && status == SR_OK; ++i) {
        const double start = sr_seconds();
        for (size_t s = 0; s < sequences; ++s) {
            sr_real *x = b->x + s * n * CHANNELS;
            sr_fourier_analyse(fourier, n, band, NULL, 0, x, b->coordinates);
            sr_fourier_synthesise(fourier, n, band, b->coordinates, NULL, 0, x, false);
        }
        seconds[i] = sr_seconds() - start;
    }
    sr_fourier_free(fourier);
    if (status != SR_OK)
        return -1;
    qsort(seconds, REPETITIONS, sizeof *seconds, sr_compare_doubles);
    return seconds[REPETITIONS / 2] * 1e9 / (double)(sequences * n * CHANNELS);
}

static void print_row(size_t n, size_t bins, const buffers *b, sr_error *error)
{
    sr_fourier *fourier;
    if (error->status != SR_OK || sr_fourier_create(&fourier, SR_FOURIER_AUTO, CHANNELS, error) != SR_OK)
        return;
    const bool projects = sr_fourier_engine_for(fourier, n, (sr_band){0, bins}) == SR_FOURIER_PROJECTION;
    sr_fourier_free(fourier);
    const double estimated = measure(SR_FOURIER_FFTW, false, n, bins, b, error);
    const double planned = measure(SR_FOURIER_FFTW, true, n, bins, b, error);
    const double projected = measure(SR_FOURIER_PROJECTION, false, n, bins, b, error);
    printf("%8zu %8zu %16.2f %16.2f %12.2f %11s\n", n, bins, estimated, planned, projected, projects ? "projection" : "FFTW");
}

int main(void)
{
    static const size_t lengths[] = {16, 50, 64, 100, 200, 256, 512, 1024, LONGEST};
    sr_error error = {.status = SR_OK};
    buffers b;
    sr_cpu cpu;
    if (benchmark_begin(&cpu, NULL, &error) != SR_OK ||
        SR_ALLOCATE(&b.x, (TOKENS + LONGEST) * CHANNELS, "numbers", &error) != SR_OK ||
        SR_ALLOCATE(&b.coordinates, 2 * sr_fourier_bins(LONGEST) * CHANNELS, "coordinates", &error) != SR_OK) {
        fprintf(stderr, "%s\n", error.message);
        return error.status;
    }
    b.kernels = cpu.kernels;
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, 0);
    for (size_t i = 0; i < (TOKENS + LONGEST) * CHANNELS; ++i)
        b.x[i] = (sr_real)sr_random_normal(stream, i, 0);
    char blas[256];
    sr_blas_description(blas, sizeof blas);
    printf("analysis and synthesis, %d channels, nanoseconds a number (median of %d); BLAS: %s\n", CHANNELS, REPETITIONS, blas);
    printf("%8s %8s %16s %16s %12s %11s\n", "length", "bins", "FFTW estimated", "FFTW measured", "projection", "auto");
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; ++l) {
        const size_t n = lengths[l], all = sr_fourier_bins(n);
        for (size_t bins = 3; bins < all; bins *= 2)
            print_row(n, bins, &b, &error);
        print_row(n, all, &b, &error);
    }
    free(b.x);
    free(b.coordinates);
    if (error.status != SR_OK)
        fprintf(stderr, "%s\n", error.message);
    return error.status;
}
