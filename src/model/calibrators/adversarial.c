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
 * Mask generators (attack_query, attack_key) follow the attacked loss, everything else the calibrated one. The objective and
 * the parameter sets see to that. */
#include "model/calibrator.h"

#include <math.h>
#include <stdio.h>

extern const calibrator adversarial_calibrator;

enum { SITE_ATTACK_MASK = 5 };

typedef enum { COMBINE_GATE, COMBINE_FIXED, COMBINE_ANNEALING } combine_kind;
typedef enum { RICH_COMBINE_FIXED, RICH_COMBINE_TRAINABLE } rich_combine_kind;
typedef enum { RENORMALIZE_SOFTMAX, RENORMALIZE_NONE, RENORMALIZE_MASS } renormalize_kind;
typedef enum { MASKED_CELLS_INCLUDED, MASKED_CELLS_EXCLUDED } masked_cells_kind;
typedef enum { PENALTY_ALL, PENALTY_VISIBLE } penalty_kind;

typedef struct {
    combine_kind combine;
    int64_t annealing_steps; /* combine annealing: a = exp(-step / annealing_steps) */
    bool two_level;
    rich_combine_kind rich_combine;
    renormalize_kind renormalize;
    masked_cells_kind masked_cells;
    penalty_kind penalty;
    double penalty_weight;
    double attack_learning_rate_ratio; /* learning rate of mask generators, relative to that of everything else */
} adversarial_settings;

static const sr_choice combine_choices[] = {
    {"gate", COMBINE_GATE, "G base + (1 - G) C with a learned gate G for each query and key column, the same for all heads"},
    {"fixed", COMBINE_FIXED, "softmax(base + C / 2)"},
    {"annealing", COMBINE_ANNEALING, "a base + (1 - a) C with a = exp(-step / annealing_steps)"},
    {NULL, 0, NULL}};
static const sr_choice rich_combine_choices[] = {
    {"fixed", RICH_COMBINE_FIXED, "r = 1/2"},
    {"trainable", RICH_COMBINE_TRAINABLE, "r is a parameter of each layer, 1/2 at the start and not bounded"},
    {NULL, 0, NULL}};
static const sr_choice renormalize_choices[] = {
    {"softmax", RENORMALIZE_SOFTMAX,
     "softmax over the visible keys once more, as released for SASRec and BERT4Rec: the weights become almost even"},
    {"none", RENORMALIZE_NONE, "nothing, as released for SSE-PT and TiSASRec: rows need not sum to 1"},
    {"mass", RENORMALIZE_MASS, "C and the combined weights are divided by their row sums, the attacked weights are not"},
    {NULL, 0, NULL}};
static const sr_choice masked_cells_choices[] = {
    {"included", MASKED_CELLS_INCLUDED,
     "as released: the softmax of combine fixed runs over them too, and the attacked weights have noise there; with "
     "renormalize softmax only the former makes a difference"},
    {"excluded", MASKED_CELLS_EXCLUDED, "that softmax runs over the visible keys, and there is no noise elsewhere"},
    {NULL, 0, NULL}};
static const sr_choice penalty_choices[] = {
    {"all", PENALTY_ALL, "every cell of the batch padded to max_length, as released: it grows with the padding"},
    {"visible", PENALTY_VISIBLE, "the cells in which an item sees a key"},
    {NULL, 0, NULL}};

static const char section[] = "calibrators.adversarial";

static const sr_key keys[] = {
    SR_CHOICE(section, "combine", adversarial_settings, combine, combine_choices, "gate", "how base and C become one"),
    SR_INTEGER(section, "annealing_steps", adversarial_settings, annealing_steps, 1, 1e12, "100000", "of combine annealing"),
    SR_BOOLEAN(
        section, "two_level", adversarial_settings, two_level, "true",
        "true: base are the spatially calibrated weights; false: base are those of the raw scores, and the result A becomes "
        "r A + (1 - r) times the spatially calibrated weights"),
    SR_CHOICE(section, "rich_combine", adversarial_settings, rich_combine, rich_combine_choices, "fixed",
              "r of two_level false"),
    SR_CHOICE(section, "renormalize", adversarial_settings, renormalize, renormalize_choices, "mass",
              "what is done to C, to the combined and to the attacked weights"),
    SR_CHOICE(section, "masked_cells", adversarial_settings, masked_cells, masked_cells_choices, "excluded",
              "keys that a query does not see: later items and padding"),
    SR_CHOICE(section, "penalty", adversarial_settings, penalty, penalty_choices, "visible",
              "cells over which the norm of 1 - M in the loss of the generators is taken"),
    SR_NUMBER(section, "penalty_weight", adversarial_settings, penalty_weight, 0, 1e6, "0.03",
              "weight of that norm, a mean over the layers, against the negative loss of the attacked branch"),
    SR_NUMBER("training", "attack_learning_rate_ratio", adversarial_settings, attack_learning_rate_ratio, 0, 1000, "1",
              "learning rate of the mask generators relative to that of everything else; 1 as released", .above = true),
};

static const adversarial_settings *settings_of_model(const sr_model_settings *settings)
{
    return component_settings(settings, &adversarial_calibrator.component);
}

static const adversarial_settings *settings_of(const attention_block *block)
{
    return settings_of_model(&block->model->settings);
}

typedef struct {
    affine_parameters attack_query, attack_key, gate;
    size_t mix_ratio;
} adversarial_layer;

static adversarial_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &adversarial_calibrator.component, layer);
}

/* Whether noise acts on masked cells, so that the attacked branch reads future and padded keys. */
static bool attack_reads_masked_cells(const adversarial_settings *settings)
{
    return settings->masked_cells == MASKED_CELLS_INCLUDED && settings->renormalize != RENORMALIZE_SOFTMAX;
}

/* Whether masked cells keep a weight in the calibrated branch. */
static bool calibrated_reads_masked_cells(const adversarial_settings *settings)
{
    return settings->masked_cells == MASKED_CELLS_INCLUDED && settings->renormalize == RENORMALIZE_NONE &&
           settings->combine == COMBINE_FIXED;
}

/* Whether the penalty counts the rows of padding, which lie in front of the items or behind them. */
static bool reads_rows_of_padding(const sr_model_settings *settings, bool training)
{
    const adversarial_settings *own = settings_of_model(settings);
    return training && own->penalty == PENALTY_ALL && own->penalty_weight > 0;
}

static padding_use padding(const sr_model_settings *settings, bool training)
{
    const adversarial_settings *own = settings_of_model(settings);
    if (calibrated_reads_masked_cells(own) || (training && attack_reads_masked_cells(own)))
        return PADDING_KEYS;
    return reads_rows_of_padding(settings, training) ? PADDING_QUERIES : PADDING_UNUSED;
}

/* ---- rules ---- */

static bool compares_distances(const void *part)
{
    return backbone_of(part)->distances;
}

/* softmax(base + C / 2) over all columns leaves weight on those that are masked unless something takes it away. */
static bool shows_targets(const void *part)
{
    const sr_model_settings *settings = part;
    return calibrated_reads_masked_cells(settings_of_model(settings)) && settings->objective == SR_OBJECTIVE_ALL &&
           !backbone_of(settings)->masked;
}

static bool is_contrasted(const void *part)
{
    return ((const sr_model_settings *)part)->contrastive.in_use;
}

static const sr_rule rules[] = {
    SR_RULE("calibrators.adversarial.masked_cells", "training.objective", shows_targets,
            "with combine fixed and renormalize none the calibrated weights of later items are not 0, so that a position would "
            "see the item that it has to predict; use masked_cells excluded, another renormalize, or objective last"),
    SR_RULE(section, "model.backbone", compares_distances,
            "this calibrator is made for attention by dot products of queries and keys, while stosa's is by distances; use "
            "another backbone, or no calibrator but refinement"),
    SR_RULE("training.contrastive", section, is_contrasted,
            "it is not said which of its losses the mask generators should follow; use one of the two"),
};

/* ---- parameters ---- */

static sr_status declare_parameters(sr_model *model, size_t index, sr_error *error)
{
    const adversarial_settings *settings = settings_of_model(&model->settings);
    const size_t width = (size_t)model->settings.hidden_size;
    const size_t columns = model_window(model); /* one gate for each */
    adversarial_layer *layer = layer_of(model, index);
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.attention.attack_query", index);
    SR_TRY(declare_linear(model, &layer->attack_query, name, width, width, SR_PARAMETERS_ATTACK, error));
    snprintf(name, sizeof name, "layers.%zu.attention.attack_key", index);
    SR_TRY(declare_linear(model, &layer->attack_key, name, width, width, SR_PARAMETERS_ATTACK, error));
    if (settings->combine == COMBINE_GATE) {
        snprintf(name, sizeof name, "layers.%zu.gate", index);
        SR_TRY(declare_linear(model, &layer->gate, name, columns, width, SR_PARAMETERS_ORDINARY, error));
    }
    if (settings->two_level || settings->rich_combine != RICH_COMBINE_TRAINABLE)
        return SR_OK;
    snprintf(name, sizeof name, "layers.%zu.mix_ratio", index);
    return declare_number(model, &layer->mix_ratio, name, 0.5, error);
}

/* ---- the mask ---- */

/* M of the block's queries. Its penalty counts every query's row, so that in training all of them are computed, in the last
 * layer too. */
static sr_tensor *attack_mask(attention_block *block)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    sr_encoding *encoding = block->encoding;
    const adversarial_settings *settings = settings_of(block);
    const adversarial_layer *layer = layer_of(model, block->layer);
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
        encoding->mask_squares[block->layer] = sr_mask_squares(tape, mask, map, settings->penalty == PENALTY_VISIBLE,
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
                const size_t key_count = map->keys->offsets[s + 1] - map->keys->offsets[s];
                const uint64_t row = (uint64_t)layout->columns[map->queries->tokens[query]];
                size_t begin, end;
                sr_visible_keys(map, s, query, &begin, &end);
                for (size_t j = 0; j < key_count; ++j, ++cell) {
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
    const adversarial_settings *settings = settings_of(block);
    block->attacked_map = attack_reads_masked_cells(settings) ? sr_attention_map_whole(block->tape, block->map) : block->map;
    if (!block->attacked_map)
        return;
    block->attacked_weights = sr_attacked_weights(block->tape, base, mask, attack_noise(block));
    if (settings->renormalize == RENORMALIZE_SOFTMAX)
        block->attacked_weights = sr_attention_softmax(block->tape, block->attacked_weights, block->map);
}

/* ---- the calibrated branch ---- */

/* rho */
static sr_tensor *renormalise(const attention_block *block, sr_tensor *weights)
{
    switch (settings_of(block)->renormalize) {
    case RENORMALIZE_SOFTMAX:
        return sr_attention_softmax(block->tape, weights, block->map);
    case RENORMALIZE_MASS:
        return sr_attention_mass(block->tape, weights, block->map);
    case RENORMALIZE_NONE:
        break;
    }
    return weights;
}

static sr_tensor *combine_fixed(const attention_block *block, sr_tensor *base, sr_tensor *calibrated)
{
    const adversarial_settings *settings = settings_of(block);
    sr_tensor *sum = sr_weighted_add(block->tape, base, 1, calibrated, 0.5);
    if (settings->masked_cells == MASKED_CELLS_EXCLUDED)
        return sr_attention_softmax(block->tape, sum, block->map);
    if (!calibrated_reads_masked_cells(settings))
        return sr_attention_softmax_over_window(block->tape, sum, block->map);
    return block->weights_map ? sr_attention_softmax(block->tape, sum, block->weights_map) : NULL;
}

static sr_tensor *combine(const attention_block *block, sr_tensor *base, sr_tensor *calibrated)
{
    const adversarial_settings *settings = settings_of(block);
    sr_model *model = block->model;
    switch (settings->combine) {
    case COMBINE_FIXED:
        return combine_fixed(block, base, calibrated);
    case COMBINE_ANNEALING: {
        const double share = exp(-(double)block->pass->step / (double)settings->annealing_steps);
        return sr_weighted_add(block->tape, base, share, calibrated, 1 - share);
    }
    case COMBINE_GATE:
        break;
    }
    sr_tensor *logits = model_linear(model, block->tape, block->query, &layer_of(model, block->layer)->gate);
    return sr_gated_weights(block->tape, base, calibrated, logits, block->map);
}

/* r A + (1 - r) P_spatial */
static sr_tensor *mix_levels(const attention_block *block, sr_tensor *weights, sr_tensor *spatial)
{
    sr_model *model = block->model;
    if (settings_of(block)->rich_combine == RICH_COMBINE_FIXED)
        return sr_weighted_add(block->tape, weights, 0.5, spatial, 0.5);
    return sr_mix(block->tape, weights, spatial, model_parameter(model, block->tape, layer_of(model, block->layer)->mix_ratio));
}

/* The weights before the spatial calibrator, with a dropout of their own. */
static sr_tensor *raw_probabilities(const attention_block *block)
{
    sr_tensor *probabilities = sr_attention_softmax(block->tape, block->raw_scores, block->score_map);
    return attention_dropped(block, attention_of_queries(block, probabilities), SITE_RAW_ATTENTION);
}

static void calibrate_weights(attention_block *block)
{
    const adversarial_settings *settings = settings_of(block);
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

static double attack_learning_rate_ratio(const sr_model_settings *settings)
{
    return settings_of_model(settings)->attack_learning_rate_ratio;
}

static double penalty_weight(const sr_model_settings *settings)
{
    return settings_of_model(settings)->penalty_weight;
}

/* (1 / n_l) sum_l ||1 - M_l||: for each layer one norm over the global batch. */
static double penalty(const double *squares, size_t layers)
{
    double sum = 0;
    for (size_t layer = 0; layer < layers; ++layer)
        sum += sqrt(squares[layer]);
    return layers ? sum / (double)layers : 0;
}

/* L_att = -ranking + lambda / n_l sum_l sqrt(S_l), with S_l the sum of squares of layer l over the global batch, so that
 *
 *   d L_att / d S_l = lambda / (2 n_l sqrt(S_l)) */
static sr_tensor *attacked_loss(sr_model *model, sr_tape *tape, const sr_encoding *encoding, sr_tensor *attacked_ranking,
                                const double *squares)
{
    const double weight = penalty_weight(&model->settings), layers = (double)encoding->mask_count;
    static const sr_real minus_one = -1;
    sr_tensor *total = sr_weighted_sum(tape, attacked_ranking, &minus_one);
    for (size_t layer = 0; layer < encoding->mask_count; ++layer) {
        const double norm = sqrt(squares[layer]);
        total = sr_weighted_add(tape, total, 1, encoding->mask_squares[layer], norm > 0 ? weight / (2 * layers * norm) : 0);
    }
    return total;
}

static const char *import_warning(const sr_model_settings *settings)
{
    return settings_of_model(settings)->combine == COMBINE_ANNEALING
               ? "combine annealing depends on the number of training steps, which begins at 0 again: calibrated weights have "
                 "no share until it is trained on"
               : NULL;
}

const calibrator adversarial_calibrator = {
    .component =
        {.name = "adversarial",
         .help = "AC-TSR's adversarial calibrator: generators of masks M learn to mislead the model by weights base M + noise "
                 "(1 - M); base itself, the weights so far, is combined with C = base exp(1 - M), which lifts what they "
                 "attack most",
         SR_KEYS(keys),
         .settings_size = sizeof(adversarial_settings),
         SR_RULES(rules),
         .layer_size = sizeof(adversarial_layer)},
    .couples_batch = true,
    .padding = padding,
    .reads_rows_of_padding = reads_rows_of_padding,
    .declare_parameters = declare_parameters,
    .calibrate_weights = calibrate_weights,
    .attacked_term = {"attacked_ranking", "attacked ranking loss"},
    .penalty_term = {"mask_penalty", "mask penalty"},
    .attack_learning_rate_ratio = attack_learning_rate_ratio,
    .penalty_weight = penalty_weight,
    .penalty = penalty,
    .attacked_loss = attacked_loss,
    .import_warning = import_warning,
};
