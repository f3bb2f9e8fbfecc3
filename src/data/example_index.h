/* Which user an example belongs to. Users have any number of examples, numbered one user after the other; the index remembers
 * where every 16th user's begin, half a byte a user, and counts from there: on every rank of a large data set that is what
 * matters. Called by sampler.c. */
#ifndef SRTRAIN_DATA_EXAMPLE_INDEX_H
#define SRTRAIN_DATA_EXAMPLE_INDEX_H

#include "srtrain/status.h"

#include <stddef.h>

/* The number of examples of a user, the same each time. */
typedef struct {
    size_t users;
    size_t (*examples_of)(const void *context, size_t user);
    const void *context;
} example_counts;

typedef struct {
    size_t *begins; /* of users 0, 16, 32, ..., and the number of all */
    size_t examples;
} example_index;

/* Release with example_index_free(). */
sr_status example_index_make(example_index *index, const example_counts *counts, sr_error *error);
void example_index_free(example_index *index);
size_t example_index_memory(size_t users); /* in bytes */

/* The user of an example, and *begin: the number of that user's first one. */
size_t example_index_user(const example_index *index, const example_counts *counts, size_t example, size_t *begin);

#endif
