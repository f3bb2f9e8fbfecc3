/* What a backbone is: one file in backbones/ and one row in the table of backbone.c.
 *
 * A backbone declares its parameters and composes the forward mathematics of the tape's operations; everything else (backward,
 * reduction, optimizer, checkpoint) follows from that. */
#ifndef SRTRAIN_MODEL_BACKBONE_H
#define SRTRAIN_MODEL_BACKBONE_H

#include "srtrain/model.h"
#include "srtrain/operations.h"

/* Indices of a linear map's and a norm's parameters in sr_parameters. */
typedef struct {
    size_t weight, bias;
} affine_parameters;

typedef struct {
    affine_parameters query, key, value, output, norm;
} attention_parameters;

typedef struct {
    affine_parameters inner, outer, norm;
} feed_forward_parameters;

typedef struct {
    attention_parameters attention;
    feed_forward_parameters feed_forward;
} layer_parameters;

typedef struct backbone {
    const char *name;
    /* Declares every parameter and keeps their indices in the model. */
    sr_status (*declare)(sr_model *model, sr_error *error);
    /* From a batch to the representations that are read, [R, d]. */
    sr_tensor *(*encode)(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);
} backbone;

struct sr_model {
    sr_model_settings settings;
    size_t items;
    const backbone *backbone;
    sr_parameters parameters;
    size_t item_embedding;
    size_t position_embedding; /* SIZE_MAX when there is none */
    affine_parameters input_norm;
    layer_parameters *layers; /* [settings.layers] */
};

/* The row for a backbone. */
const backbone *backbone_find(sr_backbone kind);

/* ---- shared by transformer backbones: encoder.c ---- */

/* Declares "NAME.weight" and "NAME.bias" of a linear map [out, in], or of a norm of width `out` when `in` is 0. */
sr_status declare_affine(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in, sr_error *error);

/* Declares the input norm and every layer's attention and feed-forward parameters. */
sr_status declare_layers(sr_model *model, sr_error *error);

/* x0 = dropout(LN(x)). */
sr_tensor *encode_input(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

/* All layers over x [T, d]; the last one computes the read rows only, unless the pass asks for every row. Returns [R, d]. */
sr_tensor *encode_layers(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

extern const backbone sasrec_backbone;

#endif
