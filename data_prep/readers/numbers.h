/* Numbers in text fields, exactly. */
#ifndef SRTRAIN_DATA_PREP_READERS_NUMBERS_H
#define SRTRAIN_DATA_PREP_READERS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes without terminator. */
typedef struct {
    const char *text;
    size_t length;
} field;

typedef enum { NUMBER_GOOD, NUMBER_BAD, NUMBER_TOO_FINE, NUMBER_TOO_LARGE } number_kind;

/* A decimal number ("17", "-0.5", "1.39e+09") times 10^decimals. NUMBER_TOO_FINE: it has more decimals, and *value is rounded
 * towards zero. NUMBER_BAD: it is no decimal number, as "nan", "0x10" or " 5". *value is set for good and too fine ones. */
number_kind number_scaled(field number, unsigned decimals, int64_t *value);

/* How many decimals a number needs, at most 1000; false if it is no decimal number. */
bool number_decimals(field number, int *decimals);

/* A decimal number as float. */
bool number_float(field number, float *value);

#endif
