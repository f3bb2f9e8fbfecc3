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

/* Matrices of the refinement calibrator; those of other kinds than the one in use are not declared. */
typedef struct {
    size_t query, key, value;
    size_t mean_query, mean_key, covariance_query, covariance_key;
} refinement_parameters;

typedef struct {
    affine_parameters query, key, value, output, norm;
    affine_parameters order, distance; /* spatial calibrator */
    size_t distance_scale;
    affine_parameters attack_query, attack_key, gate; /* adversarial calibrator */
    size_t mix_ratio;
    refinement_parameters refinement;
} attention_parameters;

/* A filter over positions in the frequency domain: BSARec's square root of the residual's scale, FMLP-Rec's complex weights. */
typedef struct {
    size_t weight;
    affine_parameters norm;
} frequency_parameters;

typedef struct {
    affine_parameters inner, outer, norm;
} feed_forward_parameters;

/* What STOSA has twice. */
typedef struct {
    affine_parameters query, key, value, output;
    feed_forward_parameters feed_forward;
} stream_parameters;

/* Weights of a layer of gated recurrent units. */
typedef struct {
    size_t input, hidden;
} gru_parameters;

typedef struct {
    attention_parameters attention;
    frequency_parameters frequency; /* frequency rescaler; fmlprec: in the place of attention */
    feed_forward_parameters feed_forward;
    stream_parameters mean, covariance; /* STOSA: in the place of query .. output and feed_forward */
    gru_parameters gru;                 /* GRU4Rec: in the place of everything else */
} layer_parameters;

/* Caser. */
typedef struct {
    affine_parameters vertical, sequence_dense, output_dense;
    affine_parameters *horizontal; /* [max_length]: of heights 1, 2, ... */
} caser_parameters;

typedef struct backbone {
    const char *name;
    bool masked;         /* see sr_model_needs */
    bool users, times;   /* see sr_model_needs */
    bool sums_in_passes; /* see sr_model_needs */
    bool at_once;        /* its operations gain from having all sequences of a batch together: no chunks (model/chunks.h) */
    bool distances;      /* states and items are Gaussians, compared by squared 2-Wasserstein distances, not by dot products */
    /* Whether the padding of the window takes part in its mathematics, beyond what calibrators ask for: batches are then padded
     * to the window, and padding tokens are tokens like any other. NULL: never. */
    bool (*reads_padding)(const sr_model_settings *settings);
    /* Declares every parameter and keeps their indices in the model. */
    sr_status (*declare)(sr_model *model, sr_error *error);
    /* From a batch to the representations that are read. */
    void (*encode)(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);
    /* The loss of states [n, width] and the batch's targets, see sr_model_loss(). NULL: that of dot products, model.c. */
    sr_tensor *(*loss)(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight);
    /* What the loss of a whole batch adds, but for frobenius_penalty: a function of the parameters as [1, 1]. NULL: nothing. */
    sr_tensor *(*penalty)(sr_model *model, sr_tape *tape);
} backbone;

struct sr_model {
    sr_model_settings settings;
    size_t items, users;
    int64_t step; /* trained so far */
    const backbone *backbone;
    sr_parameters parameters;
    size_t item_embedding;
    size_t position_embedding;                                     /* SIZE_MAX when there is none */
    size_t user_embedding;                                         /* SSE-PT, Caser */
    size_t position_keys, position_values, time_keys, time_values; /* TiSASRec */
    size_t item_covariance, position_covariance;                   /* STOSA, beside the tables of means */
    affine_parameters input_norm;
    affine_parameters dense; /* GRU4Rec */
    caser_parameters caser;
    layer_parameters *layers; /* [settings.layers] */
    sr_fourier *fourier;      /* of models that transform, else NULL */
    bool is_share;            /* all else but gradients and transforms belongs to another model */
};

/* Columns of the window in training or evaluation, whichever has more. */
size_t model_window(const sr_model *model);

/* The row for a backbone. */
const backbone *backbone_find(sr_backbone kind);

/* ---- declaring parameters: declare.c ---- */

/* Declares "NAME.weight" [out, in] and "NAME.bias" [out] of a linear map. */
sr_status declare_linear(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in,
                         sr_parameter_set set, sr_error *error);

/* Declares "NAME.weight" and "NAME.bias" [width] of a norm. */
sr_status declare_norm(sr_model *model, affine_parameters *indices, const char *name, size_t width, sr_error *error);

/* Declares a parameter that starts uniformly in [-bound, bound]. */
sr_status declare_uniform(sr_model *model, size_t *index, const char *name, const size_t *shape, size_t rank, double bound,
                          sr_error *error);

/* Declares an embedding table [rows, width] named NAME. */
sr_status declare_table(sr_model *model, size_t *index, const char *name, size_t rows, size_t width, sr_error *error);

/* Declares "position_embedding.weight" [rows, hidden_size] when the settings ask for learned positions. */
sr_status declare_positions(sr_model *model, size_t rows, sr_error *error);

/* Declares NAME.inner, NAME.outer and NAME.norm of a feed-forward block. */
sr_status declare_feed_forward(sr_model *model, feed_forward_parameters *indices, const char *name, sr_error *error);

/* Declares NAME.inner .. of layer `layer`, "layers.N.ffn". */
sr_status declare_layer_feed_forward(sr_model *model, size_t layer, sr_error *error);

/* Whether attention heads share the width equally; for backbones that have some. */
sr_status check_heads(const sr_model *model, sr_error *error);

/* Declares the parameters of the calibrators in use for one layer. */
sr_status declare_calibrators(sr_model *model, size_t layer, sr_error *error);

/* Declares the input norm and every layer's attention, calibrator and feed-forward parameters. */
sr_status declare_layers(sr_model *model, sr_error *error);

/* Makes the model's Fourier transforms of hidden_size channels; once, by the part that has a use for them. */
sr_status declare_fourier(sr_model *model, sr_fourier_engine engine, sr_error *error);

/* ---- shared by transformer backbones: encoder.c ---- */

/* Dropout sites of a layer: each has random numbers of its own. Part of the reproducibility promise: append, never renumber. */
typedef enum {
    SITE_INPUT = 0,
    SITE_ATTENTION = 1,
    SITE_ATTENTION_OUTPUT = 2,
    SITE_FEED_FORWARD = 3,
    SITE_RAW_ATTENTION = 4,
    SITE_ATTACK_MASK = 5,
    SITE_ATTACKED_OUTPUT = 6,
    SITE_ATTACKED_FEED_FORWARD = 7,
    SITE_POSITION_KEYS = 8,
    SITE_POSITION_VALUES = 9,
    SITE_TIME_KEYS = 10,
    SITE_TIME_VALUES = 11,
    SITE_COVARIANCE_INPUT = 12,
    SITE_COVARIANCE_OUTPUT = 13,
    SITE_COVARIANCE_FEED_FORWARD = 14,
    SITE_FREQUENCY = 15,
    SITE_CONVOLUTIONS = 16,
    SITES_OF_A_LAYER = 32
} dropout_site_name;

/* The site of a layer in this pass; outside training its probability is 0. */
sr_dropout_site dropout_site(const sr_pass *pass, size_t layer, dropout_site_name site, double probability);

/* Parameters as tensors, and the maps that use them. */
sr_tensor *model_parameter(sr_model *model, sr_tape *tape, size_t index);
sr_tensor *model_linear(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices);
sr_tensor *model_norm(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices);

/* Rows of a layer that are computed. */
typedef struct {
    sr_model *model;
    sr_tape *tape;
    const sr_pass *pass;
    size_t layer;
    const sr_layout *layout;
    const sr_rows *rows;
} layer_rows;

/* LN(x + dropout(outcome)) for the layer's rows. */
sr_tensor *add_and_norm(const layer_rows *rows, sr_tensor *x, sr_tensor *outcome, const affine_parameters *norm,
                        dropout_site_name site);

/* LN(y + dropout(outer(f(inner(y))))) */
sr_tensor *feed_forward(const layer_rows *rows, sr_tensor *y, const feed_forward_parameters *parameters,
                        dropout_site_name site);

/* x plus the position row of each token, when the model has positions. */
sr_tensor *add_positions(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch);

/* dropout(LN(E[items] + P[columns])), [T, d]. */
sr_tensor *embed_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);

/* The whole of a backbone whose tokens are items, with positions or without: embedding, input norm, layers. */
void encode_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);

/* x0 = dropout(LN(x)). */
sr_tensor *encode_input(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

/* What TiSASRec adds to keys and values: vectors of the key's position, and of the time between query and key. */
typedef struct {
    sr_tensor *position_keys, *position_values; /* [T, d]: of each token's column */
    sr_tensor *time_keys, *time_values;         /* [time_span + 1, d] */
    sr_intervals key_intervals, value_intervals;
} relative_terms;

/* Keeps x in the pass's trace, if it has one: as what the first layer reads (layer 0) or as the output of layer `layer` - 1.
 * For backbones whose layers have a state for every token. */
void trace_states(const sr_pass *pass, size_t layer, const sr_tensor *x);

/* All layers over x [T, d]; the last one computes the read rows only, unless the pass asks for every row. `terms` may be NULL.
 * Fills the encoding with representations [R, d]. */
void encode_layers(sr_model *model, sr_tape *tape, sr_tensor *x, const relative_terms *terms, const sr_batch *batch,
                   const sr_pass *pass, sr_encoding *encoding);

/* The read rows of the last layer's output, which has no others unless the pass asks for every row. */
sr_tensor *rows_that_are_read(sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

extern const backbone sasrec_backbone, bert4rec_backbone, ssept_backbone, tisasrec_backbone, stosa_backbone, fmlprec_backbone;
extern const backbone gru4rec_backbone, caser_backbone, fearec_backbone;

#endif
