/* Where the layers of a transformer have their norms, gates and biases, and what they begin with: keys of the section model
 * that several backbones share. src/model/encoder_keys.c owns the keys. The layers of other backbones are those of the
 * defaults. */
#ifndef SRTRAIN_ENCODER_SETTINGS_H
#define SRTRAIN_ENCODER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Where the norms of a layer stand; docs/models.md has the equations. */
typedef enum { SR_NORM_POST, SR_NORM_PRE, SR_NORM_QUERY } sr_norm_placement;

typedef enum { SR_EMBEDDING_SCALE_ONE, SR_EMBEDDING_SCALE_SQRT } sr_embedding_scale;

/* Of a feed-forward layer, and of the sum with what a sub-layer has read. */
typedef enum { SR_FEED_FORWARD_PLAIN, SR_FEED_FORWARD_GATED } sr_feed_forward_kind;
typedef enum { SR_RESIDUAL_PLAIN, SR_RESIDUAL_GATED } sr_residual_kind;

typedef enum { SR_OUTPUT_EMBEDDING_SHARED, SR_OUTPUT_EMBEDDING_SEPARATE } sr_output_embedding;
/* Where rows of the item table come from: they are drawn and trained; they start with vectors of data.item_vectors and are
 * trained; or they stay these. */
typedef enum { SR_ITEM_VECTORS_DRAWN, SR_ITEM_VECTORS_GIVEN, SR_ITEM_VECTORS_FROZEN } sr_item_vectors;
typedef enum { SR_INITIALIZER_NORMAL, SR_INITIALIZER_GLOROT } sr_initializer;

typedef struct {
    sr_norm_placement norm;
    bool input_norm, final_norm; /* of the embeddings, and of the states behind the last layer */
    sr_embedding_scale embedding_scale;
    bool attention_output; /* attention has an output projection */
    sr_feed_forward_kind feed_forward;
    bool feed_forward_bias;
    sr_residual_kind residual;
    double inner_dropout;
    sr_output_embedding output_embedding;
    sr_item_vectors item_vectors;
    int64_t
        item_width; /* of rows of the item table, which a linear map brings to the width of states; 0: they have that width */
    sr_initializer initializer;
} sr_encoder_settings;

#endif
