/* Items and a number of each, in a hash table of a fixed size: sets of items, and places of items in a list. Called by
 * negatives.c. */
#ifndef SRTRAIN_DATA_ITEM_MAP_H
#define SRTRAIN_DATA_ITEM_MAP_H

#include "srtrain/memory.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int32_t *items;   /* [room]: 0 where there is none */
    uint32_t *values; /* [room] */
    size_t room;      /* a power of two */
    unsigned bits;    /* its logarithm */
    size_t most;      /* room that was taken */
} item_map;

/* Room for `count` different items in an arena. */
sr_status item_map_take(item_map *map, size_t count, sr_arena *arena, sr_error *error);

/* Empties it, for at most `count` different items, no more than it was taken for. */
void item_map_clear(item_map *map, size_t count);

/* The place of an item's value, for an item other than 0; *is_new (may be NULL) says whether it was not there before: then the
 * value may be anything. */
uint32_t *item_map_add(item_map *map, int32_t item, bool *is_new);

/* The same, NULL where it is not in the map. */
const uint32_t *item_map_find(const item_map *map, int32_t item);

#endif
