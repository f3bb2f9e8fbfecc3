#include "data/same_target.h"

#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- the index ---- */

/* A counting sort: sizes of groups, where they begin, and then each example into its place. */
sr_status same_target_index_make(same_target_index *index, size_t items, size_t examples, const target_source *source,
                                 sr_error *error)
{
    *index = (same_target_index){NULL, NULL};
    if (examples > UINT32_MAX)
        return sr_fail(error, SR_ERROR_RUNTIME, "%zu training examples are more than contrastive training can index (2^32 - 1)",
                       examples);
    SR_TRY(SR_ALLOCATE_ZERO(&index->offsets, items + 2, "the index of examples with the same target", error));
    const sr_status status = SR_ALLOCATE(&index->members, examples, "the index of examples with the same target", error);
    if (status != SR_OK) {
        same_target_index_free(index);
        return status;
    }
    size_t count;
    for (size_t user = 0; user < source->users; ++user) {
        const int32_t *targets = source->targets(source->context, user, &count);
        for (size_t i = 0; i < count; ++i)
            ++index->offsets[targets[i] + 1];
    }
    for (size_t item = 0; item <= items; ++item)
        index->offsets[item + 1] += index->offsets[item];
    /* Filling moves each group's beginning to its end, which is where the next one begins. */
    uint32_t number = 0;
    for (size_t user = 0; user < source->users; ++user) {
        const int32_t *targets = source->targets(source->context, user, &count);
        for (size_t i = 0; i < count; ++i)
            index->members[index->offsets[targets[i]]++] = number++;
    }
    memmove(index->offsets + 1, index->offsets, (items + 1) * sizeof *index->offsets);
    index->offsets[0] = 0;
    return SR_OK;
}

size_t same_target_index_memory(size_t items, size_t examples)
{
    const same_target_index *index = NULL;
    return (items + 2) * sizeof *index->offsets + examples * sizeof *index->members;
}

void same_target_index_free(same_target_index *index)
{
    free(index->offsets);
    free(index->members);
    *index = (same_target_index){NULL, NULL};
}

/* ---- draws ---- */

static bool same_history(const sr_example *left, const sr_example *right, size_t longest)
{
    const size_t left_length = left->length < longest ? left->length : longest;
    const size_t right_length = right->length < longest ? right->length : longest;
    return left_length == right_length &&
           memcmp(left->items + left->length - left_length, right->items + right->length - right_length,
                  left_length * sizeof *left->items) == 0;
}

/* Member `rank` of those whose history differs from the own one; their number in *count. */
static sr_example find_different(const uint32_t *members, size_t size, const example_source *source, const sr_example *own,
                                 size_t rank, size_t *count)
{
    sr_example found = *own;
    *count = 0;
    for (size_t i = 0; i < size; ++i) {
        const sr_example other = source->at(source->context, members[i]);
        if (same_history(own, &other, source->longest))
            continue;
        if ((*count)++ == rank)
            found = other;
    }
    return found;
}

sr_example same_target_draw(const same_target_index *index, const example_source *source, sr_random_stream stream,
                            size_t number)
{
    enum { ATTEMPTS = 16 };
    const sr_example own = source->at(source->context, number);
    const size_t target = (size_t)own.targets[0];
    const uint32_t *members = index->members + index->offsets[target];
    const size_t size = index->offsets[target + 1] - index->offsets[target];
    if (size < 2)
        return own;
    for (uint64_t attempt = 0; attempt < ATTEMPTS; ++attempt) {
        const size_t drawn = members[sr_random_below(stream, number, attempt, size)];
        const sr_example other = source->at(source->context, drawn);
        if (!same_history(&own, &other, source->longest))
            return other;
    }
    /* Nearly all of the group have the same history (often the empty one), or all: then the rest is counted. */
    size_t different;
    find_different(members, size, source, &own, SIZE_MAX, &different);
    if (different == 0)
        return own;
    return find_different(members, size, source, &own, (size_t)sr_random_below(stream, number, ATTEMPTS, different),
                          &different);
}
