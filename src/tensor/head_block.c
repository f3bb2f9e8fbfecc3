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
