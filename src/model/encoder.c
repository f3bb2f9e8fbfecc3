/* The post-norm transformer encoder that backbones share: the attention pipeline and the feed-forward block.
 *
 *   y  = LN(x + dropout(output(context)))        context = softmax(q kᵀ / sqrt(e)) v, e = d / heads
 *   x' = LN(y + dropout(outer(f(inner(y)))))
 *
 * The pipeline of attention: scores -> softmax -> dropout -> context -> output projection. */
#include "model/backbone.h"

#include <math.h>
#include <stdio.h>

/* Dropout sites: each has random numbers of its own. Part of the reproducibility promise: append, never renumber. */
enum { SITE_INPUT = 0, SITE_ATTENTION = 1, SITE_ATTENTION_OUTPUT = 2, SITE_FEED_FORWARD = 3, SITES_OF_A_LAYER = 32 };

/* ---- declaration ---- */

sr_status declare_affine(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in, sr_error *error)
{
    char full_name[SR_PARAMETER_NAME_SIZE];
    sr_parameters *parameters = &model->parameters;
    snprintf(full_name, sizeof full_name, "%s.weight", name);
    if (in)
        SR_TRY(sr_parameters_declare(parameters, full_name, (size_t[]){out, in}, 2, SR_INITIAL_NORMAL,
                                     model->settings.initializer_range, SR_PARAMETERS_ORDINARY, &indices->weight, error));
    else
        SR_TRY(sr_parameters_declare(parameters, full_name, &out, 1, SR_INITIAL_ONE, 0, SR_PARAMETERS_ORDINARY,
                                     &indices->weight, error));
    snprintf(full_name, sizeof full_name, "%s.bias", name);
    return sr_parameters_declare(parameters, full_name, &out, 1, SR_INITIAL_ZERO, 0, SR_PARAMETERS_ORDINARY, &indices->bias,
                                 error);
}

static sr_status declare_layer(sr_model *model, size_t index, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, inner = (size_t)model->settings.inner_size;
    layer_parameters *layer = &model->layers[index];
    const struct {
        const char *name;
        affine_parameters *indices;
        size_t out, in;
    } list[] = {
        {"attention.query", &layer->attention.query, width, width},
        {"attention.key", &layer->attention.key, width, width},
        {"attention.value", &layer->attention.value, width, width},
        {"attention.output", &layer->attention.output, width, width},
        {"attention.norm", &layer->attention.norm, width, 0},
        {"ffn.inner", &layer->feed_forward.inner, inner, width},
        {"ffn.outer", &layer->feed_forward.outer, width, inner},
        {"ffn.norm", &layer->feed_forward.norm, width, 0},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; ++i) {
        char name[SR_PARAMETER_NAME_SIZE / 2];
        snprintf(name, sizeof name, "layers.%zu.%s", index, list[i].name);
        SR_TRY(declare_affine(model, list[i].indices, name, list[i].out, list[i].in, error));
    }
    return SR_OK;
}

sr_status declare_layers(sr_model *model, sr_error *error)
{
    SR_TRY(declare_affine(model, &model->input_norm, "input_norm", (size_t)model->settings.hidden_size, 0, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer)
        SR_TRY(declare_layer(model, layer, error));
    return SR_OK;
}

/* ---- forward ---- */

static sr_dropout_site dropout_site(const sr_pass *pass, size_t layer, size_t site, double probability)
{
    if (!pass->training)
        return (sr_dropout_site){.probability = 0};
    const sr_random_stream step = sr_random_open(pass->seed, SR_RANDOM_DROPOUT, pass->step);
    return (sr_dropout_site){sr_random_fork(step, layer * SITES_OF_A_LAYER + site), probability};
}

static sr_tensor *parameter(sr_model *model, sr_tape *tape, size_t index)
{
    return sr_tape_parameter(tape, &model->parameters, index);
}

static sr_tensor *linear(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices)
{
    return sr_linear(tape, x, parameter(model, tape, indices->weight), parameter(model, tape, indices->bias));
}

static sr_tensor *norm(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices)
{
    return sr_layer_norm(tape, x, parameter(model, tape, indices->weight), parameter(model, tape, indices->bias),
                         model->settings.layer_norm_epsilon);
}

sr_tensor *encode_input(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass)
{
    const sr_dropout_site site = dropout_site(pass, 0, SITE_INPUT, model->settings.hidden_dropout);
    return sr_dropout(tape, norm(model, tape, x, &model->input_norm), &batch->layout, NULL, &site);
}

/* The attention block of one layer: x [T, d] -> y [Q, d], one row for each query; residual [Q, d] are the queries' rows of x.
 */
static sr_tensor *attention_block(sr_model *model, sr_tape *tape, size_t index, sr_tensor *x, sr_tensor *residual,
                                  const sr_attention_map *map, const sr_pass *pass)
{
    if (!map)
        return NULL;
    const attention_parameters *layer = &model->layers[index].attention;
    const double head_width = (double)model->settings.hidden_size / (double)model->settings.heads;
    const sr_dropout_site weights_site = dropout_site(pass, index, SITE_ATTENTION, model->settings.attention_dropout);
    const sr_dropout_site output_site = dropout_site(pass, index, SITE_ATTENTION_OUTPUT, model->settings.hidden_dropout);
    sr_tensor *query = linear(model, tape, residual, &layer->query);
    sr_tensor *key = linear(model, tape, x, &layer->key);
    sr_tensor *value = linear(model, tape, x, &layer->value);
    sr_tensor *scores = sr_attention_scores(tape, query, key, map, 1 / sqrt(head_width));
    sr_tensor *probabilities = sr_attention_softmax(tape, scores, map);
    sr_tensor *weights = sr_attention_dropout(tape, probabilities, map, &weights_site);
    if (pass->trace && index < SR_TRACE_LAYERS) {
        pass->trace->attention[index] = weights;
        pass->trace->maps[index] = map;
        pass->trace->layers = index + 1;
    }
    sr_tensor *context = sr_attention_context(tape, weights, value, map);
    sr_tensor *output = linear(model, tape, context, &layer->output);
    output = sr_dropout(tape, output, map->layout, map->queries->tokens, &output_site);
    return norm(model, tape, sr_add(tape, residual, output), &layer->norm);
}

static sr_tensor *feed_forward_block(sr_model *model, sr_tape *tape, size_t index, sr_tensor *y, const sr_layout *layout,
                                     const sr_queries *queries, const sr_pass *pass)
{
    const feed_forward_parameters *layer = &model->layers[index].feed_forward;
    const sr_dropout_site site = dropout_site(pass, index, SITE_FEED_FORWARD, model->settings.hidden_dropout);
    sr_tensor *inner = sr_activate(tape, linear(model, tape, y, &layer->inner), model->settings.activation);
    sr_tensor *outer = sr_dropout(tape, linear(model, tape, inner, &layer->outer), layout, queries->tokens, &site);
    return norm(model, tape, sr_add(tape, y, outer), &layer->norm);
}

sr_tensor *encode_layers(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass)
{
    const sr_layout *layout = &batch->layout;
    const size_t layers = (size_t)model->settings.layers, heads = (size_t)model->settings.heads;
    const size_t reads = batch->reads.offsets[layout->sequences];
    const sr_queries *all = sr_queries_all(tape, layout);
    if (!all)
        return NULL;
    for (size_t index = 0; index < layers; ++index) {
        const bool only_read = index + 1 == layers && !pass->every_row;
        const sr_queries *queries = only_read ? &batch->reads : all;
        sr_tensor *residual = only_read ? sr_select_rows(tape, x, batch->reads.tokens, reads) : x;
        const sr_attention_map *map = sr_attention_map_make(tape, layout, queries, heads);
        x = attention_block(model, tape, index, x, residual, map, pass);
        x = feed_forward_block(model, tape, index, x, layout, queries, pass);
    }
    return pass->every_row ? sr_select_rows(tape, x, batch->reads.tokens, reads) : x;
}
