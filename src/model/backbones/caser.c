/* Caser (Tang and Wang 2018), as in the baselines of BSARec: convolutions over the window, and the user.
 *
 *   X = E[window], rows of padding included                         [L, d]
 *   v = vertical filters over X,  o = maxima over time of relu(horizontal filters of heights 1 .. L)
 *   z = relu(sequence_dense(dropout([v, o]))),   state = relu(output_dense([z, U[user]]))
 *
 * The loss adds frobenius_penalty times the sum of the Frobenius norms of all weights. A window has one state. What
 * padding contributes is computed once (convolution.c), so that batches need not hold it. */
#include "model/backbone.h"
#include "tensor/description.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

extern const backbone caser_backbone;

enum { SITE_CONVOLUTIONS = 16 };

typedef struct {
    int64_t vertical_filters, horizontal_filters; /* how many; horizontal ones of each height */
    double frobenius_penalty;                     /* weight of the weights' norms */
} caser_settings;

static const sr_key keys[] = {
    SR_INTEGER("model", "vertical_filters", caser_settings, vertical_filters, 1, 4096, "4",
               "filters over the columns of the window, which sum it channel by channel"),
    SR_INTEGER("model", "horizontal_filters", caser_settings, horizontal_filters, 1, 4096, "8",
               "filters over rows of the window, of each height from 1 to max_length"),
    SR_NUMBER("training", "frobenius_penalty", caser_settings, frobenius_penalty, 0, 1e6, "0.0001",
              "weight in the loss of the sum of the Frobenius norms of all weight matrices"),
};

static const caser_settings *settings_of(const sr_model *model)
{
    return component_settings(&model->settings, &caser_backbone.component);
}

typedef struct {
    affine_parameters vertical, sequence_dense, output_dense;
    affine_parameters first_horizontal; /* the filters of height 1; those of greater heights follow, declared one by one */
} caser_parameters;

static caser_parameters *parameters_of(const sr_model *model)
{
    return component_parameters(model, &caser_backbone.component);
}

static affine_parameters horizontal_of(const sr_model *model, size_t height)
{
    const affine_parameters *first = &parameters_of(model)->first_horizontal;
    return (affine_parameters){first->weight + 2 * (height - 1), first->bias + 2 * (height - 1)};
}

/* The default of the published code's library for convolutions: weight and bias uniform in +-1 / sqrt(fan in). */
static sr_status declare_convolution(sr_model *model, affine_parameters *indices, const char *name, const size_t *shape,
                                     size_t rank, size_t fan_in, sr_error *error)
{
    const double bound = 1 / sqrt((double)fan_in);
    char full_name[SR_PARAMETER_NAME_SIZE];
    snprintf(full_name, sizeof full_name, "%s.weight", name);
    SR_TRY(declare_uniform(model, &indices->weight, full_name, shape, rank, bound, error));
    snprintf(full_name, sizeof full_name, "%s.bias", name);
    return declare_uniform(model, &indices->bias, full_name, shape, 1, bound, error);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, window = (size_t)model->settings.max_length;
    const size_t vertical = (size_t)settings_of(model)->vertical_filters;
    const size_t horizontal = (size_t)settings_of(model)->horizontal_filters;
    caser_parameters *caser = parameters_of(model);
    SR_TRY(declare_items(model, "item_embedding", 0, width, error));
    SR_TRY(declare_users(model, width, error));
    SR_TRY(declare_convolution(model, &caser->vertical, "vertical", (size_t[]){vertical, window}, 2, window, error));
    for (size_t height = 1; height <= window; ++height) {
        char name[SR_PARAMETER_NAME_SIZE / 2];
        snprintf(name, sizeof name, "horizontal.%zu", height);
        affine_parameters indices;
        SR_TRY(declare_convolution(model, &indices, name, (size_t[]){horizontal, height, width}, 3, height * width, error));
        if (height == 1)
            caser->first_horizontal = indices;
    }
    SR_TRY(declare_linear(model, &caser->sequence_dense, "sequence_dense", width, vertical * width + horizontal * window,
                          SR_PARAMETERS_ORDINARY, error));
    return declare_linear(model, &caser->output_dense, "output_dense", width, 2 * width, SR_PARAMETERS_ORDINARY, error);
}

static sr_tensor *horizontal_convolutions(sr_model *model, sr_tape *tape, sr_tensor *x, sr_tensor *padding,
                                          const sr_layout *layout)
{
    const size_t heights = layout->window;
    sr_tensor **weights = sr_tape_take(tape, heights, sizeof(sr_tensor *));
    sr_tensor **biases = sr_tape_take(tape, heights, sizeof(sr_tensor *));
    for (size_t i = 0; weights && biases && i < heights; ++i) {
        weights[i] = model_parameter(model, tape, horizontal_of(model, i + 1).weight);
        biases[i] = model_parameter(model, tape, horizontal_of(model, i + 1).bias);
    }
    return weights && biases ? sr_horizontal_convolutions(tape, x, padding, weights, biases, layout) : NULL;
}

/* Users of sequences in a graph: those of the tokens in their first columns, [batch, 1]. */
static sr_graph_value describe_users(sr_description *to, const sr_tensor *output, const void *batch)
{
    (void)output;
    return sr_graph_slice(description_graph(to), described_array(to, ((const sr_batch *)batch)->users), 1, 0, 1);
}

static const sr_operation users_of_sequences = {.name = "users_of_sequences", .describe = describe_users};

/* The embedding of each sequence's user [S, d]. */
static sr_tensor *embed_users(sr_model *model, sr_tape *tape, const sr_batch *batch)
{
    const sr_layout *layout = &batch->layout;
    int32_t *users = sr_tape_take(tape, layout->sequences, sizeof *users);
    for (size_t s = 0; users && s < layout->sequences; ++s)
        users[s] = batch->users[layout->offsets[s]];
    if (!users || !sr_tape_note(tape, users, &users_of_sequences, batch))
        return NULL;
    return sr_embedding(tape, model_parameter(model, tape, model->user_embedding), users, layout->sequences, true);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const sr_layout *layout = &batch->layout;
    const caser_parameters *caser = parameters_of(model);
    const sr_dropout_site site = dropout_site(pass, 0, SITE_CONVOLUTIONS, model->settings.hidden_dropout);
    assert(sr_rows_count(&batch->reads, layout) == layout->sequences); /* the one state of each window */
    sr_tensor *x = item_vectors(model, tape, batch);
    sr_tensor *padding = item_table_padding(&model->item_table, tape, ITEM_VECTORS);
    sr_tensor *vertical = sr_vertical_convolution(tape, x, padding, model_parameter(model, tape, caser->vertical.weight),
                                                  model_parameter(model, tape, caser->vertical.bias), layout);
    sr_tensor *both = sr_concatenate_columns(tape, vertical, horizontal_convolutions(model, tape, x, padding, layout));
    both = sr_dropout(tape, both, layout, batch->reads.tokens, &site);
    sr_tensor *z = sr_activate(tape, model_linear(model, tape, both, &caser->sequence_dense), SR_ACTIVATION_RELU);
    z = sr_concatenate_columns(tape, z, embed_users(model, tape, batch));
    encoding->representation = sr_activate(tape, model_linear(model, tape, z, &caser->output_dense), SR_ACTIVATION_RELU);
}

static sr_tensor *add_norm(sr_model *model, sr_tape *tape, sr_tensor *sum, size_t index)
{
    return sr_add(tape, sum, sr_frobenius_norm(tape, model_parameter(model, tape, index)));
}

static double penalty_weight(const sr_model_settings *settings)
{
    const caser_settings *own = component_settings(settings, &caser_backbone.component);
    return own->frobenius_penalty;
}

static sr_tensor *penalty(sr_model *model, sr_tape *tape)
{
    const caser_parameters *caser = parameters_of(model);
    sr_tensor *sum = sr_frobenius_norm(tape, model_parameter(model, tape, model->user_embedding));
    sum = sr_add(tape, sum, item_table_norm(&model->item_table, tape, ITEM_VECTORS));
    sum = add_norm(model, tape, sum, caser->vertical.weight);
    for (size_t height = 1; height <= (size_t)model->settings.max_length; ++height)
        sum = add_norm(model, tape, sum, horizontal_of(model, height).weight);
    sum = add_norm(model, tape, sum, caser->sequence_dense.weight);
    return add_norm(model, tape, sum, caser->output_dense.weight);
}

const backbone caser_backbone = {
    .component = {.name = "caser",
                  .help = "convolutions over the window, and a user embedding (Tang and Wang 2018)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(caser_settings),
                  .parameters_size = sizeof(caser_parameters)},
    .users = true,
    .at_once = true,
    .one_state = true,
    .mixes_window = true,
    .padding_row = true,
    .declare_parameters = declare_parameters,
    .encode = encode,
    .penalty_term = {"frobenius_penalty", "Frobenius penalty"},
    .penalty_weight = penalty_weight,
    .penalty = penalty,
};
