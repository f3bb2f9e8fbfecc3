/* Distinct numbers, such as ids of items, in the order in which they were seen first, with the place of each: a hash table with
 * open addressing. Its memory is its own, or that of an arena. */
#ifndef SRTRAIN_BASE_ID_MAP_H
#define SRTRAIN_BASE_ID_MAP_H

#include "srtrain/memory.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t *list; /* [count]: the numbers in the order in which they were seen first */
    size_t count, room;
    uint32_t *slots; /* [slot_count], a power of two: 1 + place in the list; 0: empty */
    size_t slot_count, slot_room;
} id_map;

/* Forgets all numbers, and has room for up to `most` from now on, in memory of its own. Release with id_map_free(). */
sr_status id_map_clear(id_map *map, size_t most, sr_error *error);
void id_map_free(id_map *map);

/* An empty map in an arena, with room for up to `most` numbers; not to be cleared for more, nor released. */
sr_status id_map_take(id_map *map, size_t most, sr_arena *arena, sr_error *error);

/* Forgets all numbers, for up to `most` other ones: no more than it has room for. */
void id_map_empty(id_map *map, size_t most);

/* The place of a number, which may be seen for the first time. There must be room for it. */
size_t id_map_add(id_map *map, int32_t number);

/* The place of a number, or SIZE_MAX if it was not seen. */
size_t id_map_find(const id_map *map, int32_t number);

#endif
