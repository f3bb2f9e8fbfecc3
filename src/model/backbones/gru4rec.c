/* GRU4Rec (Hidasi et al. 2016), as in the baselines of BSARec: layers of gated recurrent units without biases over the items.
 *
 *   x0 = dropout(E[items]),   h_l = GRU_l(h_(l-1)),   state = dense(h of the last layer)
 *
 * There are no positions and no norms. With padding left the units run over the padding in front of the items as well, reading
 * row 0 of the item table, as the published code does; padding behind the items is never read, so that there is none. */
#include "model/backbone.h"

#include <math.h>
#include <stdio.h>

extern const backbone gru4rec_backbone;

typedef struct {
    int64_t gru_hidden_size; /* width of the recurrent layers */
} gru4rec_settings;

static const sr_key keys[] = {
    SR_INTEGER("model", "gru_hidden_size", gru4rec_settings, gru_hidden_size, 1, 8192, "64", "width of the recurrent layers"),
};

static size_t unit_width(const sr_model *model)
{
    const gru4rec_settings *own = component_settings(&model->settings, &gru4rec_backbone.component);
    return (size_t)own->gru_hidden_size;
}

/* Weights of a layer of gated recurrent units. */
typedef struct {
    size_t input, hidden;
} gru_parameters;

static gru_parameters *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &gru4rec_backbone.component, layer);
}

static affine_parameters *dense_of(const sr_model *model)
{
    return component_parameters(model, &gru4rec_backbone.component);
}

/* Only the first layer's matrices are drawn by Glorot and Bengio's rule in the published code; deeper ones keep the default of
 * their library. */
static sr_status declare_layer(sr_model *model, size_t index, sr_error *error)
{
    const size_t g = unit_width(model), in = index == 0 ? (size_t)model->settings.hidden_size : g;
    const double deeper = 1 / sqrt((double)g);
    char name[SR_PARAMETER_NAME_SIZE];
    gru_parameters *gru = layer_of(model, index);
    snprintf(name, sizeof name, "layers.%zu.gru.input.weight", index);
    SR_TRY(declare_uniform(model, &gru->input, name, (size_t[]){3 * g, in}, 2,
                           index == 0 ? sqrt(6.0 / (double)(3 * g + in)) : deeper, error));
    snprintf(name, sizeof name, "layers.%zu.gru.hidden.weight", index);
    return declare_uniform(model, &gru->hidden, name, (size_t[]){3 * g, g}, 2,
                           index == 0 ? sqrt(6.0 / (double)(3 * g + g)) : deeper, error);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    SR_TRY(declare_items(model, "item_embedding", 0, width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer)
        SR_TRY(declare_layer(model, layer, error));
    return declare_linear(model, dense_of(model), "dense", width, unit_width(model), SR_PARAMETERS_ORDINARY, error);
}

static bool reads_padding(const sr_model_settings *settings)
{
    return settings->padding == SR_PADDING_LEFT;
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const sr_layout *layout = &batch->layout;
    const sr_dropout_site site = dropout_site(pass, 0, SITE_INPUT, model->settings.hidden_dropout);
    sr_tensor *x = sr_dropout(tape, item_vectors(model, tape, batch), layout, NULL, &site);
    trace_states(pass, 0, x);
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        const gru_parameters *gru = layer_of(model, layer);
        sr_tensor *input = sr_linear(tape, x, model_parameter(model, tape, gru->input), NULL);
        x = sr_gru(tape, input, model_parameter(model, tape, gru->hidden), layout);
        trace_states(pass, layer + 1, x);
    }
    sr_tensor *read = sr_select_rows(tape, x, batch->reads.tokens, sr_rows_count(&batch->reads, layout));
    encoding->representation = model_linear(model, tape, read, dense_of(model));
}

const backbone gru4rec_backbone = {
    .component = {.name = "gru4rec",
                  .help = "gated recurrent units over the items of a history (Hidasi et al. 2016)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(gru4rec_settings),
                  .parameters_size = sizeof(affine_parameters),
                  .layer_size = sizeof(gru_parameters)},
    .capabilities = HAS_LAYERS,
    .reads_padding = reads_padding,
    .declare_parameters = declare_parameters,
    .encode = encode,
};
