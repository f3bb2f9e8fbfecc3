/* Distinct identifiers, numbered in order of first appearance: open addressing with XXH3; about 30 bytes an identifier beside
 * its own. */
#ifndef SRTRAIN_BASE_NAMES_H
#define SRTRAIN_BASE_NAMES_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How an identifier lies in the table's bytes, in stores and in files: hash, length, bytes; nothing is aligned. */
enum { NAME_HEADER = sizeof(uint64_t) + sizeof(uint16_t) };

typedef struct {
    uint64_t hash;
    uint16_t length;
    const char *bytes;
} identifier;

/* The identifier that lies at `bytes`. */
identifier name_at(const char *bytes);

/* By hash, then by length and bytes. */
int name_compare(const identifier *left, const identifier *right);

typedef struct {
    char *bytes; /* the identifiers, one after the other */
    uint64_t used, room;
    uint64_t *places; /* [count] into bytes */
    uint32_t count;
    size_t places_room;
    struct name_slot *slots;
    uint64_t slot_count; /* a power of two */
    uint32_t last;       /* the number returned last: inputs often name a user many times in a row */
} name_table;

sr_status names_create(name_table *table, sr_error *error);
void names_free(name_table *table);

/* The number of an identifier, which is entered if it is new. SR_ERROR_DATA for one of more than 65535 bytes. */
sr_status names_number(name_table *table, const char *text, size_t length, uint32_t *number, sr_error *error);

/* Enters the lines of a file that are not empty, in their order. */
sr_status names_read(name_table *table, const char *path, sr_error *error);

/* The number of an identifier, or NAMES_NONE if it has never been entered. */
#define NAMES_NONE UINT32_MAX
uint32_t names_find(const name_table *table, const char *text, size_t length);

/* The identifier of a number. Its bytes are valid until another one is entered. */
identifier names_get(const name_table *table, uint32_t number);

/* Forgets all identifiers and keeps nothing of the memory. */
sr_status names_clear(name_table *table, sr_error *error);

/* Memory in use, with what growing takes for a moment. */
uint64_t names_memory(const name_table *table);

#endif
