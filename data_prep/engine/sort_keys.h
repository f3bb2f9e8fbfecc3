/* Sorting pairs of 64-bit numbers by the first: radix sort, stable. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_SORT_KEYS_H
#define SRTRAIN_DATA_PREP_ENGINE_SORT_KEYS_H

#include "srtrain/status.h"

#include <stdint.h>

typedef struct {
    uint64_t key, value;
} sort_key;

/* Ascending by key; equal keys keep their order. Takes as much memory again for a while. */
sr_status sort_keys(sort_key *keys, size_t count, sr_error *error);

#endif
