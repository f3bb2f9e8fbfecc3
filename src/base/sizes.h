/* The smaller and the larger of two sizes. */
#ifndef SRTRAIN_BASE_SIZES_H
#define SRTRAIN_BASE_SIZES_H

#include <stddef.h>

static inline size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

static inline size_t larger(size_t left, size_t right)
{
    return left > right ? left : right;
}

#endif
