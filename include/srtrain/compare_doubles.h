/* Order of numbers, for medians and quantiles. */
#ifndef SRTRAIN_COMPARE_DOUBLES_H
#define SRTRAIN_COMPARE_DOUBLES_H

/* Ascending; for qsort(). */
static inline int sr_compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

#endif
