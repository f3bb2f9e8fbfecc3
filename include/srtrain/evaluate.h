/* Ranking over the full catalogue: metrics, the popularity baseline and recommendations, shared by all ranks.
 *
 * Protocol. Every held-out interaction of the split is one test case: the history is everything before it, the target is the
 * interaction itself (leave-one-out has one a user). All items are ranked by score, ties by smaller item id first, and the
 * target's rank (from 1) decides: hr@K   = [rank <= K],   ndcg@K = [rank <= K] / log2(rank + 1),   mrr@K = [rank <= K] / rank,
 * averaged over test cases. `history` says what happens to items the user already has: keep (they compete; the padding item
 * does not), exclude (score -infinity; padding neither), zero (score 0 and the padding item competes, as the released BSARec
 * evaluation does). An item with a score of -infinity is never recommended: such a target is a miss, also where K reaches
 * behind all items that have a score.
 *
 * Ranks of test cases are counted in an integer histogram that is summed over processes, so that the metrics do not depend on
 * how many there are. Everything here is collective unless it says "local". */
#ifndef SRTRAIN_EVALUATE_H
#define SRTRAIN_EVALUATE_H

#include "srtrain/evaluation_settings.h"
#include "srtrain/dataset.h"
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"

typedef enum { SR_SPLIT_VALID, SR_SPLIT_TEST } sr_split;

/* "valid" or "test". Local. */
const char *sr_split_name(sr_split split);

/* SR_ERROR_DATA, which says that `dataset` holds nothing out for `split`, for programs that have been asked for nothing else.
 * Local. */
sr_status sr_fail_without_cases(const sr_dataset *dataset, sr_split split, sr_error *error);

/* Metrics of sampled candidates (evaluation.candidates): the target's rank is that among these and itself. */
typedef struct {
    sr_candidates candidates; /* of kind none: there are no such metrics */
    double hr[SR_TOP_K_MAXIMUM], ndcg[SR_TOP_K_MAXIMUM], mrr[SR_TOP_K_MAXIMUM];
    double hr_error[SR_TOP_K_MAXIMUM], ndcg_error[SR_TOP_K_MAXIMUM], mrr_error[SR_TOP_K_MAXIMUM];
} sr_sampled_metrics;

/* What stands before the names of these metrics: "uniform100". Local. */
enum { SR_SAMPLED_NAME_SIZE = 32 };
void sr_sampled_name(const sr_candidates *candidates, char name[SR_SAMPLED_NAME_SIZE]);

/* Of the lists of the K best items of all cases (evaluation.list_metrics). */
typedef struct {
    bool measured;
    double coverage[SR_TOP_K_MAXIMUM];      /* share of all items that stand in some list */
    double novelty[SR_TOP_K_MAXIMUM];       /* mean of -log2((n + 1) / (interactions + items)), n: the item's popularity */
    double popular_share[SR_TOP_K_MAXIMUM]; /* share of entries that are among the most popular fifth of all items */
    double gini[SR_TOP_K_MAXIMUM];          /* of how often each item stands in a list, over all items */
} sr_list_metrics;

typedef struct {
    int64_t cases; /* test cases ranked */
    size_t top_k_count;
    int64_t top_k[SR_TOP_K_MAXIMUM];
    double hr[SR_TOP_K_MAXIMUM], ndcg[SR_TOP_K_MAXIMUM], mrr[SR_TOP_K_MAXIMUM]; /* not a number without cases */
    double hr_error[SR_TOP_K_MAXIMUM], ndcg_error[SR_TOP_K_MAXIMUM],
        mrr_error[SR_TOP_K_MAXIMUM]; /* standard errors of the means; not a number for fewer than two cases */
    sr_sampled_metrics sampled;
    sr_list_metrics lists;
    double seconds;
} sr_ranking_metrics;

/* The metrics as rows of a table, in order: "hr", "ndcg" and "mrr", those of candidates ("uniform100_hr"), those of lists. */
enum { SR_RANKING_ROWS = 10 };
typedef struct {
    char name[SR_SAMPLED_NAME_SIZE + 8];
    const double *values, *errors; /* [top_k_count]; errors NULL: there are none */
} sr_ranking_row;

/* Returns how many rows there are. Their pointers are into `metrics`. Local. */
size_t sr_ranking_rows(const sr_ranking_metrics *metrics, sr_ranking_row rows[SR_RANKING_ROWS]);

/* The metric with the name of training.early_stopping.metric ("hr@10", ...); negative if there is none of that name. Local. */
double sr_ranking_metric(const sr_ranking_metrics *metrics, const char *name);

typedef bool (*sr_stop_function)(void *context);

/* What is written of every test case: user, target, its rank and score, and the best items. */
typedef struct {
    const char *path; /* FILE.tsv or FILE.h5 (docs/formats.md) */
    size_t top_k;     /* so many of the best items, or as many as there are; 0: none */
} sr_case_request;

/* SR_ERROR_USAGE where the path has another ending. Local. */
sr_status sr_case_request_check(const sr_case_request *request, sr_error *error);

/* Which test cases are ranked, and how. */
typedef struct {
    const sr_dataset *dataset;
    const sr_evaluation_settings *settings; /* batch_size: test cases encoded at a time */
    sr_split split;
    const sr_kernels *kernels;
    /* Ends the evaluation with SR_STOPPED on all ranks when it returns true on any of them; NULL: nothing does. Every thread of
     * every rank calls it between batches, with `context`. */
    sr_stop_function stop;
    void *context;
    /* All ranks write them together, into a file that all can open; its bytes do not depend on how many there are.
     * SR_ERROR_USAGE for what is no regular file, SR_ERROR_DATA where there is no case. NULL: nothing is written. */
    const sr_case_request *cases;
} sr_evaluation;

/* Ranks every test case with the model. */
sr_status sr_evaluate_model(sr_parallel *parallel, sr_model *model, const sr_evaluation *evaluation,
                            sr_ranking_metrics *metrics, sr_error *error);

/* The same with the popularity of items in the training part as their scores. */
sr_status sr_evaluate_popularity(sr_parallel *parallel, const sr_evaluation *evaluation, sr_ranking_metrics *metrics,
                                 sr_error *error);

/* The popularity of the last days before the training part ends. */
typedef struct {
    bool measured;        /* false: evaluation.recent_days is 0, or there are no time stamps */
    int64_t days;         /* evaluation.recent_days */
    int64_t after, last;  /* what counts: interactions of the training part at after < time <= last, its last time stamp */
    int64_t interactions; /* so many */
    sr_ranking_metrics metrics;
} sr_recent_popularity;

/* The same with scores that say how often each item occurs in the training part of all users in its last `recent_days` days,
 * items that do not occur there last. Whose sequences are read by which rank, and how many there are, changes nothing. Takes 8
 * bytes of memory for each item, once on each node. SR_ERROR_USAGE where the days are too long for the time stamps. */
sr_status sr_evaluate_recent_popularity(sr_parallel *parallel, const sr_evaluation *evaluation, sr_recent_popularity *recent,
                                        sr_error *error);

/* ---- recommendations ---- */

/* A user to recommend items to. */
typedef struct {
    const char *name; /* name_length bytes; NULL: there are no more users */
    size_t name_length;
    const int32_t *items; /* [length]: the history, oldest first */
    const int64_t *times; /* [length], or NULL in a source without times */
    size_t length;
    int32_t number;            /* 1..users as the model knows them; 0 in a source of new users */
    const int32_t *candidates; /* [candidate_count]: different items, in a source with candidates */
    size_t candidate_count;
} sr_recommended_user;

/* Where users come from. Every rank has the source, but only rank 0 asks it for users: elsewhere `context` may be NULL. */
typedef struct {
    const char *origin;  /* a file or directory, for messages */
    bool has_times;      /* of interactions */
    bool has_numbers;    /* users are those that the model was trained on */
    bool has_candidates; /* each user is recommended candidates alone */
    size_t longest_name; /* bytes; rank 0 */
    void *context;
    /* The next user, whose pointers are valid until the next call. Local. */
    sr_status (*next)(void *context, sr_recommended_user *user, sr_error *error);
} sr_user_source;

/* Users of a data set, with their whole sequences as histories: `users` (indices, in the order wanted; NULL: all of them, count
 * ignored). *state is the source's memory. */
typedef struct {
    const sr_dataset *dataset;
    const size_t *users;
    size_t count, at;
} sr_users_in_dataset;
sr_user_source sr_users_of_dataset(sr_users_in_dataset *state, const sr_dataset *dataset, const size_t *users, size_t count);

/* Called on rank 0 for each recommended item: users in the order of their source, of one user the best item first. */
typedef sr_status (*sr_recommendation_function)(void *context, const char *user, size_t user_length, size_t rank, int32_t item,
                                                double score, sr_error *error);

/* Whether a model can serve the users of `source`: SR_ERROR_USAGE when it needs times, or users that it was trained on, and the
 * source has none. Local. */
sr_status sr_recommend_check(const sr_model_settings *model, const sr_user_source *source, sr_error *error);

typedef struct {
    size_t top_k;
    sr_history history;      /* keep or exclude */
    int64_t time;            /* when it is, for models that know when the next event is (sr_model_needs) */
    const uint8_t *left_out; /* [items + 1]: not 0 for items that nobody is recommended; NULL: there are none */
    const sr_kernels *kernels;
} sr_recommendation_request;

/* The `top_k` best items for every user of `source`, which the model must be able to serve. What is held does not grow with the
 * number of users: they are read, dealt to ranks, and handed on in rounds, and scores are computed for a bounded block of users
 * at a time. Which users are computed together does not depend on the number of ranks. So results do not either, to the bit.
 * SR_ERROR_USAGE as above. */
sr_status sr_recommend(sr_parallel *parallel, sr_model *model, const sr_user_source *source,
                       const sr_recommendation_request *request, sr_recommendation_function emit, void *context,
                       sr_error *error);

/* Called on rank 0 for each user, in the order of the source, with the state after the history: what items are scored by. */
typedef sr_status (*sr_state_function)(void *context, const char *user, size_t user_length, const sr_real *state, size_t width,
                                       sr_error *error);

/* The states of all users of `source`, in rounds as above. Every process must have all items. SR_ERROR_USAGE as above. */
sr_status sr_encode_users(sr_parallel *parallel, sr_model *model, const sr_user_source *source, const sr_kernels *kernels,
                          sr_state_function emit, void *context, sr_error *error);

#endif
