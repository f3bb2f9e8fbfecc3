/* Zipf's law: what is drawn has the distribution that is promised, by chi-square, and chains of items keep to it. */
#include "zipf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MOST_BINS = 400 };

/* Ranks [first, last] in bins: each rank by itself at first, then ever more together. */
typedef struct {
    size_t count;
    uint64_t begin[MOST_BINS + 1];
    double expected[MOST_BINS], found[MOST_BINS];
} histogram;

static uint64_t next_bin(uint64_t begin, uint64_t last)
{
    const uint64_t end = begin + 1 + begin / 20;
    return end <= last ? end : last + 1;
}

/* The sum of k^-exponent over [begin, end): one by one, or by Euler and Maclaurin where there are many. */
static double mass(uint64_t begin, uint64_t end, double exponent)
{
    double sum = 0;
    if (end - begin <= 4096) {
        for (uint64_t k = begin; k < end; ++k)
            sum += pow((double)k, -exponent);
        return sum;
    }
    const double a = (double)begin, b = (double)(end - 1);
    const double integral = exponent == 1.0 ? log(b / a) : (pow(b, 1 - exponent) - pow(a, 1 - exponent)) / (1 - exponent);
    return integral + (pow(a, -exponent) + pow(b, -exponent)) / 2 +
           exponent * (pow(a, -exponent - 1) - pow(b, -exponent - 1)) / 12;
}

static void make_bins(histogram *h, uint64_t first, uint64_t last, double exponent, double draws_in_all)
{
    *h = (histogram){.count = 0};
    double sum = 0;
    for (uint64_t begin = first; begin <= last; begin = h->begin[h->count]) {
        assert_true(h->count < MOST_BINS);
        h->begin[h->count] = begin;
        h->begin[h->count + 1] = next_bin(begin, last);
        h->expected[h->count] = mass(begin, h->begin[h->count + 1], exponent);
        sum += h->expected[h->count++];
    }
    for (size_t i = 0; i < h->count; ++i)
        h->expected[i] *= draws_in_all / sum;
}

static void add(histogram *h, uint64_t rank)
{
    size_t low = 0, high = h->count;
    assert_in_range(rank, h->begin[0], h->begin[h->count] - 1);
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (h->begin[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    ++h->found[low];
}

/* Bins that are expected to get less than ten go together. The bound is five standard deviations of chi-square above its mean.
 */
static void assert_fits(const histogram *h, const char *what)
{
    double chi_square = 0, expected = 0, found = 0;
    size_t bins = 0;
    for (size_t i = 0; i < h->count; ++i) {
        expected += h->expected[i];
        found += h->found[i];
        if (expected < 10 && i + 1 < h->count)
            continue;
        if (expected > 0)
            chi_square += (found - expected) * (found - expected) / expected;
        ++bins;
        expected = found = 0;
    }
    const double freedom = bins > 1 ? (double)(bins - 1) : 1, bound = freedom + 5 * sqrt(2 * freedom);
    print_message("%s: chi-square %.1f with %.0f degrees of freedom\n", what, chi_square, freedom);
    assert_true(chi_square <= bound);
}

static draws stream_of(uint64_t index)
{
    return (draws){.stream = sr_random_open(11, SR_RANDOM_TEST, index)};
}

static void draws_have_the_distribution_of_the_law(void **state)
{
    (void)state;
    const struct {
        uint64_t first, last;
        double exponent;
    } cases[] = {{1, 1, 1},
                 {1, 2, 1},
                 {1, 50, 0},
                 {1, 100000000, 0},
                 {1, 1000, 0.5},
                 {1, 100000000, 0.8},
                 {1, 100000000, 1},
                 {1, 2147483646, 1},
                 {1, 10000000, 1.2},
                 {1, 100000, 3},
                 {64, 127, 1},
                 {1 << 20, (1 << 21) - 1, 1},
                 {1 << 24, 1 << 25, 10}};
    enum { DRAWS = 300000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        histogram h;
        zipf z;
        char what[64];
        draws d = stream_of(i);
        make_bins(&h, cases[i].first, cases[i].last, cases[i].exponent, DRAWS);
        zipf_open(&z, cases[i].first, cases[i].last, cases[i].exponent);
        for (int k = 0; k < DRAWS; ++k)
            add(&h, zipf_draw(&z, &d));
        snprintf(what, sizeof what, "%llu to %llu, exponent %g", (unsigned long long)cases[i].first,
                 (unsigned long long)cases[i].last, cases[i].exponent);
        assert_fits(&h, what);
        assert_true(d.next < 2 * DRAWS); /* two uniform numbers a draw at most, on average */
    }
}

/* Of many chains the element behind the first ones, so that draws do not depend on each other. */
static void chains_keep_to_the_law_behind_any_number_of_successors(void **state)
{
    (void)state;
    enum { CHAINS = 60000, LENGTH = 6 };
    const double exponents[] = {0, 1, 1.3};
    for (size_t i = 0; i < 3; ++i) {
        const uint64_t items = i == 1 ? 100000000 : 300;
        histogram h;
        zipf_chain c;
        make_bins(&h, 1, items, exponents[i], CHAINS);
        zipf_chain_open(&c, items, exponents[i], 0.9, true, sr_random_open(5, SR_RANDOM_TEST, i));
        for (uint64_t chain = 0; chain < CHAINS; ++chain) {
            draws d = {.stream = sr_random_fork(sr_random_open(6, SR_RANDOM_TEST, i), chain)};
            uint64_t rank = 0;
            for (int k = 0; k < LENGTH; ++k)
                rank = zipf_chain_next(&c, rank, &d);
            add(&h, rank);
        }
        assert_fits(&h, "chains");
    }
}

/* The most frequent successor of an item follows it in more than a quarter of the transitions: 0.6 of the even part. */
static void an_item_has_few_successors_that_follow_it_often(void **state)
{
    (void)state;
    enum { ITEMS = 1000, DRAWS = 400 };
    zipf_chain c;
    draws d = stream_of(100);
    zipf_chain_open(&c, ITEMS, 1, 1, true, sr_random_open(5, SR_RANDOM_TEST, 9));
    size_t best_in_all = 0;
    for (uint64_t rank = 100; rank < 200; ++rank) {
        size_t counts[ITEMS + 1] = {0}, best = 0;
        for (int k = 0; k < DRAWS; ++k) {
            const uint64_t next = zipf_chain_next(&c, rank, &d);
            assert_in_range(next, rank < 128 ? 64 : 128, rank < 128 ? 127 : 255); /* no other range */
            ++counts[next];
            best = counts[next] > best ? counts[next] : best;
        }
        best_in_all += best;
    }
    assert_true(best_in_all > 100 * DRAWS / 4);
}

static void items_are_a_permutation_that_does_not_follow_popularity_unless_asked(void **state)
{
    (void)state;
    enum { ITEMS = 5000 };
    zipf_chain permuted, ranked;
    static char seen[ITEMS];
    zipf_chain_open(&permuted, ITEMS, 1, 0, false, sr_random_open(5, SR_RANDOM_TEST, 10));
    zipf_chain_open(&ranked, ITEMS, 1, 0, true, sr_random_open(5, SR_RANDOM_TEST, 10));
    double correlation = 0;
    const double mean = (ITEMS - 1) / 2.0;
    for (uint64_t rank = 1; rank <= ITEMS; ++rank) {
        const uint64_t item = zipf_chain_item(&permuted, rank);
        assert_true(item < ITEMS && !seen[item]);
        seen[item] = 1;
        correlation += ((double)item - mean) * ((double)rank - 1 - mean);
        assert_int_equal(zipf_chain_item(&ranked, rank), rank - 1);
    }
    correlation /= ITEMS * ((double)ITEMS * ITEMS - 1) / 12;
    assert_true(fabs(correlation) < 5 / sqrt(ITEMS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_have_the_distribution_of_the_law),
        cmocka_unit_test(chains_keep_to_the_law_behind_any_number_of_successors),
        cmocka_unit_test(an_item_has_few_successors_that_follow_it_often),
        cmocka_unit_test(items_are_a_permutation_that_does_not_follow_popularity_unless_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
