/* Sums over the states of one layer, from which the analyses of its states follow; sums of ranks add up. */
#ifndef SRTRAIN_EVALUATE_STATE_SUMS_H
#define SRTRAIN_EVALUATE_STATE_SUMS_H

#include "srtrain/real.h"
#include "srtrain/status.h"

#include <stddef.h>

/* What the sums of one layer of states [.., width] are kept in; a view of one block of doubles. */
typedef struct {
    size_t width;
    double *gram;       /* [width, width], upper triangle: sum x xᵀ of last states */
    double *directions; /* [width]: sum x / |x| of last states */
    double *scalars;
} state_sums;

/* Doubles that the sums of one layer need, all 0 at first; and the view of such a block. */
size_t state_sums_size(size_t width);
state_sums state_sums_view(double *block, size_t width);

/* Adds the last states [count, width] of some sequences. */
void state_sums_add_last(const state_sums *sums, const double *states, size_t count);

/* Adds the states [items, width] of a sequence's items; fewer than two add nothing. `scratch` has room for 2
 * width numbers. */
void state_sums_add_sequence(const state_sums *sums, const sr_real *states, size_t items, double *scratch);

/* See sr_state_analysis. */
typedef struct {
    double effective_rank, cosine, published_cosine, position_cosine, high_frequency_share;
    double sequences_with_pairs;
} state_numbers;

/* The numbers and the singular values [width]. Overwrites the Gram matrix. */
sr_status state_sums_finish(const state_sums *sums, double *singular_values, state_numbers *numbers, sr_error *error);

#endif
