/* How often each item is recommended, and what that says of lists of K items beyond their accuracy: coverage, novelty, the
 * share of popular items, and how unequally items are recommended. */
#ifndef SRTRAIN_EVALUATE_LIST_COUNTS_H
#define SRTRAIN_EVALUATE_LIST_COUNTS_H

#include "srtrain/evaluate.h"
#include "srtrain/parallel.h"

typedef struct {
    const sr_dataset *dataset;
    const sr_evaluation_settings *settings; /* top_k */
    int64_t *counts;                        /* [top_k_count, items + 1]: at ranks behind the cut-off before, up to this one */
} list_counts;

/* Shared by the threads of a process. Local. Release with list_counts_free(), also after a failure. */
sr_status list_counts_create(list_counts *counts, const sr_evaluation *evaluation, sr_error *error);
void list_counts_free(list_counts *counts);

/* Counts the best items of a case, the best first. Several threads may do so at once. Local. */
void list_counts_add(const list_counts *counts, const sr_scored_number *best, size_t length);

/* The metrics of all processes' lists. Collective. */
sr_status list_counts_metrics(list_counts *counts, sr_parallel *parallel, sr_list_metrics *metrics, sr_error *error);

/* Bytes that metrics of lists and of candidates take in a process of so many threads, where they are asked for. Local. */
size_t further_metrics_memory(const sr_evaluation_settings *settings, size_t items, size_t threads);

#endif
