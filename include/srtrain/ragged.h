/* Which tokens of a ragged batch (srtrain/layout.h) see which: attention maps.
 *
 * The letters of comments: S sequences, T tokens, Q query rows, K key rows, h heads. */
#ifndef SRTRAIN_RAGGED_H
#define SRTRAIN_RAGGED_H

#include "srtrain/layout.h"
#include "srtrain/status.h"

/* Which cells a ragged attention map has: for each sequence a block [heads, queries of s, keys of s]. */
typedef struct {
    const sr_layout *layout;
    const sr_rows *queries; /* Q rows */
    const sr_rows *keys;    /* K rows; those of a sequence are neighbours */
    size_t heads;
    const size_t *offsets; /* [S + 1]: first cell of each sequence's block; the map has offsets[S] cells */
    bool whole;            /* every key counts as visible to every query, whatever the mask says */
} sr_attention_map;

struct sr_tape;

/* The map of `heads` heads between two sets of rows, with its offsets in memory of the tape; NULL (and a sticky failure of the
 * tape) when memory runs out. */
const sr_attention_map *sr_attention_map_make(struct sr_tape *tape, const sr_layout *layout, const sr_rows *queries,
                                              const sr_rows *keys, size_t heads);

/* The keys of the sequence that has the most. */
size_t sr_attention_map_longest(const sr_attention_map *map);

/* The same cells with every one of them visible; NULL like above. */
const sr_attention_map *sr_attention_map_whole(struct sr_tape *tape, const sr_attention_map *map);

/* All tokens of `layout` as rows, in memory of the tape; NULL like above. */
const sr_rows *sr_rows_all(struct sr_tape *tape, const sr_layout *layout);

/* The tokens that some query may see: all but the padding behind the items (padding in front of them is seen by padding
 * queries, see below). `all` itself when there is no such padding. NULL like above. */
const sr_rows *sr_rows_seen(struct sr_tape *tape, const sr_layout *layout, const sr_rows *all);

/* The tokens that items may see: the items themselves; of a sequence without any, all. `seen` itself, the tokens that any query
 * may see, when there are no others. NULL like above. */
const sr_rows *sr_rows_seen_by_items(struct sr_tape *tape, const sr_layout *layout, const sr_rows *seen);

static inline size_t sr_attention_map_cells(const sr_attention_map *map)
{
    return map->offsets[map->layout->sequences];
}

/* The keys that query row `query` (in [0, Q)) of sequence `s` sees: a range [begin, end) of the sequence's keys, counted from
 * its first one. A padding query before the first item has no admissible key; like the published models, whose finite mask then
 * cancels out, it sees all of its window. */
static inline void sr_visible_keys(const sr_attention_map *map, size_t s, size_t query, size_t *begin, size_t *end)
{
    const sr_layout *layout = map->layout;
    const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
    const size_t first_key = map->keys->tokens[map->keys->offsets[s]], token = map->queries->tokens[query];
    size_t first = layout->offsets[s] + layout->leading[s], last = layout->offsets[s + 1] - layout->trailing[s];
    if (layout->causal && token + 1 < last)
        last = token + 1;
    const bool sees_nothing = first >= last;
    *begin = map->whole || sees_nothing ? 0 : first - first_key;
    *end = map->whole || sees_nothing ? keys : last - first_key;
}

#endif
