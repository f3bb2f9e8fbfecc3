#include "data/item_map.h"

#include <string.h>

/* Twice as many places as items, so that an empty one is always near. */
static unsigned bits_for(size_t count)
{
    unsigned bits = 1;
    while ((size_t)1 << bits < 2 * count)
        ++bits;
    return bits;
}

sr_status item_map_take(item_map *map, size_t count, sr_arena *arena, sr_error *error)
{
    const size_t room = (size_t)1 << bits_for(count);
    *map = (item_map){.items = sr_arena_take(arena, room * sizeof *map->items),
                      .values = sr_arena_take(arena, room * sizeof *map->values),
                      .most = room};
    if (!map->items || !map->values)
        return sr_fail_memory(error, room * sizeof *map->items, "a set of items");
    item_map_clear(map, count);
    return SR_OK;
}

void item_map_clear(item_map *map, size_t count)
{
    map->bits = bits_for(count);
    map->room = (size_t)1 << map->bits;
    memset(map->items, 0, map->room * sizeof *map->items);
}

/* Fibonacci hashing (Knuth, volume 3, section 6.4): the upper bits of a product. Collisions go on to the next place. */
static size_t place_of(const item_map *map, int32_t item)
{
    size_t place = (uint32_t)item * 2654435769u >> (32 - map->bits);
    while (map->items[place] != 0 && map->items[place] != item)
        place = (place + 1) & (map->room - 1);
    return place;
}

uint32_t *item_map_add(item_map *map, int32_t item, bool *is_new)
{
    const size_t place = place_of(map, item);
    if (is_new)
        *is_new = map->items[place] == 0;
    map->items[place] = item;
    return &map->values[place];
}

const uint32_t *item_map_find(const item_map *map, int32_t item)
{
    const size_t place = place_of(map, item);
    return map->items[place] == 0 ? NULL : &map->values[place];
}
