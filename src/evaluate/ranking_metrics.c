/* From a histogram of ranks to metrics and their standard errors. */
#include "evaluate/ranking_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *sr_split_name(sr_split split)
{
    return split == SR_SPLIT_VALID ? "valid" : "test";
}

sr_status sr_fail_without_cases(const sr_dataset *dataset, sr_split split, sr_error *error)
{
    return sr_fail(error, SR_ERROR_DATA,
                   "%s holds nothing out for the %s split (split: %s), so that there are no metrics: choose the other --split, "
                   "or prepare the data with another one (srprep convert --split)",
                   sr_dataset_directory(dataset), sr_split_name(split), sr_dataset_split(dataset));
}

/* What a case whose target has this rank contributes. */
static double hit(size_t rank)
{
    (void)rank;
    return 1;
}

static double discounted_gain(size_t rank)
{
    return 1 / log2((double)rank + 1);
}

static double reciprocal_rank(size_t rank)
{
    return 1 / (double)rank;
}

/* Mean of gain(rank) [rank <= cut_off] over all cases, and its standard error; not a number where there are none to have a mean
 * of, or only one, which tells nothing about its error. */
static void mean_and_error(const int64_t *histogram, int64_t cases, size_t cut_off, double (*gain)(size_t rank), double *mean,
                           double *error)
{
    double sum = 0, squares = 0;
    for (size_t rank = 1; rank <= cut_off; ++rank) {
        const double value = gain(rank);
        sum += (double)histogram[rank] * value;
        squares += (double)histogram[rank] * value * value;
    }
    const double n = (double)cases;
    *mean = cases > 0 ? sum / n : (double)NAN;
    const double variance = cases > 1 ? (squares - n * *mean * *mean) / (n - 1) : (double)NAN;
    *error = variance < 0 ? 0 : sqrt(variance / n);
}

void ranking_metrics_compute(const int64_t *histogram, const sr_evaluation_settings *settings, sr_ranking_metrics *metrics)
{
    const size_t deepest = (size_t)settings->top_k[settings->top_k_count - 1];
    *metrics = (sr_ranking_metrics){.top_k_count = settings->top_k_count};
    for (size_t rank = 0; rank <= deepest; ++rank)
        metrics->cases += histogram[rank];
    for (size_t k = 0; k < settings->top_k_count; ++k) {
        const size_t cut_off = (size_t)settings->top_k[k];
        metrics->top_k[k] = settings->top_k[k];
        mean_and_error(histogram, metrics->cases, cut_off, hit, &metrics->hr[k], &metrics->hr_error[k]);
        mean_and_error(histogram, metrics->cases, cut_off, discounted_gain, &metrics->ndcg[k], &metrics->ndcg_error[k]);
        mean_and_error(histogram, metrics->cases, cut_off, reciprocal_rank, &metrics->mrr[k], &metrics->mrr_error[k]);
    }
}

void ranking_metrics_compute_sampled(const int64_t *histogram, const sr_evaluation_settings *settings,
                                     const sr_candidates *candidates, sr_sampled_metrics *sampled)
{
    sr_ranking_metrics all;
    const size_t size = sizeof all.hr;
    ranking_metrics_compute(histogram, settings, &all);
    sampled->candidates = *candidates;
    memcpy(sampled->hr, all.hr, size);
    memcpy(sampled->ndcg, all.ndcg, size);
    memcpy(sampled->mrr, all.mrr, size);
    memcpy(sampled->hr_error, all.hr_error, size);
    memcpy(sampled->ndcg_error, all.ndcg_error, size);
    memcpy(sampled->mrr_error, all.mrr_error, size);
}

void sr_sampled_name(const sr_candidates *candidates, char name[SR_SAMPLED_NAME_SIZE])
{
    snprintf(name, SR_SAMPLED_NAME_SIZE, "%s%zu", candidates->kind == SR_CANDIDATES_UNIFORM ? "uniform" : "popularity",
             candidates->count);
}

size_t sr_ranking_rows(const sr_ranking_metrics *metrics, sr_ranking_row rows[SR_RANKING_ROWS])
{
    const sr_sampled_metrics *sampled = &metrics->sampled;
    const sr_list_metrics *lists = &metrics->lists;
    char prefix[SR_SAMPLED_NAME_SIZE];
    size_t count = 0;
    rows[count++] = (sr_ranking_row){"hr", metrics->hr, metrics->hr_error};
    rows[count++] = (sr_ranking_row){"ndcg", metrics->ndcg, metrics->ndcg_error};
    rows[count++] = (sr_ranking_row){"mrr", metrics->mrr, metrics->mrr_error};
    if (sampled->candidates.kind != SR_CANDIDATES_NONE) {
        sr_sampled_name(&sampled->candidates, prefix);
        rows[count] = (sr_ranking_row){"", sampled->hr, sampled->hr_error};
        snprintf(rows[count++].name, sizeof rows->name, "%s_hr", prefix);
        rows[count] = (sr_ranking_row){"", sampled->ndcg, sampled->ndcg_error};
        snprintf(rows[count++].name, sizeof rows->name, "%s_ndcg", prefix);
        rows[count] = (sr_ranking_row){"", sampled->mrr, sampled->mrr_error};
        snprintf(rows[count++].name, sizeof rows->name, "%s_mrr", prefix);
    }
    if (lists->measured) {
        rows[count++] = (sr_ranking_row){"coverage", lists->coverage, NULL};
        rows[count++] = (sr_ranking_row){"novelty", lists->novelty, NULL};
        rows[count++] = (sr_ranking_row){"popular_share", lists->popular_share, NULL};
        rows[count++] = (sr_ranking_row){"gini", lists->gini, NULL};
    }
    return count;
}

double sr_ranking_metric(const sr_ranking_metrics *metrics, const char *name)
{
    const struct {
        const char *kind;
        const double *values;
    } kinds[] = {{"hr", metrics->hr}, {"ndcg", metrics->ndcg}, {"mrr", metrics->mrr}};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; ++kind)
        for (size_t k = 0; k < metrics->top_k_count; ++k) {
            char known[32];
            snprintf(known, sizeof known, "%s@%lld", kinds[kind].kind, (long long)metrics->top_k[k]);
            if (strcmp(known, name) == 0)
                return kinds[kind].values[k];
        }
    return -1;
}
