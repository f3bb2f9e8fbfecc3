/* A backbone without attention: the latest item, and the mean of the history up to it through a linear map.
 *
 *   x_t = dropout(E[item_t]),   mean_t = (x_1 + .. + x_t) / t
 *   state_t = latest_share x_t + (1 - latest_share) dense(mean_t)
 *
 * The state of a position knows nothing of later items, so that both objectives are possible. */
#include "model/backbone.h"

extern const backbone average_backbone;

typedef struct {
    double latest_share;
} average_settings;

static const sr_key keys[] = {
    SR_NUMBER("model", "latest_share", average_settings, latest_share, 0, 1, "0.5",
              "share of the latest item in the state; the mean of the history has the rest", .below = true),
};

static bool averages_nothing(const void *part)
{
    return ((const sr_model_settings *)part)->max_length < 2;
}

static const sr_rule rules[] = {
    SR_RULE("model.backbone", "model.max_length", averages_nothing,
            "the mean of a window of one item is that item; use a max_length of at least 2"),
};

typedef struct {
    affine_parameters dense;
} average_parameters;

static average_parameters *parameters_of(const sr_model *model)
{
    return component_parameters(model, &average_backbone.component);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size;
    SR_TRY(declare_items(model, "item_embedding", 0, width, error));
    return declare_linear(model, &parameters_of(model)->dense, "dense", width, width, SR_PARAMETERS_ORDINARY, error);
}

/* The mean of what each read token sees: attention in which all scores are 0. */
static sr_tensor *mean_so_far(sr_tape *tape, sr_tensor *x, sr_tensor *latest, const sr_batch *batch)
{
    const sr_rows *tokens = sr_rows_all(tape, &batch->layout);
    const sr_attention_map *map = tokens ? sr_attention_map_make(tape, &batch->layout, &batch->reads, tokens, 1) : NULL;
    if (!map)
        return NULL;
    sr_tensor *weights = sr_attention_softmax(tape, sr_attention_scores(tape, latest, x, map, 0), map);
    return sr_attention_context(tape, weights, x, map);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const average_settings *settings = component_settings(&model->settings, &average_backbone.component);
    const sr_layout *layout = &batch->layout;
    const sr_dropout_site site = dropout_site(pass, 0, SITE_INPUT, model->settings.hidden_dropout);
    sr_tensor *x = sr_dropout(tape, item_vectors(model, tape, batch), layout, NULL, &site);
    sr_tensor *latest = sr_select_rows(tape, x, batch->reads.tokens, sr_rows_count(&batch->reads, layout));
    sr_tensor *mean = model_linear(model, tape, mean_so_far(tape, x, latest, batch), &parameters_of(model)->dense);
    encoding->representation = sr_weighted_add(tape, latest, settings->latest_share, mean, 1 - settings->latest_share);
}

const backbone average_backbone = {
    .component = {.name = "average",
                  .help = "the latest item, and the mean of the history through a linear map",
                  SR_KEYS(keys),
                  SR_RULES(rules),
                  .settings_size = sizeof(average_settings),
                  .parameters_size = sizeof(average_parameters)},
    .declare_parameters = declare_parameters,
    .encode = encode,
};
