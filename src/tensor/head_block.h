/* Walking over a ragged attention map, head by head. */
#ifndef SRTRAIN_TENSOR_HEAD_BLOCK_H
#define SRTRAIN_TENSOR_HEAD_BLOCK_H

#include "srtrain/ragged.h"
#include "srtrain/tape.h"
#include "tensor/gemm.h"

/* One head of one sequence: the block [queries, keys] of the map, and the head's columns in the matrices beside it. */
typedef struct {
    size_t s, head;
    size_t queries, keys;
    size_t query_row; /* first row of the sequence in a query matrix */
    size_t key_row;   /* and in key and value matrices */
    size_t column;    /* first column of the head in all of them */
    size_t width;     /* columns of one head */
    size_t cell;      /* first cell of the block */
} head_block;

typedef void (*head_function)(sr_tape *tape, const sr_attention_map *map, const head_block *block, const void *state);

/* Calls `function` for every head of every sequence that has queries. `width` is that of one head; 0 where no matrix is used.
 */
void for_each_head(sr_tape *tape, const sr_attention_map *map, size_t width, head_function function, const void *state);

/* The visible keys of row `query` of the block: [begin, end). */
static inline void visible_keys(const sr_attention_map *map, const head_block *block, size_t query, size_t *begin, size_t *end)
{
    sr_visible_keys(map, block->s, block->query_row + query, begin, end);
}

/* Whether each query of the block, from the first one on, sees one key more than the one before it at most, so that products
 * may stop at a diagonal: query i sees no key j > i + *diagonal. */
bool is_causal_block(const sr_attention_map *map, const head_block *block, size_t *diagonal);

/* A product over the block, or with it, that stops there; `part` is what the block is of it. */
sr_causal_size block_product(const sr_attention_map *map, const head_block *block, sr_product_size whole, causal_part part);

/* The columns of the window that query row `query` and key row `key` of the block stand in. */
static inline int32_t query_column(const sr_attention_map *map, const head_block *block, size_t query)
{
    return map->layout->columns[map->queries->tokens[block->query_row + query]];
}

static inline int32_t key_column(const sr_attention_map *map, const head_block *block, size_t key)
{
    return map->layout->columns[map->keys->tokens[block->key_row + key]];
}

#endif
