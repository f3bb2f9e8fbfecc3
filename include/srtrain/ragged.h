/* Ragged batches: sequences of different length packed one after the other, without padding.
 *
 * Tokens of all sequences form one matrix [tokens, width]. Where a model truly needs padded positions (a sequence without any
 * item, a filter over the whole window), padding tokens are tokens like any other, and the layout says which they are.
 *
 * The letters of comments: S sequences, T tokens, Q query rows, h heads. */
#ifndef SRTRAIN_RAGGED_H
#define SRTRAIN_RAGGED_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How tokens are packed. The arrays belong to whoever made the batch. */
typedef struct {
    size_t sequences;         /* S */
    const size_t *offsets;    /* [S + 1]: sequence s has tokens offsets[s] .. offsets[s + 1]; T = offsets[S] */
    const uint32_t *leading;  /* [S]: padding tokens in front of the items */
    const uint32_t *trailing; /* [S]: padding tokens after the items */
    const int32_t *columns;   /* [T]: the token's column in the window of max_length, which is its position */
    const uint64_t *identity; /* [S]: what the random numbers of the sequence are keyed by, the same on any rank */
    bool causal;              /* a token sees no later token */
} sr_layout;

/* The rows of a layout that act as queries: all of them, or only those that somebody reads. */
typedef struct {
    const size_t *offsets; /* [S + 1]: sequence s has queries offsets[s] .. offsets[s + 1]; Q = offsets[S] */
    const size_t *tokens;  /* [Q]: the token of each query, ascending */
} sr_queries;

/* Which cells a ragged attention map has: for each sequence a block [heads, queries of s, tokens of s]. */
typedef struct {
    const sr_layout *layout;
    const sr_queries *queries;
    size_t heads;
    const size_t *offsets; /* [S + 1]: first cell of each sequence's block; the map has offsets[S] cells */
} sr_attention_map;

/* The map of `heads` heads between `queries` and the tokens of `layout`, with its offsets in memory of the tape; NULL (and a
 * sticky failure of the tape) when memory runs out. */
struct sr_tape;
const sr_attention_map *sr_attention_map_make(struct sr_tape *tape, const sr_layout *layout, const sr_queries *queries,
                                              size_t heads);

/* All tokens of `layout` as queries, in memory of the tape; NULL like above. */
const sr_queries *sr_queries_all(struct sr_tape *tape, const sr_layout *layout);

/* The keys that query token `token` of sequence `s` sees: a contiguous range [begin, end) of tokens, counted from the first
 * token of the sequence. A padding query before the first item has no admissible key; like the published models, whose finite
 * mask then cancels out, it sees all of its window. */
static inline void sr_visible_keys(const sr_layout *layout, size_t s, size_t token, size_t *begin, size_t *end)
{
    const size_t length = layout->offsets[s + 1] - layout->offsets[s];
    const size_t row = token - layout->offsets[s];
    *begin = layout->leading[s];
    *end = length - layout->trailing[s];
    if (layout->causal && row + 1 < *end)
        *end = row + 1;
    if (*begin >= *end) {
        *begin = 0;
        *end = length;
    }
}

#endif
