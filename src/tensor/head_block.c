#include "tensor/head_block.h"

void for_each_head(sr_tape *tape, const sr_attention_map *map, size_t width, head_function function, const void *state)
{
    for (size_t s = 0; s < map->layout->sequences; ++s) {
        head_block block = {.s = s,
                            .queries = map->queries->offsets[s + 1] - map->queries->offsets[s],
                            .keys = map->keys->offsets[s + 1] - map->keys->offsets[s],
                            .query_row = map->queries->offsets[s],
                            .key_row = map->keys->offsets[s],
                            .width = width};
        if (block.queries == 0)
            continue;
        for (block.head = 0; block.head < map->heads; ++block.head) {
            block.column = block.head * width;
            block.cell = map->offsets[s] + block.head * block.queries * block.keys;
            function(tape, map, &block, state);
        }
    }
}

bool is_causal_block(const sr_attention_map *map, const head_block *block, size_t *diagonal)
{
    const sr_layout *layout = map->layout;
    const size_t *queries = map->queries->tokens + block->query_row;
    const size_t first_key = map->keys->tokens[block->key_row];
    const bool are_neighbours = queries[block->queries - 1] - queries[0] == block->queries - 1;
    const bool sees_items = queries[0] >= layout->offsets[block->s] + layout->leading[block->s] && queries[0] >= first_key;
    *diagonal = sees_items ? queries[0] - first_key : 0;
    return layout->causal && !map->whole && are_neighbours && sees_items;
}

sr_causal_size block_product(const sr_attention_map *map, const head_block *block, sr_product_size whole, causal_part part)
{
    sr_causal_size size = {whole, part, 0};
    if (!is_causal_block(map, block, &size.diagonal))
        size.causal = CAUSAL_NONE;
    return size;
}
