/* A heap: of its elements the first is the one that comes before all others. */
#ifndef SRTRAIN_BASE_HEAP_H
#define SRTRAIN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { HEAP_ELEMENT_MAXIMUM = 32 }; /* bytes */

/* The elements belong to the caller. `before` orders any two that differ. */
typedef struct {
    void *elements; /* [count], each of `size` bytes */
    size_t count, size;
    bool (*before)(const void *context, const void *left, const void *right);
    const void *context;
} heap;

/* Moves the element at a place down to where it belongs, after it has changed. Inline, so that size and order are known where
 * it is used. */
static inline void heap_settle(const heap *h, size_t at)
{
    char moved[HEAP_ELEMENT_MAXIMUM], *elements = h->elements;
    const size_t size = h->size;
    memcpy(moved, elements + at * size, size);
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->before(h->context, elements + (child + 1) * size, elements + child * size))
            ++child;
        if (!h->before(h->context, elements + child * size, moved))
            break;
        memcpy(elements + at * size, elements + child * size, size);
        at = child;
    }
    memcpy(elements + at * size, moved, size);
}

/* Orders all elements. */
static inline void heap_build(const heap *h)
{
    for (size_t i = h->count / 2; i-- > 0;)
        heap_settle(h, i);
}

/* Takes the first element out for good. */
static inline void heap_drop(heap *h)
{
    char *elements = h->elements;
    --h->count;
    memmove(elements, elements + h->count * h->size, h->size);
    if (h->count > 0)
        heap_settle(h, 0);
}

#endif
