/* What a backbone is: one file in backbones/ and one row in the list of backbones.c.
 *
 * A backbone declares its parameters and composes the forward mathematics of the tape's operations; everything else
 * (backward, reduction, optimizer, checkpoint) follows from that. */
#ifndef SRTRAIN_MODEL_BACKBONE_H
#define SRTRAIN_MODEL_BACKBONE_H

#include "model/component.h"
#include "model/item_table.h"
#include "srtrain/model.h"
#include "srtrain/operations.h"

/* Indices of a linear map's and a norm's parameters in sr_parameters. */
typedef struct {
    size_t weight, bias;
} affine_parameters;

/* Those of a map that the settings leave out: its output is its input, or its bias 0. */
#define NO_PARAMETER SIZE_MAX

/* Of each sub-layer: its norm, and the gate of its residual. */
typedef struct {
    affine_parameters query, key, value, output, norm, gate;
} attention_parameters;

typedef struct {
    affine_parameters inner, multiplier, outer, norm, gate;
} feed_forward_parameters;

/* What the layers of transformers share. Backbones whose layers are others keep their own (component.h). */
typedef struct {
    attention_parameters attention;
    feed_forward_parameters feed_forward;
} layer_parameters;

/* What a backbone has, of which keys and combinations follow (bits). */
typedef enum {
    HAS_LAYERS = 1,
    HAS_ATTENTION = 2,
    HAS_FEED_FORWARD = 4,
    IS_CALIBRATED = 8,  /* its attention is the pipeline of attention.h, which calibrators plug into */
    HAS_HEADS = 16,     /* any number of them; with HAS_ATTENTION they share the width equally */
    HAS_POSITIONS = 32, /* position embeddings and layer norms */
    HAS_OPTIONS = 64,   /* its layers are those of encoder.c, with the options of encoder_keys.c */
    SCALES_ITEMS = 128, /* it has model.embedding_scale and model.initializer */
    IS_TRANSFORMER = HAS_LAYERS | HAS_ATTENTION | HAS_FEED_FORWARD | HAS_HEADS | HAS_POSITIONS,
    IS_ENCODER = IS_TRANSFORMER | IS_CALIBRATED | HAS_OPTIONS | SCALES_ITEMS
} backbone_capability;

/* What keys and rules ask besides; follows from other fields of a row. */
typedef enum {
    IS_MASKED = 256,
    HAS_GAUSSIANS = 512,
    SHOWS_TARGETS = 1024,
    HAS_ONE_STATE = 2048,
    PLACES_ITSELF = 4096,
    HAS_VECTORS = 8192,
    READS_TIMES = 16384
} backbone_property;

typedef struct backbone {
    component component;
    unsigned capabilities;
    bool masked;         /* see sr_model_needs */
    bool users;          /* see sr_model_needs */
    bool sums_in_passes; /* see sr_model_needs */
    bool at_once;        /* its operations gain from having all sequences of a batch together: no chunks (model/chunks.h) */
    bool distances;      /* states and items are Gaussians, compared by squared 2-Wasserstein distances, not by dot products */
    bool mixes_window;   /* a position hears of later ones, so that it cannot be asked for the next item */
    bool one_state;      /* a window has one state, none of its positions */
    bool places_itself;  /* it has positions of its own: model.positions is none */
    bool refuses_calibrators; /* its attention cannot be calibrated, and its rules say of each calibrator why */
    bool padding_row;         /* it reads the row of padding of the item table, whether a batch has such tokens or not */
    /* Whether the padding of the window takes part in its mathematics, beyond what calibrators ask for: batches are
     * then padded to the window, and padding tokens are tokens like any other. NULL: never. */
    bool (*reads_padding)(const sr_model_settings *settings);
    /* Whether it reads times, and those of the event that follows each item; see sr_model_needs. NULL: never. */
    bool (*reads_times)(const sr_model_settings *settings);
    bool (*reads_next_times)(const sr_model_settings *settings);
    /* Defaults of keys that others have too. NULL: theirs. */
    void (*settle)(sr_model_settings *settings, const sr_given *given);
    /* Whether a step may read other items than those that the batch names. NULL: never. */
    bool (*replaces_items)(const sr_model_settings *settings);
    /* The ids whose rows the pass reads as its inputs, [T]; NULL after a failure of the tape. NULL: those of the
     * batch. */
    const int32_t *(*items_read)(const sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);
    /* Masked models: probability that an item is masked, and whether one of each example has to be. NULL: nothing is
     * masked. */
    void (*masking)(const sr_model_settings *settings, double *ratio, bool *at_least_one);
    /* Of models that know the time between items: see sr_model_needs. NULL: none. */
    void (*gaps)(const sr_model_settings *settings, int64_t *span, int64_t *unit);
    /* Declares every parameter and keeps their indices in the model. */
    sr_status (*declare_parameters)(sr_model *model, sr_error *error);
    /* From a batch to the representations that are read. */
    void (*encode)(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);
    /* What the loss of a whole batch adds: a function of the parameters as [1, 1], and its weight. Both with a name,
     * or NULL.
     * */
    sr_term_name penalty_term;
    double (*penalty_weight)(const sr_model_settings *settings);
    sr_tensor *(*penalty)(sr_model *model, sr_tape *tape);
    /* Contrastive training: a distance of the states of every token of two passes, and its weight in the loss. Both
     * with a name, or NULL. */
    sr_term_name state_term;
    double (*state_weight)(const sr_model_settings *settings);
    sr_tensor *(*state_distance)(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *left, sr_tensor *right,
                                 double examples);
    /* What the filter of a layer multiplies a bin of the window's transform with, [hidden_size] moduli. NULL: no
     * filter. */
    void (*response)(const sr_model *model, size_t layer, size_t bin, double *moduli);
} backbone;

struct sr_model {
    sr_model_settings settings;
    size_t items, users;
    int64_t step; /* trained so far */
    const backbone *backbone;
    const struct loss *loss;
    sr_parameters parameters;
    sr_item_table item_table;
    size_t position_embedding;                /* SIZE_MAX when there is none */
    affine_parameters item_adaptor;           /* of models with model.item_width */
    size_t user_embedding;                    /* of backbones that know users */
    affine_parameters input_norm, final_norm; /* where the settings ask for them */
    layer_parameters *layers;                 /* [settings.layers] */
    component_memory *components;             /* what components keep */
    sr_fourier *fourier;                      /* of models that transform, else NULL */
    bool is_share;                            /* all else but gradients and transforms belongs to another model */
};

/* The backbones, in the order of their numbers. */
extern const backbone *const backbones[];
extern const size_t backbone_count;

/* sr_model_declare() with an item table of this kind, which keeps its things in `memory`. */
sr_status model_declare_with(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                             const item_table_kind *kind, void *memory, sr_error *error);

/* The row of settings->backbone. */
const backbone *backbone_of(const sr_model_settings *settings);

/* Columns of the window in training or evaluation, whichever has more. */
size_t model_window(const sr_model *model);

/* The scores of all items in a graph, [batch, 1 + items], of states [batch, width] there; -infinity for padding.
 * catalogue.c */
struct sr_description;
sr_graph_value catalogue_describe(sr_model *model, sr_tape *tape, struct sr_description *to, sr_graph_value states);

/* ---- declaring parameters: declare.c ---- */

/* Declares "NAME.weight" [out, in] and "NAME.bias" [out] of a linear map. */
sr_status declare_linear(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in,
                         sr_parameter_set set, sr_error *error);

/* Declares "NAME.weight" [out, in] of a linear map without a bias. */
sr_status declare_weight(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in, sr_error *error);

/* How a matrix [out, in] starts. */
sr_initial_values initial_matrix(const sr_model *model, size_t out, size_t in);

/* Declares "NAME.weight" and "NAME.bias" [width] of a norm. */
sr_status declare_norm(sr_model *model, affine_parameters *indices, const char *name, size_t width, sr_error *error);

/* Declares a parameter that starts uniformly in [-bound, bound]. */
sr_status declare_uniform(sr_model *model, size_t *index, const char *name, const size_t *shape, size_t rank, double bound,
                          sr_error *error);

/* Declares a single number [1] named NAME that starts as `value`. */
sr_status declare_number(sr_model *model, size_t *index, const char *name, double value, sr_error *error);

/* Declares an embedding table [rows, width] named "NAME.weight". */
sr_status declare_table(sr_model *model, size_t *index, const char *name, size_t rows, size_t width, sr_error *error);

/* Declares the vectors of users, [users + 1, width], named "user_embedding.weight". */
sr_status declare_users(sr_model *model, size_t width, sr_error *error);

/* Declares the next part of the item table, named "NAME.weight": a row for padding, for each item, and `more` behind
 * them. */
sr_status declare_items(sr_model *model, const char *name, size_t more, size_t width, sr_error *error);

/* Declares the item table of a transformer, "item_embedding.weight", and "output_embedding.weight", which states are
 * scored with, where the settings ask for it. */
sr_status declare_item_tables(sr_model *model, size_t width, sr_error *error);

/* Declares "item_embedding.weight" with `more` rows behind the items, whose vectors have `width` columns where the model reads
 * them; and with model.item_width the map that they come through, "item_adaptor.weight" [width, item_width]. */
sr_status declare_adapted_items(sr_model *model, size_t more, size_t width, sr_error *error);

/* Declares "position_embedding.weight" [rows, hidden_size] when the settings ask for learned positions. */
sr_status declare_positions(sr_model *model, size_t rows, sr_error *error);

/* Declares NAME.inner, NAME.outer, NAME.norm and what the settings ask for besides of a feed-forward block. */
sr_status declare_feed_forward(sr_model *model, feed_forward_parameters *indices, const char *name, sr_error *error);

/* Declares NAME.inner .. of layer `layer`, "layers.N.ffn". */
sr_status declare_layer_feed_forward(sr_model *model, size_t layer, sr_error *error);

/* Whether attention heads share the width equally; for backbones that have some. */
sr_status check_heads(const sr_model *model, sr_error *error);

/* Declares the parameters of the calibrators in use for one layer. */
sr_status declare_calibrators(sr_model *model, size_t layer, sr_error *error);

/* Declares the norms around the layers, and every layer's attention, calibrator and feed-forward parameters. */
sr_status declare_layers(sr_model *model, sr_error *error);

/* Makes the model's Fourier transforms of hidden_size channels; once, by the part that has a use for them. */
sr_status declare_fourier(sr_model *model, sr_error *error);

/* ---- shared by transformer backbones: encoder.c ---- */

/* Dropout sites of a layer: each has random numbers of its own. Part of the reproducibility promise: never renumber.
 * Sites that one backbone or calibrator has alone are numbered in its file: 5, 8 to 14 and 16 are taken so. A new one
 * takes the next number that nobody has, below SITES_OF_A_LAYER, and is added to this list. */
typedef enum {
    SITE_INPUT = 0,
    SITE_ATTENTION = 1,
    SITE_ATTENTION_OUTPUT = 2,
    SITE_FEED_FORWARD = 3,
    SITE_RAW_ATTENTION = 4,
    SITE_ATTACKED_OUTPUT = 6,
    SITE_ATTACKED_FEED_FORWARD = 7,
    SITE_FREQUENCY = 15,
    SITE_FEED_FORWARD_INNER = 17,
    SITE_ATTACKED_FEED_FORWARD_INNER = 18,
    SITES_OF_A_LAYER = 32
} dropout_site_name;

/* The site of a layer in this pass; outside training its probability is 0. */
sr_dropout_site dropout_site(const sr_pass *pass, size_t layer, unsigned site, double probability);

/* The values of a parameter. */
const sr_real *model_values(const sr_model *model, size_t index);

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

/* The feed-forward sub-layer (sublayer.h) over y: outer(inner_dropout(f(inner(y)))), with a gate
 * outer(inner_dropout(f(inner(y)) multiplier(y))). */
sr_tensor *feed_forward(const layer_rows *rows, sr_tensor *y, const feed_forward_parameters *parameters, unsigned site);

/* The states that items are scored with, of those that the layers have: with model.item_width their images in the width of the
 * item table, so that the product of a state and a row is that of the state and the row's vector. NULL stays NULL. */
sr_tensor *adapted_states(sr_model *model, sr_tape *tape, sr_tensor *states);

/* The vector of each token's item, [T, width where the model reads them], times model.embedding_scale; row 0 gets no gradient
 * from it. The second reads other ids, one for each token. */
sr_tensor *item_vectors(sr_model *model, sr_tape *tape, const sr_batch *batch);
sr_tensor *item_vectors_of(sr_model *model, sr_tape *tape, const sr_batch *batch, const int32_t *ids);

/* x plus the position row of each token, when the model has positions. */
sr_tensor *add_positions(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch);

/* encode_input() of E[items] + P[columns], [T, d]. */
sr_tensor *embed_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass);

/* The whole of a backbone whose tokens are items, with positions or without: embedding, layers. */
void encode_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding);

/* x0 = dropout(LN(x)), or dropout(x) without model.input_norm. */
sr_tensor *encode_input(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

/* What may be added to keys and values: vectors of the key's position, and of the time between query and key. */
typedef struct {
    sr_tensor *position_keys, *position_values; /* [T, d]: of each token's column */
    sr_tensor *time_keys, *time_values;         /* [time_span + 1, d] */
    sr_intervals intervals;
} relative_terms;

/* Keeps x in the pass's trace, if it has one: as what the first layer reads (layer 0) or as the output of layer
 * `layer` - 1. For backbones whose layers have a state for every token. */
void trace_states(const sr_pass *pass, size_t layer, const sr_tensor *x);

/* All layers over x [T, d]; the last one computes the read rows only, unless the pass asks for every row. `terms` may
 * be NULL. Fills the encoding with representations [R, d], normed where model.final_norm says so. */
void encode_layers(sr_model *model, sr_tape *tape, sr_tensor *x, const relative_terms *terms, const sr_batch *batch,
                   const sr_pass *pass, sr_encoding *encoding);

/* The read rows of the last layer's output, which has no others unless the pass asks for every row. */
sr_tensor *rows_that_are_read(sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass);

#endif
