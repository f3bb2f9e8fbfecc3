/* The best items for users, round by round over all ranks. */
#include "srtrain/evaluate.h"

#include "base/heap.h"
#include "evaluate/user_rounds.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIT_USERS = 256,        /* users encoded together, at most */
    ROUND_USERS = 1024,      /* users that a rank handles between two gathers, at most */
    ROUND_ENTRIES = 1 << 18, /* recommendations of a rank in a round, unless one user has more: bounds the memory of rank 0 */
};

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

/* The worst of those that are kept is the first to go. */
static bool goes_before(const void *context, const void *left, const void *right)
{
    (void)context;
    return is_better(*(const recommendation *)right, *(const recommendation *)left);
}

/* Those of a tile that are better than the worst of the best take their places. Fails (false) on a score that is not a
 * number. */
static bool select_from(const sr_score_tile *tile, const sr_real *scores, size_t top_k, recommendation *best)
{
    const heap kept = {best, top_k, sizeof *best, goes_before, NULL};
    for (size_t place = sr_row_number(&tile->items, 0) == 0 ? 1 : 0; place < tile->items.count; ++place) {
        const float score = (float)scores[tile->begin + place];
        if (score < best[0].score || score == -INFINITY)
            continue;
        if (isnan(score))
            return false;
        const recommendation found = {score, sr_row_number(&tile->items, place)};
        if (!is_better(found, best[0]))
            continue;
        best[0] = found;
        heap_settle(&kept, 0);
    }
    return true;
}

/* The `top_k` best of the scores, best first; places that no item fills hold item 0. Fails (false) on a score that is not a
 * number. */
static bool select_best(const scorer *s, const sr_real *scores, size_t top_k, recommendation *best)
{
    for (size_t k = 0; k < top_k; ++k)
        best[k] = (recommendation){-INFINITY, INT32_MAX};
    for (size_t i = 0; i < s->tile_count; ++i)
        if (!select_from(&s->tiles[i], scores, top_k, best))
            return false;
    qsort(best, top_k, sizeof *best, compare_recommendations);
    for (size_t k = 0; k < top_k; ++k)
        if (best[k].item == INT32_MAX)
            best[k].item = 0;
    return true;
}

/* ---- users of the data set ---- */

static sr_status next_of_dataset(void *context, sr_recommended_user *user, sr_error *error)
{
    (void)error;
    sr_users_in_dataset *state = context;
    if (state->at == state->count)
        return SR_OK;
    const size_t index = state->users ? state->users[state->at] : state->at;
    const sr_sequence sequence = sr_dataset_sequence(state->dataset, index);
    ++state->at;
    user->name = sr_dataset_user_name(state->dataset, index, &user->name_length);
    user->items = sequence.items;
    user->times = sequence.times;
    user->length = sequence.length;
    user->number = (int32_t)index + 1;
    return SR_OK;
}

sr_user_source sr_users_of_dataset(sr_users_in_dataset *state, const sr_dataset *dataset, const size_t *users, size_t count)
{
    *state = (sr_users_in_dataset){.dataset = dataset, .users = users, .count = users ? count : sr_dataset_users(dataset)};
    size_t longest = 0;
    for (size_t i = 0; i < state->count; ++i) {
        size_t length;
        (void)sr_dataset_user_name(dataset, users ? users[i] : i, &length);
        longest = length > longest ? length : longest;
    }
    return (sr_user_source){.origin = sr_dataset_directory(dataset),
                            .has_times = sr_dataset_has_times(dataset),
                            .has_numbers = true,
                            .longest_name = longest,
                            .context = state,
                            .next = next_of_dataset};
}

/* ---- rounds ---- */

typedef struct {
    const sr_user_source *source;
    size_t top_k;
    sr_history history;
    scorer scorer;
    user_rounds rounds;
    scored_history *histories; /* [UNIT_USERS] */
    recommendation *best;      /* [room, top_k] of this rank's users */
    size_t room;
} recommender;

static size_t at_least_one(size_t count)
{
    return count ? count : 1;
}

static sr_status make_room(recommender *r, sr_error *error)
{
    if (r->rounds.part_users <= r->room)
        return SR_OK;
    free(r->best);
    r->best = NULL;
    r->room = 0;
    SR_TRY(SR_ALLOCATE(&r->best, r->rounds.part_users * r->top_k, "recommendations", error));
    r->room = r->rounds.part_users;
    return SR_OK;
}

/* The users of one unit, which begins with user `first` of this rank's part. */
static sr_status recommend_unit(recommender *r, size_t first, size_t count, sr_error *error)
{
    scorer *s = &r->scorer;
    SR_TRY(scorer_encode(s, r->histories, count, error));
    for (size_t done = 0; done < count; done += s->rows) {
        const size_t rows = count - done < s->rows ? count - done : s->rows;
        scorer_score(s, done, rows);
        for (size_t row = 0; row < rows; ++row) {
            sr_real *scores = s->scores + row * s->columns;
            const scored_history *history = &r->histories[done + row];
            const size_t user = first + done + row;
            scorer_apply_history(s, scores, r->history, history->items, history->length);
            if (!select_best(s, scores, r->top_k, r->best + user * r->top_k))
                return sr_fail(error, SR_ERROR_RUNTIME, "a score for user number %llu of %s is not a number",
                               (unsigned long long)r->rounds.part[user].index, r->source->origin);
        }
    }
    return SR_OK;
}

static sr_status recommend_part(recommender *r, sr_error *error)
{
    SR_TRY(make_room(r, error));
    size_t item = 0;
    for (size_t first = 0, count; first < r->rounds.part_users; first += count) {
        count = user_rounds_unit(&r->rounds, first, item, r->histories);
        SR_TRY(recommend_unit(r, first, count, error));
        for (size_t i = 0; i < count; ++i)
            item += r->histories[i].length;
    }
    return SR_OK;
}

/* On rank 0: hands the gathered recommendations of a round on. */
static sr_status emit_round(const recommender *r, const recommendation *gathered, sr_recommendation_function emit,
                            void *context, sr_error *error)
{
    for (size_t user = 0; user < user_rounds_users(&r->rounds); ++user) {
        size_t length;
        const char *name = user_rounds_name(&r->rounds, user, &length);
        const recommendation *best = gathered + user * r->top_k;
        for (size_t k = 0; k < r->top_k && best[k].item; ++k)
            SR_TRY(emit(context, name, length, k + 1, best[k].item, (double)best[k].score, error));
    }
    return SR_OK;
}

static sr_status recommend_rounds(recommender *r, sr_parallel *parallel, sr_recommendation_function emit, void *context,
                                  sr_error *error)
{
    for (bool more = true;;) {
        SR_TRY(user_rounds_next(&r->rounds, &more, error));
        if (!more)
            return SR_OK;
        SR_TRY(sr_parallel_agree(parallel, recommend_part(r, error), error));
        void *gathered;
        size_t *offsets;
        SR_TRY(sr_parallel_gather(parallel, r->best, r->rounds.part_users * r->top_k * sizeof *r->best, &gathered, &offsets,
                                  error));
        const sr_status status = gathered ? emit_round(r, gathered, emit, context, error) : SR_OK;
        free(gathered);
        free(offsets);
        SR_TRY(sr_parallel_agree(parallel, status, error));
    }
}

sr_status sr_recommend_check(const sr_model_settings *model, const sr_user_source *source, sr_error *error)
{
    const sr_model_needs needs = sr_model_needs_of(model, false);
    const char *backbone = sr_model_name(model);
    if (needs.times && !source->has_times)
        return sr_fail(error, SR_ERROR_USAGE, "%s has no time stamps, but model.backbone %s needs them", source->origin,
                       backbone);
    if (needs.users && !source->has_numbers)
        return sr_fail(error, SR_ERROR_USAGE,
                       "model.backbone %s has parameters for each user that it was trained on: it cannot recommend to the new "
                       "users in %s",
                       backbone, source->origin);
    return SR_OK;
}

sr_status sr_recommend(sr_parallel *parallel, sr_model *model, const sr_user_source *source,
                       const sr_recommendation_request *request, sr_recommendation_function emit, void *context,
                       sr_error *error)
{
    const size_t items = sr_model_items(model);
    recommender r = {.source = source, .top_k = request->top_k < items ? request->top_k : items, .history = request->history};
    const size_t round_users = at_least_one(ROUND_ENTRIES / r.top_k < ROUND_USERS ? ROUND_ENTRIES / r.top_k : ROUND_USERS);
    const size_t unit_users = round_users < UNIT_USERS ? round_users : UNIT_USERS;
    const bool with_times = sr_model_needs_of(sr_model_configuration(model), false).times;
    sr_status status = sr_recommend_check(sr_model_configuration(model), source, error);
    if (status == SR_OK)
        status = scorer_create(&r.scorer, model, NULL, NULL, request->kernels, error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&r.histories, unit_users, "histories", error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = user_rounds_create(&r.rounds, parallel, source, with_times, unit_users, round_users / unit_users, error);
    if (status == SR_OK)
        status = recommend_rounds(&r, parallel, emit, context, error);
    user_rounds_free(&r.rounds);
    free(r.best);
    free(r.histories);
    scorer_free(&r.scorer);
    return status;
}
