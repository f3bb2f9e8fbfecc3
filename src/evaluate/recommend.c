/* The best items for users, block by block over all ranks. */
#include "srtrain/evaluate.h"

#include "evaluate/scorer.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_OF_A_RANK = 1024 }; /* users that each rank handles between two gathers: bounds the memory of rank 0 */

typedef struct {
    float score;
    int32_t item; /* 0: none, because fewer items than asked for have a score */
} recommendation;

/* Higher scores first, then smaller ids. */
static bool is_better(recommendation left, recommendation right)
{
    return left.score != right.score ? left.score > right.score : left.item < right.item;
}

static int compare_recommendations(const void *left, const void *right)
{
    return is_better(*(const recommendation *)left, *(const recommendation *)right) ? -1 : 1;
}

/* Restores a heap whose root (the worst of the kept ones) has been replaced. */
static void sift_down(recommendation *heap, size_t count)
{
    size_t at = 0;
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; ++child)
            if (is_better(heap[worst], heap[child]))
                worst = child;
        if (worst == at)
            return;
        const recommendation moved = heap[at];
        heap[at] = heap[worst];
        heap[worst] = moved;
        at = worst;
    }
}

/* The `top_k` best of the scores, best first; places that no item fills hold item 0. Fails (false) on a score that is not a
 * number. */
static bool select_best(const sr_real *scores, size_t columns, size_t top_k, recommendation *best)
{
    for (size_t k = 0; k < top_k; ++k)
        best[k] = (recommendation){-INFINITY, INT32_MAX};
    for (size_t item = 1; item < columns; ++item) {
        const recommendation candidate = {(float)scores[item], (int32_t)item};
        if (isnan(candidate.score))
            return false;
        if (candidate.score > -INFINITY && is_better(candidate, best[0])) {
            best[0] = candidate;
            sift_down(best, top_k);
        }
    }
    qsort(best, top_k, sizeof *best, compare_recommendations);
    for (size_t k = 0; k < top_k; ++k)
        if (best[k].item == INT32_MAX)
            best[k].item = 0;
    return true;
}

typedef struct {
    const sr_dataset *dataset;
    const size_t *users; /* NULL: all */
    size_t count, top_k;
    sr_history history;
    scorer scorer;
    recommendation *best;      /* [USERS_OF_A_RANK, top_k] of this rank */
    scored_history *histories; /* [USERS_OF_A_RANK] */
} recommender;

static size_t user_at(const recommender *r, size_t index)
{
    return r->users ? r->users[index] : index;
}

/* This rank's users of the current block: indices first .. first + count. */
static sr_status recommend_block(recommender *r, size_t first, size_t count, sr_error *error)
{
    scorer *s = &r->scorer;
    for (size_t i = 0; i < count; ++i) {
        const size_t user = user_at(r, first + i);
        r->histories[i] = scored_history_of(r->dataset, user, sr_dataset_sequence(r->dataset, user).length);
    }
    SR_TRY(scorer_encode(s, r->histories, count, error));
    for (size_t done = 0; done < count; done += s->rows) {
        const size_t rows = count - done < s->rows ? count - done : s->rows;
        scorer_score(s, done, rows);
        for (size_t row = 0; row < rows; ++row) {
            sr_real *scores = s->scores + row * s->columns;
            const scored_history *history = &r->histories[done + row];
            scorer_apply_history(scores, r->history, history->items, history->length);
            if (!select_best(scores, s->columns, r->top_k, r->best + (done + row) * r->top_k))
                return sr_fail(error, SR_ERROR_RUNTIME, "a score for user %zu is not a number", user_at(r, first + done + row));
        }
    }
    return SR_OK;
}

/* On rank 0: hands the gathered recommendations of indices first .. first + count on. */
static sr_status emit_block(const recommender *r, const recommendation *gathered, size_t first, size_t count,
                            sr_recommendation_function emit, void *context, sr_error *error)
{
    for (size_t i = 0; i < count; ++i)
        for (size_t k = 0; k < r->top_k && gathered[i * r->top_k + k].item; ++k)
            SR_TRY(emit(context, user_at(r, first + i), k + 1, gathered[i * r->top_k + k].item,
                        (double)gathered[i * r->top_k + k].score, error));
    return SR_OK;
}

static sr_status recommend_all(recommender *r, sr_parallel *parallel, sr_recommendation_function emit, void *context,
                               sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    const size_t block = USERS_OF_A_RANK * ranks;
    for (size_t first = 0; first < r->count; first += block) {
        const size_t in_block = r->count - first < block ? r->count - first : block;
        const size_t begin = in_block * rank / ranks, end = in_block * (rank + 1) / ranks;
        SR_TRY(sr_parallel_agree(parallel, recommend_block(r, first + begin, end - begin, error), error));
        void *gathered;
        size_t *offsets;
        SR_TRY(sr_parallel_gather(parallel, r->best, (end - begin) * r->top_k * sizeof *r->best, &gathered, &offsets, error));
        const sr_status status = rank == 0 ? emit_block(r, gathered, first, in_block, emit, context, error) : SR_OK;
        free(gathered);
        free(offsets);
        SR_TRY(sr_parallel_agree(parallel, status, error));
    }
    return SR_OK;
}

sr_status sr_recommend(sr_parallel *parallel, sr_model *model, const sr_dataset *dataset, const size_t *users, size_t count,
                       size_t top_k, sr_history history, const sr_kernels *kernels, sr_recommendation_function emit,
                       void *context, sr_error *error)
{
    const size_t items = sr_dataset_items(dataset);
    recommender r = {.dataset = dataset,
                     .users = users,
                     .count = users ? count : sr_dataset_users(dataset),
                     .top_k = top_k < items ? top_k : items,
                     .history = history};
    sr_status status = scorer_create(&r.scorer, model, NULL, dataset, kernels, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&r.best, USERS_OF_A_RANK * r.top_k, "recommendations", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&r.histories, USERS_OF_A_RANK, "histories", error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = recommend_all(&r, parallel, emit, context, error);
    free(r.best);
    free(r.histories);
    scorer_free(&r.scorer);
    return status;
}
