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

static bool in_use(const sr_model_settings *settings)
{
    return settings->calibrators.spatial.in_use;
}

/* The scale starts from one draw for all layers, as the published code copies one layer to make the others; or at 1. */
static sr_status declare_distance_scale(sr_model *model, size_t index, const char *name, sr_error *error)
{
    const bool drawn = model->settings.calibrators.spatial.distance_scale == SR_DISTANCE_SCALE_NORMAL;
    size_t *scale = &model->layers[index].attention.distance_scale;
    SR_TRY(sr_parameters_declare(&model->parameters, name, (size_t[]){1}, 1, drawn ? SR_INITIAL_CENTRED : SR_INITIAL_CONSTANT,
                                 1, SR_PARAMETERS_ORDINARY, scale, error));
    if (index > 0)
        sr_parameters_start_same(&model->parameters, *scale, model->layers[0].attention.distance_scale);
    return SR_OK;
}

static sr_status declare(sr_model *model, size_t index, sr_error *error)
{
    const sr_spatial_settings *settings = &model->settings.calibrators.spatial;
    const size_t pair_width = 2 * (size_t)model->settings.hidden_size / (size_t)model->settings.heads;
    attention_parameters *layer = &model->layers[index].attention;
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
    const sr_spatial_settings *settings = &model->settings.calibrators.spatial;
    const attention_parameters *layer = &model->layers[block->layer].attention;
    if (settings->order)
        block->scores = sr_add_order_scores(
            tape, block->scores, block->score_query, block->key, model_parameter(model, tape, layer->order.weight),
            model_parameter(model, tape, layer->order.bias), block->score_map, block->score_scale);
    if (settings->distance)
        block->scores = sr_add_distance_scores(
            tape, block->scores, block->score_query, block->key, model_parameter(model, tape, layer->distance.weight),
            model_parameter(model, tape, layer->distance.bias), model_parameter(model, tape, layer->distance_scale),
            block->score_map, block->score_scale);
}

const calibrator spatial_calibrator = {
    .name = "spatial", .in_use = in_use, .declare = declare, .calibrate_scores = calibrate_scores};
