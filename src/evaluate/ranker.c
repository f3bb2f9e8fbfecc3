/* Ranking the targets of all test cases over the full catalogue. */
#include "srtrain/evaluate.h"

#include "evaluate/ranking_metrics.h"
#include "evaluate/score_round.h"
#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/memory.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

/* Which test case is the next of this rank. Users are dealt to ranks in blocks of one batch, round robin. */
typedef struct {
    size_t ranks;
    size_t user, at; /* the held-out interaction of a user, SIZE_MAX: the first */
} case_cursor;

typedef struct {
    const sr_evaluation *evaluation;
    case_cursor next;
    scorer scorer;
    score_round round;
    /* Test cases of a batch, [batch_size]: held-out interactions, and everything before each. */
    int32_t *targets;
    scored_history *histories;
    sr_real *target_scores; /* [PORTION_STATES] */
    int64_t *before;        /* [PORTION_STATES]: items that come before the target */
    int64_t *histogram;     /* [deepest + 1], see ranking_metrics.h */
    size_t deepest;
} ranker;

/* ---- test cases ---- */

/* The user after this one that is dealt to the rank. */
static size_t user_after(const case_cursor *next, size_t user, size_t block)
{
    return (user + 1) % block ? user + 1 : user + 1 + (next->ranks - 1) * block;
}

/* The next batch; returns how many test cases it has, 0 when there are none left. */
static size_t take_batch(ranker *r)
{
    const sr_evaluation *e = r->evaluation;
    const size_t size = (size_t)e->settings->batch_size, users = sr_dataset_users(e->dataset);
    case_cursor *next = &r->next;
    size_t count = 0;
    while (count < size && next->user < users) {
        const sr_sequence sequence = sr_dataset_sequence(e->dataset, next->user);
        const size_t begin = e->split == SR_SPLIT_VALID ? sequence.train_end : sequence.valid_end;
        const size_t end = e->split == SR_SPLIT_VALID ? sequence.valid_end : sequence.length;
        size_t at = next->at == SIZE_MAX ? begin : next->at;
        for (; at < end && count < size; ++at, ++count) {
            r->histories[count] = scored_history_of(e->dataset, next->user, at);
            r->targets[count] = sequence.items[at];
        }
        next->at = at;
        if (at >= end) {
            next->user = user_after(next, next->user, size);
            next->at = SIZE_MAX;
        }
    }
    return count;
}

/* ---- ranks ---- */

/* The largest number below a score. Those between the smallest numbers of full precision count as 0 (srtrain/denormals.h). */
static sr_real next_below(sr_real score)
{
    return fabsf(score) < FLT_MIN ? -FLT_MIN : nextafterf(score, -INFINITY);
}

/* How many of some items come before the target: those with a higher score, and with an equal one and a smaller id. */
static size_t count_before(const sr_kernels *kernels, const sr_row_numbers *items, const sr_real *scores, int32_t target,
                           sr_real score)
{
    size_t smaller_ids;
    const size_t itself = sr_row_place(items, target, &smaller_ids) ? 1 : 0, larger_ids = smaller_ids + itself;
    /* "At least as high" is "above the next number below". */
    return kernels->count_above(scores, next_below(score), smaller_ids) +
           kernels->count_above(scores + larger_ids, score, items->count - larger_ids);
}

/* Whether the target has a rank: items with a score of -infinity are never recommended, however deep one looks. */
static bool has_rank(sr_real score)
{
    return !isnan(score) && score != (sr_real)-INFINITY;
}

static sr_status count_portion(ranker *r, sr_error *error)
{
    score_round *round = &r->round;
    const size_t count = round->portion.count;
    scored_items found;
    SR_TRY(score_round_targets(round, r->target_scores, error));
    for (size_t state = 0; state < count; ++state)
        r->before[state] = 0;
    while (score_round_items(round, &found))
        for (size_t state = 0; state < count; ++state)
            if (has_rank(r->target_scores[state]))
                r->before[state] += (int64_t)count_before(r->scorer.kernels, &found.items,
                                                          found.scores + state * found.items.count,
                                                          score_round_target(round, state), r->target_scores[state]);
    return score_round_sum(round, r->before, count, error);
}

static sr_status rank_portion(ranker *r, sr_error *error)
{
    const score_portion *portion = &r->round.portion;
    SR_TRY(count_portion(r, error));
    for (size_t i = 0; i < portion->own; ++i) {
        const size_t state = portion->first_own + i;
        const sr_real score = r->target_scores[state];
        if (isnan(score))
            return sr_fail(error, SR_ERROR_RUNTIME, "the score of item %d for user %zu is not a number",
                           score_round_target(&r->round, state), r->histories[portion->history + i].user);
        const size_t rank = has_rank(score) ? (size_t)r->before[state] + 1 : 0;
        ++r->histogram[rank <= r->deepest ? rank : 0];
    }
    return SR_OK;
}

/* A batch of each rank. */
static sr_status rank_round(ranker *r, sr_error *error)
{
    sr_status status = SR_OK;
    do {
        SR_TRY(score_round_next(&r->round, status, error));
        status = r->round.portion.count ? rank_portion(r, error) : SR_OK;
    } while (r->round.portion.count > 0);
    return status;
}

static bool is_stopped(const sr_evaluation *evaluation)
{
    return evaluation->stop && evaluation->stop(evaluation->context);
}

static sr_status rank_cases(ranker *r, sr_error *error)
{
    do {
        sr_status status = SR_OK;
        const size_t count = take_batch(r);
        if ((count > 0 || r->scorer.divided) && is_stopped(r->evaluation))
            status = sr_fail(error, SR_STOPPED, "the evaluation was stopped on request");
        SR_TRY(score_round_begin(&r->round, r->histories, r->targets, count, status, error));
        if (r->round.total > 0)
            SR_TRY(rank_round(r, error));
    } while (r->round.total > 0);
    return SR_OK;
}

/* ---- parts ---- */

static sr_status allocate(ranker *r, sr_parallel *parallel, sr_error *error)
{
    const sr_evaluation_settings *settings = r->evaluation->settings;
    const size_t batch = (size_t)settings->batch_size;
    SR_TRY(score_round_create(&r->round, parallel, &r->scorer, settings->history, batch, PORTION_STATES, error));
    SR_TRY(SR_ALLOCATE(&r->targets, batch, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->histories, batch, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->target_scores, PORTION_STATES, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->before, PORTION_STATES, "test cases", error));
    return SR_ALLOCATE_ZERO(&r->histogram, r->deepest + 1, "ranks", error);
}

/* The part of a rank, or of one of its threads. `status` says whether it is ready; if not, it takes part in failing. */
static sr_status evaluate_part(sr_parallel *parallel, sr_status status, const score_source *source,
                               const sr_evaluation *evaluation, sr_ranking_metrics *metrics, sr_error *error)
{
    const sr_evaluation_settings *settings = evaluation->settings;
    const size_t rank = (size_t)sr_parallel_rank(parallel);
    ranker r = {
        .evaluation = evaluation,
        .deepest = (size_t)settings->top_k[settings->top_k_count - 1],
        .next = {.ranks = (size_t)sr_parallel_size(parallel), .user = rank * (size_t)settings->batch_size, .at = SIZE_MAX}};
    if (status == SR_OK)
        status = scorer_create(&r.scorer, source, evaluation->dataset, parallel, evaluation->kernels, error);
    if (status == SR_OK)
        status = allocate(&r, parallel, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, rank_cases(&r, error), error);
    if (status == SR_OK)
        status = sr_parallel_sum_int64(parallel, r.histogram, r.deepest + 1, error);
    if (status == SR_OK)
        ranking_metrics_compute(r.histogram, settings, metrics);
    free(r.targets);
    free(r.histories);
    free(r.target_scores);
    free(r.before);
    free(r.histogram);
    score_round_free(&r.round);
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
