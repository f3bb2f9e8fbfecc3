/* AC-TSR's spatial calibrator (Zhou et al. 2023, section 4.1): scores learn what order and distance of two tokens mean.
 *
 *   scores_ij = (q_i k_jᵀ + S°_ij + S^d_ij) / sqrt(e)
 *
 *   order     S°_ij = ln sigmoid(z_ij) if j > i, ln sigmoid(-z_ij) if j <= i      z_ij = order(q_i, k_j)
 *   distance  S^d_ij = -1/2 scale^2 (ln(|i - j| + 1) - m_ij)^2                    m_ij = distance(q_i, k_j)
 *
 * order and distance are affine maps of the concatenated query and key of a head, shared by all heads. */
#include "model/calibrator.h"

#include <stdio.h>

extern const calibrator spatial_calibrator;

typedef enum { DISTANCE_SCALE_NORMAL, DISTANCE_SCALE_ONE } distance_scale_kind;

typedef struct {
    bool order, distance;
    distance_scale_kind distance_scale; /* how the scale of the distance term starts */
} spatial_settings;

static const sr_choice distance_scale_choices[] = {
    {"normal", DISTANCE_SCALE_NORMAL, "N(0, 1), drawn once and shared by all layers at the start, as released"},
    {"one", DISTANCE_SCALE_ONE, "1"},
    {NULL, 0, NULL}};

static const char section[] = "calibrators.spatial";

static const sr_key keys[] = {
    SR_BOOLEAN(section, "order", spatial_settings, order, "true",
               "adds ln p to a score, p the learned probability that query and key stand in this order"),
    SR_BOOLEAN(
        section, "distance", spatial_settings, distance, "true",
        "adds -s^2 (t - m)^2 / 2 to a score: t = ln(1 + how many columns query and key are apart), m what is learned of it "
        "from the two, s a learned scale"),
    SR_CHOICE(section, "distance_scale", spatial_settings, distance_scale, distance_scale_choices, "normal", "s at the start"),
};

static const spatial_settings *settings_of(const sr_model *model)
{
    return component_settings(&model->settings, &spatial_calibrator.component);
}

static bool compares_distances(const void *part)
{
    return backbone_of(part)->distances;
}

static const sr_rule rules[] = {
    SR_RULE(section, "model.backbone", compares_distances,
            "this calibrator is made for attention by dot products of queries and keys, while stosa's is by distances; use "
            "another backbone, or no calibrator but refinement"),
};

typedef struct {
    affine_parameters order, distance;
    size_t distance_scale;
} spatial_layer;

static spatial_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &spatial_calibrator.component, layer);
}

/* The scale starts from one draw for all layers, as the published code copies one layer to make the others; or at 1. */
static sr_status declare_distance_scale(sr_model *model, size_t index, const char *name, sr_error *error)
{
    const bool drawn = settings_of(model)->distance_scale == DISTANCE_SCALE_NORMAL;
    size_t *scale = &layer_of(model, index)->distance_scale;
    SR_TRY(sr_parameters_declare(&model->parameters, name, (size_t[]){1}, 1,
                                 (sr_initial_values){drawn ? SR_INITIAL_CENTRED : SR_INITIAL_CONSTANT, 1},
                                 SR_PARAMETERS_ORDINARY, scale, error));
    if (index > 0)
        sr_parameters_start_same(&model->parameters, *scale, layer_of(model, 0)->distance_scale);
    return SR_OK;
}

static sr_status declare_parameters(sr_model *model, size_t index, sr_error *error)
{
    const spatial_settings *settings = settings_of(model);
    const size_t pair_width = 2 * (size_t)model->settings.hidden_size / (size_t)model->settings.heads;
    spatial_layer *layer = layer_of(model, index);
    char name[SR_PARAMETER_NAME_SIZE / 2];
    if (settings->order) {
        snprintf(name, sizeof name, "layers.%zu.attention.order", index);
        SR_TRY(declare_linear(model, &layer->order, name, 1, pair_width, SR_PARAMETERS_ORDINARY, error));
    }
    if (!settings->distance)
        return SR_OK;
    snprintf(name, sizeof name, "layers.%zu.attention.distance", index);
    SR_TRY(declare_linear(model, &layer->distance, name, 1, pair_width, SR_PARAMETERS_ORDINARY, error));
    snprintf(name, sizeof name, "layers.%zu.attention.distance.scale", index);
    return declare_distance_scale(model, index, name, error);
}

static void calibrate_scores(attention_block *block)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const spatial_settings *settings = settings_of(model);
    const spatial_layer *layer = layer_of(model, block->layer);
    if (settings->order)
        block->scores = sr_add_order_scores(
            tape, block->scores, block->score_query, block->key, model_parameter(model, tape, layer->order.weight),
            model_parameter(model, tape, layer->order.bias), block->score_map, block->score_scale);
    if (settings->distance)
        block->scores = sr_add_distance_scores(tape, block->scores, block->score_query, block->key,
                                               &(sr_distance_map){model_parameter(model, tape, layer->distance.weight),
                                                                  model_parameter(model, tape, layer->distance.bias),
                                                                  model_parameter(model, tape, layer->distance_scale)},
                                               block->score_map, block->score_scale);
}

const calibrator spatial_calibrator = {
    .component = {.name = "spatial",
                  .help =
                      "AC-TSR's spatial calibrator: learned order and distance of items are added to the scores, before these "
                      "are scaled",
                  SR_KEYS(keys),
                  .settings_size = sizeof(spatial_settings),
                  SR_RULES(rules),
                  .layer_size = sizeof(spatial_layer)},
    .declare_parameters = declare_parameters,
    .calibrate_scores = calibrate_scores,
};
