/* Fourier transforms along positions: both engines against the definition. */
#include "cpu_level.h"
#include "srtrain/fourier.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WIDTH = 5, LONGEST = 50, MOST_ROWS = 2 * (LONGEST / 2 + 1) };
static const size_t lengths[] = {1, 2, 3, 4, 7, 12, 49, LONGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };
static const sr_fourier_engine engines[] = {SR_FOURIER_FFTW, SR_FOURIER_PROJECTION, SR_FOURIER_AUTO};
enum { ENGINES = sizeof engines / sizeof *engines };

static void draw(sr_real *values, size_t count, uint64_t index)
{
    const sr_random_stream stream = sr_random_open(1, SR_RANDOM_TEST, index);
    for (size_t i = 0; i < count; ++i)
        values[i] = (sr_real)sr_random_normal(stream, i, 0);
}

static void assert_near(const sr_real *actual, const sr_real *expected, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (fabs((double)actual[i] - (double)expected[i]) > 1e-12)
            fail_msg("element %zu is %.15g, expected %.15g", i, (double)actual[i], (double)expected[i]);
}

/* Row 2k: c_k sum_t x_t cos(2 pi k t / n); row 2k + 1: -c_k sum_t x_t sin(2 pi k t / n). */
static void define_coordinates(size_t n, const sr_real *x, sr_real *coordinates)
{
    for (size_t k = 0; k < sr_fourier_bins(n); ++k) {
        const double factor = sqrt((k == 0 || 2 * k == n ? 1.0 : 2.0) / (double)n);
        for (size_t c = 0; c < WIDTH; ++c) {
            double real = 0, imaginary = 0;
            for (size_t t = 0; t < n; ++t) {
                real += (double)x[t * WIDTH + c] * cos(2 * M_PI * (double)(k * t) / (double)n);
                imaginary -= (double)x[t * WIDTH + c] * sin(2 * M_PI * (double)(k * t) / (double)n);
            }
            coordinates[2 * k * WIDTH + c] = (sr_real)(factor * real);
            coordinates[(2 * k + 1) * WIDTH + c] = (sr_real)(factor * imaginary);
        }
    }
}

static sr_fourier *create(sr_fourier_engine engine)
{
    sr_fourier *fourier;
    assert_int_equal(sr_fourier_create(&fourier, engine, WIDTH, NULL), SR_OK);
    return fourier;
}

static void coordinates_of_any_band_are_those_of_the_definition(void **state)
{
    (void)state;
    for (size_t e = 0; e < ENGINES; ++e) {
        sr_fourier *fourier = create(engines[e]);
        for (size_t l = 0; l < LENGTHS; ++l) {
            const size_t n = lengths[l], bins = sr_fourier_bins(n);
            sr_real x[LONGEST * WIDTH], expected[MOST_ROWS * WIDTH], actual[MOST_ROWS * WIDTH];
            draw(x, n * WIDTH, l);
            define_coordinates(n, x, expected);
            for (size_t first = 0; first < bins; first += 3) {
                const sr_band band = {first, bins < first + 5 ? bins : first + 5};
                assert_int_equal(sr_fourier_prepare(fourier, tested_kernels(), n, band, NULL), SR_OK);
                sr_fourier_analyse(fourier, n, band, NULL, 0, x, actual);
                assert_near(actual, expected + 2 * first * WIDTH, 2 * (band.last - band.first) * WIDTH);
            }
        }
        sr_fourier_free(fourier);
    }
}

static void synthesis_of_all_bins_undoes_analysis(void **state)
{
    (void)state;
    for (size_t e = 0; e < ENGINES; ++e) {
        sr_fourier *fourier = create(engines[e]);
        for (size_t l = LENGTHS; l-- > 0;) { /* from the longest: scratch need not grow */
            const size_t n = lengths[l];
            const sr_band all = {0, sr_fourier_bins(n)};
            sr_real x[LONGEST * WIDTH], coordinates[MOST_ROWS * WIDTH], back[LONGEST * WIDTH];
            draw(x, n * WIDTH, l);
            assert_int_equal(sr_fourier_prepare(fourier, tested_kernels(), n, all, NULL), SR_OK);
            sr_fourier_analyse(fourier, n, all, NULL, 0, x, coordinates);
            sr_fourier_synthesise(fourier, n, all, coordinates, NULL, 0, back, false);
            assert_near(back, x, n * WIDTH);
        }
        sr_fourier_free(fourier);
    }
}

/* Row t of P = Bᵀ B has (1 / n) sin((2m + 1) pi D / n) / sin(pi D / n) at distance D, (2m + 1) / n at 0. */
static void the_lowest_bins_project_by_the_closed_form(void **state)
{
    (void)state;
    static const double expected[] = {0.1, 0.098428, 0.093796, 0.086350};
    for (size_t e = 0; e < ENGINES; ++e) {
        sr_fourier *fourier = create(engines[e]);
        const sr_band low = {0, 3};
        sr_real x[LONGEST * WIDTH] = {0}, coordinates[MOST_ROWS * WIDTH], projected[LONGEST * WIDTH];
        x[0] = 1;
        assert_int_equal(sr_fourier_prepare(fourier, tested_kernels(), LONGEST, low, NULL), SR_OK);
        sr_fourier_analyse(fourier, LONGEST, low, NULL, 0, x, coordinates);
        sr_fourier_synthesise(fourier, LONGEST, low, coordinates, NULL, 0, projected, false);
        for (size_t t = 0; t < sizeof expected / sizeof *expected; ++t)
            assert_true(fabs((double)projected[t * WIDTH] - expected[t]) < 1e-6);
        assert_near(projected + (LONGEST - 1) * WIDTH, projected + WIDTH, 1);
        sr_fourier_free(fourier);
    }
}

static void some_positions_are_those_of_all(void **state)
{
    (void)state;
    static const size_t positions[] = {0, 5, 11};
    enum { COUNT = 3, N = 12, BINS = 4 };
    for (size_t e = 0; e < ENGINES; ++e) {
        sr_fourier *fourier = create(engines[e]);
        const sr_band band = {1, 1 + BINS};
        sr_real x[N * WIDTH] = {0}, some[COUNT * WIDTH], expected[2 * BINS * WIDTH], actual[2 * BINS * WIDTH];
        sr_real all[N * WIDTH], sums[COUNT * WIDTH];
        draw(some, COUNT * WIDTH, 3);
        for (size_t i = 0; i < COUNT; ++i)
            memcpy(x + positions[i] * WIDTH, some + i * WIDTH, WIDTH * sizeof *x);
        assert_int_equal(sr_fourier_prepare(fourier, tested_kernels(), N, band, NULL), SR_OK);
        sr_fourier_analyse(fourier, N, band, NULL, 0, x, expected);
        sr_fourier_analyse(fourier, N, band, positions, COUNT, some, actual);
        assert_near(actual, expected, 2 * BINS * WIDTH);
        sr_fourier_synthesise(fourier, N, band, expected, NULL, 0, all, false);
        memcpy(sums, some, sizeof sums);
        sr_fourier_synthesise(fourier, N, band, expected, positions, COUNT, sums, true);
        for (size_t i = 0; i < COUNT * WIDTH; ++i)
            sums[i] -= some[i];
        for (size_t i = 0; i < COUNT; ++i)
            assert_near(sums + i * WIDTH, all + positions[i] * WIDTH, WIDTH);
        sr_fourier_free(fourier);
    }
}

static void automatic_choice_takes_the_matrix_for_few_bins_and_fftw_for_many(void **state)
{
    (void)state;
    sr_fourier *fourier = create(SR_FOURIER_AUTO);
    assert_int_equal(sr_fourier_engine_for(fourier, 50, (sr_band){0, 3}), SR_FOURIER_PROJECTION);
    assert_int_equal(sr_fourier_engine_for(fourier, 4096, (sr_band){0, 2049}), SR_FOURIER_FFTW);
    sr_fourier_free(fourier);
}

static void wisdom_of_one_process_serves_another(void **state)
{
    (void)state;
    sr_fourier *fourier = create(SR_FOURIER_FFTW);
    char *wisdom;
    assert_int_equal(sr_fourier_measure(fourier, 50, (sr_band){0, 3}, NULL), SR_OK);
    assert_int_equal(sr_fourier_wisdom(&wisdom, NULL), SR_OK);
    assert_true(sr_fourier_learn(wisdom));
    assert_false(sr_fourier_learn("(no wisdom of any FFTW)"));
    sr_real x[LONGEST * WIDTH], expected[MOST_ROWS * WIDTH], actual[MOST_ROWS * WIDTH];
    draw(x, LONGEST * WIDTH, 1);
    define_coordinates(LONGEST, x, expected);
    assert_int_equal(sr_fourier_prepare(fourier, tested_kernels(), LONGEST, (sr_band){0, 26}, NULL), SR_OK);
    sr_fourier_analyse(fourier, LONGEST, (sr_band){0, 26}, NULL, 0, x, actual);
    assert_near(actual, expected, MOST_ROWS * WIDTH);
    free(wisdom);
    sr_fourier_free(fourier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coordinates_of_any_band_are_those_of_the_definition),
        cmocka_unit_test(synthesis_of_all_bins_undoes_analysis),
        cmocka_unit_test(the_lowest_bins_project_by_the_closed_form),
        cmocka_unit_test(some_positions_are_those_of_all),
        cmocka_unit_test(automatic_choice_takes_the_matrix_for_few_bins_and_fftw_for_many),
        cmocka_unit_test(wisdom_of_one_process_serves_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
