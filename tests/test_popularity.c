/* The popularity of the last days of training against a naive loop, on 1 to 4 ranks: every rank computes the naive answer by
 * itself. */
#include "cpu_level.h"
#include "shared_dataset.h"
#include "srtrain/evaluate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { USERS = 41, ITEMS = 30, LENGTH = 7, COLUMNS = ITEMS + 1 };

/* What is popular changes with time. Targets may stand in the history. */
static size_t item_of(size_t user, size_t i)
{
    return i % 2 ? user % 3 + i : user * 5 + i * 3;
}

/* Users begin at different times; some interactions of a user have the same. */
static int64_t time_of(size_t user, size_t i)
{
    return 1000 + (int64_t)(user % 7 * 13 + i / 2 * (1 + user % 5) * 6);
}

static const equal_sequences sequences = {
    .users = USERS, .items = ITEMS, .length = LENGTH, .shards = 2, .item_of = item_of, .time_of = time_of};

static int set_up(void **state)
{
    return shared_dataset_set_up(state, &sequences);
}

static void write_timeless(const char *directory)
{
    equal_sequences timeless = sequences;
    timeless.time_of = NULL;
    small_dataset_write_equal(directory, &timeless);
}

/* How often each item occurs in the training parts within `span` before their last moment; returns how many that are. */
static int64_t count_naively(const sr_dataset *dataset, int64_t span, int64_t counts[COLUMNS])
{
    int64_t last = 0, all = 0;
    memset(counts, 0, COLUMNS * sizeof *counts);
    for (int pass = 0; pass < 2; ++pass)
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(dataset, user);
            for (size_t i = 0; i < sequence.train_end; ++i) {
                const bool counted = pass == 1 && last - sequence.times[i] < span;
                last = pass == 0 && sequence.times[i] > last ? sequence.times[i] : last;
                counts[sequence.items[i]] += counted;
                all += counted;
            }
        }
    return all;
}

static bool has_seen(const sr_sequence *sequence, size_t length, int32_t item)
{
    for (size_t i = 0; i < length; ++i)
        if (sequence->items[i] == item)
            return true;
    return false;
}

static void assert_metrics(const sr_evaluation *evaluation, const int64_t *counts, const sr_ranking_metrics *metrics)
{
    const bool excludes = evaluation->settings->history == SR_HISTORY_EXCLUDE;
    for (size_t k = 0; k < metrics->top_k_count; ++k) {
        double hits = 0, gains = 0;
        for (size_t user = 0; user < USERS; ++user) {
            const sr_sequence sequence = sr_dataset_sequence(evaluation->dataset, user);
            const size_t at = evaluation->split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
            const int32_t target = sequence.items[at];
            int64_t rank = 1;
            for (int32_t item = 1; item <= ITEMS; ++item)
                if (!(excludes && has_seen(&sequence, at, item)))
                    rank += counts[item] > counts[target] || (counts[item] == counts[target] && item < target);
            const bool hit = rank <= metrics->top_k[k] && !(excludes && has_seen(&sequence, at, target));
            hits += hit ? 1.0 / USERS : 0;
            gains += hit ? 1 / log2((double)rank + 1) / USERS : 0;
        }
        assert_true(fabs(metrics->hr[k] - hits) < 1e-12 && fabs(metrics->ndcg[k] - gains) < 1e-12);
    }
}

static sr_evaluation_settings settings_of(int64_t days, int64_t day)
{
    return (sr_evaluation_settings){.top_k = {1, 4, 10}, .top_k_count = 3, .batch_size = 3, .recent_days = days, .day = day};
}

static void popularity_of_the_last_days_is_that_of_a_naive_ranking(void **state)
{
    const shared_dataset *data = *state;
    for (int64_t days = 1; days <= 8; days += 2)
        for (int history = SR_HISTORY_KEEP; history <= SR_HISTORY_EXCLUDE; ++history) {
            sr_evaluation_settings settings = settings_of(days, 10);
            const sr_evaluation evaluation = {.dataset = data->dataset,
                                              .settings = &settings,
                                              .split = days == 3 ? SR_SPLIT_VALID : SR_SPLIT_TEST,
                                              .kernels = tested_kernels()};
            sr_recent_popularity recent;
            int64_t counts[COLUMNS];
            settings.history = (sr_history)history;
            assert_int_equal(sr_evaluate_recent_popularity(data->parallel, &evaluation, &recent, NULL), SR_OK);
            assert_int_equal(recent.interactions, count_naively(data->dataset, 10 * days, counts));
            assert_true(recent.measured && recent.days == days && recent.last - recent.after == 10 * days);
            assert_true(recent.interactions > 0 && recent.interactions < USERS * (LENGTH - 2));
            assert_metrics(&evaluation, counts, &recent.metrics);
        }
}

static void the_last_days_may_be_all_days(void **state)
{
    const shared_dataset *data = *state;
    const sr_evaluation_settings days[] = {settings_of(36500, 1), settings_of(1, 0)}; /* stamps this small are seconds */
    for (size_t i = 0; i < 2; ++i) {
        const sr_evaluation evaluation = {
            .dataset = data->dataset, .settings = &days[i], .split = SR_SPLIT_TEST, .kernels = tested_kernels()};
        sr_recent_popularity recent;
        assert_int_equal(sr_evaluate_recent_popularity(data->parallel, &evaluation, &recent, NULL), SR_OK);
        assert_int_equal(recent.interactions, USERS * (LENGTH - 2));
        assert_int_equal(recent.last - recent.after, i == 0 ? 36500 : 86400);
        assert_metrics(&evaluation, sr_dataset_popularity(data->dataset), &recent.metrics);
    }
}

static void without_times_or_days_nothing_is_recent(void **state)
{
    const shared_dataset *data = *state;
    sr_dataset *timeless = shared_dataset_open_another(data, "timeless", write_timeless);
    sr_evaluation_settings settings = settings_of(7, 0);
    sr_evaluation evaluation = {
        .dataset = timeless, .settings = &settings, .split = SR_SPLIT_TEST, .kernels = tested_kernels()};
    sr_recent_popularity recent;
    sr_error error = {.message = ""};
    assert_int_equal(sr_evaluate_recent_popularity(data->parallel, &evaluation, &recent, NULL), SR_OK);
    assert_false(recent.measured);
    evaluation.dataset = data->dataset;
    settings = settings_of(36500, 900000000000000);
    assert_int_equal(sr_evaluate_recent_popularity(data->parallel, &evaluation, &recent, &error), SR_ERROR_USAGE);
    assert_non_null(strstr(error.message, "evaluation.recent_days 36500 x evaluation.day 900000000000000"));
    settings.recent_days = 0;
    assert_int_equal(sr_evaluate_recent_popularity(data->parallel, &evaluation, &recent, NULL), SR_OK);
    assert_false(recent.measured);
    sr_dataset_close(timeless);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(popularity_of_the_last_days_is_that_of_a_naive_ranking),
        cmocka_unit_test(the_last_days_may_be_all_days),
        cmocka_unit_test(without_times_or_days_nothing_is_recent),
    };
    return cmocka_run_group_tests(tests, set_up, shared_dataset_tear_down);
}
