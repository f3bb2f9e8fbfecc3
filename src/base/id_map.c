#include "base/id_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SLOTS = 64 };

/* At least twice as many as numbers, so that an empty one is always near. */
static size_t slots_for(size_t most)
{
    size_t slots = LEAST_SLOTS;
    while (slots < 2 * most)
        slots *= 2;
    return slots;
}

static sr_status check_most(size_t most, sr_error *error)
{
    if (most < UINT32_MAX)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME, "%zu different items are more than one list may have", most);
}

sr_status id_map_clear(id_map *map, size_t most, sr_error *error)
{
    map->count = 0;
    SR_TRY(check_most(most, error));
    SR_TRY(SR_GROW(&map->list, &map->room, most, "a list of different items", error));
    SR_TRY(SR_GROW(&map->slots, &map->slot_room, slots_for(most), "a list of different items", error));
    id_map_empty(map, most);
    return SR_OK;
}

sr_status id_map_take(id_map *map, size_t most, sr_arena *arena, sr_error *error)
{
    const size_t slots = slots_for(most);
    SR_TRY(check_most(most, error));
    *map = (id_map){.list = sr_arena_take(arena, most * sizeof *map->list),
                    .room = most,
                    .slots = sr_arena_take(arena, slots * sizeof *map->slots),
                    .slot_room = slots};
    if (!map->list || !map->slots)
        return sr_fail_memory(error, most * sizeof *map->list + slots * sizeof *map->slots, "a list of different items");
    id_map_empty(map, most);
    return SR_OK;
}

void id_map_empty(id_map *map, size_t most)
{
    assert(most <= map->room);
    map->count = 0;
    map->slot_count = slots_for(most);
    memset(map->slots, 0, map->slot_count * sizeof *map->slots);
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
