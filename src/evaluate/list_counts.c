#include "evaluate/list_counts.h"

#include "evaluate/best_items.h"
#include "evaluate/score_round.h"
#include "base/sizes.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>

sr_status list_counts_create(list_counts *counts, const sr_evaluation *evaluation, sr_error *error)
{
    *counts = (list_counts){.dataset = evaluation->dataset, .settings = evaluation->settings};
    return SR_ALLOCATE_ZERO(&counts->counts, counts->settings->top_k_count * (sr_dataset_items(counts->dataset) + 1),
                            "counts of recommended items", error);
}

void list_counts_free(list_counts *counts)
{
    free(counts->counts);
    counts->counts = NULL;
}

void list_counts_add(const list_counts *counts, const sr_scored_number *best, size_t length)
{
    const size_t columns = sr_dataset_items(counts->dataset) + 1;
    size_t cut_off = 0;
    for (size_t rank = 1; rank <= length && best_items_is(best[rank - 1]); ++rank) {
        while (cut_off < counts->settings->top_k_count && rank > (size_t)counts->settings->top_k[cut_off])
            ++cut_off;
        if (cut_off == counts->settings->top_k_count)
            return;
        int64_t *count = &counts->counts[cut_off * columns + (size_t)best[rank - 1].number];
#pragma omp atomic
        ++*count;
    }
}

/* ---- metrics ---- */

static int compare_counts(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Items by popularity, of equal ones the smaller number first. */
typedef struct {
    int64_t popularity;
    int32_t item;
} popular_item;

static int compare_popularity(const void *left, const void *right)
{
    const popular_item *a = left, *b = right;
    if (a->popularity != b->popularity)
        return a->popularity > b->popularity ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

/* *popular [items + 1]: whether an item is among the most popular fifth. */
static sr_status find_popular(const sr_dataset *dataset, bool **popular, sr_error *error)
{
    const size_t items = sr_dataset_items(dataset);
    const int64_t *popularity = sr_dataset_popularity(dataset);
    popular_item *sorted;
    *popular = NULL;
    SR_TRY(SR_ALLOCATE(&sorted, items, "items by popularity", error));
    const sr_status status = SR_ALLOCATE_ZERO(popular, items + 1, "items by popularity", error);
    if (status == SR_OK) {
        for (size_t item = 1; item <= items; ++item)
            sorted[item - 1] = (popular_item){popularity[item], (int32_t)item};
        qsort(sorted, items, sizeof *sorted, compare_popularity);
        for (size_t i = 0; i < (items + 4) / 5; ++i)
            (*popular)[sorted[i].item] = true;
    }
    free(sorted);
    return status;
}

/* Of counts [items], which are sorted here: 0 where all are equal, near 1 where one item has all. */
static double gini(int64_t *counts, size_t items, double total)
{
    double sum = 0;
    qsort(counts, items, sizeof *counts, compare_counts);
    for (size_t i = 0; i < items; ++i)
        sum += (2 * (double)(i + 1) - (double)items - 1) * (double)counts[i];
    return sum / ((double)items * total);
}

/* Of the lists up to a cut-off, whose counts [items + 1] are sorted at the end. */
static void measure(const list_counts *counts, int64_t *of_lists, const bool *popular, size_t cut_off, sr_list_metrics *metrics)
{
    const size_t items = sr_dataset_items(counts->dataset);
    const int64_t *popularity = sr_dataset_popularity(counts->dataset);
    double total = 0, covered = 0, of_popular = 0, surprise = 0, interactions = 0;
    for (size_t item = 1; item <= items; ++item)
        interactions += (double)popularity[item];
    for (size_t item = 1; item <= items; ++item) {
        const double count = (double)of_lists[item];
        const double share = ((double)popularity[item] + 1) / (interactions + (double)items);
        total += count;
        covered += count > 0;
        of_popular += popular[item] ? count : 0;
        surprise -= count * log2(share);
    }
    metrics->coverage[cut_off] = covered / (double)items;
    metrics->novelty[cut_off] = surprise / total;
    metrics->popular_share[cut_off] = of_popular / total;
    metrics->gini[cut_off] = gini(of_lists + 1, items, total);
}

static sr_status measure_all(const list_counts *counts, sr_list_metrics *metrics, sr_error *error)
{
    const size_t columns = sr_dataset_items(counts->dataset) + 1;
    int64_t *of_lists = NULL;
    bool *popular = NULL;
    sr_status status = SR_ALLOCATE(&of_lists, columns, "counts of recommended items", error);
    if (status == SR_OK)
        status = find_popular(counts->dataset, &popular, error);
    for (size_t cut_off = 0; cut_off < counts->settings->top_k_count && status == SR_OK; ++cut_off) {
        for (size_t item = 0; item < columns; ++item) {
            of_lists[item] = 0;
            for (size_t before = 0; before <= cut_off; ++before)
                of_lists[item] += counts->counts[before * columns + item];
        }
        measure(counts, of_lists, popular, cut_off, metrics);
    }
    metrics->measured = true;
    free(of_lists);
    free(popular);
    return status;
}

sr_status list_counts_metrics(list_counts *counts, sr_parallel *parallel, sr_list_metrics *metrics, sr_error *error)
{
    const size_t columns = sr_dataset_items(counts->dataset) + 1;
    for (size_t cut_off = 0; cut_off < counts->settings->top_k_count; ++cut_off)
        SR_TRY(sr_parallel_sum_int64(parallel, counts->counts + cut_off * columns, columns, error));
    return sr_parallel_agree(parallel, measure_all(counts, metrics, error), error);
}

size_t further_metrics_memory(const sr_evaluation_settings *settings, size_t items, size_t threads)
{
    const size_t cut_offs = settings->top_k_count, deepest = smaller((size_t)settings->top_k[cut_offs - 1], items);
    sr_candidates wanted;
    size_t bytes = 0;
    if (settings->list_metrics) /* counts, those of a cut-off, items by popularity and their marks; the best items of states */
        bytes += (items + 1) * ((cut_offs + 1) * sizeof(int64_t) + 17) +
                 threads * PORTION_STATES * deepest * sizeof(sr_scored_number);
    if (!sr_candidates_parse(settings->candidates, &wanted) || wanted.kind == SR_CANDIDATES_NONE)
        return bytes;
    if (wanted.kind == SR_CANDIDATES_POPULARITY)
        bytes += items * (sizeof(double) + sizeof(int32_t));
    return bytes + threads * 2 * (size_t)settings->batch_size * smaller(wanted.count, items) * sizeof(int32_t);
}
