/* Layouts of attention maps. */
#include "srtrain/ragged.h"

#include "srtrain/tape.h"

#include <string.h>

const sr_attention_map *sr_attention_map_make(sr_tape *tape, const sr_layout *layout, const sr_rows *queries,
                                              const sr_rows *keys, size_t heads)
{
    sr_attention_map *map = sr_tape_take(tape, 1, sizeof *map);
    size_t *offsets = sr_tape_take(tape, layout->sequences + 1, sizeof *offsets);
    if (!map || !offsets || !queries || !keys)
        return NULL;
    offsets[0] = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t query_count = queries->offsets[s + 1] - queries->offsets[s];
        const size_t key_count = keys->offsets[s + 1] - keys->offsets[s];
        offsets[s + 1] = offsets[s] + heads * query_count * key_count;
    }
    *map = (sr_attention_map){.layout = layout, .queries = queries, .keys = keys, .heads = heads, .offsets = offsets};
    return map;
}

size_t sr_attention_map_longest(const sr_attention_map *map)
{
    size_t longest = 0;
    for (size_t s = 0; s < map->layout->sequences; ++s) {
        const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
        longest = keys > longest ? keys : longest;
    }
    return longest;
}

const sr_attention_map *sr_attention_map_whole(sr_tape *tape, const sr_attention_map *map)
{
    sr_attention_map *whole = map ? sr_tape_take(tape, 1, sizeof *whole) : NULL;
    if (!whole)
        return NULL;
    *whole = *map;
    whole->whole = true;
    return whole;
}

const sr_rows *sr_rows_all(sr_tape *tape, const sr_layout *layout)
{
    const size_t count = layout->offsets[layout->sequences];
    sr_rows *rows = sr_tape_take(tape, 1, sizeof *rows);
    size_t *tokens = sr_tape_take(tape, count, sizeof *tokens);
    if (!rows || !tokens)
        return NULL;
    for (size_t token = 0; token < count; ++token)
        tokens[token] = token;
    *rows = (sr_rows){.offsets = layout->offsets, .tokens = tokens};
    return rows;
}

/* The tokens of each sequence but for so many in front and so many at the end; NULL when memory runs out. */
static const sr_rows *rows_without(sr_tape *tape, const sr_layout *layout, const uint32_t *front, const uint32_t *back)
{
    sr_rows *rows = sr_tape_take(tape, 1, sizeof *rows);
    size_t *offsets = sr_tape_take(tape, layout->sequences + 1, sizeof *offsets);
    size_t *tokens = sr_tape_take(tape, layout->offsets[layout->sequences], sizeof *tokens);
    if (!rows || !offsets || !tokens)
        return NULL;
    size_t count = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        offsets[s] = count;
        for (size_t token = layout->offsets[s] + front[s]; token < layout->offsets[s + 1] - back[s]; ++token)
            tokens[count++] = token;
    }
    offsets[layout->sequences] = count;
    *rows = (sr_rows){.offsets = offsets, .tokens = tokens};
    return rows;
}

static size_t sum_of(const uint32_t *counts, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; ++i)
        sum += counts[i];
    return sum;
}

const sr_rows *sr_rows_seen(sr_tape *tape, const sr_layout *layout, const sr_rows *all)
{
    if (sum_of(layout->trailing, layout->sequences) == 0)
        return all;
    uint32_t *none = sr_tape_take(tape, layout->sequences, sizeof *none);
    if (!none)
        return NULL;
    memset(none, 0, layout->sequences * sizeof *none);
    return rows_without(tape, layout, none, layout->trailing);
}

const sr_rows *sr_rows_seen_by_items(sr_tape *tape, const sr_layout *layout, const sr_rows *seen)
{
    uint32_t *front = sr_tape_take(tape, layout->sequences, sizeof *front);
    for (size_t s = 0; front && s < layout->sequences; ++s) {
        const size_t length = layout->offsets[s + 1] - layout->offsets[s];
        front[s] = layout->leading[s] == length ? 0 : layout->leading[s];
    }
    if (!front)
        return NULL;
    return sum_of(front, layout->sequences) == 0 ? seen : rows_without(tape, layout, front, layout->trailing);
}
