#include "evaluate/comparison.h"

#include "evaluate/case_pairs.h"
#include "base/sizes.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- metrics of a case ---- */

static double hit(double rank)
{
    (void)rank;
    return 1;
}

static double discounted_gain(double rank)
{
    return 1 / log2(rank + 1);
}

static double reciprocal_rank(double rank)
{
    return 1 / rank;
}

static const struct {
    const char *name;
    double (*gain)(double rank);
} kinds[] = {{"hr", hit}, {"ndcg", discounted_gain}, {"mrr", reciprocal_rank}};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* Metric number `metric` of a target with this rank: all cut-offs of the first kind come first. */
static double value_of(const comparison_request *request, size_t metric, uint32_t rank)
{
    const size_t top_k = request->top_k[metric % request->top_k_count];
    return rank >= 1 && rank <= top_k ? kinds[metric / request->top_k_count].gain(rank) : 0;
}

/* ---- groups ---- */

/* How cases are told apart: by the interval between bounds that a number of theirs lies in. */
typedef struct {
    comparison_groups by;
    int64_t bounds[COMPARISON_GROUPS]; /* ascending: group i begins at bounds[i] */
    size_t count;
} grouping;

static int64_t number_of(comparison_groups by, const case_pair *pair)
{
    if (by == COMPARE_BY_REPEAT)
        return pair->repeat;
    return by == COMPARE_BY_LENGTH ? pair->length : pair->popularity;
}

static int compare_numbers(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static sr_status check_known(const comparison_request *request, const case_pairs *pairs, sr_error *error)
{
    const bool known[] = {[COMPARE_ALL] = true,
                          [COMPARE_BY_POPULARITY] = pairs->has_popularity,
                          [COMPARE_BY_LENGTH] = pairs->has_length,
                          [COMPARE_BY_REPEAT] = pairs->has_repeat};
    static const char *const names[] = {[COMPARE_ALL] = "",
                                        [COMPARE_BY_POPULARITY] = "popularity",
                                        [COMPARE_BY_LENGTH] = "length",
                                        [COMPARE_BY_REPEAT] = "repeat"};
    if (known[request->by])
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "--by %s: neither file has a column %s of its cases%s", names[request->by],
                   names[request->by], request->by == COMPARE_BY_LENGTH ? " that both name them by" : "");
}

/* Bounds at quantiles of cases; equal numbers stay together. */
static sr_status find_bounds(grouping *groups, const comparison_request *request, const case_pairs *pairs, sr_error *error)
{
    const size_t wanted = request->by == COMPARE_BY_REPEAT ? 2 : request->group_count;
    int64_t *sorted;
    SR_TRY(SR_ALLOCATE(&sorted, pairs->count, "groups of cases", error));
    for (size_t i = 0; i < pairs->count; ++i)
        sorted[i] = number_of(request->by, &pairs->pairs[i]);
    qsort(sorted, pairs->count, sizeof *sorted, compare_numbers);
    for (size_t i = 0; i < wanted; ++i) {
        const int64_t bound = request->by == COMPARE_BY_REPEAT ? (int64_t)i : sorted[pairs->count * i / wanted];
        if (groups->count == 0 || bound > groups->bounds[groups->count - 1])
            groups->bounds[groups->count++] = bound;
    }
    free(sorted);
    return SR_OK;
}

static bool is_in_group(const grouping *groups, size_t group, const case_pair *pair)
{
    const int64_t number = number_of(groups->by, pair);
    return number >= groups->bounds[group] && (group + 1 == groups->count || number < groups->bounds[group + 1]);
}

static void name_group(const grouping *groups, const case_pair *const *pairs, size_t count, size_t group, char *name,
                       size_t size)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < count; ++i) {
        const int64_t number = number_of(groups->by, pairs[i]);
        least = number < least ? number : least;
        most = number > most ? number : most;
    }
    if (groups->by == COMPARE_BY_REPEAT)
        snprintf(name, size, "%s", group == 0 ? "new" : "repeat");
    else
        snprintf(name, size, "%s %lld-%lld", groups->by == COMPARE_BY_LENGTH ? "length" : "popularity", (long long)least,
                 (long long)most);
}

/* ---- one group ---- */

/* Sums and counts of each user, and the means of both systems. Pairs of a user stand one after the other. */
static void sum_up(const comparison_request *request, const case_pair *const *pairs, size_t count, paired_sample *sample,
                   double *sums, double *counts, compared_group *group)
{
    const size_t metrics = sample->metrics;
    for (size_t i = 0; i < count; ++i) {
        if (i == 0 || pairs[i]->user != pairs[i - 1]->user) {
            memset(sums + sample->units * metrics, 0, metrics * sizeof *sums);
            counts[sample->units++] = 0;
        }
        ++counts[sample->units - 1];
        for (size_t metric = 0; metric < metrics; ++metric) {
            const double left = value_of(request, metric, pairs[i]->left), right = value_of(request, metric, pairs[i]->right);
            group->metrics[metric].left += left / (double)count;
            group->metrics[metric].right += right / (double)count;
            sums[(sample->units - 1) * metrics + metric] += right - left;
        }
    }
    group->cases = count;
    group->users = sample->units;
}

static void count_signs(const paired_sample *sample, size_t metric, compared_metric *compared)
{
    double sum = 0, cases = 0;
    for (size_t unit = 0; unit < sample->units; ++unit) {
        const double difference = sample->sums[unit * sample->metrics + metric];
        compared->better += difference > 0;
        compared->worse += difference < 0;
        sum += difference;
        cases += sample->counts[unit];
    }
    compared->equal = sample->units - compared->better - compared->worse;
    compared->difference = sum / cases;
}

static sr_status test_metrics(const comparison_request *request, const paired_sample *sample, compared_group *group,
                              sr_error *error)
{
    double low[COMPARISON_METRICS], high[COMPARISON_METRICS], p[COMPARISON_METRICS], wilcoxon[COMPARISON_METRICS];
    SR_TRY(paired_bootstrap(sample, &request->draws, low, high, error));
    SR_TRY(paired_randomisation(sample, &request->draws, p, error));
    for (size_t metric = 0; metric < sample->metrics; ++metric) {
        compared_metric *compared = &group->metrics[metric];
        snprintf(compared->name, sizeof compared->name, "%s@%zu", kinds[metric / request->top_k_count].name,
                 request->top_k[metric % request->top_k_count]);
        count_signs(sample, metric, compared);
        SR_TRY(paired_wilcoxon(sample, metric, &compared->wilcoxon_statistic, &wilcoxon[metric], error));
        compared->low = low[metric];
        compared->high = high[metric];
        compared->wilcoxon_p = wilcoxon[metric];
        compared->randomisation_p = p[metric];
    }
    SR_TRY(paired_holm(p, sample->metrics, error));
    SR_TRY(paired_holm(wilcoxon, sample->metrics, error));
    for (size_t metric = 0; metric < sample->metrics; ++metric) {
        group->metrics[metric].randomisation_holm = p[metric];
        group->metrics[metric].wilcoxon_holm = wilcoxon[metric];
    }
    return SR_OK;
}

static sr_status compare_group(const comparison_request *request, const case_pair *const *pairs, size_t count,
                               compared_group *group, sr_error *error)
{
    double *sums = NULL, *counts = NULL;
    paired_sample sample = {.metrics = KINDS * request->top_k_count};
    sr_status status = SR_ALLOCATE(&sums, count * sample.metrics, "differences of cases", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&counts, count, "differences of cases", error);
    if (status == SR_OK) {
        sum_up(request, pairs, count, &sample, sums, counts, group);
        sample.sums = sums;
        sample.counts = counts;
        status = test_metrics(request, &sample, group, error);
    }
    free(sums);
    free(counts);
    return status;
}

/* ---- all groups ---- */

static sr_status compare_groups(comparison *result, const comparison_request *request, const case_pairs *pairs,
                                const case_pair **chosen, sr_error *error)
{
    grouping groups = {.by = request->by};
    for (size_t i = 0; i < pairs->count; ++i)
        chosen[i] = &pairs->pairs[i];
    snprintf(result->group[0].name, sizeof result->group[0].name, "all");
    SR_TRY(compare_group(request, chosen, pairs->count, &result->group[result->groups++], error));
    if (request->by == COMPARE_ALL)
        return SR_OK;
    SR_TRY(find_bounds(&groups, request, pairs, error));
    for (size_t group = 0; group < groups.count; ++group) {
        compared_group *compared = &result->group[result->groups];
        size_t count = 0;
        for (size_t i = 0; i < pairs->count; ++i)
            if (is_in_group(&groups, group, &pairs->pairs[i]))
                chosen[count++] = &pairs->pairs[i];
        if (count == 0)
            continue;
        name_group(&groups, chosen, count, group, compared->name, sizeof compared->name);
        ++result->groups;
        SR_TRY(compare_group(request, chosen, count, compared, error));
    }
    return SR_OK;
}

static sr_status compare_pairs(comparison *result, const comparison_request *request, const case_pairs *pairs, sr_error *error)
{
    const size_t deepest = request->top_k[request->top_k_count - 1];
    const case_pair **chosen;
    if (pairs->longest_list && deepest > pairs->longest_list)
        return sr_fail(error, SR_ERROR_USAGE, "--top-k %zu: no list has more than %zu items", deepest, pairs->longest_list);
    SR_TRY(check_known(request, pairs, error));
    result->metrics = KINDS * request->top_k_count;
    result->only_left = pairs->only_left;
    result->only_right = pairs->only_right;
    result->without_list = pairs->without_list;
    SR_TRY(SR_ALLOCATE(&chosen, pairs->count, "groups of cases", error));
    const sr_status status = compare_groups(result, request, pairs, chosen, error);
    free(chosen);
    return status;
}

sr_status compare_cases(comparison *result, const comparison_request *request, sr_error *error)
{
    case_pairs pairs;
    memset(result, 0, sizeof *result);
    sr_status status = case_pairs_read(&pairs, request->left, request->right, error);
    if (status == SR_OK)
        status = compare_pairs(result, request, &pairs, error);
    case_pairs_free(&pairs);
    return status;
}
