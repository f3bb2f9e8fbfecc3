/* The best items for users, round by round over all ranks. */
#include "srtrain/evaluate.h"

#include "evaluate/best_items.h"
#include "evaluate/score_round.h"
#include "evaluate/user_rounds.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    UNIT_USERS = 256,        /* users encoded together, at most */
    ROUND_USERS = 1024,      /* users that a rank handles between two gathers, at most */
    ROUND_ENTRIES = 1 << 18, /* recommendations of a rank in a round, unless one user has more: bounds the memory of rank 0 */
};

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
    scorer scorer;
    score_round round;
    user_rounds rounds;
    scored_history *histories;  /* [UNIT_USERS] */
    sr_scored_number *selected; /* [most_states, top_k]: of the states of a portion */
    int64_t *bad;               /* [most_states]: scores that are not numbers */
    sr_scored_number *best;     /* [room, top_k] of this rank's users */
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

/* Where users have candidates, the best of these. */
static sr_status select_candidates(recommender *r, sr_error *error)
{
    score_round *round = &r->round;
    sr_status status = SR_OK;
    for (size_t state = 0; state < round->portion.count && status == SR_OK; ++state) {
        scored_items found;
        status = score_round_candidates(round, state, &found, error);
        if (status == SR_OK && found.items.count > 0 &&
            !best_items_take(&found.items, found.scores, r->top_k, r->selected + state * r->top_k))
            r->bad[state] = 1;
    }
    return round->ranks ? sr_parallel_agree(round->ranks, status, error) : status;
}

/* The best of all items for the states of a portion, the best first. */
static sr_status select_best(recommender *r, sr_error *error)
{
    score_round *round = &r->round;
    const size_t count = round->portion.count;
    scored_items found;
    best_items_clear(r->selected, count * r->top_k);
    for (size_t state = 0; state < count; ++state)
        r->bad[state] = 0;
    while (!r->source->has_candidates && score_round_items(round, &found))
        for (size_t state = 0; state < count; ++state)
            if (!best_items_take(&found.items, found.scores + state * found.items.count, r->top_k,
                                 r->selected + state * r->top_k))
                r->bad[state] = 1;
    if (r->source->has_candidates)
        SR_TRY(select_candidates(r, error));
    for (size_t state = 0; state < count; ++state)
        best_items_sort(r->selected + state * r->top_k, r->top_k);
    SR_TRY(score_round_sum(round, r->bad, count, error));
    return round->ranks ? sr_parallel_best(round->ranks, r->selected, count, r->top_k, error) : SR_OK;
}

/* Keeps those of this rank's users, the first of whose unit is user `first` of its part. */
static sr_status recommend_portion(recommender *r, size_t first, sr_error *error)
{
    const score_portion *portion = &r->round.portion;
    SR_TRY(select_best(r, error));
    for (size_t i = 0; i < portion->own; ++i) {
        const size_t user = first + portion->history + i, state = portion->first_own + i;
        if (r->bad[state])
            return sr_fail(error, SR_ERROR_RUNTIME, "a score for user number %llu of %s is not a number: " PARAMETERS_DIVERGED,
                           (unsigned long long)r->rounds.part[user].index, r->source->origin);
        memcpy(r->best + user * r->top_k, r->selected + state * r->top_k, r->top_k * sizeof *r->best);
    }
    return SR_OK;
}

/* A unit of each rank. */
static sr_status recommend_unit(recommender *r, size_t first, sr_error *error)
{
    sr_status status = SR_OK;
    do {
        SR_TRY(score_round_next(&r->round, status, error));
        status = r->round.portion.count ? recommend_portion(r, first, error) : SR_OK;
    } while (r->round.portion.count > 0);
    return status;
}

static sr_status recommend_part(recommender *r, sr_error *error)
{
    size_t user = 0, item = 0;
    sr_status status = make_room(r, error);
    do {
        const size_t count = status == SR_OK && user < r->rounds.part_users
                                 ? user_rounds_unit(&r->rounds, user, item, r->histories)
                                 : 0;
        SR_TRY(score_round_begin(&r->round, r->histories, NULL, count, status, error));
        if (r->round.total > 0)
            SR_TRY(recommend_unit(r, user, error));
        for (size_t i = 0; i < count; ++i)
            item += r->histories[i].length;
        user += count;
    } while (r->round.total > 0);
    return SR_OK;
}

/* On rank 0: hands the gathered recommendations of a round on. */
static sr_status emit_round(const recommender *r, const sr_scored_number *gathered, sr_recommendation_function emit,
                            void *context, sr_error *error)
{
    for (size_t user = 0; user < user_rounds_users(&r->rounds); ++user) {
        size_t length;
        const char *name = user_rounds_name(&r->rounds, user, &length);
        const sr_scored_number *best = gathered + user * r->top_k;
        for (size_t k = 0; k < r->top_k && best_items_is(best[k]); ++k)
            SR_TRY(emit(context, name, length, k + 1, best[k].number, (double)best[k].score, error));
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

static sr_status prepare(recommender *r, sr_parallel *parallel, sr_model *model, const sr_recommendation_request *request,
                         size_t unit_users, sr_error *error)
{
    const size_t most_states = at_least_one(ROUND_ENTRIES / r->top_k < PORTION_STATES ? ROUND_ENTRIES / r->top_k
                                                                                      : (size_t)PORTION_STATES);
    SR_TRY(sr_recommend_check(sr_model_configuration(model), r->source, error));
    SR_TRY(scorer_create(&r->scorer, &(score_source){.model = model}, NULL, parallel, request->kernels, error));
    SR_TRY(score_round_create(&r->round, parallel, &r->scorer, request->history, unit_users, most_states, error));
    r->round.left_out = request->left_out;
    SR_TRY(SR_ALLOCATE(&r->histories, unit_users, "histories", error));
    SR_TRY(SR_ALLOCATE(&r->selected, r->round.most_states * r->top_k, "recommendations", error));
    return SR_ALLOCATE(&r->bad, r->round.most_states, "recommendations", error);
}

sr_status sr_recommend(sr_parallel *parallel, sr_model *model, const sr_user_source *source,
                       const sr_recommendation_request *request, sr_recommendation_function emit, void *context,
                       sr_error *error)
{
    const size_t items = sr_model_items(model);
    recommender r = {.source = source, .top_k = request->top_k < items ? request->top_k : items};
    const size_t round_users = at_least_one(ROUND_ENTRIES / r.top_k < ROUND_USERS ? ROUND_ENTRIES / r.top_k : ROUND_USERS);
    const size_t unit_users = round_users < UNIT_USERS ? round_users : UNIT_USERS;
    const bool with_times = sr_model_needs_of(sr_model_configuration(model), false).times;
    sr_status status = sr_parallel_agree(parallel, prepare(&r, parallel, model, request, unit_users, error), error);
    if (status == SR_OK)
        status = user_rounds_create(&r.rounds, parallel, source, with_times, unit_users, round_users / unit_users, error);
    r.rounds.next_time = request->time;
    if (status == SR_OK)
        status = recommend_rounds(&r, parallel, emit, context, error);
    user_rounds_free(&r.rounds);
    free(r.best);
    free(r.selected);
    free(r.bad);
    free(r.histories);
    score_round_free(&r.round);
    scorer_free(&r.scorer);
    return status;
}
