/* Counter-based random numbers. */
#include "srtrain/memory.h"
#include "srtrain/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void philox_gives_the_published_known_answer(void **state)
{
    (void)state;
    /* Known answer of Philox-4x32-10 with zero key and zero counter (Random123's kat_vectors). */
    const sr_random_stream zero = {{0, 0}};
    uint32_t words[4];
    sr_random_words(zero, 0, 0, words);
    const uint32_t expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    assert_memory_equal(words, expected, sizeof words);
}

static void streams_of_different_seed_purpose_or_index_differ(void **state)
{
    (void)state;
    const sr_random_stream streams[] = {sr_random_open(1, SR_RANDOM_DROPOUT, 1), sr_random_open(2, SR_RANDOM_DROPOUT, 1),
                                        sr_random_open(1, SR_RANDOM_NOISE, 1), sr_random_open(1, SR_RANDOM_DROPOUT, 2),
                                        sr_random_fork(sr_random_open(1, SR_RANDOM_DROPOUT, 1), 0)};
    for (size_t i = 0; i < 5; ++i)
        for (size_t j = i + 1; j < 5; ++j)
            assert_memory_not_equal(&streams[i], &streams[j], sizeof *streams);
    const sr_random_stream again = sr_random_open(1, SR_RANDOM_DROPOUT, 1);
    assert_memory_equal(&again, &streams[0], sizeof again);
}

static void uniform_and_normal_draws_have_their_moments(void **state)
{
    (void)state;
    enum { DRAWS = 200000 };
    const sr_random_stream stream = sr_random_open(5, SR_RANDOM_TEST, 0);
    double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0;
    for (uint64_t i = 0; i < DRAWS; ++i) {
        const double u = sr_random_uniform(stream, i, 0), z = sr_random_normal(stream, i, 1);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
        normal_sum += z;
        normal_squares += z * z;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 0.005);
    assert_true(fabs(squares / DRAWS - 1.0 / 3) < 0.005);
    assert_true(fabs(normal_sum / DRAWS) < 0.01);
    assert_true(fabs(normal_squares / DRAWS - 1) < 0.02);
}

static void integers_below_a_bound_are_uniform(void **state)
{
    (void)state;
    const sr_random_stream stream = sr_random_open(6, SR_RANDOM_TEST, 0);
    int counts[7] = {0};
    for (uint64_t i = 0; i < 70000; ++i)
        ++counts[sr_random_below(stream, i, 0, 7)];
    for (size_t i = 0; i < 7; ++i)
        assert_in_range(counts[i], 9600, 10400);
    for (uint64_t i = 0; i < 1000; ++i)
        assert_true(sr_random_below(stream, i, 0, UINT64_MAX) < UINT64_MAX);
    assert_int_equal(sr_random_below(stream, 3, 0, 1), 0);
}

static void a_permutation_visits_every_index_once(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 2, 3, 4, 5, 17, 256, 1000, 4097};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        const sr_random_stream stream = sr_random_open(9, SR_RANDOM_SAMPLE_ORDER, s);
        char *seen = calloc(sizes[s], 1);
        size_t fixed = 0;
        for (size_t i = 0; i < sizes[s]; ++i) {
            const uint64_t image = sr_random_permutation(stream, i, sizes[s]);
            assert_true(image < sizes[s]);
            assert_false(seen[image]);
            seen[image] = 1;
            fixed += image == i;
        }
        if (sizes[s] > 100)
            assert_true(fixed < 10);
        free(seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_known_answer),
        cmocka_unit_test(streams_of_different_seed_purpose_or_index_differ),
        cmocka_unit_test(uniform_and_normal_draws_have_their_moments),
        cmocka_unit_test(integers_below_a_bound_are_uniform),
        cmocka_unit_test(a_permutation_visits_every_index_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
