/* Batches of histories on their way to scores.
 *
 * Where every process has all items, a rank scores the states of its own batches, and no rank waits for another. Where items
 * are divided among ranks, they do it together: in a round each rank brings a batch, or none when it has no histories left. The
 * states of all are gathered, portion by portion, and every process scores its own items for them. What each finds is put
 * together by the caller: counts are summed, lists of the best are merged. So the memory of a portion is bounded, and none of
 * it grows with the number of ranks but 8 bytes for each history of a round.
 *
 * Scores are the same bits however items are divided, and however states are put into portions (sr_catalogue_score()).
 *
 * Calls that are marked "together" are of all ranks where items are divided, and of all threads where these evaluate. All make
 * them equally often, also one that has failed, with its status: then they fail on all together. Elsewhere they are local. */
#ifndef SRTRAIN_EVALUATE_SCORE_ROUND_H
#define SRTRAIN_EVALUATE_SCORE_ROUND_H

#include "evaluate/scorer.h"
#include "srtrain/evaluation_settings.h"
#include "srtrain/parallel.h"

enum {
    PORTION_STATES = 1024,   /* in a portion, at most */
    PORTION_ITEMS = 1 << 20, /* of their histories, unless one alone has more */
    SCORED_ITEMS = 1024      /* scored at a time, at most */
};

/* States that are scored together. */
typedef struct {
    size_t count;
    /* Those of this rank's batch: `own` of them from `first_own` on, which are of its histories from `history` on. */
    size_t first_own, own, history;
} score_portion;

/* Scores of some items for all states of a portion, changed as the history asks for. */
typedef struct {
    sr_row_numbers items;
    const sr_real *scores; /* [count, items.count] */
} scored_items;

/* What all ranks know of a state of a round. */
typedef struct {
    int32_t target;     /* 0: none */
    int32_t history;    /* different items of the history, where they matter */
    int32_t candidates; /* how many */
} state_head;

typedef struct {
    scorer *scorer;
    sr_parallel *ranks; /* NULL: items are not divided */
    sr_history rule;
    const uint8_t *left_out; /* [items + 1]: not 0 for items whose score is -infinity; NULL: there are none */
    size_t most_states;      /* in a portion */
    size_t turn, turns;      /* of the process's threads this one scores each so many-th part of the items */
    sr_real *scores;         /* [most_states, SCORED_ITEMS], or as many items as there are */
    size_t items_at_once;    /* of them */
    int64_t *sums;           /* [2 most_states] */
    /* This rank's batch: the different items of history i, ascending, are items[ends[i - 1] .. ends[i]) (0 for i = 0). */
    state_head *heads; /* [largest_batch] */
    size_t *ends;      /* [largest_batch] */
    int32_t *items;    /* [room] */
    size_t room;
    size_t *candidate_ends; /* [largest_batch]: likewise of candidates */
    int32_t *candidates;    /* [candidate_room] */
    size_t candidate_room;
    /* The batches of all ranks, one after the other. */
    size_t total, own, first_own;
    state_head *all_heads; /* of all ranks, where they are gathered; else NULL, and `heads` are all */
    size_t begin;          /* of the portion */
    score_portion portion;
    const int32_t *histories; /* of its states, one after the other */
    size_t *history_begins;   /* [most_states + 1] */
    const int32_t *portion_candidates;
    size_t *candidate_begins; /* [most_states + 1] */
    sr_real *gathered_states;
    int32_t *gathered_items, *gathered_candidates;
    int32_t *scored_items; /* [scored_room]: candidates of a state, and their scores */
    sr_real *scored_scores;
    size_t scored_room, scores_room;
    size_t tile, place, part; /* where the next items begin; how many parts there were */
} score_round;

/* Batches have at most `largest_batch` histories, and portions `most_states` states. `member` is a process, or a thread that
 * evaluates as one of several. Keeps pointers to it and to the scorer. Local. Release with score_round_free(), also after a
 * failure. */
sr_status score_round_create(score_round *round, sr_parallel *member, scorer *s, sr_history rule, size_t largest_batch,
                             size_t most_states, sr_error *error);
void score_round_free(score_round *round);

/* Bytes that a scorer and its rounds hold beside the tensors of a batch. Local. */
typedef struct {
    size_t items;         /* that the process scores */
    size_t largest_batch; /* histories */
    size_t history_items; /* in all histories of such a batch */
    size_t workers;       /* who bring batches to a round; 1 where items are not divided */
} score_round_size;
size_t score_round_memory(const sr_model_settings *settings, const score_round_size *size);

/* Encodes a batch; its histories must live until the next. `targets` [count]: items whose scores will be asked for, or NULL.
 * round->total says how many states all batches have: when it is 0, nobody has histories left. Together. */
sr_status score_round_begin(score_round *round, const scored_history *histories, const int32_t *targets, size_t count,
                            sr_status status, sr_error *error);

/* The next portion, in round->portion; round->portion.count is 0 when all have been scored. `status` is that of what the caller
 * did with the portion before. Together. */
sr_status score_round_next(score_round *round, sr_status status, sr_error *error);

/* scores [count]: of the targets of the portion's states, changed as the history asks for. Together. */
sr_status score_round_targets(score_round *round, sr_real *scores, sr_error *error);

/* The target of a state of the portion. Local. */
int32_t score_round_target(const score_round *round, size_t state);

/* The next items that this process, or this thread of it, scores for the portion; false when there are none left. Local. */
bool score_round_items(score_round *round, scored_items *found);

/* The candidates of a state that this process, or this thread of it, scores: found->items as a list, and their scores, changed
 * as the history asks for. Valid until the next call. Local. */
sr_status score_round_candidates(score_round *round, size_t state, scored_items *found, sr_error *error);

/* Sums over ranks, in place. Together. */
sr_status score_round_sum(score_round *round, int64_t *values, size_t count, sr_error *error);

#endif
