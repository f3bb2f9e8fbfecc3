/* A calibrator that learns how sharp attention is: one factor for each layer.
 *
 *   scores'_ij = f scores_ij,   f = least + (1 - least) r^2
 *
 * r is learned and starts at 1, so that a model starts as if it had no such calibrator. f never falls below `least`. */
#include "model/calibrator.h"

#include <stdio.h>

extern const calibrator temperature_calibrator;

static const char section[] = "calibrators.temperature";

typedef struct {
    double least;
} temperature_settings;

static const sr_key keys[] = {
    SR_NUMBER(section, "least", temperature_settings, least, 0, 1, "0.1",
              "the least factor of the scores: attention never gets flatter than that", .below = true),
};

static bool compares_distances(const void *part)
{
    return backbone_of(part)->distances;
}

static const sr_rule rules[] = {
    SR_RULE(section, "model.backbone", compares_distances,
            "this calibrator scales dot products of queries and keys, while the scores of this backbone are distances; "
            "use another backbone, or leave calibrators.temperature out"),
};

typedef struct {
    size_t root; /* r */
} temperature_layer;

static temperature_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &temperature_calibrator.component, layer);
}

static sr_status declare_parameters(sr_model *model, size_t layer, sr_error *error)
{
    char name[SR_PARAMETER_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%zu.attention.temperature", layer);
    return declare_number(model, &layer_of(model, layer)->root, name, 1, error);
}

static void calibrate_scores(attention_block *block)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const temperature_settings *settings = component_settings(&model->settings, &temperature_calibrator.component);
    sr_tensor *root = model_parameter(model, tape, layer_of(model, block->layer)->root);
    sr_tensor *flattest = sr_weighted_add(tape, block->scores, settings->least, block->scores, 0);
    block->scores = sr_mix(tape, block->scores, flattest, sr_square(tape, root));
}

const calibrator temperature_calibrator = {
    .component = {.name = "temperature",
                  .help = "scores of attention times a learned factor of each layer",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(temperature_settings),
                  .layer_size = sizeof(temperature_layer)},
    .declare_parameters = declare_parameters,
    .calibrate_scores = calibrate_scores,
};
