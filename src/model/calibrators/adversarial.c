/* AC-TSR's adversarial calibrator (Zhou et al. 2023, section 4.2): a mask M finds the weights that matter, by an attack that
 * replaces the others by noise; the calibrated weights lift what the mask leaves out.
 *
 *   M = dropout(softmax(attack_query(Q) attack_key(K)ᵀ / sqrt(e)))               Q, K the projected queries and keys
 *   attacked    A_p = rho(base * M + noise * (1 - M))                            noise ~ N(0, 1)
 *   calibrated  C   = rho(base * exp(1 - M))
 *   combine     gate       A = G base + (1 - G) C,  G_ij = sigmoid(gate(Q)_i)_j, the same for every head
 *               annealing  A = a base + (1 - a) C,  a = exp(-step / annealing_steps)
 *               fixed      A = softmax(base + C / 2)
 *   A <- rho(A);   unless two_level:  A <- r A + (1 - r) P_spatial               r = 1/2, or trained
 *
 * base is P_spatial (two_level) or the softmax of the scores before any calibrator. rho is what `renormalize` says: softmax
 * again over the visible keys, nothing, or division by the row's sum (of C and A; the attacked weights have signed noise and
 * stay as they are).
 *
 * Mask generators (attack_query, attack_key) follow the attacked loss, everything else the calibrated one;
 * sr_model_attacked_loss() and the parameter sets see to that. */
#include "model/calibrator.h"

#include <math.h>
#include <stdio.h>

static const sr_adversarial_settings *settings_of(const attention_block *block)
{
    return &block->model->settings.calibrators.adversarial;
}

static bool in_use(const sr_model_settings *settings)
{
    return settings->calibrators.adversarial.in_use;
}

/* Whether noise acts on masked cells, so that the attacked branch reads future and padded keys. */
static bool attack_reads_masked_cells(const sr_adversarial_settings *settings)
{
    return settings->masked_cells == SR_MASKED_CELLS_INCLUDED && settings->renormalize != SR_RENORMALIZE_SOFTMAX;
}

/* Whether masked cells keep a weight in the calibrated branch. */
static bool calibrated_reads_masked_cells(const sr_adversarial_settings *settings)
{
    return settings->masked_cells == SR_MASKED_CELLS_INCLUDED && settings->renormalize == SR_RENORMALIZE_NONE &&
           settings->combine == SR_COMBINE_FIXED;
}

/* Whether the penalty counts the rows of padding, which lie in front of the items or behind them. */
static bool reads_rows_of_padding(const sr_model_settings *settings, bool training)
{
    const sr_adversarial_settings *own = &settings->calibrators.adversarial;
    return training && own->penalty == SR_PENALTY_ALL && own->penalty_weight > 0;
}

static padding_use padding(const sr_model_settings *settings, bool training)
{
    const sr_adversarial_settings *own = &settings->calibrators.adversarial;
    if (calibrated_reads_masked_cells(own) || (training && attack_reads_masked_cells(own)))
        return PADDING_KEYS;
    return reads_rows_of_padding(settings, training) ? PADDING_QUERIES : PADDING_UNUSED;
}

static sr_status declare(sr_model *model, size_t index, sr_error *error)
{
    const sr_adversarial_settings *settings = &model->settings.calibrators.adversarial;
    const size_t width = (size_t)model->settings.hidden_size;
    const size_t columns = model_window(model); /* one gate for each */
    attention_parameters *layer = &model->layers[index].attention;
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.attention.attack_query", index);
    SR_TRY(declare_linear(model, &layer->attack_query, name, width, width, SR_PARAMETERS_ATTACK, error));
    snprintf(name, sizeof name, "layers.%zu.attention.attack_key", index);
    SR_TRY(declare_linear(model, &layer->attack_key, name, width, width, SR_PARAMETERS_ATTACK, error));
    if (settings->combine == SR_COMBINE_GATE) {
        snprintf(name, sizeof name, "layers.%zu.gate", index);
        SR_TRY(declare_linear(model, &layer->gate, name, columns, width, SR_PARAMETERS_ORDINARY, error));
    }
    if (settings->two_level || settings->rich_combine != SR_RICH_COMBINE_TRAINABLE)
        return SR_OK;
    snprintf(name, sizeof name, "layers.%zu.mix_ratio", index);
    return sr_parameters_declare(&model->parameters, name, (size_t[]){1}, 1, SR_INITIAL_CONSTANT, 0.5, SR_PARAMETERS_ORDINARY,
                                 &layer->mix_ratio, error);
}

/* ---- the mask ---- */

/* M of the block's queries. Its penalty counts every query's row, so that in training all of them are computed, in the last
 * layer too. */
static sr_tensor *attack_mask(attention_block *block)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    sr_encoding *encoding = block->encoding;
    const sr_adversarial_settings *settings = settings_of(block);
    const attention_parameters *layer = &model->layers[block->layer].attention;
    const bool penalised = block->pass->training && settings->penalty_weight > 0;
    const sr_attention_map *map = block->map;
    if (penalised && map->queries != block->tokens)
        map = sr_attention_map_make(tape, map->layout, block->tokens, map->keys, map->heads);
    if (!map)
        return NULL;
    sr_tensor *query = model_linear(model, tape, penalised ? attention_every_query(block) : block->query, &layer->attack_query);
    sr_tensor *key = model_linear(model, tape, block->key, &layer->attack_key);
    const sr_dropout_site site = dropout_site(block->pass, block->layer, SITE_ATTACK_MASK, model->settings.attention_dropout);
    sr_tensor *mask = sr_attention_softmax(tape, sr_attention_scores(tape, query, key, map, block->score_scale), map);
    mask = sr_attention_dropout(tape, mask, map, &site);
    if (penalised) {
        encoding->mask_squares[block->layer] = sr_mask_squares(tape, mask, map, settings->penalty == SR_PENALTY_VISIBLE,
                                                               &encoding->mask_square_sums[block->layer]);
        encoding->mask_count = block->layer + 1;
    }
    return map == block->map ? mask : sr_attention_select_queries(tape, mask, map, block->map);
}

/* ---- the attacked branch ---- */

/* One normal number a cell that the attacked branch reads, 0 in the others. */
static sr_real *attack_noise(const attention_block *block)
{
    const sr_attention_map *map = block->attacked_map;
    const sr_layout *layout = map->layout;
    const sr_pass *pass = block->pass;
    const sr_random_stream step = sr_random_open(pass->seed, SR_RANDOM_NOISE, pass->step);
    const sr_random_stream stream = sr_random_fork(step, (uint64_t)pass->view * SR_LAYERS_MAXIMUM + block->layer);
    sr_real *noise = sr_tape_take(block->tape, sr_attention_map_cells(map), sizeof *noise);
    size_t cell = 0;
    for (size_t s = 0; noise && s < layout->sequences; ++s)
        for (size_t head = 0; head < map->heads; ++head)
            for (size_t query = map->queries->offsets[s]; query < map->queries->offsets[s + 1]; ++query) {
                const size_t keys = map->keys->offsets[s + 1] - map->keys->offsets[s];
                const uint64_t row = (uint64_t)layout->columns[map->queries->tokens[query]];
                size_t begin, end;
                sr_visible_keys(map, s, query, &begin, &end);
                for (size_t j = 0; j < keys; ++j, ++cell) {
                    const uint64_t column = (uint64_t)layout->columns[map->keys->tokens[map->keys->offsets[s] + j]];
                    if (j < begin || j >= end)
                        noise[cell] = 0;
                    else if (pass->noise)
                        noise[cell] =
                            (sr_real)pass->noise[((s * map->heads + head) * layout->window + row) * layout->window + column];
                    else
                        noise[cell] = (sr_real)sr_random_normal(stream, (uint64_t)head << 32 | row << 16 | column,
                                                                layout->identity[s]);
                }
            }
    return noise;
}

static void attack(attention_block *block, sr_tensor *base, sr_tensor *mask)
{
    const sr_adversarial_settings *settings = settings_of(block);
    block->attacked_map = attack_reads_masked_cells(settings) ? sr_attention_map_whole(block->tape, block->map) : block->map;
    if (!block->attacked_map)
        return;
    block->attacked_weights = sr_attacked_weights(block->tape, base, mask, attack_noise(block));
    if (settings->renormalize == SR_RENORMALIZE_SOFTMAX)
        block->attacked_weights = sr_attention_softmax(block->tape, block->attacked_weights, block->map);
}

/* ---- the calibrated branch ---- */

/* rho */
static sr_tensor *renormalise(const attention_block *block, sr_tensor *weights)
{
    switch (settings_of(block)->renormalize) {
    case SR_RENORMALIZE_SOFTMAX:
        return sr_attention_softmax(block->tape, weights, block->map);
    case SR_RENORMALIZE_MASS:
        return sr_attention_mass(block->tape, weights, block->map);
    case SR_RENORMALIZE_NONE:
        break;
    }
    return weights;
}

static sr_tensor *combine_fixed(const attention_block *block, sr_tensor *base, sr_tensor *calibrated)
{
    const sr_adversarial_settings *settings = settings_of(block);
    sr_tensor *sum = sr_weighted_add(block->tape, base, 1, calibrated, 0.5);
    if (settings->masked_cells == SR_MASKED_CELLS_EXCLUDED)
        return sr_attention_softmax(block->tape, sum, block->map);
    if (!calibrated_reads_masked_cells(settings))
        return sr_attention_softmax_over_window(block->tape, sum, block->map);
    return block->weights_map ? sr_attention_softmax(block->tape, sum, block->weights_map) : NULL;
}

static sr_tensor *combine(const attention_block *block, sr_tensor *base, sr_tensor *calibrated)
{
    const sr_adversarial_settings *settings = settings_of(block);
    sr_model *model = block->model;
    switch (settings->combine) {
    case SR_COMBINE_FIXED:
        return combine_fixed(block, base, calibrated);
    case SR_COMBINE_ANNEALING: {
        const double share = exp(-(double)block->pass->step / (double)settings->annealing_steps);
        return sr_weighted_add(block->tape, base, share, calibrated, 1 - share);
    }
    case SR_COMBINE_GATE:
        break;
    }
    sr_tensor *logits = model_linear(model, block->tape, block->query, &model->layers[block->layer].attention.gate);
    return sr_gated_weights(block->tape, base, calibrated, logits, block->map);
}

/* r A + (1 - r) P_spatial */
static sr_tensor *mix_levels(const attention_block *block, sr_tensor *weights, sr_tensor *spatial)
{
    sr_model *model = block->model;
    if (settings_of(block)->rich_combine == SR_RICH_COMBINE_FIXED)
        return sr_weighted_add(block->tape, weights, 0.5, spatial, 0.5);
    return sr_mix(block->tape, weights, spatial,
                  model_parameter(model, block->tape, model->layers[block->layer].attention.mix_ratio));
}

/* The weights before the spatial calibrator, with a dropout of their own. */
static sr_tensor *raw_probabilities(const attention_block *block)
{
    sr_tensor *probabilities = sr_attention_softmax(block->tape, block->raw_scores, block->score_map);
    return attention_dropped(block, attention_of_queries(block, probabilities), SITE_RAW_ATTENTION);
}

static void calibrate_weights(attention_block *block)
{
    const sr_adversarial_settings *settings = settings_of(block);
    sr_tensor *spatial = block->weights, *mask = attack_mask(block);
    sr_tensor *base = settings->two_level ? spatial : raw_probabilities(block);
    if (block->last && block->pass->training)
        attack(block, base, mask);
    if (calibrated_reads_masked_cells(settings))
        block->weights_map = sr_attention_map_whole(block->tape, block->map);
    sr_tensor *calibrated = renormalise(block, sr_calibrated_weights(block->tape, base, mask));
    block->weights = renormalise(block, combine(block, base, calibrated));
    if (!settings->two_level)
        block->weights = mix_levels(block, block->weights, spatial);
}

const calibrator adversarial_calibrator = {.name = "adversarial",
                                           .in_use = in_use,
                                           .padding = padding,
                                           .reads_rows_of_padding = reads_rows_of_padding,
                                           .declare = declare,
                                           .calibrate_weights = calibrate_weights};
