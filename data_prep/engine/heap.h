/* A heap of numbered sources that are merged: the first is the one whose head comes first. */
#ifndef SRTRAIN_DATA_PREP_ENGINE_HEAP_H
#define SRTRAIN_DATA_PREP_ENGINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t *sources; /* [count] */
    size_t count;
    bool (*before)(const void *context, size_t left, size_t right);
    const void *context;
} heap;

/* Moves the first source down after its head has changed. */
static inline void heap_settle(const heap *h, size_t at)
{
    const size_t moved = h->sources[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->before(h->context, h->sources[child + 1], h->sources[child]))
            ++child;
        if (!h->before(h->context, h->sources[child], moved))
            break;
        h->sources[at] = h->sources[child];
        at = child;
    }
    h->sources[at] = moved;
}

/* Orders all sources. */
static inline void heap_build(const heap *h)
{
    for (size_t i = h->count / 2; i-- > 0;)
        heap_settle(h, i);
}

/* Takes the first source out for good. */
static inline void heap_drop(heap *h)
{
    h->sources[0] = h->sources[--h->count];
    if (h->count > 0)
        heap_settle(h, 0);
}

#endif
