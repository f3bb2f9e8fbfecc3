/* Sorting pairs of 64-bit numbers by the first (radix sort, stable), and identifiers by their hashes. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_SORT_KEYS_H
#define SRTRAIN_DATA_PREP_ENGINE_SORT_KEYS_H

#include "base/names.h"

#include <stdint.h>

typedef struct {
    uint64_t key, value;
} sort_key;

/* Ascending by key; equal keys keep their order. Takes as much memory again for a while. */
sr_status sort_keys(sort_key *keys, size_t count, sr_error *error);

/* The numbers of all identifiers in the order of name_compare(): sorted [count]. */
sr_status sort_names(const name_table *table, uint32_t *sorted, sr_error *error);

#endif
