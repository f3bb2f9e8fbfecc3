/* Declaring the parameters that backbones share; names and shapes are those of docs/models.md. */
#include "model/backbone.h"
#include "model/calibrator.h"

#include <math.h>
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

/* The standard deviation of a matrix [out, in] at the start. */
static double deviation_of(const sr_model *model, size_t out, size_t in)
{
    return model->settings.encoder.initializer == SR_INITIALIZER_GLOROT ? sqrt(2 / (double)(out + in))
                                                                        : model->settings.initializer_range;
}

sr_initial_values initial_matrix(const sr_model *model, size_t out, size_t in)
{
    const bool glorot = model->settings.encoder.initializer == SR_INITIALIZER_GLOROT;
    return (sr_initial_values){glorot ? SR_INITIAL_CENTRED : SR_INITIAL_NORMAL, deviation_of(model, out, in)};
}

static sr_status declare_matrix(sr_model *model, size_t *index, const char *name, size_t out, size_t in, sr_parameter_set set,
                                sr_error *error)
{
    return declare_part(model, index, (part_of){name, "weight"}, (size_t[]){out, in}, 2, initial_matrix(model, out, in), set,
                        error);
}

sr_status declare_weight(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in, sr_error *error)
{
    indices->bias = NO_PARAMETER;
    return declare_matrix(model, &indices->weight, name, out, in, SR_PARAMETERS_ORDINARY, error);
}

sr_status declare_linear(sr_model *model, affine_parameters *indices, const char *name, size_t out, size_t in,
                         sr_parameter_set set, sr_error *error)
{
    SR_TRY(declare_matrix(model, &indices->weight, name, out, in, set, error));
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
    return declare_matrix(model, index, name, rows, width, SR_PARAMETERS_ORDINARY, error);
}

sr_status declare_users(sr_model *model, size_t width, sr_error *error)
{
    SR_TRY(declare_table(model, &model->user_embedding, "user_embedding", model->users + 1, width, error));
    sr_parameters_assign_rows(&model->parameters, model->user_embedding, SR_ROWS_OF_USERS);
    return SR_OK;
}

sr_status declare_items(sr_model *model, const char *name, size_t more, size_t width, sr_error *error)
{
    const size_t rows = 1 + model->items + more;
    return item_table_declare(&model->item_table, name, more, width, deviation_of(model, rows, width), error);
}

sr_status declare_adapted_items(sr_model *model, size_t more, size_t width, sr_error *error)
{
    const sr_encoder_settings *encoder = &model->settings.encoder;
    const size_t own = encoder->item_width > 0 ? (size_t)encoder->item_width : width;
    if (encoder->item_vectors == SR_ITEM_VECTORS_FROZEN)
        model->item_table.set = SR_PARAMETERS_FROZEN;
    SR_TRY(declare_items(model, "item_embedding", more, own, error));
    return encoder->item_width > 0 ? declare_weight(model, &model->item_adaptor, "item_adaptor", width, own, error) : SR_OK;
}

sr_status declare_item_tables(sr_model *model, size_t width, sr_error *error)
{
    SR_TRY(declare_adapted_items(model, 0, width, error));
    if (model->settings.encoder.output_embedding != SR_OUTPUT_EMBEDDING_SEPARATE)
        return SR_OK;
    model->item_table.scored = ITEM_OUTPUTS;
    return declare_items(model, "output_embedding", 0, width, error);
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

/* The gate of the residual of sub-layer NAME, where the settings ask for one. */
static sr_status declare_gate(sr_model *model, affine_parameters *gate, const char *name, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    char full_name[SR_PARAMETER_NAME_SIZE];
    *gate = (affine_parameters){NO_PARAMETER, NO_PARAMETER};
    if (model->settings.encoder.residual != SR_RESIDUAL_GATED)
        return SR_OK;
    snprintf(full_name, sizeof full_name, "%s.residual_gate", name);
    return declare_linear(model, gate, full_name, width, width, SR_PARAMETERS_ORDINARY, error);
}

static sr_status declare_attention(sr_model *model, size_t index, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    attention_parameters *attention = &model->layers[index].attention;
    const struct {
        const char *name;
        affine_parameters *indices;
        bool exists;
    } maps[] = {{"query", &attention->query, true},
                {"key", &attention->key, true},
                {"value", &attention->value, true},
                {"output", &attention->output, model->settings.encoder.attention_output}};
    char name[SR_PARAMETER_NAME_SIZE / 2];
    for (size_t i = 0; i < sizeof maps / sizeof *maps; ++i) {
        *maps[i].indices = (affine_parameters){NO_PARAMETER, NO_PARAMETER};
        snprintf(name, sizeof name, "layers.%zu.attention.%s", index, maps[i].name);
        if (maps[i].exists)
            SR_TRY(declare_linear(model, maps[i].indices, name, width, width, SR_PARAMETERS_ORDINARY, error));
    }
    snprintf(name, sizeof name, "layers.%zu.attention.norm", index);
    SR_TRY(declare_norm(model, &attention->norm, name, width, error));
    snprintf(name, sizeof name, "layers.%zu.attention", index);
    SR_TRY(declare_gate(model, &attention->gate, name, error));
    return declare_calibrators(model, index, error);
}

/* A map of a feed-forward block, with a bias if the settings ask for one. */
static sr_status declare_map(sr_model *model, affine_parameters *indices, part_of part, size_t out, size_t in, sr_error *error)
{
    char name[SR_PARAMETER_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", part.name, part.part);
    return model->settings.encoder.feed_forward_bias
               ? declare_linear(model, indices, name, out, in, SR_PARAMETERS_ORDINARY, error)
               : declare_weight(model, indices, name, out, in, error);
}

sr_status declare_feed_forward(sr_model *model, feed_forward_parameters *indices, const char *name, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, inner = (size_t)model->settings.inner_size;
    char norm[SR_PARAMETER_NAME_SIZE];
    SR_TRY(declare_map(model, &indices->inner, (part_of){name, "inner"}, inner, width, error));
    if (model->settings.encoder.feed_forward == SR_FEED_FORWARD_GATED)
        SR_TRY(declare_map(model, &indices->multiplier, (part_of){name, "multiplier"}, inner, width, error));
    SR_TRY(declare_map(model, &indices->outer, (part_of){name, "outer"}, width, inner, error));
    snprintf(norm, sizeof norm, "%s.norm", name);
    SR_TRY(declare_norm(model, &indices->norm, norm, width, error));
    return declare_gate(model, &indices->gate, name, error);
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
    const size_t width = (size_t)model->settings.hidden_size;
    if (model->settings.encoder.input_norm)
        SR_TRY(declare_norm(model, &model->input_norm, "input_norm", width, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        SR_TRY(declare_attention(model, layer, error));
        SR_TRY(declare_layer_feed_forward(model, layer, error));
    }
    return model->settings.encoder.final_norm ? declare_norm(model, &model->final_norm, "final_norm", width, error) : SR_OK;
}
