/* Intervals and tests of paired differences: against numbers of SciPy 1.16, enumeration, and themselves on several threads. */
#include "evaluate/paired_tests.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 200 };

static double ones[MOST]; /* cases of each user */

static void fill(double *differences, size_t count, int modulus)
{
    for (int i = 0; i < (int)count; ++i)
        differences[i] = (i * 37 + 11) % modulus - modulus / 2 + i % 3;
}

/* scipy.stats.wilcoxon(x, zero_method="wilcox", correction=False, method="asymptotic"), bootstrap(method="percentile") and
 * permutation_test(permutation_type="samples") with 200,000 resamples; the first of the latter is exact. */
static const struct {
    size_t count;
    int modulus;
    double statistic, wilcoxon, low, high, randomisation;
} references[] = {
    {12, 9, 18, 0.32908208446052467, -0.5833333333333334, 2.1666666666666665, 0.380859375},
    {60, 23, 690, 0.19959886486553058, -0.5333333333333333, 2.8333333333333335, 0.19112904435477823},
    {200, 101, 9573, 0.6430114298150004, -3.1, 4.985, 0.6531067344663277},
};

static const paired_draws many = {.seed = 7, .resamples = 20000, .confidence = 0.95};

static void the_tests_give_the_numbers_of_scipy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof *references; ++i) {
        double differences[MOST], statistic, p, low, high;
        fill(differences, references[i].count, references[i].modulus);
        const paired_sample sample = {.units = references[i].count, .metrics = 1, .sums = differences, .counts = ones};
        assert_int_equal(paired_wilcoxon(&sample, 0, &statistic, &p, NULL), SR_OK);
        assert_true(fabs(statistic - references[i].statistic) < 1e-9);
        assert_true(fabs(p - references[i].wilcoxon) < 1e-12);
        assert_int_equal(paired_randomisation(&sample, &many, &p, NULL), SR_OK);
        assert_true(fabs(p - references[i].randomisation) < 0.015);
        assert_int_equal(paired_bootstrap(&sample, &many, &low, &high, NULL), SR_OK);
        const double width = references[i].high - references[i].low;
        assert_true(fabs(low - references[i].low) < 0.04 * width);
        assert_true(fabs(high - references[i].high) < 0.04 * width);
    }
}

/* Of 27 resamples of three units the extremes have a share of 1/27 each: more than 2.5 %. */
static void the_interval_of_three_units_ends_at_the_extremes(void **state)
{
    (void)state;
    const double differences[] = {-1, 0.25, 4};
    const paired_sample sample = {.units = 3, .metrics = 1, .sums = differences, .counts = ones};
    double low, high;
    assert_int_equal(paired_bootstrap(&sample, &many, &low, &high, NULL), SR_OK);
    assert_true(fabs(low + 1) < 1e-12 && fabs(high - 4) < 1e-12);
    paired_draws half = many;
    half.confidence = 0.5; /* quantiles 25 % and 75 % of the 27 means, by enumeration */
    double means[27];
    for (size_t i = 0; i < 27; ++i)
        means[i] = (differences[i % 3] + differences[i / 3 % 3] + differences[i / 9]) / 3;
    size_t below = 0, above = 0;
    assert_int_equal(paired_bootstrap(&sample, &half, &low, &high, NULL), SR_OK);
    for (size_t i = 0; i < 27; ++i) {
        below += means[i] < low - 1e-9;
        above += means[i] > high + 1e-9;
    }
    assert_true(below <= 6 && above <= 6 && below >= 3 && above >= 3);
}

/* The mean of a resample is over its cases, however many each user brings. */
static void users_of_many_cases_weigh_as_many(void **state)
{
    (void)state;
    const double sums[] = {9, 0}, counts[] = {9, 1};
    const paired_sample sample = {.units = 2, .metrics = 1, .sums = sums, .counts = counts};
    paired_draws draws = many;
    double low, high;
    draws.confidence = 0.6; /* (0, 0), (0, 1), (1, 0), (1, 1): the quantiles 20 % and 80 % are extremes */
    assert_int_equal(paired_bootstrap(&sample, &draws, &low, &high, NULL), SR_OK);
    assert_true(fabs(low) < 1e-12 && fabs(high - 1) < 1e-12);
    draws.confidence = 0.4; /* 30 % and 70 %: one of each */
    assert_int_equal(paired_bootstrap(&sample, &draws, &low, &high, NULL), SR_OK);
    assert_true(fabs(low - 0.9) < 1e-12 && fabs(high - 0.9) < 1e-12);
}

/* A test of few units against all assignments of signs. */
static void the_randomisation_test_is_that_of_all_signs(void **state)
{
    (void)state;
    const double differences[] = {0.5, 0.5, -0.25, 1, 0.75, 0, -0.1, 0.4};
    const paired_sample sample = {.units = 8, .metrics = 1, .sums = differences, .counts = ones};
    double observed = 0, p;
    size_t far = 0;
    for (size_t i = 0; i < 8; ++i)
        observed += differences[i];
    for (size_t signs = 0; signs < 256; ++signs) {
        double sum = 0;
        for (size_t i = 0; i < 8; ++i)
            sum += signs >> i & 1 ? -differences[i] : differences[i];
        far += fabs(sum) >= observed - 1e-9;
    }
    assert_int_equal(paired_randomisation(&sample, &many, &p, NULL), SR_OK);
    assert_true(fabs(p - (double)far / 256) < 4 * sqrt((double)far / 256 / 20000));
}

static void without_differences_nothing_differs(void **state)
{
    (void)state;
    const double differences[6] = {0};
    const paired_sample sample = {.units = 3, .metrics = 2, .sums = differences, .counts = ones};
    double low[2], high[2], p[2], statistic;
    assert_int_equal(paired_bootstrap(&sample, &many, low, high, NULL), SR_OK);
    assert_int_equal(paired_randomisation(&sample, &many, p, NULL), SR_OK);
    assert_true(low[1] >= 0 && low[1] <= 0 && high[1] >= 0 && high[1] <= 0 && p[1] >= 1);
    assert_int_equal(paired_wilcoxon(&sample, 1, &statistic, p, NULL), SR_OK);
    assert_true(statistic <= 0 && p[0] >= 1);
}

static void nothing_depends_on_threads_and_everything_on_the_seed(void **state)
{
    (void)state;
    double differences[3 * MOST / 2], found[3][9];
    fill(differences, MOST, 101);
    fill(differences + MOST, MOST / 2, 23);
    const paired_sample sample = {.units = MOST / 2, .metrics = 3, .sums = differences, .counts = ones};
    for (int run = 0; run < 3; ++run) {
        paired_draws draws = {.seed = run == 2, .resamples = 500, .confidence = 0.9};
        omp_set_num_threads(run == 1 ? 3 : 1);
        assert_int_equal(paired_bootstrap(&sample, &draws, found[run], found[run] + 3, NULL), SR_OK);
        assert_int_equal(paired_randomisation(&sample, &draws, found[run] + 6, NULL), SR_OK);
    }
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    for (size_t i = 0; i < 6; ++i)
        assert_true(found[0][i] < found[2][i] || found[0][i] > found[2][i]);
}

/* p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R. */
static void holm_corrects_a_family_of_tests(void **state)
{
    (void)state;
    double p[] = {0.01, 0.04, 0.03, 0.005}, large[] = {0.9, 0.6};
    const double expected[] = {0.03, 0.06, 0.06, 0.02};
    assert_int_equal(paired_holm(p, 4, NULL), SR_OK);
    for (size_t i = 0; i < 4; ++i)
        assert_true(fabs(p[i] - expected[i]) < 1e-12);
    assert_int_equal(paired_holm(large, 2, NULL), SR_OK);
    assert_true(large[0] >= 1 && large[0] <= 1 && large[1] >= 1 && large[1] <= 1);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOST; ++i)
        ones[i] = 1;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tests_give_the_numbers_of_scipy),
        cmocka_unit_test(the_interval_of_three_units_ends_at_the_extremes),
        cmocka_unit_test(users_of_many_cases_weigh_as_many),
        cmocka_unit_test(the_randomisation_test_is_that_of_all_signs),
        cmocka_unit_test(without_differences_nothing_differs),
        cmocka_unit_test(nothing_depends_on_threads_and_everything_on_the_seed),
        cmocka_unit_test(holm_corrects_a_family_of_tests),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
