/* Ranking the targets of all test cases over the full catalogue. */
#include "srtrain/evaluate.h"

#include "evaluate/best_items.h"
#include "evaluate/case_candidates.h"
#include "evaluate/case_cursor.h"
#include "evaluate/case_file.h"
#include "evaluate/list_counts.h"
#include "evaluate/ranking_metrics.h"
#include "evaluate/score_round.h"
#include "base/sizes.h"
#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/memory.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    const sr_evaluation *evaluation;
    case_cursor next;
    scorer scorer;
    score_round round;
    /* Test cases of a batch, [batch_size]: held-out interactions, and everything before each. */
    test_case *cases;
    uint64_t first_case; /* the number of the first one */
    int32_t *targets;
    scored_history *histories;
    sr_real *target_scores; /* [PORTION_STATES] */
    int64_t *before;        /* [PORTION_STATES]: items that come before the target */
    int64_t *histogram;     /* [deepest + 1], see ranking_metrics.h */
    size_t deepest;
    /* The best items of each state, where they are asked for. */
    size_t top_k;           /* 0: they are not */
    sr_scored_number *best; /* [PORTION_STATES, top_k] */
    case_spools *spools;    /* NULL: cases are not written */
    size_t thread;
    case_record *record;
    const list_counts *lists; /* NULL: lists are not measured */
    /* Where metrics of candidates are asked for; else NULL, as `candidates` are. */
    const candidate_source *candidates;
    int32_t *drawn;             /* [batch_size, count] */
    int64_t *sampled_before;    /* [PORTION_STATES]: candidates that come before the target */
    int64_t *sampled_histogram; /* [deepest + 1] */
} ranker;

/* ---- test cases ---- */

/* The next batch, of *count test cases, 0 when there are none left. */
static sr_status take_batch(ranker *r, size_t *count, sr_error *error)
{
    const sr_dataset *dataset = r->evaluation->dataset;
    *count = case_cursor_take(&r->next, r->cases, &r->first_case);
    for (size_t i = 0; i < *count; ++i) {
        const test_case *one = &r->cases[i];
        r->histories[i] = scored_history_of(dataset, one->user, one->at);
        r->targets[i] = sr_dataset_sequence(dataset, one->user).items[one->at];
        if (!r->candidates)
            continue;
        int32_t *drawn = r->drawn + i * r->candidates->most;
        r->histories[i].candidates = drawn;
        SR_TRY(candidates_draw(r->candidates, r->first_case + i, one->user, one->at, drawn, &r->histories[i].candidate_count,
                               error));
    }
    return SR_OK;
}

/* ---- ranks ---- */

/* The largest number below a score. Those between the smallest numbers of full precision count as 0 (srtrain/denormals.h). */
static sr_real next_below(sr_real score)
{
    return fabsf(score) < FLT_MIN ? -FLT_MIN : nextafterf(score, -INFINITY);
}

/* What counts as before a target where a score is not a number: far below 0 also when others have been added. */
#define NOT_A_NUMBER (-((int64_t)1 << 40))

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

/* What the scores of some items tell of a state. */
static void look_at(ranker *r, size_t state, const scored_items *found)
{
    const sr_real *scores = found->scores + state * found->items.count, target_score = r->target_scores[state];
    if (has_rank(target_score))
        r->before[state] += (int64_t)count_before(r->scorer.kernels, &found->items, scores,
                                                  score_round_target(&r->round, state), target_score);
    if (r->top_k && !best_items_take(&found->items, scores, r->top_k, r->best + state * r->top_k))
        r->before[state] = NOT_A_NUMBER;
}

static sr_status count_portion(ranker *r, sr_error *error)
{
    score_round *round = &r->round;
    const size_t count = round->portion.count;
    scored_items found;
    SR_TRY(score_round_targets(round, r->target_scores, error));
    for (size_t state = 0; state < count; ++state)
        r->before[state] = 0;
    best_items_clear(r->best, count * r->top_k);
    while (score_round_items(round, &found))
        for (size_t state = 0; state < count; ++state)
            look_at(r, state, &found);
    for (size_t state = 0; state < count && r->top_k; ++state)
        best_items_sort(r->best + state * r->top_k, r->top_k);
    SR_TRY(score_round_sum(round, r->before, count, error));
    return round->ranks && r->top_k ? sr_parallel_best(round->ranks, r->best, count, r->top_k, error) : SR_OK;
}

/* The target's rank among the candidates of each state: both come before it by a higher score, or an equal one and a smaller
 * id. */
static sr_status count_candidates(ranker *r, sr_error *error)
{
    score_round *round = &r->round;
    const size_t count = round->portion.count;
    sr_status status = SR_OK;
    for (size_t state = 0; state < count; ++state) {
        const sr_real target_score = r->target_scores[state];
        scored_items found;
        r->sampled_before[state] = 0;
        if (status == SR_OK)
            status = score_round_candidates(round, state, &found, error);
        for (size_t i = 0; status == SR_OK && i < found.items.count; ++i)
            r->sampled_before[state] += found.scores[i] > target_score ||
                                        (found.scores[i] >= target_score &&
                                         found.items.list[i] < score_round_target(round, state));
    }
    SR_TRY(round->ranks ? sr_parallel_agree(round->ranks, status, error) : status);
    return score_round_sum(round, r->sampled_before, count, error);
}

/* A case goes to the spool. */
static void write_down(const ranker *r, size_t history, size_t state, size_t rank)
{
    const sr_scored_number *best = r->best + state * r->top_k;
    case_record *record = r->record;
    record->number = r->first_case + history;
    record->user = (uint32_t)r->cases[history].user;
    record->at = (uint32_t)r->cases[history].at;
    record->rank = (uint32_t)rank;
    record->score = (float)r->target_scores[state];
    for (size_t k = 0; k < r->spools->top_k; ++k)
        record->list[k] = best_items_is(best[k]) ? best[k].number : 0;
    case_spools_add(r->spools, r->thread, record);
}

static sr_status rank_portion(ranker *r, sr_error *error)
{
    const score_portion *portion = &r->round.portion;
    SR_TRY(count_portion(r, error));
    if (r->candidates)
        SR_TRY(count_candidates(r, error));
    for (size_t i = 0; i < portion->own; ++i) {
        const size_t state = portion->first_own + i, history = portion->history + i;
        const sr_real score = r->target_scores[state];
        if (isnan(score))
            return sr_fail(error, SR_ERROR_RUNTIME,
                           "the score of item %d for user number %zu is not a number: " PARAMETERS_DIVERGED,
                           score_round_target(&r->round, state), r->histories[history].user);
        if (r->before[state] < 0)
            return sr_fail(error, SR_ERROR_RUNTIME,
                           "the score of an item for user number %zu is not a number: " PARAMETERS_DIVERGED,
                           r->histories[history].user);
        const size_t rank = has_rank(score) ? (size_t)r->before[state] + 1 : 0;
        ++r->histogram[rank <= r->deepest ? rank : 0];
        if (r->candidates) {
            const size_t sampled = has_rank(score) ? (size_t)r->sampled_before[state] + 1 : 0;
            ++r->sampled_histogram[sampled <= r->deepest ? sampled : 0];
        }
        if (r->lists)
            list_counts_add(r->lists, r->best + state * r->top_k, r->top_k);
        if (r->spools)
            write_down(r, history, state, rank);
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
        size_t count;
        sr_status status = take_batch(r, &count, error);
        if (status == SR_OK && (count > 0 || r->scorer.divided) && is_stopped(r->evaluation))
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
    SR_TRY(SR_ALLOCATE(&r->cases, batch, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->targets, batch, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->histories, batch, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->target_scores, PORTION_STATES, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->before, PORTION_STATES, "test cases", error));
    SR_TRY(SR_ALLOCATE(&r->best, PORTION_STATES * r->top_k, "the best items of test cases", error));
    if (r->candidates) {
        SR_TRY(SR_ALLOCATE(&r->drawn, batch * r->candidates->most, "candidates", error));
        SR_TRY(SR_ALLOCATE(&r->sampled_before, PORTION_STATES, "candidates", error));
        SR_TRY(SR_ALLOCATE_ZERO(&r->sampled_histogram, r->deepest + 1, "ranks", error));
    }
    if (r->spools)
        SR_TRY(sr_allocate_zero((void **)&r->record, r->spools->record_bytes, 1, "a test case", error));
    return SR_ALLOCATE_ZERO(&r->histogram, r->deepest + 1, "ranks", error);
}

static void free_parts(ranker *r)
{
    free(r->cases);
    free(r->targets);
    free(r->histories);
    free(r->target_scores);
    free(r->before);
    free(r->histogram);
    free(r->best);
    free(r->record);
    free(r->drawn);
    free(r->sampled_before);
    free(r->sampled_histogram);
    score_round_free(&r->round);
    scorer_free(&r->scorer);
}

/* What the threads of a rank work on. */
typedef struct {
    const sr_evaluation *evaluation;
    score_source source;
    case_spools *spools;                /* NULL: cases are not written */
    const list_counts *lists;           /* NULL: lists are not measured */
    const candidate_source *candidates; /* NULL: there are none */
} ranking;

/* So many of the best items of each case are needed. */
static size_t best_items_of(const ranking *work)
{
    const sr_evaluation_settings *settings = work->evaluation->settings;
    const size_t written = work->spools ? work->spools->top_k : 0;
    const size_t measured = work->lists ? (size_t)settings->top_k[settings->top_k_count - 1] : 0;
    return smaller(larger(written, measured), sr_dataset_items(work->evaluation->dataset));
}

/* The metrics of all ranks' histograms. */
static sr_status find_metrics(ranker *r, sr_parallel *member, sr_ranking_metrics *metrics, sr_error *error)
{
    const sr_evaluation_settings *settings = r->evaluation->settings;
    SR_TRY(sr_parallel_sum_int64(member, r->histogram, r->deepest + 1, error));
    ranking_metrics_compute(r->histogram, settings, metrics);
    if (!r->candidates)
        return SR_OK;
    SR_TRY(sr_parallel_sum_int64(member, r->sampled_histogram, r->deepest + 1, error));
    ranking_metrics_compute_sampled(r->sampled_histogram, settings, &r->candidates->wanted, &metrics->sampled);
    return SR_OK;
}

/* The part of a rank, or of one of its threads. `status` says whether it is ready; if not, it takes part in failing. */
static sr_status evaluate_part(sr_parallel *member, sr_status status, const ranking *work, size_t thread,
                               sr_ranking_metrics *metrics, sr_error *error)
{
    const sr_evaluation *evaluation = work->evaluation;
    const sr_evaluation_settings *settings = evaluation->settings;
    ranker r = {.evaluation = evaluation,
                .deepest = (size_t)settings->top_k[settings->top_k_count - 1],
                .top_k = best_items_of(work),
                .spools = work->spools,
                .lists = work->lists,
                .candidates = work->candidates,
                .thread = thread,
                .next = case_cursor_at(evaluation, (size_t)sr_parallel_rank(member), (size_t)sr_parallel_size(member))};
    if (status == SR_OK)
        status = scorer_create(&r.scorer, &work->source, evaluation->dataset, member, evaluation->kernels, error);
    if (status == SR_OK)
        status = allocate(&r, member, error);
    status = sr_parallel_agree(member, status, error);
    if (status == SR_OK)
        status = sr_parallel_agree(member, rank_cases(&r, error), error);
    if (status == SR_OK)
        status = find_metrics(&r, member, metrics, error);
    free_parts(&r);
    return status;
}

/* All threads of this rank, each with a share of the model. */
static sr_status evaluate_with_threads(sr_parallel *parallel, const ranking *work, sr_ranking_metrics *metrics, sr_error *error)
{
    sr_status first_status = SR_OK;
#pragma omp parallel num_threads((int)sr_parallel_threads(parallel)) default(shared)
    {
        const size_t thread = (size_t)omp_get_thread_num();
        sr_error own_error = {.status = SR_OK};
        sr_ranking_metrics own_metrics;
        ranking own = *work;
        sr_status status = SR_OK;
        sr_flush_denormals();
        if (thread > 0 && work->source.model)
            status = sr_model_share(&own.source.model, work->source.model, false, &own_error);
        status = evaluate_part(sr_parallel_member(parallel, thread), status, &own, thread, &own_metrics, &own_error);
        if (thread > 0 && work->source.model)
            sr_model_free(own.source.model);
        if (thread == 0) {
            first_status = status;
            if (status == SR_OK)
                *metrics = own_metrics;
            else if (error)
                *error = own_error;
        }
    }
    return first_status;
}

/* What is asked for beside ranks. */
typedef struct {
    case_file file;
    list_counts lists;
    candidate_source candidates;
} further_parts;

/* On every rank, but for the file, which is opened by all together. */
static sr_status prepare(ranking *work, further_parts *parts, sr_error *error)
{
    const sr_evaluation *evaluation = work->evaluation;
    sr_candidates wanted;
    if (!sr_candidates_parse(evaluation->settings->candidates, &wanted))
        return sr_fail(error, SR_ERROR_USAGE, "evaluation.candidates is %s, expected none, uniform:N or popularity:N",
                       evaluation->settings->candidates);
    if (wanted.kind != SR_CANDIDATES_NONE) {
        SR_TRY(candidate_source_create(&parts->candidates, evaluation->dataset, &wanted, error));
        work->candidates = &parts->candidates;
    }
    if (evaluation->settings->list_metrics) {
        SR_TRY(list_counts_create(&parts->lists, evaluation, error));
        work->lists = &parts->lists;
    }
    return SR_OK;
}

static sr_status rank_all(sr_parallel *parallel, ranking *work, further_parts *parts, sr_ranking_metrics *metrics,
                          sr_error *error)
{
    const sr_evaluation *evaluation = work->evaluation;
    const double start = sr_seconds();
    SR_TRY(sr_parallel_agree(parallel, prepare(work, parts, error), error));
    SR_TRY(evaluate_with_threads(parallel, work, metrics, error));
    if (evaluation->cases && metrics->cases == 0)
        return sr_fail_without_cases(evaluation->dataset, evaluation->split, error);
    if (work->lists && metrics->cases > 0)
        SR_TRY(list_counts_metrics(&parts->lists, parallel, &metrics->lists, error));
    metrics->seconds = sr_seconds() - start;
    return SR_OK;
}

static sr_status evaluate(sr_parallel *parallel, const score_source *source, const sr_evaluation *evaluation,
                          sr_ranking_metrics *metrics, sr_error *error)
{
    further_parts parts = {.candidates = {.dataset = NULL}};
    ranking work = {.evaluation = evaluation, .source = *source};
    sr_status status = SR_OK;
    if (evaluation->cases) {
        status = case_file_open(&parts.file, parallel, evaluation->dataset, evaluation->cases, error);
        work.spools = &parts.file.spools;
    }
    if (status == SR_OK)
        status = rank_all(parallel, &work, &parts, metrics, error);
    if (evaluation->cases)
        status = case_file_close(&parts.file, status, status == SR_OK ? (uint64_t)metrics->cases : 0, error);
    candidate_source_free(&parts.candidates);
    list_counts_free(&parts.lists);
    return status;
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
