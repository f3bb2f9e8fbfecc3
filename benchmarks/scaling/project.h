/* From few ranks to many: what a step would take, by measured compute times, the actual division of batches and the model of
 * the network in network.h. */
#ifndef SRTRAIN_SCALING_PROJECT_H
#define SRTRAIN_SCALING_PROJECT_H

#include "scaling/measure.h"

/* Milliseconds where not said otherwise. */
typedef enum {
    PROJECTED_RANKS,
    PROJECTED_NODES,
    PROJECTED_BATCH,
    PROJECTED_IMBALANCE, /* work of the rank (or thread) that has most, over the mean */
    PROJECTED_DATA,
    PROJECTED_COMPUTE, /* of the rank that has most work */
    PROJECTED_WAITING, /* of the mean rank for that one */
    PROJECTED_SUMMING, /* by the algorithm that was asked for */
    PROJECTED_HALVING,
    PROJECTED_RING,
    PROJECTED_STEP,
    PROJECTED_RATE, /* examples per second */
    PROJECTED_EFFICIENCY,
    MEASURED_STEP, /* this and the following: NAN where it was not measured */
    MEASURED_COMPUTE,
    MEASURED_SUMMING,
    RELATIVE_ERROR, /* of the step: projected / measured - 1 */
    PROJECTION_COLUMNS
} projection_column;

extern const char *const projection_names[PROJECTION_COLUMNS];

typedef struct {
    network_model network, measured_network; /* of the projection; of the nodes as measured */
    const char *node_source;                 /* where the figures of a node come from, in words */
    size_t small_sums;                       /* per step */
    size_t examples;                         /* of an epoch */
    double bytes, message;                   /* of the gradients; of one message */
    size_t refused; /* the least number of ranks for which weak scaling is not projected for want of examples; 0: none */
    result_row rows[4 * COUNTS_MAXIMUM]; /* strong, then weak; of each first the measured counts */
    size_t row_count;
} projection;

/* Why these settings cannot be projected, or NULL. */
const char *projection_refusal(const scaling_options *options);

sr_status project(const scaling_options *options, const measurements *measured, projection *made, sr_error *error);

#endif
