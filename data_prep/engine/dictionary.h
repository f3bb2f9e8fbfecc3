/* Distinct identifiers of the part of the input that is in memory, numbered in order of first appearance: open addressing with
 * XXH3; about 30 bytes an identifier beside its own. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_DICTIONARY_H
#define SRTRAIN_DATA_PREP_ENGINE_DICTIONARY_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How an identifier lies in the dictionary's bytes, in stores and in files: hash, length, bytes; nothing is aligned. */
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
    struct dictionary_slot *slots;
    uint64_t slot_count; /* a power of two */
    uint32_t last;       /* the number returned last: inputs often name a user many times in a row */
} dictionary;

sr_status dictionary_create(dictionary *d, sr_error *error);
void dictionary_free(dictionary *d);

/* The number of an identifier, which is entered if it is new. */
sr_status dictionary_number(dictionary *d, const char *text, size_t length, uint32_t *number, sr_error *error);

/* Whether it is there. */
bool dictionary_has(const dictionary *d, const char *text, size_t length);

/* Forgets all identifiers and keeps nothing of the memory. */
sr_status dictionary_clear(dictionary *d, sr_error *error);

/* Memory in use, with what growing takes for a moment. */
uint64_t dictionary_memory(const dictionary *d);

/* The numbers of all identifiers in the order of name_compare(): sorted [count]. */
sr_status dictionary_sort(const dictionary *d, uint32_t *sorted, sr_error *error);

#endif
