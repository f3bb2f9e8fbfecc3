/* FMLP-Rec (Zhou et al. 2022, "Filter-enhanced MLP is All You Need for Sequential Recommendation"): layers of a learned filter
 * over the whole window and a feed-forward block; no attention.
 *
 *   x0 = dropout(LN(E[items] + P[columns]))
 *   y  = LN(x + dropout(F^-1(W * F(x))))       F the Fourier transform along the window, padding included, W complex
 *   x' = LN(y + dropout(outer(f(inner(y)))))
 *
 * A product in the frequency domain is a circular convolution: every position hears of every other. */
#include "model/sublayer.h"

#include <math.h>
#include <stdio.h>

extern const backbone fmlprec_backbone;

/* A layer's filter, in the place of attention. */
typedef struct {
    size_t weight;
    affine_parameters norm;
} filter_parameters;

static filter_parameters *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &fmlprec_backbone.component, layer);
}

static sr_status declare_filter(sr_model *model, size_t layer, sr_error *error)
{
    filter_parameters *filter = layer_of(model, layer);
    const size_t width = (size_t)model->settings.hidden_size;
    const size_t shape[] = {sr_fourier_bins((size_t)model->settings.max_length), width, 2};
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.filter.weight", layer);
    SR_TRY(sr_parameters_declare(&model->parameters, name, shape, 3,
                                 (sr_initial_values){SR_INITIAL_CENTRED, model->settings.initializer_range},
                                 SR_PARAMETERS_ORDINARY, &filter->weight, error));
    /* As released, where one layer is copied to make the others and filters are not drawn again. */
    if (layer > 0)
        sr_parameters_start_same(&model->parameters, filter->weight, layer_of(model, 0)->weight);
    snprintf(name, sizeof name, "layers.%zu.filter.norm", layer);
    return declare_norm(model, &filter->norm, name, width, error);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    SR_TRY(declare_items(model, "item_embedding", 0, width, error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length, error));
    SR_TRY(declare_norm(model, &model->input_norm, "input_norm", width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        SR_TRY(declare_filter(model, layer, error));
        SR_TRY(declare_layer_feed_forward(model, layer, error));
    }
    return declare_fourier(model, error);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t layers = (size_t)model->settings.layers;
    const sr_rows *tokens = sr_rows_all(tape, &batch->layout);
    sr_tensor *x = embed_items(model, tape, batch, pass);
    trace_states(pass, 0, x);
    for (size_t layer = 0; layer < layers && tokens; ++layer) {
        const bool only_read = layer + 1 == layers && !pass->every_row;
        const layer_rows rows = {model, tape, pass, layer, &batch->layout, only_read ? &batch->reads : tokens};
        const filter_parameters *filter = layer_of(model, layer);
        const size_t count = sr_rows_count(rows.rows, rows.layout);
        /* [L/2 + 1, d, 2] as the tape sees it: [L/2 + 1, 2 d]. */
        sr_tensor *filtered = sr_spectral_filter(tape, model->fourier, x, rows.layout, rows.rows,
                                                 model_parameter(model, tape, filter->weight));
        sr_tensor *residual = only_read ? sr_select_rows(tape, x, batch->reads.tokens, count) : x;
        const sr_dropout_site dropout = sublayer_dropout(&rows, SITE_FREQUENCY, false);
        sr_tensor *y = sublayer_branch(&rows, residual, filtered, &filter->norm, &dropout);
        x = feed_forward(&rows, y, &model->layers[layer].feed_forward, SITE_FEED_FORWARD);
        trace_states(pass, layer + 1, x);
    }
    encoding->representation = rows_that_are_read(tape, x, batch, pass);
}

static bool reads_padding(const sr_model_settings *settings)
{
    (void)settings;
    return true;
}

/* |w_k|: weight [bins, channels, 2], real and imaginary parts. The imaginary part has no effect in bin 0, nor in the last one
 * of a window of even length. */
static void response(const sr_model *model, size_t layer, size_t bin, double *moduli)
{
    const size_t channels = (size_t)model->settings.hidden_size, window = (size_t)model->settings.max_length;
    const sr_real *weight = model_values(model, layer_of(model, layer)->weight) + 2 * bin * channels;
    const bool is_real = bin == 0 || 2 * bin == window;
    for (size_t i = 0; i < channels; ++i)
        moduli[i] = hypot((double)weight[2 * i], is_real ? 0 : (double)weight[2 * i + 1]);
}

const backbone fmlprec_backbone = {
    .component = {.name = "fmlprec",
                  .help = "learned filters over the window in the place of attention (Zhou et al. 2022)",
                  .layer_size = sizeof(filter_parameters)},
    .capabilities = HAS_LAYERS | HAS_FEED_FORWARD | HAS_POSITIONS,
    .mixes_window = true,
    .reads_padding = reads_padding,
    .declare_parameters = declare_parameters,
    .encode = encode,
    .response = response,
};
