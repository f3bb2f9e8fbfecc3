/* The softmax over many classes by a matrix unit. Exponentials leave forward as the operands of backward's products: numbers of
 * bf16, half the memory, written once and read as they are. */
#ifndef SRTRAIN_TENSOR_SOFTMAX_UNIT_H
#define SRTRAIN_TENSOR_SOFTMAX_UNIT_H

#include "srtrain/real.h"
#include "srtrain/row_numbers.h"

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

/* The targets of a part's rows, numbers of classes. Those of row i have the places [first[row + i], first[row + i + 1]) in
 * `targets`; first is NULL where each row has one. */
typedef struct {
    const int32_t *targets;
    const size_t *first;
    size_t row;
    const sr_row_numbers *numbers; /* of all classes of the slab, of which the part has [column, column + columns) */
    size_t column, columns;
} softmax_targets;

static inline size_t first_target(const softmax_targets *of, size_t i)
{
    return of->first ? of->first[of->row + i] : of->row + i;
}

/* Whether a target is a class of this part, and its column there. */
static inline bool has_target(const softmax_targets *of, size_t target, size_t *column)
{
    size_t place;
    if (!sr_row_place(of->numbers, of->targets[target], &place))
        return false;
    *column = place - of->column;
    return *column < of->columns; /* unsigned: a target before the part wraps to a huge number */
}

/* What forward finds. */
typedef struct {
    sr_real *sums; /* [rows] of exponentials */
    const softmax_targets *targets;
    sr_real *logits_of_targets; /* at the targets' places; NULL: nobody asks */
} softmax_findings;

/* Finds the logits of row i's targets in the row. */
static inline void find_targets(const softmax_findings *findings, size_t i, const sr_real *logits)
{
    const softmax_targets *of = findings->targets;
    size_t column;
    for (size_t target = first_target(of, i); findings->logits_of_targets && target < first_target(of, i + 1); ++target)
        if (has_target(of, target, &column))
            findings->logits_of_targets[target] = logits[column];
}

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
