/* Ranges of elements of an array, and parts of them. */
#ifndef SRTRAIN_RANGE_H
#define SRTRAIN_RANGE_H

#include <stddef.h>

/* Elements [begin, end). */
typedef struct {
    size_t begin, end;
} sr_element_range;

/* Part `part` of `parts` of a range: parts differ by one element at most. */
static inline sr_element_range sr_part_of_range(sr_element_range range, size_t part, size_t parts)
{
    const size_t size = range.end - range.begin;
    return (sr_element_range){range.begin + size * part / parts, range.begin + size * (part + 1) / parts};
}

#endif
