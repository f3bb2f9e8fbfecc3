/* Declaring the parameters that backbones share; names and shapes are those of docs/models.md. */
#include "model/backbone.h"
#include "model/calibrator.h"

#include <stdio.h>

/* The parameter "NAME.weight" or "NAME.bias". */
typedef struct {
    const char *name, *part;
} part_of;

static sr_status declare_part(sr_model *model, size_t *index, part_of part, const size_t *shape, size_t rank,
                              sr_initial_values start, sr_parameter_set set, sr_error *error)
{
    char full_name[SR_PARAMETER_NAME_SIZE];
    snprintf(full_name, sizeof full_name, "%s.%s", part.name, part.part);
    return sr_parameters_declare(&model->parameters, full_name, shape, rank, start, set, index, error);
}

static sr_initial_values drawn(const sr_model *model)
{
    return (sr_initial_values){SR_INITIAL_NORMAL, model->settings.initializer_range};
}

sr_status declare_linear(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in,
                         sr_parameter_set set, sr_error *error)
{
    SR_TRY(declare_part(model, &indices->weight, (part_of){name, "weight"}, (size_t[]){out, in}, 2, drawn(model), set, error));
    return declare_part(model, &indices->bias, (part_of){name, "bias"}, &out, 1, (sr_initial_values){SR_INITIAL_ZERO, 0}, set,
                        error);
}

sr_status declare_norm(sr_model *model, affine_parameters *indices, const char *name, size_t width, sr_error *error)
{
    SR_TRY(declare_part(model, &indices->weight, (part_of){name, "weight"}, &width, 1,
                        (sr_initial_values){SR_INITIAL_CONSTANT, 1}, SR_PARAMETERS_ORDINARY, error));
    return declare_part(model, &indices->bias, (part_of){name, "bias"}, &width, 1, (sr_initial_values){SR_INITIAL_ZERO, 0},
                        SR_PARAMETERS_ORDINARY, error);
}

sr_status declare_uniform(sr_model *model, size_t *index, const char *name, const size_t *shape, size_t rank, double bound,
                          sr_error *error)
{
    return sr_parameters_declare(&model->parameters, name, shape, rank, (sr_initial_values){SR_INITIAL_UNIFORM, bound},
                                 SR_PARAMETERS_ORDINARY, index, error);
}

sr_status declare_number(sr_model *model, size_t *index, const char *name, double value, sr_error *error)
{
    return sr_parameters_declare(&model->parameters, name, (size_t[]){1}, 1, (sr_initial_values){SR_INITIAL_CONSTANT, value},
                                 SR_PARAMETERS_ORDINARY, index, error);
}

sr_status declare_table(sr_model *model, size_t *index, const char *name, size_t rows, size_t width, sr_error *error)
{
    return declare_part(model, index, (part_of){name, "weight"}, (size_t[]){rows, width}, 2, drawn(model),
                        SR_PARAMETERS_ORDINARY, error);
}

sr_status declare_items(sr_model *model, const char *name, size_t more, size_t width, sr_error *error)
{
    return item_table_declare(&model->item_table, name, more, width, model->settings.initializer_range, error);
}

sr_status declare_positions(sr_model *model, size_t rows, sr_error *error)
{
    if (model->settings.positions != SR_POSITIONS_LEARNED)
        return SR_OK;
    return declare_table(model, &model->position_embedding, "position_embedding", rows, (size_t)model->settings.hidden_size,
                         error);
}

sr_status check_heads(const sr_model *model, sr_error *error)
{
    const sr_model_settings *settings = &model->settings;
    if (settings->hidden_size % settings->heads == 0)
        return SR_OK;
    return sr_fail(error, SR_ERROR_USAGE, "model.hidden_size %lld is not divisible by model.heads %lld",
                   (long long)settings->hidden_size, (long long)settings->heads);
}

sr_status declare_calibrators(sr_model *model, size_t layer, sr_error *error)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(&model->settings, i))
            SR_TRY(calibrators[i]->declare_parameters(model, layer, error));
    return SR_OK;
}

static sr_status declare_attention(sr_model *model, size_t index, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    attention_parameters *attention = &model->layers[index].attention;
    const struct {
        const char *name;
        affine_parameters *indices;
    } maps[] = {
        {"query", &attention->query}, {"key", &attention->key}, {"value", &attention->value}, {"output", &attention->output}};
    char name[SR_PARAMETER_NAME_SIZE / 2];
    for (size_t i = 0; i < sizeof maps / sizeof *maps; ++i) {
        snprintf(name, sizeof name, "layers.%zu.attention.%s", index, maps[i].name);
        SR_TRY(declare_linear(model, maps[i].indices, name, width, width, SR_PARAMETERS_ORDINARY, error));
    }
    snprintf(name, sizeof name, "layers.%zu.attention.norm", index);
    SR_TRY(declare_norm(model, &attention->norm, name, width, error));
    return declare_calibrators(model, index, error);
}

sr_status declare_feed_forward(sr_model *model, feed_forward_parameters *indices, const char *name, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, inner = (size_t)model->settings.inner_size;
    char part[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(part, sizeof part, "%s.inner", name);
    SR_TRY(declare_linear(model, &indices->inner, part, inner, width, SR_PARAMETERS_ORDINARY, error));
    snprintf(part, sizeof part, "%s.outer", name);
    SR_TRY(declare_linear(model, &indices->outer, part, width, inner, SR_PARAMETERS_ORDINARY, error));
    snprintf(part, sizeof part, "%s.norm", name);
    return declare_norm(model, &indices->norm, part, width, error);
}

sr_status declare_layer_feed_forward(sr_model *model, size_t layer, sr_error *error)
{
    char name[SR_PARAMETER_NAME_SIZE / 2];
    snprintf(name, sizeof name, "layers.%zu.ffn", layer);
    return declare_feed_forward(model, &model->layers[layer].feed_forward, name, error);
}

sr_status declare_fourier(sr_model *model, sr_error *error)
{
    const size_t channels = (size_t)model->settings.hidden_size;
    return model->fourier ? SR_OK : sr_fourier_create(&model->fourier, SR_FOURIER_AUTO, channels, error);
}

sr_status declare_layers(sr_model *model, sr_error *error)
{
    SR_TRY(check_heads(model, error));
    SR_TRY(declare_norm(model, &model->input_norm, "input_norm", (size_t)model->settings.hidden_size, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        SR_TRY(declare_attention(model, layer, error));
        SR_TRY(declare_layer_feed_forward(model, layer, error));
    }
    return SR_OK;
}
