/* Where users' examples begin; data/example_index.h. */
#include "data/example_index.h"

#include "srtrain/memory.h"

#include <stdlib.h>

enum { BLOCK = 16 }; /* users */

static size_t block_count(size_t users)
{
    return (users + BLOCK - 1) / BLOCK;
}

sr_status example_index_make(example_index *index, const example_counts *counts, sr_error *error)
{
    *index = (example_index){NULL, 0};
    SR_TRY(SR_ALLOCATE(&index->begins, block_count(counts->users) + 1, "the index of training examples", error));
    for (size_t user = 0; user < counts->users; ++user) {
        if (user % BLOCK == 0)
            index->begins[user / BLOCK] = index->examples;
        index->examples += counts->examples_of(counts->context, user);
    }
    index->begins[block_count(counts->users)] = index->examples;
    return SR_OK;
}

void example_index_free(example_index *index)
{
    free(index->begins);
    *index = (example_index){NULL, 0};
}

size_t example_index_memory(size_t users)
{
    const example_index *index = NULL;
    return (block_count(users) + 1) * sizeof *index->begins;
}

size_t example_index_user(const example_index *index, const example_counts *counts, size_t example, size_t *begin)
{
    size_t low = 0, high = block_count(counts->users);
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (index->begins[middle] <= example)
            low = middle;
        else
            high = middle;
    }
    size_t user = low * BLOCK;
    *begin = index->begins[low];
    for (;; ++user) {
        const size_t count = counts->examples_of(counts->context, user);
        if (example - *begin < count)
            return user;
        *begin += count;
    }
}
