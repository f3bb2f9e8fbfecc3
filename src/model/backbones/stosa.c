/* STOSA (Fan et al. 2022): items are Gaussians with diagonal covariance; two streams, of means and of covariances, share their
 * attention weights, which come from 2-Wasserstein distances. With P = elu + 1, which is positive:
 *
 *   m0 = elu(dropout(LN(E_mean[items] + P_mean[columns]))),   c0 = P(dropout(LN(E_cov[items] + P_cov[columns])))
 *   Q, K, V of means: linear(m);  of covariances: P(linear(c))
 *   scores_ij = -( |Qm_i - Km_j|^2 + |sqrt(Qc_i) - sqrt(Kc_j)|^2 ) / sqrt(e)
 *   y_m = LN(m + dropout(output(sum_j w_ij Vm_j))),   y_c = LN(c + dropout(output(sum_j w_ij^2 Vc_j)))     one LN for both
 *   m' = LN(y_m + dropout(outer(f(inner(y_m))))),     c' = P(LN(y_c + dropout(outer(f(inner(y_c))))))
 *
 * With mean_update frozen, as in the released code, every layer reads m0 and the state's mean is m0; only covariances pass.
 *
 * The state of a position is [m, c], the Gaussians of items are N(E_mean, P(E_cov)); losses/stosa.c compares them. */
#include "model/attention.h"
#include "model/backbone.h"
#include "model/loss.h"

#include <stdio.h>

extern const backbone stosa_backbone;

enum { SITE_COVARIANCE_INPUT = 12, SITE_COVARIANCE_OUTPUT = 13, SITE_COVARIANCE_FEED_FORWARD = 14 };

typedef enum { MEAN_FROZEN, MEAN_UPDATED } mean_update_kind;

typedef struct {
    mean_update_kind mean_update; /* whether a layer's mean goes on to the next */
} stosa_settings;

static const sr_choice mean_update_choices[] = {
    {"frozen", MEAN_FROZEN, "dropped: all layers and the state have the mean of the input, only covariances pass, as released"},
    {"updated", MEAN_UPDATED, "it goes on to the next layer, as published"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_CHOICE("model", "mean_update", stosa_settings, mean_update, mean_update_choices, "frozen",
              "what becomes of a layer's mean"),
};

static const stosa_settings *settings_of(const sr_model *model)
{
    return component_settings(&model->settings, &stosa_backbone.component);
}

static bool compares_distances(const void *part)
{
    return !loss_of(part)->distances;
}

static const sr_rule rules[] = {
    SR_RULE("training.loss", "model.backbone", compares_distances,
            "the distances of stosa's Gaussians have a loss of their own; use loss stosa (with a training.pvn_weight of 0 it "
            "is bpr of distances)"),
};

/* What there is twice in a layer, for means and for covariances. */
typedef struct {
    affine_parameters query, key, value, output;
    feed_forward_parameters feed_forward;
} stream_parameters;

typedef struct {
    stream_parameters mean, covariance;
} stosa_layer;

static stosa_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &stosa_backbone.component, layer);
}

/* The table of positions of covariances, beside that of means. */
static size_t *position_covariance_of(const sr_model *model)
{
    return component_parameters(model, &stosa_backbone.component);
}

/* ---- parameters ---- */

static sr_status declare_stream(sr_model *model, stream_parameters *stream, size_t layer, const char *what, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    const struct {
        const char *name;
        affine_parameters *indices;
    } maps[] = {{"query", &stream->query}, {"key", &stream->key}, {"value", &stream->value}, {"output", &stream->output}};
    char name[SR_PARAMETER_NAME_SIZE / 2];
    for (size_t i = 0; i < sizeof maps / sizeof *maps; ++i) {
        snprintf(name, sizeof name, "layers.%zu.attention.%s_%s", layer, what, maps[i].name);
        SR_TRY(declare_linear(model, maps[i].indices, name, width, width, SR_PARAMETERS_ORDINARY, error));
    }
    snprintf(name, sizeof name, "layers.%zu.%s_ffn", layer, what);
    return declare_feed_forward(model, &stream->feed_forward, name, error);
}

static sr_status declare_layer(sr_model *model, size_t index, sr_error *error)
{
    stosa_layer *layer = layer_of(model, index);
    char name[SR_PARAMETER_NAME_SIZE / 2];
    SR_TRY(declare_stream(model, &layer->mean, index, "mean", error));
    SR_TRY(declare_stream(model, &layer->covariance, index, "covariance", error));
    snprintf(name, sizeof name, "layers.%zu.attention.norm", index);
    SR_TRY(declare_norm(model, &model->layers[index].attention.norm, name, (size_t)model->settings.hidden_size, error));
    return declare_calibrators(model, index, error);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, columns = (size_t)model->settings.max_length;
    SR_TRY(check_heads(model, error));
    SR_TRY(declare_items(model, "item_mean_embedding", 0, width, error));
    SR_TRY(declare_items(model, "item_covariance_embedding", 0, width, error));
    if (model->settings.positions == SR_POSITIONS_LEARNED) {
        SR_TRY(declare_table(model, &model->position_embedding, "position_mean_embedding", columns, width, error));
        SR_TRY(declare_table(model, position_covariance_of(model), "position_covariance_embedding", columns, width, error));
    }
    SR_TRY(declare_norm(model, &model->input_norm, "input_norm", width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer)
        SR_TRY(declare_layer(model, layer, error));
    return SR_OK;
}

/* ---- forward ---- */

/* dropout(LN(items' rows + columns' rows)) of one stream. */
static sr_tensor *embed(sr_model *model, sr_tape *tape, item_part items, size_t positions, const sr_batch *batch,
                        const sr_pass *pass, unsigned number)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const sr_dropout_site site = dropout_site(pass, 0, number, model->settings.hidden_dropout);
    sr_tensor *x = item_table_read(&model->item_table, tape, items, batch->items, tokens, true);
    if (model->settings.positions == SR_POSITIONS_LEARNED)
        x = sr_add(tape, x, sr_embedding(tape, model_parameter(model, tape, positions), batch->layout.columns, tokens, false));
    return sr_dropout(tape, model_norm(model, tape, x, &model->input_norm), &batch->layout, NULL, &site);
}

/* The distances between queries and keys, as scores of the block. */
static sr_tensor *distance_scores(const attention_block *block, gaussians x, sr_tensor *keys_of_covariance)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const stosa_layer *layer = layer_of(model, block->layer);
    const gaussians query = {model_linear(model, tape, rows_of_score_queries(block, x.mean), &layer->mean.query),
                             model_linear(model, tape, rows_of_score_queries(block, x.covariance), &layer->covariance.query)};
    const gaussians key = {model_linear(model, tape, rows_of_keys(block, x.mean), &layer->mean.key),
                           model_linear(model, tape, keys_of_covariance, &layer->covariance.key)};
    return wasserstein_scores(tape, query, key, block->score_map, block->score_scale);
}

/* LN(x + dropout(output(context))), then the feed-forward block, of one stream. */
static sr_tensor *finish_stream(const attention_block *block, const stream_parameters *stream, sr_tensor *residual,
                                sr_tensor *context, unsigned output_site, unsigned feed_forward_site)
{
    sr_tensor *y = attention_output(block, context, residual, &stream->output, output_site);
    const layer_rows rows = rows_of_block(block);
    return feed_forward(&rows, y, &stream->feed_forward, feed_forward_site);
}

/* One layer: from the Gaussians of all tokens to those of the block's queries. */
static gaussians encode_layer(attention_block *block, gaussians x)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const stosa_layer *layer = layer_of(model, block->layer);
    sr_tensor *keys_of_covariance = rows_of_keys(block, x.covariance);
    gaussians out = {.mean = rows_of_queries(block, x.mean)};
    block->raw_scores = distance_scores(block, x, keys_of_covariance);
    attention_weigh(block);
    if (settings_of(model)->mean_update == MEAN_UPDATED) {
        sr_tensor *value = model_linear(model, tape, rows_of_keys(block, x.mean), &layer->mean.value);
        sr_tensor *context = sr_attention_context(tape, block->weights, value, block->map);
        out.mean = finish_stream(block, &layer->mean, out.mean, context, SITE_ATTENTION_OUTPUT, SITE_FEED_FORWARD);
    }
    sr_tensor *value = sr_elu_plus_one(tape, model_linear(model, tape, keys_of_covariance, &layer->covariance.value));
    sr_tensor *context = sr_attention_context(tape, sr_square(tape, block->weights), value, block->map);
    out.covariance = sr_elu_plus_one(tape, finish_stream(block, &layer->covariance, rows_of_queries(block, x.covariance),
                                                         context, SITE_COVARIANCE_OUTPUT, SITE_COVARIANCE_FEED_FORWARD));
    return out;
}

/* Means and covariances side by side. */
static void trace_gaussians(sr_tape *tape, const sr_pass *pass, size_t layer, gaussians x)
{
    if (pass->trace)
        trace_states(pass, layer, sr_concatenate_columns(tape, x.mean, x.covariance));
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    attention_rows rows;
    if (!attention_rows_make(&rows, model, tape, batch, pass))
        return;
    sr_tensor *mean = embed(model, tape, ITEM_VECTORS, model->position_embedding, batch, pass, SITE_INPUT);
    sr_tensor *covariance = embed(model, tape, ITEM_COVARIANCES, *position_covariance_of(model), batch, pass,
                                  SITE_COVARIANCE_INPUT);
    gaussians x = {sr_activate(tape, mean, SR_ACTIVATION_ELU), sr_elu_plus_one(tape, covariance)};
    trace_gaussians(tape, pass, 0, x);
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        attention_block block = attention_begin(model, tape, &rows, pass, layer, encoding);
        if (!block.map)
            return;
        x = encode_layer(&block, x);
        trace_gaussians(tape, pass, layer + 1, x);
    }
    encoding->representation = sr_concatenate_columns(tape, rows_that_are_read(tape, x.mean, batch, pass),
                                                      rows_that_are_read(tape, x.covariance, batch, pass));
}

const backbone stosa_backbone = {
    .component = {.name = "stosa",
                  .help = "items are Gaussians, attention and scores are Wasserstein distances (Fan et al. 2022)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(stosa_settings),
                  SR_RULES(rules),
                  .parameters_size = sizeof(size_t),
                  .layer_size = sizeof(stosa_layer)},
    .capabilities = IS_TRANSFORMER | IS_CALIBRATED,
    .distances = true,
    .declare_parameters = declare_parameters,
    .encode = encode,
};
