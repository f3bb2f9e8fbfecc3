/* Layouts of attention maps. */
#include "srtrain/ragged.h"

#include "srtrain/tape.h"

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

const sr_rows *sr_rows_seen(sr_tape *tape, const sr_layout *layout, const sr_rows *all)
{
    size_t hidden = 0;
    for (size_t s = 0; s < layout->sequences; ++s)
        hidden += layout->trailing[s];
    if (hidden == 0)
        return all;
    sr_rows *rows = sr_tape_take(tape, 1, sizeof *rows);
    size_t *offsets = sr_tape_take(tape, layout->sequences + 1, sizeof *offsets);
    size_t *tokens = sr_tape_take(tape, layout->offsets[layout->sequences] - hidden, sizeof *tokens);
    if (!rows || !offsets || !tokens)
        return NULL;
    size_t count = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        offsets[s] = count;
        for (size_t token = layout->offsets[s]; token < layout->offsets[s + 1] - layout->trailing[s]; ++token)
            tokens[count++] = token;
    }
    offsets[layout->sequences] = count;
    *rows = (sr_rows){.offsets = offsets, .tokens = tokens};
    return rows;
}
