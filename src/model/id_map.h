/* Numbers that occur, each with the place at which it was seen first: a hash table with open addressing. */
#ifndef SRTRAIN_MODEL_ID_MAP_H
#define SRTRAIN_MODEL_ID_MAP_H

#include "srtrain/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t *list; /* [count]: the numbers in the order in which they were seen first */
    size_t count, room;
    uint32_t *slots; /* [slot_count], a power of two: 1 + place in the list; 0: empty */
    size_t slot_count, slot_room;
} id_map;

/* Forgets all numbers, and has room for up to `most` from now on. Release with id_map_free(). */
sr_status id_map_clear(id_map *map, size_t most, sr_error *error);
void id_map_free(id_map *map);

/* The place of a number, which may be seen for the first time. There must be room for it. */
size_t id_map_add(id_map *map, int32_t number);

/* The place of a number, or SIZE_MAX if it was not seen. */
size_t id_map_find(const id_map *map, int32_t number);

#endif
