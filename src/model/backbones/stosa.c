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
 * The state of a position is [m, c]. Loss, with d the squared 2-Wasserstein distance and items' Gaussians N(E_mean, P(E_cov)):
 *
 *   softplus(d(state, target) - d(state, negative)) + pvn_weight max(0, d(state, target) - d(target, negative)) */
#include "model/attention.h"
#include "model/backbone.h"

#include <stdio.h>

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
    layer_parameters *layer = &model->layers[index];
    char name[SR_PARAMETER_NAME_SIZE / 2];
    SR_TRY(declare_stream(model, &layer->mean, index, "mean", error));
    SR_TRY(declare_stream(model, &layer->covariance, index, "covariance", error));
    snprintf(name, sizeof name, "layers.%zu.attention.norm", index);
    SR_TRY(declare_norm(model, &layer->attention.norm, name, (size_t)model->settings.hidden_size, error));
    return declare_calibrators(model, index, error);
}

static sr_status declare(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, columns = (size_t)model->settings.max_length;
    SR_TRY(check_heads(model, error));
    SR_TRY(declare_table(model, &model->item_embedding, "item_mean_embedding", model->items + 1, width, error));
    SR_TRY(declare_table(model, &model->item_covariance, "item_covariance_embedding", model->items + 1, width, error));
    if (model->settings.positions == SR_POSITIONS_LEARNED) {
        SR_TRY(declare_table(model, &model->position_embedding, "position_mean_embedding", columns, width, error));
        SR_TRY(declare_table(model, &model->position_covariance, "position_covariance_embedding", columns, width, error));
    }
    SR_TRY(declare_norm(model, &model->input_norm, "input_norm", width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer)
        SR_TRY(declare_layer(model, layer, error));
    return SR_OK;
}

/* ---- forward ---- */

/* dropout(LN(items' rows + columns' rows)) of one stream. */
static sr_tensor *embed(sr_model *model, sr_tape *tape, size_t items, size_t positions, const sr_batch *batch,
                        const sr_pass *pass, dropout_site_name site_name)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const sr_dropout_site site = dropout_site(pass, 0, site_name, model->settings.hidden_dropout);
    sr_tensor *x = sr_embedding(tape, model_parameter(model, tape, items), batch->items, tokens, true);
    if (model->settings.positions == SR_POSITIONS_LEARNED)
        x = sr_add(tape, x, sr_embedding(tape, model_parameter(model, tape, positions), batch->layout.columns, tokens, false));
    return sr_dropout(tape, model_norm(model, tape, x, &model->input_norm), &batch->layout, NULL, &site);
}

/* The distances between queries and keys, as scores of the block. */
static sr_tensor *distance_scores(const attention_block *block, gaussians x, sr_tensor *keys_of_covariance)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const layer_parameters *layer = &model->layers[block->layer];
    const gaussians query = {model_linear(model, tape, rows_of_score_queries(block, x.mean), &layer->mean.query),
                             model_linear(model, tape, rows_of_score_queries(block, x.covariance), &layer->covariance.query)};
    const gaussians key = {model_linear(model, tape, rows_of_keys(block, x.mean), &layer->mean.key),
                           model_linear(model, tape, keys_of_covariance, &layer->covariance.key)};
    return wasserstein_scores(tape, query, key, block->score_map, block->score_scale);
}

/* LN(x + dropout(output(context))), then the feed-forward block, of one stream. */
static sr_tensor *finish_stream(const attention_block *block, const stream_parameters *stream, sr_tensor *residual,
                                sr_tensor *context, dropout_site_name output_site, dropout_site_name feed_forward_site)
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
    const layer_parameters *layer = &model->layers[block->layer];
    sr_tensor *keys_of_covariance = rows_of_keys(block, x.covariance);
    gaussians out = {.mean = rows_of_queries(block, x.mean)};
    block->raw_scores = distance_scores(block, x, keys_of_covariance);
    attention_weigh(block);
    if (model->settings.mean_update == SR_MEAN_UPDATED) {
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
    sr_tensor *mean = embed(model, tape, model->item_embedding, model->position_embedding, batch, pass, SITE_INPUT);
    sr_tensor *covariance = embed(model, tape, model->item_covariance, model->position_covariance, batch, pass,
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

/* ---- loss ---- */

/* [mean, root of the covariance] of items, whose squared Euclidean distances are the squared 2-Wasserstein distances. */
static sr_tensor *item_points(sr_model *model, sr_tape *tape, const int32_t *ids, size_t count)
{
    sr_tensor *means = sr_embedding(tape, model_parameter(model, tape, model->item_embedding), ids, count, false);
    sr_tensor *covariances = sr_embedding(tape, model_parameter(model, tape, model->item_covariance), ids, count, false);
    return sr_concatenate_columns(tape, means, sr_square_root(tape, sr_elu_plus_one(tape, covariances)));
}

static sr_tensor *loss(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, double weight)
{
    const size_t width = (size_t)model->settings.hidden_size;
    sr_tensor *roots = sr_square_root(tape, sr_select_columns(tape, states, width, width));
    sr_tensor *points = sr_concatenate_columns(tape, sr_select_columns(tape, states, 0, width), roots);
    sr_tensor *targets = item_points(model, tape, batch->target_items, batch->targets);
    sr_tensor *negatives = item_points(model, tape, batch->negative_items, batch->targets);
    sr_tensor *to_target = sr_row_distances(tape, points, targets);
    sr_tensor *to_negative = sr_row_distances(tape, points, negatives);
    sr_tensor *between = sr_row_distances(tape, targets, negatives);
    /* bpr of distances: the smaller one wins. */
    return sr_weighted_add(tape, sr_bpr_loss(tape, to_negative, to_target, weight), 1,
                           sr_hinge_loss(tape, to_target, between, weight), model->settings.pvn_weight);
}

const backbone stosa_backbone = {.name = "stosa", .distances = true, .declare = declare, .encode = encode, .loss = loss};
