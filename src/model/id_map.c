#include "model/id_map.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_SLOTS = 64 };

sr_status id_map_clear(id_map *map, size_t most, sr_error *error)
{
    size_t slots = LEAST_SLOTS;
    map->count = 0;
    if (most >= UINT32_MAX)
        return sr_fail(error, SR_ERROR_RUNTIME, "%zu rows of the item table are more than a step may read", most);
    while (slots < 2 * most)
        slots *= 2;
    SR_TRY(SR_GROW(&map->list, &map->room, most, "the items that a step reads", error));
    SR_TRY(SR_GROW(&map->slots, &map->slot_room, slots, "the items that a step reads", error));
    map->slot_count = slots;
    memset(map->slots, 0, slots * sizeof *map->slots);
    return SR_OK;
}

void id_map_free(id_map *map)
{
    free(map->list);
    free(map->slots);
    *map = (id_map){.list = NULL};
}

/* The slot that has the number, or the empty one where it would be. */
static size_t slot_of(const id_map *map, int32_t number)
{
    const uint64_t mixed = (uint64_t)(uint32_t)number * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(mixed >> 32) & (map->slot_count - 1);
    while (map->slots[slot] != 0 && map->list[map->slots[slot] - 1] != number)
        slot = (slot + 1) & (map->slot_count - 1);
    return slot;
}

size_t id_map_add(id_map *map, int32_t number)
{
    const size_t slot = slot_of(map, number);
    if (map->slots[slot] == 0) {
        map->list[map->count] = number;
        map->slots[slot] = (uint32_t)++map->count;
    }
    return map->slots[slot] - 1;
}

size_t id_map_find(const id_map *map, int32_t number)
{
    if (map->slot_count == 0)
        return SIZE_MAX;
    const size_t slot = slot_of(map, number);
    return map->slots[slot] == 0 ? SIZE_MAX : map->slots[slot] - 1;
}
