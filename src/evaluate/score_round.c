#include "evaluate/score_round.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- beginning and end ---- */

sr_status score_round_create(score_round *round, sr_parallel *member, scorer *s, sr_history rule, size_t largest_batch,
                             size_t most_states, sr_error *error)
{
    const bool is_thread = s->divided && sr_parallel_process(member) != member;
    *round = (score_round){.scorer = s,
                           .ranks = s->divided ? member : NULL,
                           .rule = rule,
                           .most_states = s->divided ? most_states : smaller(most_states, largest_batch),
                           .turn = is_thread ? sr_parallel_thread(member) : 0,
                           .turns = is_thread ? sr_parallel_threads(sr_parallel_process(member)) : 1,
                           .items_at_once = smaller(s->columns, SCORED_ITEMS)};
    most_states = round->most_states;
    SR_TRY(SR_ALLOCATE(&round->scores, most_states * round->items_at_once, "scores", error));
    SR_TRY(SR_ALLOCATE(&round->sums, 2 * most_states, "scores of targets", error));
    SR_TRY(SR_ALLOCATE(&round->history_begins, most_states + 1, "histories", error));
    SR_TRY(SR_ALLOCATE(&round->candidate_begins, most_states + 1, "candidates", error));
    SR_TRY(SR_ALLOCATE(&round->candidate_ends, largest_batch, "candidates", error));
    SR_TRY(SR_ALLOCATE(&round->heads, largest_batch, "histories", error));
    return SR_ALLOCATE(&round->ends, largest_batch, "histories", error);
}

static void free_portion(score_round *round)
{
    free(round->gathered_states);
    free(round->gathered_items);
    free(round->gathered_candidates);
    round->gathered_states = NULL;
    round->gathered_items = round->gathered_candidates = NULL;
}

void score_round_free(score_round *round)
{
    free_portion(round);
    free(round->scores);
    free(round->sums);
    free(round->history_begins);
    free(round->heads);
    free(round->ends);
    free(round->items);
    free(round->candidate_begins);
    free(round->candidate_ends);
    free(round->candidates);
    free(round->scored_items);
    free(round->scored_scores);
    free(round->all_heads);
    *round = (score_round){.scorer = NULL};
}

size_t score_round_memory(const sr_model_settings *settings, const score_round_size *size)
{
    const size_t states = smaller(size->workers * size->largest_batch, PORTION_STATES);
    const size_t of_portion = states * (smaller(size->items + 1, SCORED_ITEMS) * sizeof(sr_real) + 2 * sizeof(int64_t) +
                                        2 * sizeof(size_t));
    const size_t of_batch = size->largest_batch * (sizeof(state_head) + 2 * sizeof(size_t)) +
                            size->history_items * sizeof(int32_t);
    const size_t of_all = size->workers * size->largest_batch * sizeof(state_head) + PORTION_ITEMS * sizeof(int32_t) +
                          states * 2 * sr_model_state_width(settings) * sizeof(sr_real);
    return of_portion + of_batch + (size->workers > 1 ? of_all : 0) + sr_catalogue_memory(settings, size->items, states);
}

/* ---- this rank's batch ---- */

static int compare_items(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return a < b ? -1 : a > b;
}

/* The different items of a list, ascending, in place; returns how many there are. */
static size_t sort_out(int32_t *items, size_t count)
{
    size_t kept = 0;
    qsort(items, count, sizeof *items, compare_items);
    for (size_t i = 0; i < count; ++i)
        if (kept == 0 || items[i] != items[kept - 1])
            items[kept++] = items[i];
    return kept;
}

static sr_status describe(score_round *round, const scored_history *histories, const int32_t *targets, size_t count,
                          sr_error *error)
{
    size_t used = 0, candidates = 0;
    for (size_t i = 0; i < count; ++i) {
        const size_t more = histories[i].candidate_count;
        size_t different = 0;
        if (round->rule != SR_HISTORY_KEEP && histories[i].length > 0) {
            SR_TRY(SR_GROW(&round->items, &round->room, used + histories[i].length, "items of histories", error));
            memcpy(round->items + used, histories[i].items, histories[i].length * sizeof *round->items);
            different = sort_out(round->items + used, histories[i].length);
        }
        used += different;
        round->ends[i] = used;
        if (more > 0) {
            SR_TRY(SR_GROW(&round->candidates, &round->candidate_room, candidates + more, "candidates", error));
            memcpy(round->candidates + candidates, histories[i].candidates, more * sizeof *round->candidates);
        }
        candidates += more;
        round->candidate_ends[i] = candidates;
        round->heads[i] = (state_head){
            .target = targets ? targets[i] : 0, .history = (int32_t)different, .candidates = (int32_t)more};
    }
    return SR_OK;
}

/* ---- the batches of all ranks ---- */

static sr_status gather_heads(score_round *round, size_t count, sr_status status, sr_error *error)
{
    void *gathered;
    size_t *offsets;
    free(round->all_heads);
    round->all_heads = NULL;
    SR_TRY(sr_parallel_gather_all(round->ranks, status, round->heads, count, sizeof *round->heads, &gathered, &offsets, error));
    round->all_heads = gathered;
    round->first_own = offsets[sr_parallel_rank(round->ranks)];
    round->total = offsets[sr_parallel_size(round->ranks)];
    free(offsets);
    return SR_OK;
}

sr_status score_round_begin(score_round *round, const scored_history *histories, const int32_t *targets, size_t count,
                            sr_status status, sr_error *error)
{
    if (status == SR_OK)
        status = describe(round, histories, targets, count, error);
    round->own = round->total = count;
    round->first_own = round->begin = 0;
    round->portion = (score_portion){.count = 0};
    if (round->ranks)
        status = gather_heads(round, count, status, error);
    if (status != SR_OK || round->total == 0)
        return status;
    status = scorer_encode(round->scorer, histories, count, SR_OK, error);
    return round->ranks ? sr_parallel_agree(round->ranks, status, error) : status;
}

/* ---- portions ---- */

static const state_head *heads_of_portion(const score_round *round)
{
    return (round->all_heads ? round->all_heads : round->heads) + round->begin;
}

/* States from `begin` on: as many as a portion may have. */
static void choose_portion(score_round *round)
{
    const state_head *heads = heads_of_portion(round);
    const size_t left = round->total - round->begin;
    score_portion *portion = &round->portion;
    size_t items = 0, candidates = 0;
    *portion = (score_portion){.count = 0};
    while (portion->count < smaller(left, round->most_states)) {
        const state_head *head = &heads[portion->count];
        const size_t more = (size_t)head->history + (size_t)head->candidates;
        if (portion->count > 0 && items + candidates + more > PORTION_ITEMS)
            break;
        round->candidate_begins[portion->count] = candidates;
        round->history_begins[portion->count++] = items;
        items += (size_t)head->history;
        candidates += (size_t)head->candidates;
    }
    round->history_begins[portion->count] = items;
    round->candidate_begins[portion->count] = candidates;
    const size_t own_end = round->first_own + round->own, end = round->begin + portion->count;
    const size_t first = larger(round->begin, round->first_own), last = smaller(end, own_end);
    if (first < last) {
        portion->first_own = first - round->begin;
        portion->own = last - first;
        portion->history = first - round->first_own;
    }
}

/* Lists of items that go with the states of the portion: this rank's, and those of all ranks. */
typedef struct {
    const int32_t *own;
    size_t own_count, count;
} portion_lists;

static portion_lists lists_of_portion(const score_portion *portion, const int32_t *items, const size_t *ends, size_t count)
{
    const size_t first = portion->history, begin = first ? ends[first - 1] : 0;
    const size_t end = portion->own ? ends[first + portion->own - 1] : begin;
    return (portion_lists){.own = items ? items + begin : NULL, .own_count = end - begin, .count = count};
}

static sr_status gather_lists(score_round *round, const portion_lists *lists, int32_t **gathered_items, sr_error *error)
{
    void *gathered;
    size_t *offsets;
    if (lists->count == 0)
        return SR_OK;
    SR_TRY(sr_parallel_gather_all(round->ranks, SR_OK, lists->own, lists->own_count, sizeof *lists->own, &gathered, &offsets,
                                  error));
    free(offsets);
    *gathered_items = gathered;
    return SR_OK;
}

static sr_status take_portion(score_round *round, sr_status status, sr_error *error)
{
    const score_portion *portion = &round->portion;
    const scorer *s = round->scorer;
    const portion_lists histories = lists_of_portion(portion, round->items, round->ends, round->history_begins[portion->count]);
    const portion_lists candidates = lists_of_portion(portion, round->candidates, round->candidate_ends,
                                                      round->candidate_begins[portion->count]);
    const sr_real *states = s->width ? s->representations + portion->history * s->width : NULL;
    round->histories = histories.own;
    round->portion_candidates = candidates.own;
    if (round->ranks) {
        void *gathered;
        size_t *offsets;
        SR_TRY(sr_parallel_gather_all(round->ranks, status, states, portion->own, s->width * sizeof *states, &gathered,
                                      &offsets, error));
        free(offsets);
        round->gathered_states = gathered;
        SR_TRY(gather_lists(round, &histories, &round->gathered_items, error));
        SR_TRY(gather_lists(round, &candidates, &round->gathered_candidates, error));
        states = round->gathered_states;
        round->histories = round->gathered_items;
        round->portion_candidates = round->gathered_candidates;
    }
    return scorer_take_states(round->scorer, states, portion->count, error);
}

sr_status score_round_next(score_round *round, sr_status status, sr_error *error)
{
    free_portion(round);
    round->begin += round->portion.count;
    round->tile = round->place = round->part = 0;
    choose_portion(round);
    if (status == SR_OK || round->ranks)
        if (round->portion.count > 0)
            status = take_portion(round, status, error);
    return round->ranks ? sr_parallel_agree(round->ranks, status, error) : status;
}

/* ---- scores ---- */

int32_t score_round_target(const score_round *round, size_t state)
{
    return heads_of_portion(round)[state].target;
}

/* What the score of an item of the history becomes. */
static sr_real score_of_history(sr_history rule)
{
    return rule == SR_HISTORY_ZERO ? 0 : (sr_real)-INFINITY;
}

/* How many items of a state's history have a smaller number. */
static size_t history_before(const score_round *round, size_t state, int32_t item)
{
    size_t begin = round->history_begins[state], end = round->history_begins[state + 1];
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (round->histories[middle] < item)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

static bool is_in_history(const score_round *round, size_t state, int32_t item)
{
    const size_t at = history_before(round, state, item);
    return at < round->history_begins[state + 1] && round->histories[at] == item;
}

/* The score of an item that is scored here. */
static sr_real score_of_item(const score_round *round, size_t state, int32_t item, size_t tile, size_t place)
{
    sr_real score;
    if (round->left_out && round->left_out[item])
        return (sr_real)-INFINITY;
    if (is_in_history(round, state, item))
        return score_of_history(round->rule);
    if (item == 0 && round->rule != SR_HISTORY_ZERO)
        return (sr_real)-INFINITY;
    scorer_score(round->scorer,
                 &(sr_score_part){.first_state = state, .states = 1, .tile = tile, .first_item = place, .items = 1}, &score);
    return score;
}

/* Each target is scored by the one process that has it: the bits of the others' numbers are 0, and the sum is exact. */
sr_status score_round_targets(score_round *round, sr_real *scores, sr_error *error)
{
    const size_t count = round->portion.count;
    int64_t *bits = round->sums, *owners = round->sums + count;
    memset(round->sums, 0, 2 * count * sizeof *round->sums);
    for (size_t state = 0; state < count && round->turn == 0; ++state) {
        size_t tile, place;
        if (!scorer_find(round->scorer, score_round_target(round, state), &tile, &place))
            continue;
        const sr_real score = score_of_item(round, state, score_round_target(round, state), tile, place);
        memcpy(&bits[state], &score, sizeof score);
        owners[state] = 1;
    }
    SR_TRY(score_round_sum(round, round->sums, 2 * count, error));
    for (size_t state = 0; state < count; ++state) {
        if (owners[state] != 1)
            return sr_fail(error, SR_ERROR_RUNTIME, "item %d is scored by %lld processes, expected one",
                           score_round_target(round, state), (long long)owners[state]);
        memcpy(&scores[state], &bits[state], sizeof scores[state]);
    }
    return SR_OK;
}

static void apply_history(const score_round *round, size_t state, const sr_row_numbers *items, sr_real *scores)
{
    const int32_t last = sr_row_number(items, items->count - 1);
    size_t place;
    if (round->rule != SR_HISTORY_ZERO && sr_row_place(items, 0, &place))
        scores[place] = (sr_real)-INFINITY;
    if (round->rule == SR_HISTORY_KEEP)
        return;
    for (size_t i = history_before(round, state, sr_row_number(items, 0));
         i < round->history_begins[state + 1] && round->histories[i] <= last; ++i)
        if (sr_row_place(items, round->histories[i], &place))
            scores[place] = score_of_history(round->rule);
}

/* Items that nobody is to have. */
static void leave_out(const score_round *round, const sr_row_numbers *items, size_t states)
{
    for (size_t place = 0; round->left_out && place < items->count; ++place)
        if (round->left_out[sr_row_number(items, place)])
            for (size_t state = 0; state < states; ++state)
                round->scores[state * items->count + place] = (sr_real)-INFINITY;
}

/* Moves on to the next items that are this thread's turn. */
static bool next_part(score_round *round, sr_score_part *part)
{
    const scorer *s = round->scorer;
    for (; round->tile < s->tile_count; ++round->tile, round->place = 0)
        while (round->place < s->tiles[round->tile].items.count) {
            const size_t count = smaller(round->items_at_once, s->tiles[round->tile].items.count - round->place);
            *part = (sr_score_part){
                .states = round->portion.count, .tile = round->tile, .first_item = round->place, .items = count};
            round->place += count;
            if (round->part++ % round->turns == round->turn)
                return true;
        }
    return false;
}

bool score_round_items(score_round *round, scored_items *found)
{
    sr_score_part part;
    if (!next_part(round, &part))
        return false;
    found->items = sr_row_numbers_part(&round->scorer->tiles[part.tile].items, part.first_item, part.items);
    found->scores = round->scores;
    scorer_score(round->scorer, &part, round->scores);
    for (size_t state = 0; state < part.states; ++state)
        apply_history(round, state, &found->items, round->scores + state * part.items);
    leave_out(round, &found->items, part.states);
    return true;
}

sr_status score_round_candidates(score_round *round, size_t state, scored_items *found, sr_error *error)
{
    const size_t begin = round->candidate_begins[state], count = round->candidate_begins[state + 1] - begin;
    size_t own = 0;
    SR_TRY(SR_GROW(&round->scored_items, &round->scored_room, count, "candidates", error));
    SR_TRY(SR_GROW(&round->scored_scores, &round->scores_room, count, "candidates", error));
    for (size_t i = round->turn; i < count; i += round->turns) {
        const int32_t item = round->portion_candidates[begin + i];
        size_t tile, place;
        if (!scorer_find(round->scorer, item, &tile, &place))
            continue;
        round->scored_items[own] = item;
        round->scored_scores[own++] = score_of_item(round, state, item, tile, place);
    }
    *found = (scored_items){.items = {.count = own, .list = round->scored_items}, .scores = round->scored_scores};
    return SR_OK;
}

sr_status score_round_sum(score_round *round, int64_t *values, size_t count, sr_error *error)
{
    return round->ranks ? sr_parallel_sum_int64(round->ranks, values, count, error) : SR_OK;
}
