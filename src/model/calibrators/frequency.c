/* BSARec's frequency rescaler (Shin et al. 2024, "An Attentive Inductive Bias for Sequential Recommendation beyond the
 * Self-Attention"): a branch beside attention that tells low from high frequencies of its input x, against oversmoothing.
 *
 *   low    = x in the bins 0 .. cutoff / 2 of its Fourier transform along the positions
 *   branch = LN(x + dropout(low + b (x - low)))         b = sqrt_beta^2 for each channel
 *   h      = alpha branch + (1 - alpha) attention       each with a residual and a norm of its own, none after the mixture
 *
 * The transform runs over the whole window, padding included, as released; or over the items of each sequence alone. Either way
 * a position hears of those behind it. */
#include "model/calibrator.h"

#include <stdio.h>

static const sr_frequency_settings *settings_of(const sr_model *model)
{
    return &model->settings.calibrators.frequency;
}

static bool in_use(const sr_model_settings *settings)
{
    return settings->calibrators.frequency.in_use;
}

/* Padding is computed, because the next layer's transform and, in front of the items, other padding reads it. */
static padding_use padding(const sr_model_settings *settings, bool training)
{
    (void)training;
    return settings->calibrators.frequency.window == SR_WINDOW_PADDED ? PADDING_QUERIES : PADDING_UNUSED;
}

/* The published code copies one layer to make the others and draws again what it knows how to draw, which sqrt_beta is not: all
 * layers start from the same. */
static sr_status declare(sr_model *model, size_t layer, sr_error *error)
{
    frequency_parameters *own = &model->layers[layer].frequency;
    const size_t width = (size_t)model->settings.hidden_size;
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.frequency.sqrt_beta", layer);
    SR_TRY(sr_parameters_declare(&model->parameters, name, &width, 1, SR_INITIAL_CENTRED, 1, SR_PARAMETERS_ORDINARY,
                                 &own->weight, error));
    if (layer > 0)
        sr_parameters_start_same(&model->parameters, own->weight, model->layers[0].frequency.weight);
    snprintf(name, sizeof name, "layers.%zu.frequency.norm", layer);
    SR_TRY(declare_norm(model, &own->norm, name, width, error));
    return declare_fourier(model, settings_of(model)->engine, error);
}

static void mix(attention_block *block, sr_tensor *residual, sr_tensor **y, sr_tensor **attacked)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const frequency_parameters *own = &model->layers[block->layer].frequency;
    const double alpha = settings_of(model)->alpha;
    const sr_band low_band = {0, sr_frequency_low_bins(settings_of(model))};
    const layer_rows rows = rows_of_block(block);
    sr_tensor *low = sr_band_pass(tape, model->fourier, block->input, rows.layout, rows.rows, low_band);
    sr_tensor *rescaled = sr_rescale_residual(tape, residual, low, model_parameter(model, tape, own->weight));
    sr_tensor *branch = add_and_norm(&rows, residual, rescaled, &own->norm, SITE_FREQUENCY);
    *y = sr_weighted_add(tape, branch, alpha, *y, 1 - alpha);
    if (attacked)
        *attacked = sr_weighted_add(tape, branch, alpha, *attacked, 1 - alpha);
}

const calibrator frequency_calibrator = {
    .name = "frequency", .in_use = in_use, .padding = padding, .declare = declare, .mix = mix};
