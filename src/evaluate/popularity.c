/* The baselines that know nothing of a user: what is popular in the whole training part, and in its last days. */
#include "evaluate/ranker.h"

#include "base/stamp_clock.h"
#include "srtrain/node_memory.h"

sr_status sr_evaluate_popularity(sr_parallel *parallel, const sr_evaluation *evaluation, sr_ranking_metrics *metrics,
                                 sr_error *error)
{
    return ranker_evaluate_counts(parallel, sr_dataset_popularity(evaluation->dataset), evaluation, metrics, error);
}

/* The last time stamp of all training parts; INT64_MIN where there is nothing for training. */
static sr_status find_last(sr_parallel *parallel, const sr_dataset *dataset, int64_t *last, sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(parallel);
    *last = INT64_MIN;
    for (size_t user = (size_t)sr_parallel_rank(parallel); user < sr_dataset_users(dataset); user += ranks) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        if (sequence.train_end > 0 && sequence.times[sequence.train_end - 1] > *last)
            *last = sequence.times[sequence.train_end - 1];
    }
    return sr_parallel_maximum_int64(parallel, last, 1, error);
}

/* recent->after. All that is in the training part counts where it is not as long as that. */
static sr_status find_beginning(const sr_evaluation_settings *settings, sr_recent_popularity *recent, sr_error *error)
{
    const int64_t in_a_second = sr_stamp_clock_of(recent->last).in_a_second;
    const int64_t day = settings->day ? settings->day : 86400 * (in_a_second ? in_a_second : 1);
    int64_t span;
    if (__builtin_mul_overflow(recent->days, day, &span))
        return sr_fail(error, SR_ERROR_USAGE,
                       "evaluation.recent_days %lld x evaluation.day %lld is more than a time stamp can be",
                       (long long)recent->days, (long long)day);
    if (__builtin_sub_overflow(recent->last, span, &recent->after))
        recent->after = INT64_MIN;
    return SR_OK;
}

/* This rank's part of the users. Processes of a node count in the same memory. */
static void count_part(sr_parallel *parallel, const sr_dataset *dataset, int64_t after, int64_t *counts)
{
    const size_t ranks = (size_t)sr_parallel_size(parallel);
    for (size_t user = (size_t)sr_parallel_rank(parallel); user < sr_dataset_users(dataset); user += ranks) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        for (size_t i = sequence.train_end; i > 0 && sequence.times[i - 1] > after; --i)
            __atomic_fetch_add(&counts[sequence.items[i - 1]], 1, __ATOMIC_RELAXED);
    }
}

size_t recent_popularity_memory(const sr_evaluation_settings *settings, const sr_dataset *dataset, size_t items)
{
    return settings->recent_days > 0 && sr_dataset_has_times(dataset) ? (items + 1) * sizeof(int64_t) : 0;
}

sr_status sr_evaluate_recent_popularity(sr_parallel *parallel, const sr_evaluation *evaluation, sr_recent_popularity *recent,
                                        sr_error *error)
{
    const sr_dataset *dataset = evaluation->dataset;
    const size_t columns = sr_dataset_items(dataset) + 1;
    *recent = (sr_recent_popularity){.days = evaluation->settings->recent_days};
    if (recent->days == 0 || !sr_dataset_has_times(dataset))
        return SR_OK;
    SR_TRY(find_last(parallel, dataset, &recent->last, error));
    SR_TRY(find_beginning(evaluation->settings, recent, error));
    sr_node_memory *memory;
    SR_TRY(sr_node_memory_create(&memory, parallel, columns * sizeof(int64_t), "counts of items in the last days", error));
    int64_t *counts = sr_node_memory_at(memory);
    count_part(parallel, dataset, recent->after, counts);
    sr_status status = sr_node_memory_sum(memory, error);
    for (size_t item = 1; item < columns && status == SR_OK; ++item)
        recent->interactions += counts[item];
    if (status == SR_OK)
        status = ranker_evaluate_counts(parallel, counts, evaluation, &recent->metrics, error);
    recent->measured = status == SR_OK;
    sr_node_memory_free(memory);
    return status;
}
