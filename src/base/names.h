/* Distinct strings numbered in order of first appearance: open addressing with XXH3, the bytes in an arena. */
#ifndef SRTRAIN_BASE_NAMES_H
#define SRTRAIN_BASE_NAMES_H

#include "srtrain/memory.h"

#include <stdint.h>

typedef struct {
    sr_arena *bytes;
    char *chunk; /* room for more bytes */
    size_t chunk_left;
    const char **texts; /* [count], null-terminated */
    uint32_t count;
    size_t room;
    uint32_t *slots;   /* [slot_count], number + 1, or 0 for a free slot */
    size_t slot_count; /* a power of two */
} name_table;

sr_status names_create(name_table *table, sr_error *error);
void names_free(name_table *table);

/* The number of a string, which is entered if it is new. */
sr_status names_number(name_table *table, const char *text, size_t length, uint32_t *number, sr_error *error);

/* The number of a string, or NAMES_NONE if it has never been entered. */
#define NAMES_NONE UINT32_MAX
uint32_t names_find(const name_table *table, const char *text, size_t length);

#endif
