/* FEARec (Du et al. 2023, "Frequency Enhanced Hybrid Attention Network for Sequential Recommendation"), as released
 * with BSARec: layers that see a band of frequencies each, by auto-correlation and by attention.
 *
 *   q, k, v = linear(x),   P the projection of each channel, along the window, onto the layer's band
 *   r[lag]  = (1 / d) sum_t <(P q)_{t + lag}, k_t>                         positions modulo the window, padding included
 *   f_t     = sum_lag softmax(r)[lag] v_{t + lag}                          over the largest lags
 *   s       = attention of P q, P k, P v, with heads and mask
 *   y       = LN(x + dropout(output((1 - spatial_ratio) f + spatial_ratio s))),   then the feed-forward block
 *
 * Which lags count is chosen by the mean of r over the whole batch in training, by each sequence's own r in
 * evaluation. The choice has no gradient. Values of r may be equal by definition: all of them are where the band is
 * bin 0 alone. Then the smallest lags are taken, and equal means equal but for rounding, whose measure is ||q|| ||k||
 * / d of q and k as they are before P (sr_choose_lags). In training, the sums of r and of that measure go over all
 * ranks: every pass sums once a layer, whatever happens. */
#include "model/backbones/fearec.h"

#include "model/attention.h"
#include "model/ranks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

extern const backbone fearec_backbone;

typedef struct {
    double global_ratio;    /* share of the bins that a layer sees */
    double spatial_ratio;   /* share of attention beside auto-correlation */
    double topk_factor;     /* int(topk_factor ln max_length) lags are kept */
    double spectral_weight; /* contrastive training: of the distance of spectra */
} fearec_settings;

static const sr_key keys[] = {
    SR_NUMBER("model", "global_ratio", fearec_settings, global_ratio, 0, 1, "0.6",
              "share of the frequencies that a layer sees, the first one the highest, the last one the lowest; at least 1 / "
              "layers",
              .above = true),
    SR_NUMBER("model", "spatial_ratio", fearec_settings, spatial_ratio, 0, 1, "0.1",
              "share of attention in the outcome of a layer; the rest is auto-correlation"),
    SR_NUMBER("model", "topk_factor", fearec_settings, topk_factor, 0, 1000, "10",
              "int(topk_factor ln(max_length)) lags of the auto-correlation are kept", .above = true),
    SR_NUMBER("training.contrastive", "spectral_weight", fearec_settings, spectral_weight, 0, 1e6, "0.1",
              "weight of the mean distance of the spectra, along the positions, of the states that are compared"),
};

static const fearec_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &fearec_backbone.component);
}

/* ---- what the ratios come to, in the arithmetic of the released code ---- */

/* A ramp: the last layer begins at bin 0, each earlier one a step higher, the first one ends at the highest bin. */
sr_band fearec_band(const sr_model_settings *model, size_t layer)
{
    const double layers = (double)model->layers, bins = (double)(model->max_length / 2 + 1);
    double share = settings_of(model)->global_ratio, step = 0;
    if (share > 1 / layers) { /* not with a single layer */
        step = floor(bins * (1 - share) / (layers - 1));
    } else {
        share = 1 / layers;
        step = bins / layers;
    }
    const double begin = bins * (1 - share) - (double)layer * step, end = bins - (double)layer * step;
    return (sr_band){.first = begin > 0 ? (size_t)begin : 0, .last = end > 0 ? (size_t)end : 0};
}

size_t fearec_lags(const sr_model_settings *model)
{
    return (size_t)(settings_of(model)->topk_factor * log((double)model->max_length));
}

/* ---- rules: every layer needs a band of frequencies, and lags to choose from ---- */

static bool has_no_lags(const void *part)
{
    const sr_model_settings *settings = part;
    const size_t lags = fearec_lags(settings);
    return lags < 1 || lags > (size_t)settings->max_length;
}

static void explain_lags(const void *part, char *text, size_t size)
{
    const sr_model_settings *settings = part;
    snprintf(text, size, "int(topk_factor ln(max_length)) is %zu, but the window has %lld lags", fearec_lags(settings),
             (long long)settings->max_length);
}

/* The first layer without a frequency; as many as there are layers when each has one. */
static size_t layer_without_band(const sr_model_settings *settings)
{
    size_t layer = 0;
    while (layer < (size_t)settings->layers && fearec_band(settings, layer).first < fearec_band(settings, layer).last)
        ++layer;
    return layer;
}

static bool has_no_band(const void *part)
{
    const sr_model_settings *settings = part;
    return layer_without_band(settings) < (size_t)settings->layers;
}

static void explain_band(const void *part, char *text, size_t size)
{
    const sr_model_settings *settings = part;
    snprintf(text, size, "layer %zu would see none of the %lld frequencies", layer_without_band(settings),
             (long long)settings->max_length / 2 + 1);
}

static const sr_rule rules[] = {
    SR_RULE("model.topk_factor", "model.max_length", has_no_lags,
            "fearec keeps int(topk_factor ln(max_length)) of the window's lags, at least 1; use another topk_factor or a "
            "larger max_length",
            .explain = explain_lags),
    SR_RULE("model.layers", "model.max_length", has_no_band,
            "every layer of fearec sees at least one of the max_length / 2 + 1 frequencies; use fewer layers, or a larger "
            "global_ratio",
            .explain = explain_band),
};

/* ---- parameters ---- */

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    SR_TRY(declare_items(model, "item_embedding", 0, (size_t)model->settings.hidden_size, error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length, error));
    SR_TRY(declare_layers(model, error));
    return declare_fourier(model, error);
}

/* ---- lags ---- */

typedef struct {
    const size_t *lags; /* NULL after a failure */
    size_t count;
    bool own; /* each sequence has its own */
} chosen_lags;

/* r [sequences, lags] and what it comes from. r is NULL after a failure. */
typedef struct {
    sr_tensor *r, *query, *key;
    const sr_layout *layout;
    double scale;
} correlations;

static double bound_of(const sr_tape *tape, const correlations *c, size_t sequence)
{
    return sr_correlation_bound(tape, c->query, c->key, c->layout, sequence, c->scale);
}

/* By the sum of all sequences of all ranks: of their values of r, then of their bounds. After a failure zeros take
 * part in it. */
static void choose_for_all(sr_tape *tape, const sr_pass *pass, const correlations *c, double *sums, size_t n,
                           chosen_lags *chosen)
{
    memset(sums, 0, (n + 1) * sizeof *sums);
    for (size_t s = 0; c->r && s < c->r->rows; ++s) {
        for (size_t lag = 0; lag < n; ++lag)
            sums[lag] += (double)c->r->values[s * n + lag];
        sums[n] += bound_of(tape, c, s);
    }
    ranks_sum_in_pass(tape, pass, sums, n + 1);
    size_t *lags = sr_tape_take(tape, chosen->count, sizeof *lags);
    chosen->lags = lags && sr_choose_lags(tape, sums, n, sums[n], chosen->count, lags) ? lags : NULL;
}

static chosen_lags choose_lags(const sr_model *model, sr_tape *tape, const sr_pass *pass, const correlations *c, size_t layer)
{
    enum { LONGEST = 4096 }; /* of model.max_length: the sums must not need memory that may be missing on one rank */
    double values[LONGEST + 1];
    const size_t n = (size_t)model->settings.max_length;
    chosen_lags chosen = {.count = fearec_lags(&model->settings)};
    if (pass->training && pass->lags)
        chosen.lags = pass->lags[pass->view * (size_t)model->settings.layers + layer];
    else if (pass->training)
        choose_for_all(tape, pass, c, values, n, &chosen);
    else
        chosen = (chosen_lags){.lags = sr_choose_own_lags(tape, c->r, c->query, c->key, c->layout, c->scale, chosen.count),
                               .count = chosen.count,
                               .own = true};
    if (pass->trace) {
        pass->trace->lag_count = chosen.count;
        pass->trace->lags[layer] = chosen.lags;
    }
    return chosen;
}

/* ---- a layer ---- */

/* Attention in the band: the context of the block's queries. */
static sr_tensor *attend(attention_block *block, sr_tensor *query, sr_tensor *key, sr_tensor *value)
{
    block->query = block->score_query = rows_of_queries(block, query);
    block->key = rows_of_keys(block, key);
    block->raw_scores = sr_attention_scores(block->tape, block->query, block->key, block->map, block->score_scale);
    attention_weigh(block);
    return sr_attention_context(block->tape, block->weights, rows_of_keys(block, value), block->map);
}

static sr_tensor *encode_layer(sr_model *model, sr_tape *tape, sr_tensor *x, const attention_rows *rows, const sr_batch *batch,
                               const sr_pass *pass, size_t layer, sr_encoding *encoding)
{
    const attention_parameters *parameters = &model->layers[layer].attention;
    const double share = settings_of(&model->settings)->spatial_ratio;
    const sr_band band = fearec_band(&model->settings, layer);
    sr_tensor *query = model_linear(model, tape, x, &parameters->query), *key = model_linear(model, tape, x, &parameters->key);
    sr_tensor *band_query = rows ? sr_band_pass(tape, model->fourier, query, &batch->layout, rows->tokens, band) : NULL;
    const double scale = 1 / (double)model->settings.hidden_size;
    sr_tensor *r = sr_correlations(tape, band_query, key, &batch->layout, scale);
    const correlations c = {.r = r, .query = query, .key = key, .layout = &batch->layout, .scale = scale};
    const chosen_lags chosen = choose_lags(model, tape, pass, &c, layer);
    if (!r)
        return NULL;
    sr_tensor *value = model_linear(model, tape, x, &parameters->value);
    attention_block block = attention_begin(model, tape, rows, pass, layer, encoding);
    if (!block.map)
        return NULL;
    block.input = x;
    sr_tensor *weights = sr_lag_weights(tape, r, chosen.lags, chosen.count, chosen.own);
    sr_tensor *correlated = sr_shifted_sum(tape, weights, value, &batch->layout, block.map->queries);
    sr_tensor *band_key = sr_band_pass(tape, model->fourier, key, &batch->layout, rows->tokens, band);
    sr_tensor *band_value = sr_band_pass(tape, model->fourier, value, &batch->layout, rows->tokens, band);
    sr_tensor *attended = attend(&block, band_query, band_key, band_value);
    sr_tensor *mixed = sr_weighted_add(tape, correlated, 1 - share, attended, share);
    sr_tensor *y = attention_output(&block, mixed, rows_of_queries(&block, x), &parameters->output, SITE_ATTENTION_OUTPUT);
    const layer_rows computed = rows_of_block(&block);
    return feed_forward(&computed, y, &model->layers[layer].feed_forward, SITE_FEED_FORWARD);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    attention_rows made;
    const attention_rows *rows = attention_rows_make(&made, model, tape, batch, pass) ? &made : NULL;
    sr_tensor *x = embed_items(model, tape, batch, pass);
    trace_states(pass, 0, x);
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        x = encode_layer(model, tape, x, rows, batch, pass, layer, encoding);
        trace_states(pass, layer + 1, x);
    }
    encoding->states = pass->every_row ? x : NULL;
    encoding->representation = rows_that_are_read(tape, x, batch, pass);
}

static bool reads_padding(const sr_model_settings *settings)
{
    (void)settings;
    return true;
}

/* ---- contrastive training ---- */

static double state_weight(const sr_model_settings *settings)
{
    return settings_of(settings)->spectral_weight;
}

/* The distance of the spectra of two passes: the modulus of the difference of the orthonormal Fourier transforms,
 * along the positions, of their states; the mean over bins and channels, the sum over sequences divided by
 * `examples`. */
static sr_tensor *state_distance(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *left, sr_tensor *right,
                                 double examples)
{
    const double bins = (double)(model->settings.max_length / 2 + 1), width = (double)model->settings.hidden_size;
    return sr_spectral_distance(tape, model->fourier, left, right, &batch->layout, 1 / (examples * bins * width));
}

const backbone fearec_backbone = {
    .component = {.name = "fearec",
                  .help =
                      "auto-correlation and attention in bands of frequencies; as published with training.contrastive (Du et "
                      "al. 2023)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(fearec_settings),
                  SR_RULES(rules)},
    .capabilities = IS_TRANSFORMER,
    .sums_in_passes = true,
    .mixes_window = true,
    .reads_padding = reads_padding,
    .declare_parameters = declare_parameters,
    .encode = encode,
    .state_term = {"spectral", "spectral distance"},
    .state_weight = state_weight,
    .state_distance = state_distance,
};
