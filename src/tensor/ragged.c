/* Layouts of attention maps. */
#include "srtrain/ragged.h"

#include "srtrain/tape.h"

const sr_attention_map *sr_attention_map_make(sr_tape *tape, const sr_layout *layout, const sr_queries *queries, size_t heads)
{
    sr_attention_map *map = sr_tape_take(tape, 1, sizeof *map);
    size_t *offsets = sr_tape_take(tape, layout->sequences + 1, sizeof *offsets);
    if (!map || !offsets || !queries)
        return NULL;
    offsets[0] = 0;
    for (size_t s = 0; s < layout->sequences; ++s) {
        const size_t query_count = queries->offsets[s + 1] - queries->offsets[s];
        const size_t key_count = layout->offsets[s + 1] - layout->offsets[s];
        offsets[s + 1] = offsets[s] + heads * query_count * key_count;
    }
    *map = (sr_attention_map){.layout = layout, .queries = queries, .heads = heads, .offsets = offsets};
    return map;
}

const sr_queries *sr_queries_all(sr_tape *tape, const sr_layout *layout)
{
    const size_t count = layout->offsets[layout->sequences];
    sr_queries *queries = sr_tape_take(tape, 1, sizeof *queries);
    size_t *tokens = sr_tape_take(tape, count, sizeof *tokens);
    if (!queries || !tokens)
        return NULL;
    for (size_t token = 0; token < count; ++token)
        tokens[token] = token;
    *queries = (sr_queries){.offsets = layout->offsets, .tokens = tokens};
    return queries;
}
