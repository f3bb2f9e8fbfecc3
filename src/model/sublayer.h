/* A sub-layer of a transformer, attention or a feed-forward block: where its norm stands, and how its outcome joins the states
 * x.
 *
 *   model.norm   what it reads   keys and values   y
 *   post         x               x                 LN(x + D(outcome))
 *   pre          LN(x)           LN(x)             x + g D(outcome)         g = 1, or sigmoid(gate(x)) with residual gated
 *   query        LN(x)           x                 LN(x) + D(outcome)       D of attention is the identity
 *
 * D is dropout. The norm has the sub-layer's own gain and bias. This is the one place that knows these differences. */
#ifndef SRTRAIN_MODEL_SUBLAYER_H
#define SRTRAIN_MODEL_SUBLAYER_H

#include "model/backbone.h"

/* What a sub-layer makes of x: the same tensor where it is the same thing. */
typedef struct {
    sr_tensor *read;     /* what it reads, attention for its queries */
    sr_tensor *keys;     /* what attention makes keys and values of */
    sr_tensor *residual; /* what its outcome is added to */
} sublayer_inputs;

sublayer_inputs sublayer_enter(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *norm);

/* The dropout of an outcome of attention, or of a feed-forward block, in this pass. */
sr_dropout_site sublayer_dropout(const layer_rows *rows, unsigned site, bool of_attention);

/* An outcome as what may be mixed with other outcomes for the same rows: LN(residual + D(outcome)) with norm post, else
 * D(outcome). */
sr_tensor *sublayer_branch(const layer_rows *rows, sr_tensor *residual, sr_tensor *outcome, const affine_parameters *norm,
                           const sr_dropout_site *dropout);

/* From a branch, or a mixture of several, to y. */
sr_tensor *sublayer_join(const layer_rows *rows, sr_tensor *residual, sr_tensor *branch, const affine_parameters *gate);

#endif
