/* HSTU (Zhai et al. 2024, "Actions Speak Louder than Words"), as its authors' research code has it: layers of pointwise
 * attention without softmax, whose outcome is weighed by a gate, and no feed-forward layers.
 *
 *   x0 = dropout(sqrt(d) E[item] + P[column])
 *   z  = LN(x);   u, v, q, k = SiLU(z W_uᵀ), SiLU(z W_vᵀ), SiLU(z W_qᵀ), SiLU(z W_kᵀ)
 *   A_ij = SiLU(q_i k_jᵀ + p[i - j] + w[bucket_ij]) / divisor            for each head; j <= i
 *   x' = x + output(dropout(u * LN(sum_j A_ij v_j)))                     LN over all heads
 *
 * bucket_ij is that of the time between the event after i, which is the one to be predicted, and event j; or of the time
 * between i and j (model.time_query). The divisor is max_length unless it is given: the authors have max_length + 11, RecTools
 * max_length. Norms have no gain in the authors' code and one in RecTools. */
#include "model/backbone.h"

#include <math.h>
#include <stdio.h>

extern const backbone hstu_backbone;

typedef enum { TIME_QUERY_NEXT, TIME_QUERY_OWN } time_query_kind;

typedef struct {
    int64_t query_size, value_size; /* per head; 0: hidden_size / heads */
    bool relative_positions, relative_times;
    int64_t time_buckets; /* the last one */
    time_query_kind time_query;
    bool affine_norms;
    int64_t attention_divisor; /* 0: max_length */
} hstu_settings;

static const sr_choice time_query_choices[] = {
    {"next", TIME_QUERY_NEXT,
     "the event that follows the query, which is the one to be predicted, as published: whoever recommends says when"},
    {"own", TIME_QUERY_OWN, "the query itself: nothing is known of when the next event is"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_INTEGER("model", "query_size", hstu_settings, query_size, 0, 8192, "0",
               "width of queries and keys of a head; 0: hidden_size / heads"),
    SR_INTEGER("model", "value_size", hstu_settings, value_size, 0, 8192, "0",
               "width of values of a head; 0: hidden_size / heads"),
    SR_BOOLEAN("model", "relative_positions", hstu_settings, relative_positions, "true",
               "scores have a bias by how many items query and key are apart"),
    SR_BOOLEAN("model", "relative_times", hstu_settings, relative_times, "true",
               "scores have a bias by how much time query and key are apart; needs data with time stamps, in seconds unless "
               "time_unit makes seconds of them"),
    SR_INTEGER("model", "time_buckets", hstu_settings, time_buckets, 1, 1024, "128",
               "the last bucket of times, which has all longer ones; a bucket is a factor of e^0.301"),
    SR_CHOICE("model", "time_query", hstu_settings, time_query, time_query_choices, "next",
              "what event the time to a key is counted from"),
    SR_BOOLEAN("model", "affine_norms", hstu_settings, affine_norms, "false",
               "layer norms have a gain and a bias, as in RecTools"),
    SR_INTEGER("model", "attention_divisor", hstu_settings, attention_divisor, 0, 1000000, "0",
               "what attention weights are divided by; 0: max_length, as in RecTools (published: max_length + 11)"),
};

static const hstu_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &hstu_backbone.component);
}

static bool reads_times(const sr_model_settings *settings)
{
    return settings_of(settings)->relative_times;
}

static bool reads_next_times(const sr_model_settings *settings)
{
    return settings_of(settings)->relative_times && settings_of(settings)->time_query == TIME_QUERY_NEXT;
}

static void settle(sr_model_settings *settings, const sr_given *given)
{
    if (!sr_is_given(given, "model.embedding_scale"))
        settings->encoder.embedding_scale = SR_EMBEDDING_SCALE_SQRT;
    if (!sr_is_given(given, "model.layer_norm_epsilon"))
        settings->layer_norm_epsilon = 1e-6;
}

/* ---- rules ---- */

static bool shares_width_unequally(const void *part)
{
    const sr_model_settings *settings = part;
    const hstu_settings *own = settings_of(settings);
    return (own->query_size == 0 || own->value_size == 0) && settings->hidden_size % settings->heads != 0;
}

static bool uses(const void *part, const char *calibrator)
{
    return ((const sr_model_settings *)part)->calibrators[sr_calibrator_number(calibrator)];
}

static bool uses_spatial(const void *part)
{
    return uses(part, "spatial");
}

static bool uses_adversarial(const void *part)
{
    return uses(part, "adversarial");
}

static bool uses_refinement(const void *part)
{
    return uses(part, "refinement");
}

static bool uses_frequency(const void *part)
{
    return uses(part, "frequency");
}

static const sr_rule rules[] = {
    SR_RULE("model.heads", "model.hidden_size", shares_width_unequally,
            "without query_size and value_size heads share the width equally, so that their number must divide it; give both "
            "sizes, or other heads"),
    SR_RULE("calibrators.spatial", "model.backbone", uses_spatial,
            "its order terms are logarithms of probabilities, made for a softmax; inside of hstu's SiLU they would only switch "
            "weights off; use a backbone with softmax attention"),
    SR_RULE("calibrators.adversarial", "model.backbone", uses_adversarial,
            "it mixes rows of probabilities, while hstu's weights have any sign and sum: mass may divide by 0, softmax undoes "
            "the pointwise attention, and 1 - M has no counterpart; use a backbone with softmax attention"),
    SR_RULE("calibrators.refinement", "model.backbone", uses_refinement,
            "what it makes of weights is softmax attention, which would take the place of hstu's pointwise one; use a backbone "
            "with softmax attention"),
    SR_RULE("calibrators.frequency", "model.backbone", uses_frequency,
            "it is mixed with an attention block that has a norm of its own, which hstu does not have; use a backbone with "
            "softmax attention"),
};

/* ---- parameters ---- */

typedef struct {
    affine_parameters gate, value, query, key; /* without biases */
    affine_parameters output;
    affine_parameters norm, context_norm; /* with affine_norms */
    size_t position_bias, time_bias;      /* where there are any */
} hstu_layer;

static hstu_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &hstu_backbone.component, layer);
}

/* All heads together. */
static size_t width_of(const sr_model *model, int64_t size)
{
    const sr_model_settings *settings = &model->settings;
    return (size_t)(settings->heads * (size > 0 ? size : settings->hidden_size / settings->heads));
}

static size_t query_width(const sr_model *model)
{
    return width_of(model, settings_of(&model->settings)->query_size);
}

static size_t value_width(const sr_model *model)
{
    return width_of(model, settings_of(&model->settings)->value_size);
}

static sr_status declare_bias(sr_model *model, size_t *index, size_t layer, const char *what, size_t count, sr_error *error)
{
    char name[SR_PARAMETER_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%zu.attention.%s", layer, what);
    return sr_parameters_declare(&model->parameters, name, &count, 1,
                                 (sr_initial_values){SR_INITIAL_CENTRED, model->settings.initializer_range},
                                 SR_PARAMETERS_ORDINARY, index, error);
}

/* The output starts uniformly by Glorot's rule, as published, or as the initializer says where that is given. */
static sr_status declare_output(sr_model *model, hstu_layer *own, const char *name, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, values = value_width(model);
    SR_TRY(declare_linear(model, &own->output, name, width, values, SR_PARAMETERS_ORDINARY, error));
    if (model->settings.encoder.initializer == SR_INITIALIZER_GLOROT)
        return SR_OK;
    sr_parameter *weight = &model->parameters.list[own->output.weight];
    weight->initial = SR_INITIAL_UNIFORM;
    weight->scale = sqrt(6 / (double)(width + values));
    return SR_OK;
}

static sr_status declare_layer(sr_model *model, size_t layer, sr_error *error)
{
    const hstu_settings *settings = settings_of(&model->settings);
    const size_t width = (size_t)model->settings.hidden_size, values = value_width(model), queries = query_width(model);
    hstu_layer *own = layer_of(model, layer);
    const struct {
        const char *name;
        affine_parameters *indices;
        size_t out;
    } maps[] = {{"gate", &own->gate, values},
                {"value", &own->value, values},
                {"query", &own->query, queries},
                {"key", &own->key, queries}};
    char name[SR_PARAMETER_NAME_SIZE - 8]; /* "bias" follows */
    for (size_t i = 0; i < sizeof maps / sizeof *maps; ++i) {
        snprintf(name, sizeof name, "layers.%zu.attention.%s", layer, maps[i].name);
        SR_TRY(declare_weight(model, maps[i].indices, name, maps[i].out, width, error));
    }
    if (settings->relative_positions)
        SR_TRY(declare_bias(model, &own->position_bias, layer, "position_bias", (size_t)model->settings.max_length, error));
    if (settings->relative_times)
        SR_TRY(declare_bias(model, &own->time_bias, layer, "time_bias", (size_t)settings->time_buckets + 1, error));
    snprintf(name, sizeof name, "layers.%zu.attention.output", layer);
    SR_TRY(declare_output(model, own, name, error));
    if (!settings->affine_norms)
        return SR_OK;
    snprintf(name, sizeof name, "layers.%zu.attention.norm", layer);
    SR_TRY(declare_norm(model, &own->norm, name, width, error));
    snprintf(name, sizeof name, "layers.%zu.attention.context_norm", layer);
    return declare_norm(model, &own->context_norm, name, values, error);
}

/* Positions start by Glorot's rule with either initializer, as published. */
static sr_status declare_table_of_positions(sr_model *model, sr_error *error)
{
    const size_t columns = (size_t)model->settings.max_length, width = (size_t)model->settings.hidden_size;
    if (model->settings.positions != SR_POSITIONS_LEARNED)
        return SR_OK;
    SR_TRY(declare_positions(model, columns, error));
    sr_parameter *table = &model->parameters.list[model->position_embedding];
    table->initial = SR_INITIAL_CENTRED;
    table->scale = sqrt(2 / (double)(columns + width));
    return SR_OK;
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    SR_TRY(declare_items(model, "item_embedding", 0, (size_t)model->settings.hidden_size, error));
    SR_TRY(declare_table_of_positions(model, error));
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer)
        SR_TRY(declare_layer(model, layer, error));
    return SR_OK;
}

/* ---- forward ---- */

/* A map of attention, and the buckets of its cells. */
typedef struct {
    const sr_attention_map *map;
    const uint16_t *buckets;
} hstu_map;

static hstu_map make_map(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_rows *queries, const sr_rows *tokens)
{
    const hstu_settings *settings = settings_of(&model->settings);
    hstu_map made = {.map = tokens ? sr_attention_map_make(tape, &batch->layout, queries, tokens, (size_t)model->settings.heads)
                                   : NULL};
    const sr_bucketing by = {.query_times = settings->time_query == TIME_QUERY_NEXT ? batch->next_times : batch->times,
                             .key_times = batch->times,
                             .unit = model->settings.time_unit,
                             .largest = (size_t)settings->time_buckets};
    if (settings->relative_times)
        made.buckets = sr_time_buckets(tape, made.map, &by);
    return made;
}

static sr_tensor *normed(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *norm)
{
    return settings_of(&model->settings)->affine_norms ? model_norm(model, tape, x, norm)
                                                       : sr_plain_layer_norm(tape, x, model->settings.layer_norm_epsilon);
}

/* SiLU(x Wᵀ) */
static sr_tensor *opened(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *map)
{
    return sr_activate(tape, model_linear(model, tape, x, map), SR_ACTIVATION_SWISH);
}

/* A of a layer. */
static sr_tensor *weights_of(sr_model *model, sr_tape *tape, const hstu_layer *own, const hstu_map *with, sr_tensor *query,
                             sr_tensor *key)
{
    const hstu_settings *settings = settings_of(&model->settings);
    const int64_t divisor = settings->attention_divisor > 0 ? settings->attention_divisor : model->settings.max_length;
    const sr_relative_biases biases = {
        .positions = settings->relative_positions ? model_parameter(model, tape, own->position_bias) : NULL,
        .times = settings->relative_times ? model_parameter(model, tape, own->time_bias) : NULL,
        .buckets = with->buckets};
    sr_tensor *scores = with->map ? sr_attention_scores(tape, query, key, with->map, 1) : NULL;
    return sr_pointwise_attention(tape, scores, with->map, &biases, (double)divisor);
}

static void trace_weights(const sr_pass *pass, size_t layer, const sr_tensor *weights, const sr_attention_map *map)
{
    sr_trace *into = pass->trace;
    if (!into)
        return;
    into->attention[layer] = weights;
    into->maps[layer] = into->attention_maps[layer] = map;
    into->layers = layer + 1;
    into->pointwise = true;
}

/* From the states of all tokens to those of the map's queries. */
static sr_tensor *encode_layer(const layer_rows *rows, sr_tensor *x, const hstu_map *with, bool all)
{
    sr_model *model = rows->model;
    sr_tape *tape = rows->tape;
    const hstu_layer *own = layer_of(model, rows->layer);
    const size_t count = sr_rows_count(rows->rows, rows->layout);
    const sr_dropout_site dropout = dropout_site(rows->pass, rows->layer, SITE_ATTENTION_OUTPUT,
                                                 model->settings.hidden_dropout);
    sr_tensor *z = normed(model, tape, x, &own->norm);
    sr_tensor *key = opened(model, tape, z, &own->key), *value = opened(model, tape, z, &own->value);
    sr_tensor *residual = all ? x : sr_select_rows(tape, x, rows->rows->tokens, count);
    sr_tensor *queries = all ? z : sr_select_rows(tape, z, rows->rows->tokens, count);
    sr_tensor *query = opened(model, tape, queries, &own->query), *gate = opened(model, tape, queries, &own->gate);
    sr_tensor *weights = weights_of(model, tape, own, with, query, key);
    trace_weights(rows->pass, rows->layer, weights, with->map);
    sr_tensor *context = with->map ? sr_attention_context(tape, weights, value, with->map) : NULL;
    sr_tensor *weighed = sr_multiply(tape, gate, normed(model, tape, context, &own->context_norm));
    weighed = sr_dropout(tape, weighed, rows->layout, rows->rows->tokens, &dropout);
    return sr_add(tape, residual, model_linear(model, tape, weighed, &own->output));
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t layers = (size_t)model->settings.layers;
    const sr_dropout_site site = dropout_site(pass, 0, SITE_INPUT, model->settings.hidden_dropout);
    const sr_rows *tokens = sr_rows_all(tape, &batch->layout);
    sr_tensor *x = add_positions(model, tape, item_vectors(model, tape, batch), batch);
    x = sr_dropout(tape, x, &batch->layout, NULL, &site);
    trace_states(pass, 0, x);
    hstu_map of_all = {.map = NULL};
    if (tokens && (layers > 1 || pass->every_row))
        of_all = make_map(model, tape, batch, tokens, tokens);
    for (size_t layer = 0; layer < layers && tokens; ++layer) {
        const bool all = layer + 1 < layers || pass->every_row;
        const layer_rows rows = {model, tape, pass, layer, &batch->layout, all ? tokens : &batch->reads};
        const hstu_map with = all ? of_all : make_map(model, tape, batch, &batch->reads, tokens);
        x = encode_layer(&rows, x, &with, all);
        trace_states(pass, layer + 1, x);
    }
    encoding->representation = rows_that_are_read(tape, x, batch, pass);
}

const backbone hstu_backbone = {
    .component = {.name = "hstu",
                  .help = "gated layers of pointwise attention with relative positions and times (Zhai et al. 2024)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(hstu_settings),
                  SR_RULES(rules),
                  .layer_size = sizeof(hstu_layer)},
    .capabilities = HAS_LAYERS | HAS_HEADS | HAS_POSITIONS | SCALES_ITEMS,
    .refuses_calibrators = true,
    .reads_times = reads_times,
    .reads_next_times = reads_next_times,
    .settle = settle,
    .declare_parameters = declare_parameters,
    .encode = encode,
};
