/* The softmax over many classes by a matrix unit. Exponentials leave forward as the operands of backward's products: numbers of
 * bf16, half the memory, written once and read as they are. */
#ifndef SRTRAIN_TENSOR_SOFTMAX_UNIT_H
#define SRTRAIN_TENSOR_SOFTMAX_UNIT_H

#include "srtrain/real.h"

#include <stdbool.h>
#include <stddef.h>

enum { SOFTMAX_UNIT_ROWS = 256 }; /* most rows of a part */

/* Logits of some states and some classes: x [rows, width] times the transposed of the classes' rows. */
typedef struct {
    size_t rows, columns, width;
    const sr_real *x;
    void *exponentials; /* exp(logit - maximum of the row in this part), as the unit keeps them: on 64 bytes, by tile_bytes() */
    sr_real *maxima;    /* [rows] */
    void *room;         /* on 64 bytes, by room_bytes(); has the classes' rows laid out */
} softmax_part;

/* What forward finds in each row, [rows]. */
typedef struct {
    sr_real *sums;              /* of exponentials */
    const size_t *targets;      /* columns; another number: the row's target is not in this part */
    sr_real *logits_of_targets; /* are written where there is one; NULL: nobody asks */
} softmax_findings;

typedef struct sr_softmax_unit {
    size_t (*tile_bytes)(size_t rows, size_t columns);
    size_t (*room_bytes)(size_t columns, size_t width);
    /* Lays rows [columns, width] out for forward() or for backward(), which may then be called for several parts. The room
     * holds both. */
    void (*read_classes)(void *room, const sr_real *rows, size_t columns, size_t width, bool backward);
    /* Exponentials and maxima of a part; logits are products times `factor`. */
    void (*forward)(const softmax_part *part, sr_real factor, const softmax_findings *findings);
    /* With P the exponentials and f [rows] factors: x_gradient += f P E and class_gradient += (f P)ᵀ X. NULL: not wanted. */
    void (*backward)(const softmax_part *part, const sr_real *factors, sr_real *x_gradient, sr_real *class_gradient);
} sr_softmax_unit;

/* That by AMX (tensor/softmax_amx.c), for processors that have it. */
extern const sr_softmax_unit softmax_amx;

#endif
