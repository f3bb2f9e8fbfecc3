/* Ragged batches: sequences of different length packed one after the other, without padding.
 *
 * Tokens of all sequences form one matrix [tokens, width]. Where a model truly needs padded positions (a sequence without any
 * item, a filter over the whole window), padding tokens are tokens like any other, and the layout says which they are.
 *
 * The letters of comments: S sequences, T tokens. */
#ifndef SRTRAIN_LAYOUT_H
#define SRTRAIN_LAYOUT_H

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
    size_t window;            /* columns that a padded sequence has */
    bool causal;              /* a token sees no later token */
} sr_layout;

/* Some tokens of a layout: those that act as queries, those that act as keys, or those that somebody reads. */
typedef struct {
    const size_t *offsets; /* [S + 1]: sequence s has rows offsets[s] .. offsets[s + 1] */
    const size_t *tokens;  /* [rows]: the token of each row, ascending */
} sr_rows;

static inline size_t sr_rows_count(const sr_rows *rows, const sr_layout *layout)
{
    return rows->offsets[layout->sequences];
}

/* Whether a token of sequence `s` is an item (or a mask token), not padding. */
static inline bool sr_is_item(const sr_layout *layout, size_t s, size_t token)
{
    return token >= layout->offsets[s] + layout->leading[s] && token < layout->offsets[s + 1] - layout->trailing[s];
}

#endif
