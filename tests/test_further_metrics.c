/* Metrics of sampled candidates and of lists of recommended items, against naive loops. On 1 to 4 ranks: every rank computes
 * the naive answer by itself. */
#include "cpu_level.h"
#include "evaluate/case_candidates.h"
#include "shared_dataset.h"
#include "srtrain/evaluate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 41, ITEMS = 30, LENGTH = 7, COLUMNS = ITEMS + 1 };

/* Some items are much more popular than others; two are never seen in training. */
static size_t item_of(size_t user, size_t i)
{
    return i % 2 ? user % 3 : (user * 5 + i * 3) % (ITEMS - 2);
}

static int set_up(void **state)
{
    const equal_sequences sequences = {.users = USERS, .items = ITEMS, .length = LENGTH, .shards = 2, .item_of = item_of};
    return shared_dataset_set_up(state, &sequences);
}

static sr_evaluation_settings settings_of(const char *candidates)
{
    sr_evaluation_settings settings = {.top_k = {1, 4, 10}, .top_k_count = 3, .batch_size = 3, .list_metrics = true};
    snprintf(settings.candidates, sizeof settings.candidates, "%s", candidates);
    return settings;
}

static void assert_close(double found, double expected)
{
    if (!(fabs(found - expected) < 1e-12))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* ---- candidates ---- */

static void assert_candidates_qualify(const sr_dataset *dataset, size_t user, const int32_t *items, size_t count)
{
    const sr_sequence sequence = sr_dataset_sequence(dataset, user);
    for (size_t i = 0; i < count; ++i) {
        assert_true(items[i] >= 1 && items[i] <= ITEMS && (i == 0 || items[i] > items[i - 1]));
        for (size_t at = 0; at <= sequence.valid_end; ++at)
            assert_int_not_equal(items[i], sequence.items[at]);
    }
}

static void candidates_are_different_items_that_are_new_to_the_user(void **state)
{
    const shared_dataset *data = *state;
    for (int kind = SR_CANDIDATES_UNIFORM; kind <= SR_CANDIDATES_POPULARITY; ++kind) {
        const sr_candidates wanted = {.kind = (sr_candidate_kind)kind, .count = 8};
        candidate_source source;
        int32_t items[8];
        size_t count, times_drawn[COLUMNS] = {0};
        assert_int_equal(candidate_source_create(&source, data->dataset, &wanted, NULL), SR_OK);
        for (uint64_t number = 0; number < 4000; ++number) {
            const size_t user = number % USERS, at = sr_dataset_sequence(data->dataset, user).valid_end;
            assert_int_equal(candidates_draw(&source, number, user, at, items, &count, NULL), SR_OK);
            assert_int_equal(count, 8);
            assert_candidates_qualify(data->dataset, user, items, count);
            for (size_t i = 0; i < count; ++i)
                ++times_drawn[items[i]];
        }
        candidate_source_free(&source);
        /* The last item is in no history. Uniformly it is drawn as any other; by popularity it never is. */
        if (kind == SR_CANDIDATES_UNIFORM)
            assert_true(times_drawn[ITEMS] > 4000 * 8 / 30 && times_drawn[ITEMS] < 4000 * 8 / 22);
        else
            assert_int_equal(times_drawn[ITEMS], 0);
    }
}

/* By popularity the first of two draws is each item with its share. */
static void candidates_by_popularity_have_their_shares(void **state)
{
    const shared_dataset *data = *state;
    const sr_candidates wanted = {.kind = SR_CANDIDATES_POPULARITY, .count = 1};
    const int64_t *popularity = sr_dataset_popularity(data->dataset);
    enum { DRAWS = 20000, USER = 4 };
    const size_t at = sr_dataset_sequence(data->dataset, USER).valid_end;
    candidate_source source;
    size_t times_drawn[COLUMNS] = {0};
    double all = 0;
    assert_int_equal(candidate_source_create(&source, data->dataset, &wanted, NULL), SR_OK);
    for (uint64_t number = 0; number < DRAWS; ++number) {
        int32_t item;
        size_t count;
        assert_int_equal(candidates_draw(&source, number, USER, at, &item, &count, NULL), SR_OK);
        assert_int_equal(count, 1);
        ++times_drawn[item];
    }
    candidate_source_free(&source);
    for (size_t item = 1; item <= ITEMS; ++item)
        all += times_drawn[item] ? (double)popularity[item] : 0;
    for (size_t item = 1; item <= ITEMS; ++item) {
        const double expected = times_drawn[item] ? DRAWS * (double)popularity[item] / all : 0;
        assert_true(fabs((double)times_drawn[item] - expected) <= 5 * sqrt(expected));
    }
}

/* More candidates than there are: all that qualify. */
static void where_too_few_qualify_all_are_candidates(void **state)
{
    const shared_dataset *data = *state;
    for (int kind = SR_CANDIDATES_UNIFORM; kind <= SR_CANDIDATES_POPULARITY; ++kind) {
        const sr_candidates wanted = {.kind = (sr_candidate_kind)kind, .count = 100};
        candidate_source source;
        int32_t items[ITEMS];
        size_t count;
        assert_int_equal(candidate_source_create(&source, data->dataset, &wanted, NULL), SR_OK);
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(data->dataset, user);
            bool qualifies[COLUMNS];
            size_t expected = 0;
            for (size_t item = 1; item <= ITEMS; ++item)
                qualifies[item] = kind == SR_CANDIDATES_UNIFORM || sr_dataset_popularity(data->dataset)[item] > 0;
            for (size_t at = 0; at <= sequence.valid_end; ++at)
                qualifies[sequence.items[at]] = false;
            for (size_t item = 1; item <= ITEMS; ++item)
                expected += qualifies[item];
            assert_int_equal(candidates_draw(&source, user, user, sequence.valid_end, items, &count, NULL), SR_OK);
            assert_int_equal(count, expected);
            assert_candidates_qualify(data->dataset, user, items, count);
        }
        candidate_source_free(&source);
    }
}

static void only_candidates_that_can_be_drawn_are_named(void **state)
{
    (void)state;
    sr_candidates found;
    assert_true(sr_candidates_parse("none", &found) && found.kind == SR_CANDIDATES_NONE);
    assert_true(sr_candidates_parse("uniform:100", &found) && found.kind == SR_CANDIDATES_UNIFORM && found.count == 100);
    assert_true(sr_candidates_parse("popularity:1", &found) && found.kind == SR_CANDIDATES_POPULARITY && found.count == 1);
    const char *const wrong[] = {"uniform",     "uniform:",   "uniform:0",   "uniform:-3",    "uniform:10001",
                                 "uniform:1.5", "uniform:1 ", "popular:100", "popularity:+1", "100"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        assert_false(sr_candidates_parse(wrong[i], &found));
}

/* ---- sampled metrics ---- */

/* Popularity as the score: of equal ones the smaller item comes first. */
static bool comes_before(const int64_t *popularity, int32_t item, int32_t target)
{
    return popularity[item] > popularity[target] || (popularity[item] == popularity[target] && item < target);
}

static void metrics_of_candidates_are_those_of_a_naive_ranking(void **state)
{
    const shared_dataset *data = *state;
    const int64_t *popularity = sr_dataset_popularity(data->dataset);
    static const char *const texts[] = {"uniform:9", "popularity:6"};
    for (size_t t = 0; t < 2; ++t) {
        const sr_evaluation_settings settings = settings_of(texts[t]);
        const sr_evaluation evaluation = {
            .dataset = data->dataset, .settings = &settings, .split = SR_SPLIT_TEST, .kernels = tested_kernels()};
        sr_ranking_metrics metrics;
        sr_candidates wanted;
        candidate_source source;
        double hits[3] = {0}, gains[3] = {0};
        assert_int_equal(sr_evaluate_popularity(data->parallel, &evaluation, &metrics, NULL), SR_OK);
        assert_true(sr_candidates_parse(texts[t], &wanted));
        assert_int_equal(candidate_source_create(&source, data->dataset, &wanted, NULL), SR_OK);
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(data->dataset, user);
            int32_t items[9];
            size_t count, rank = 1;
            assert_int_equal(candidates_draw(&source, user, user, sequence.valid_end, items, &count, NULL), SR_OK);
            for (size_t i = 0; i < count; ++i)
                rank += comes_before(popularity, items[i], sequence.items[sequence.valid_end]);
            for (size_t k = 0; k < 3; ++k)
                if ((int64_t)rank <= settings.top_k[k]) {
                    hits[k] += 1.0 / USERS;
                    gains[k] += 1 / log2((double)rank + 1) / USERS;
                }
        }
        candidate_source_free(&source);
        for (size_t k = 0; k < 3; ++k) {
            assert_close(metrics.sampled.hr[k], hits[k]);
            assert_close(metrics.sampled.ndcg[k], gains[k]);
        }
        sr_ranking_row rows[SR_RANKING_ROWS];
        assert_int_equal(sr_ranking_rows(&metrics, rows), 10);
        assert_string_equal(rows[3].name, t == 0 ? "uniform9_hr" : "popularity6_hr");
        assert_string_equal(rows[9].name, "gini");
    }
}

/* ---- lists ---- */

/* The K most popular items are everybody's list. */
static void lists_are_measured_as_by_a_naive_loop(void **state)
{
    const shared_dataset *data = *state;
    const int64_t *popularity = sr_dataset_popularity(data->dataset);
    const sr_evaluation_settings settings = settings_of("none");
    const sr_evaluation evaluation = {
        .dataset = data->dataset, .settings = &settings, .split = SR_SPLIT_TEST, .kernels = tested_kernels()};
    sr_ranking_metrics metrics;
    double all = 0;
    assert_int_equal(sr_evaluate_popularity(data->parallel, &evaluation, &metrics, NULL), SR_OK);
    assert_true(metrics.lists.measured && metrics.sampled.candidates.kind == SR_CANDIDATES_NONE);
    for (int32_t item = 1; item <= ITEMS; ++item)
        all += (double)popularity[item];
    for (size_t k = 0; k < 3; ++k) {
        const double length = (double)settings.top_k[k];
        double novelty = 0, differences = 0;
        for (int32_t item = 1; item <= ITEMS; ++item) {
            size_t before = 0;
            for (int32_t other = 1; other <= ITEMS; ++other)
                before += comes_before(popularity, other, item);
            const bool listed = (double)before < length;
            novelty -= listed ? log2(((double)popularity[item] + 1) / (all + ITEMS)) / length : 0;
            /* The definition: half the mean absolute difference of two items, by the mean. */
            for (int32_t other = 1; other <= ITEMS; ++other) {
                size_t before_other = 0;
                for (int32_t third = 1; third <= ITEMS; ++third)
                    before_other += comes_before(popularity, third, other);
                differences += listed != ((double)before_other < length);
            }
        }
        assert_close(metrics.lists.coverage[k], length / ITEMS);
        assert_close(metrics.lists.novelty[k], novelty);
        assert_close(metrics.lists.popular_share[k], fmin(length, 6) / length); /* a fifth of 30 items */
        assert_close(metrics.lists.gini[k], differences / (2.0 * ITEMS * length));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_are_different_items_that_are_new_to_the_user),
        cmocka_unit_test(candidates_by_popularity_have_their_shares),
        cmocka_unit_test(where_too_few_qualify_all_are_candidates),
        cmocka_unit_test(only_candidates_that_can_be_drawn_are_named),
        cmocka_unit_test(metrics_of_candidates_are_those_of_a_naive_ranking),
        cmocka_unit_test(lists_are_measured_as_by_a_naive_loop),
    };
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
