/* Real Fourier transforms along the positions of a sequence, every channel by itself.
 *
 * For x [n, d] and bins k = 0 .. n/2, coordinates are rows of d channels, two a bin:
 *
 *   row 2k     =  c_k sum_t x_t cos(2 pi k t / n)        c_k = sqrt(1 / n) for k = 0 and k = n/2, else sqrt(2 / n)
 *   row 2k + 1 = -c_k sum_t x_t sin(2 pi k t / n)
 *
 * They are the real and the imaginary part of the transform, scaled so that the rows that are not zero are those of an
 * orthonormal basis B: analysis is B x, synthesis is Bᵀ. So each is the gradient of the other, analysis after synthesis changes
 * nothing, and synthesis after analysis in a band of bins is the projection onto that band.
 *
 * Two engines compute the same: FFTW, and products with the matrix B, of which a band needs its own rows only. */
#ifndef SRTRAIN_FOURIER_H
#define SRTRAIN_FOURIER_H

#include "srtrain/arithmetic.h"
#include "srtrain/kernels.h"
#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Plans, bases and scratch memory for sequences of `channels` channels. Each is for one thread at a time; several may be in
 * use at once. */
typedef struct sr_fourier sr_fourier;

/* Bins [first, last). */
typedef struct {
    size_t first, last;
} sr_band;

/* Bins of a sequence of n positions. */
static inline size_t sr_fourier_bins(size_t n)
{
    return n / 2 + 1;
}

/* Engine SR_FOURIER_AUTO takes for each length and band the engine that benchmarks/benchmark_fourier found to be faster.
 * Release with sr_fourier_free(). */
sr_status sr_fourier_create(sr_fourier **fourier, sr_fourier_engine engine, size_t channels, sr_error *error);
/* Transforms of the same kind for another thread. */
sr_status sr_fourier_share(sr_fourier **share, const sr_fourier *fourier, sr_error *error);

void sr_fourier_free(sr_fourier *fourier); /* NULL is allowed */

/* The engine for a band of sequences of n positions: never SR_FOURIER_AUTO. */
sr_fourier_engine sr_fourier_engine_for(const sr_fourier *fourier, size_t n, sr_band band);

/* Makes ready what transforms of length n in this band need; cheap when it is there. Must have succeeded before the functions
 * below are called with n and the band; these multiply by `kernels`. Errors: SR_ERROR_RUNTIME for memory. */
sr_status sr_fourier_prepare(sr_fourier *fourier, const sr_kernels *kernels, size_t n, sr_band band, sr_error *error);

/* x [count, d] at the positions [count], zero at others (positions NULL: [n, d], all of them) -> coordinates [2 (last - first),
 * d] of the band. */
void sr_fourier_analyse(sr_fourier *fourier, size_t n, sr_band band, const size_t *positions, size_t count, const sr_real *x,
                        sr_real *coordinates);

/* Coordinates of the band, zero elsewhere -> x [count, d] at the positions, or [n, d]; added to x if `accumulate`. */
void sr_fourier_synthesise(sr_fourier *fourier, size_t n, sr_band band, const sr_real *coordinates, const size_t *positions,
                           size_t count, sr_real *x, bool accumulate);

/* ---- wisdom: which of FFTW's algorithms is fastest here ----
 *
 * Without wisdom plans are chosen by rule (FFTW_ESTIMATE). Measured plans are faster, but another measurement may choose
 * another one, which rounds differently: so one process measures, and all that must agree to the bit share its wisdom. FFTW
 * keeps wisdom for the whole process. */

/* Measures transforms of length n if the engine for this band is FFTW and there is no wisdom of it yet. Call it before
 * sr_fourier_prepare(). */
sr_status sr_fourier_measure(sr_fourier *fourier, size_t n, sr_band band, sr_error *error);

/* All wisdom as text; release with free(). */
sr_status sr_fourier_wisdom(char **text, sr_error *error);

/* Adds wisdom; false when the text is none of this FFTW. */
bool sr_fourier_learn(const char *text);

#endif
