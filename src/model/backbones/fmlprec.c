/* FMLP-Rec (Zhou et al. 2022, "Filter-enhanced MLP is All You Need for Sequential Recommendation"): layers of a learned filter
 * over the whole window and a feed-forward block; no attention.
 *
 *   x0 = dropout(LN(E[items] + P[columns]))
 *   y  = LN(x + dropout(F^-1(W * F(x))))       F the Fourier transform along the window, padding included, W complex
 *   x' = LN(y + dropout(outer(f(inner(y)))))
 *
 * A product in the frequency domain is a circular convolution: every position hears of every other. */
#include "model/backbone.h"

#include <stdio.h>

static sr_status declare_filter(sr_model *model, size_t layer, sr_error *error)
{
    frequency_parameters *filter = &model->layers[layer].frequency;
    const size_t width = (size_t)model->settings.hidden_size;
    const size_t shape[] = {sr_fourier_bins((size_t)model->settings.max_length), width, 2};
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.filter.weight", layer);
    SR_TRY(sr_parameters_declare(&model->parameters, name, shape, 3, SR_INITIAL_CENTRED, model->settings.initializer_range,
                                 SR_PARAMETERS_ORDINARY, &filter->weight, error));
    /* As released, where one layer is copied to make the others and filters are not drawn again. */
    if (layer > 0)
        sr_parameters_start_same(&model->parameters, filter->weight, model->layers[0].frequency.weight);
    snprintf(name, sizeof name, "layers.%zu.filter.norm", layer);
    return declare_norm(model, &filter->norm, name, width, error);
}

static sr_status declare(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    SR_TRY(declare_table(model, &model->item_embedding, "item_embedding", model->items + 1, width, error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length, error));
    SR_TRY(declare_norm(model, &model->input_norm, "input_norm", width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        SR_TRY(declare_filter(model, layer, error));
        SR_TRY(declare_layer_feed_forward(model, layer, error));
    }
    return declare_fourier(model, model->settings.filter_engine, error);
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
        const frequency_parameters *filter = &model->layers[layer].frequency;
        const size_t count = sr_rows_count(rows.rows, rows.layout);
        /* [L/2 + 1, d, 2] as the tape sees it: [L/2 + 1, 2 d]. */
        sr_tensor *filtered = sr_spectral_filter(tape, model->fourier, x, rows.layout, rows.rows,
                                                 model_parameter(model, tape, filter->weight));
        sr_tensor *residual = only_read ? sr_select_rows(tape, x, batch->reads.tokens, count) : x;
        sr_tensor *y = add_and_norm(&rows, residual, filtered, &filter->norm, SITE_FREQUENCY);
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

const backbone fmlprec_backbone = {.name = "fmlprec", .reads_padding = reads_padding, .declare = declare, .encode = encode};
