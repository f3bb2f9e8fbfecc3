/* Ranking the targets of all test cases over the full catalogue. */
#include "srtrain/evaluate.h"

#include "evaluate/ranking_metrics.h"
#include "evaluate/scorer.h"
#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/memory.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

/* A held-out interaction: everything before it is the history. */
typedef struct {
    scored_history history;
    int32_t target;
} test_case;

typedef struct {
    const sr_evaluation *evaluation;
    scorer scorer;
    test_case *cases;          /* [batch_size] of the current batch */
    scored_history *histories; /* [batch_size] */
    size_t case_count;
    int64_t *histogram; /* [deepest + 1], see ranking_metrics.h */
    size_t deepest;
} ranker;

/* The largest number below a score. Those between the smallest numbers of full precision count as 0 (srtrain/denormals.h). */
static sr_real next_below(sr_real score)
{
    return fabsf(score) < FLT_MIN ? -FLT_MIN : nextafterf(score, -INFINITY);
}

enum { NOT_A_NUMBER = 0 };
#define NEVER SIZE_MAX

/* The rank of the target, from 1: items with a higher score come before it, and so do equal ones with a smaller id. Items with
 * a score of -infinity are never recommended: NEVER, however deep one looks. NOT_A_NUMBER for such a score. */
static size_t rank_of(const scorer *s, const sr_real *scores, int32_t target)
{
    const sr_real score = scores[scorer_column(s, target)];
    size_t rank = 1;
    if (isnan(score))
        return NOT_A_NUMBER;
    if (score == (sr_real)-INFINITY)
        return NEVER;
    for (size_t i = 0; i < s->tile_count; ++i) {
        const sr_score_tile *tile = &s->tiles[i];
        size_t smaller; /* ids than the target's */
        const size_t itself = sr_row_place(&tile->items, target, &smaller) ? 1 : 0;
        /* "At least as high" is "above the next number below". */
        rank += s->kernels->count_above(scores + tile->begin, next_below(score), smaller);
        rank += s->kernels->count_above(scores + tile->begin + smaller + itself, score, tile->items.count - smaller - itself);
    }
    return rank;
}

static sr_status rank_batch(ranker *r, sr_error *error)
{
    scorer *s = &r->scorer;
    if (r->evaluation->stop && r->evaluation->stop(r->evaluation->context))
        return sr_fail(error, SR_STOPPED, "the evaluation was stopped on request");
    SR_TRY(scorer_encode(s, r->histories, r->case_count, error));
    for (size_t first = 0; first < r->case_count; first += s->rows) {
        const size_t count = r->case_count - first < s->rows ? r->case_count - first : s->rows;
        scorer_score(s, first, count);
        for (size_t row = 0; row < count; ++row) {
            const test_case *one = &r->cases[first + row];
            sr_real *scores = s->scores + row * s->columns;
            scorer_apply_history(s, scores, r->evaluation->settings->history, one->history.items, one->history.length);
            const size_t rank = rank_of(s, scores, one->target);
            if (rank == NOT_A_NUMBER)
                return sr_fail(error, SR_ERROR_RUNTIME, "the score of item %d for user %zu is not a number", one->target,
                               one->history.user);
            ++r->histogram[rank <= r->deepest ? rank : 0];
        }
    }
    r->case_count = 0;
    return SR_OK;
}

/* Ranks the cases of one user, in batches over several. */
static sr_status add_user(ranker *r, size_t user, sr_error *error)
{
    const sr_sequence sequence = sr_dataset_sequence(r->evaluation->dataset, user);
    const size_t begin = r->evaluation->split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
    const size_t end = r->evaluation->split == SR_SPLIT_VALID ? sequence.valid_end : sequence.length;
    for (size_t at = begin; at < end; ++at) {
        const test_case one = {scored_history_of(r->evaluation->dataset, user, at), sequence.items[at]};
        r->cases[r->case_count] = one;
        r->histories[r->case_count] = one.history;
        if (++r->case_count == (size_t)r->evaluation->settings->batch_size)
            SR_TRY(rank_batch(r, error));
    }
    return SR_OK;
}

/* Users are dealt to ranks in blocks of one batch, round robin. */
static sr_status rank_users(ranker *r, size_t rank, size_t ranks, sr_error *error)
{
    const size_t users = sr_dataset_users(r->evaluation->dataset), block = (size_t)r->evaluation->settings->batch_size;
    for (size_t first = rank * block; first < users; first += ranks * block)
        for (size_t user = first; user < users && user < first + block; ++user)
            SR_TRY(add_user(r, user, error));
    return r->case_count ? rank_batch(r, error) : SR_OK;
}

static sr_status allocate(ranker *r, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(&r->cases, (size_t)r->evaluation->settings->batch_size, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->histories, (size_t)r->evaluation->settings->batch_size, "test cases", error));
    return SR_ALLOCATE_ZERO(&r->histogram, r->deepest + 1, "ranks", error);
}

/* By what test cases are ranked: `model`, or `popularity`. */
typedef struct {
    sr_model *model;
    const int64_t *popularity;
} score_source;

/* The part of a rank, or of one of its threads. `status` says whether it is ready; if not, it takes part in failing. */
static sr_status evaluate_part(sr_parallel *parallel, sr_status status, const score_source *source,
                               const sr_evaluation *evaluation, sr_ranking_metrics *metrics, sr_error *error)
{
    const sr_evaluation_settings *settings = evaluation->settings;
    ranker r = {.evaluation = evaluation, .deepest = (size_t)settings->top_k[settings->top_k_count - 1]};
    if (status == SR_OK)
        status = scorer_create(&r.scorer, source->model, source->popularity, evaluation->dataset, evaluation->kernels, error);
    const bool has_scorer = status == SR_OK;
    if (status == SR_OK)
        status = allocate(&r, error);
    if (status == SR_OK)
        status = rank_users(&r, (size_t)sr_parallel_rank(parallel), (size_t)sr_parallel_size(parallel), error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_sum_int64(parallel, r.histogram, r.deepest + 1, error);
    if (status == SR_OK)
        ranking_metrics_compute(r.histogram, settings, metrics);
    free(r.cases);
    free(r.histories);
    free(r.histogram);
    if (has_scorer)
        scorer_free(&r.scorer);
    return status;
}

/* All threads of this rank, each with a share of the model. */
static sr_status evaluate(sr_parallel *parallel, const score_source *source, const sr_evaluation *evaluation,
                          sr_ranking_metrics *metrics, sr_error *error)
{
    const double start = sr_seconds();
    sr_status first_status = SR_OK;
#pragma omp parallel num_threads((int)sr_parallel_threads(parallel)) default(shared)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_error own_error = {.status = SR_OK};
        sr_ranking_metrics own_metrics;
        score_source own = *source;
        sr_status status = SR_OK;
        sr_flush_denormals();
        if (thread > 0 && source->model)
            status = sr_model_share(&own.model, source->model, false, &own_error);
        status = evaluate_part(sr_parallel_member(parallel, thread), status, &own, evaluation, &own_metrics, &own_error);
        if (thread > 0 && source->model)
            sr_model_free(own.model);
        if (thread == 0) {
            first_status = status;
            if (status == SR_OK)
                *metrics = own_metrics;
            else if (error)
                *error = own_error;
        }
    }
    if (first_status == SR_OK)
        metrics->seconds = sr_seconds() - start;
    return first_status;
}

sr_status sr_evaluate_model(sr_parallel *parallel, sr_model *model, const sr_evaluation *evaluation,
                            sr_ranking_metrics *metrics, sr_error *error)
{
    return evaluate(parallel, &(score_source){.model = model}, evaluation, metrics, error);
}

sr_status sr_evaluate_popularity(sr_parallel *parallel, const sr_evaluation *evaluation, sr_ranking_metrics *metrics,
                                 sr_error *error)
{
    const score_source source = {.popularity = sr_dataset_popularity(evaluation->dataset)};
    return evaluate(parallel, &source, evaluation, metrics, error);
}
