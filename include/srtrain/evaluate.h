/* Ranking over the full catalogue: metrics, the popularity baseline and recommendations, shared by all ranks.
 *
 * Protocol. Every held-out interaction of the split is one test case: the history is everything before it, the target is the
 * interaction itself (leave-one-out has one a user). All items are ranked by score, ties by smaller item id first, and the
 * target's rank (from 1) decides: hr@K   = [rank <= K],   ndcg@K = [rank <= K] / log2(rank + 1),   mrr@K = [rank <= K] / rank,
 * averaged over test cases. `history` says what happens to items the user already has: keep (they compete; the padding item
 * does not), exclude (score -infinity; padding neither), zero (score 0 and the padding item competes, as the released BSARec
 * evaluation does).
 *
 * Ranks of test cases are counted in an integer histogram that is summed over processes, so that the metrics do not depend on
 * how many there are. Everything here is collective unless it says "local". */
#ifndef SRTRAIN_EVALUATE_H
#define SRTRAIN_EVALUATE_H

#include "srtrain/config.h"
#include "srtrain/dataset.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"

typedef enum { SR_SPLIT_VALID, SR_SPLIT_TEST } sr_split;

/* "valid" or "test". Local. */
const char *sr_split_name(sr_split split);

typedef struct {
    int64_t cases; /* test cases ranked */
    size_t top_k_count;
    int64_t top_k[SR_TOP_K_MAXIMUM];
    double hr[SR_TOP_K_MAXIMUM], ndcg[SR_TOP_K_MAXIMUM], mrr[SR_TOP_K_MAXIMUM];
    double hr_error[SR_TOP_K_MAXIMUM], ndcg_error[SR_TOP_K_MAXIMUM],
        mrr_error[SR_TOP_K_MAXIMUM]; /* standard errors of the means */
    double seconds;
} sr_ranking_metrics;

/* The metric with the name of training.early_stopping.metric ("hr@10", ...); negative if there is none of that name. Local. */
double sr_ranking_metric(const sr_ranking_metrics *metrics, const char *name);

/* Ranks every test case of `split` with the model. `settings` says top_k, history and batch_size (test cases encoded at a
 * time). */
sr_status sr_evaluate_model(sr_parallel *parallel, sr_model *model, const sr_dataset *dataset,
                            const sr_evaluation_settings *settings, sr_split split, const sr_kernels *kernels,
                            sr_ranking_metrics *metrics, sr_error *error);

/* The same with the popularity of items in the training part as their scores. */
sr_status sr_evaluate_popularity(sr_parallel *parallel, const sr_dataset *dataset, const sr_evaluation_settings *settings,
                                 sr_split split, const sr_kernels *kernels, sr_ranking_metrics *metrics, sr_error *error);

/* Called on rank 0 for each recommended item: of one user best first, users in ascending order. */
typedef sr_status (*sr_recommendation_function)(void *context, size_t user, size_t rank, int32_t item, double score,
                                                sr_error *error);

/* The `top_k` best items for `users` (indices in the data set, ascending; NULL: all of them, count ignored), whose history is
 * their whole sequence. History `keep` or `exclude`. Never holds users x catalogue: scores are computed for a bounded block of
 * users at a time. */
sr_status sr_recommend(sr_parallel *parallel, sr_model *model, const sr_dataset *dataset, const size_t *users, size_t count,
                       size_t top_k, sr_history history, const sr_kernels *kernels, sr_recommendation_function emit,
                       void *context, sr_error *error);

#endif
