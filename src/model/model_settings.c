/* Keys that several backbones share, and what follows from the capabilities of the one in use. */
#include "srtrain/model_settings.h"

#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/encoder_keys.h"
#include "model/loss.h"
#include "model/negative_keys.h"

#include <stdio.h>
#include <string.h>

/* ---- choices ---- */

static sr_choice backbone_choice(size_t index)
{
    if (index >= backbone_count)
        return (sr_choice){.name = NULL};
    return (sr_choice){backbones[index]->component.name, (int)index, backbones[index]->component.help};
}

static sr_choice loss_choice(size_t index)
{
    if (index >= loss_count)
        return (sr_choice){.name = NULL};
    return (sr_choice){losses[index]->component.name, (int)index, losses[index]->component.help};
}

static const sr_choice activation_choices[] = {{"gelu", SR_ACTIVATION_GELU, "the erf form"},
                                               {"relu", SR_ACTIVATION_RELU, NULL},
                                               {"swish", SR_ACTIVATION_SWISH, NULL},
                                               {"tanh", SR_ACTIVATION_TANH, NULL},
                                               {"sigmoid", SR_ACTIVATION_SIGMOID, NULL},
                                               {"elu", SR_ACTIVATION_ELU, NULL},
                                               {NULL, 0, NULL}};
static const sr_choice positions_choices[] = {
    {"learned", SR_POSITIONS_LEARNED, "one learned vector for each column of the window"},
    {"none", SR_POSITIONS_NONE, "no positions"},
    {NULL, 0, NULL}};
static const sr_choice padding_choices[] = {{"right", SR_PADDING_RIGHT, "histories start in column 0"},
                                            {"left", SR_PADDING_LEFT, "histories end in the last column"},
                                            {NULL, 0, NULL}};
static const sr_choice item_table_choices[] = {
    {"auto", SR_ITEM_TABLE_AUTO,
     "replicated, unless the nodes have no memory for that or the plan says that divided is much faster; the log says which"},
    {"replicated", SR_ITEM_TABLE_REPLICATED, "every rank, or every node, has all rows"},
    {"divided", SR_ITEM_TABLE_DIVIDED, "each thread of each rank has some rows, and a step moves those that it reads"},
    {NULL, 0, NULL}};
static const sr_choice similarity_choices[] = {
    {"dot", SR_SIMILARITY_DOT, "their dot product"},
    {"cosine", SR_SIMILARITY_COSINE, "the cosine of the angle between them; needs a training.temperature below 1"},
    {NULL, 0, NULL}};
static const sr_choice objective_choices[] = {
    {"last", SR_OBJECTIVE_LAST, "an example is one prefix, its loss that of the item after it (with masked items: of these)"},
    {"all", SR_OBJECTIVE_ALL,
     "an example is a user, every position predicts the next item (with masked items: every masked one itself)"},
    {NULL, 0, NULL}};

/* ---- keys ---- */

/* What keys ask of a loss. */
enum { HAS_SCORES = 1 };

static const sr_key model_keys[] = {
    SR_KEY("model", "backbone", SR_KEY_CHOICE, sr_model_settings, backbone, "sasrec", "the model",
           .choice_at = backbone_choice),
    SR_INTEGER("model", "layers", sr_model_settings, layers, 1, 64, "2", "number of layers", .scope = HAS_LAYERS),
    SR_INTEGER("model", "heads", sr_model_settings, heads, 1, 64, "2",
               "attention heads; their number divides hidden_size, unless hstu is given query_size and value_size",
               .scope = HAS_HEADS),
    SR_INTEGER("model", "hidden_size", sr_model_settings, hidden_size, 1, 8192, "64", "width of embeddings and layers"),
    SR_INTEGER("model", "inner_size", sr_model_settings, inner_size, 1, 65536, "256", "inner width of the feed-forward layers",
               .scope = HAS_FEED_FORWARD),
    SR_INTEGER("model", "max_length", sr_model_settings, max_length, 1, 4096, "50",
               "the latest so many items of a history are used"),
    SR_CHOICE("model", "activation", sr_model_settings, activation, activation_choices, "gelu",
              "function in the feed-forward layers", .scope = HAS_FEED_FORWARD),
    SR_NUMBER("model", "hidden_dropout", sr_model_settings, hidden_dropout, 0, 0.99, "0.5",
              "dropout of embeddings and layer outputs"),
    SR_NUMBER("model", "attention_dropout", sr_model_settings, attention_dropout, 0, 0.99, "0.5",
              "dropout of attention weights", .scope = HAS_ATTENTION),
    SR_NUMBER("model", "layer_norm_epsilon", sr_model_settings, layer_norm_epsilon, 0, 1, "1.0e-12",
              "added to the variance; with backbone hstu the default is 1.0e-6", .scope = HAS_POSITIONS),
    SR_NUMBER("model", "initializer_range", sr_model_settings, initializer_range, 0, 1, "0.02",
              "standard deviation of initial weights", .above = true),
    SR_NUMBER("model", "initializer_mean", sr_model_settings, initializer_mean, -1, 1, "0",
              "mean of the initial weights of linear maps and tables"),
    SR_CHOICE("model", "positions", sr_model_settings, positions, positions_choices, "learned",
              "position embeddings; with a backbone that has relative positions of its own the default is none",
              .scope = HAS_POSITIONS),
    SR_CHOICE("model", "padding", sr_model_settings, padding, padding_choices, "right",
              "which columns of the window a short history takes"),
    SR_INTEGER("model", "time_unit", sr_model_settings, time_unit, 1, 9e14, "1",
               "units of the data's time stamps in a gap of 1, as 86400 for days where stamps are seconds",
               .scope = READS_TIMES),
    SR_CHOICE("model", "item_table", sr_model_settings, item_table, item_table_choices, "auto",
              "who has the vectors of items, and in training the state of their optimizer", .free_to_change = true),
    SR_CHOICE("model", "similarity", sr_model_settings, similarity, similarity_choices, "dot",
              "score of an item for a state, in the loss and in ranking", .scope = HAS_VECTORS),
};

static const sr_gone_key gone_from_model[] = {
    {"model.filter_engine", .was = "chose how filters are computed, which makes a difference of rounding",
     .now = "the faster way is taken", .instead = "leave it out"},
};

static const sr_key objective_keys[] = {
    SR_KEY("training", "loss", SR_KEY_CHOICE, sr_model_settings, loss, "cross_entropy", "the loss of one target",
           .choice_at = loss_choice),
    SR_CHOICE("training", "objective", sr_model_settings, objective, objective_choices, "last", "which targets an example has"),
    SR_NUMBER("training.contrastive", "weight", sr_model_settings, contrastive.weight, 0, 1e6, "0.1", "weight of InfoNCE"),
    SR_NUMBER("training.contrastive", "temperature", sr_model_settings, contrastive.temperature, 0, 1e6, "1",
              "what dot products of states are divided by", .above = true),
};

/* ---- rules that follow from capabilities ---- */

static unsigned properties_of(const backbone *row)
{
    const bool shows_targets = row->mixes_window && !row->masked && !row->one_state;
    return row->capabilities | (row->masked ? IS_MASKED : 0) | (row->distances ? HAS_GAUSSIANS : HAS_VECTORS) |
           (shows_targets ? SHOWS_TARGETS : 0) | (row->one_state ? HAS_ONE_STATE : 0) |
           (row->places_itself ? PLACES_ITSELF : 0) | (row->reads_times ? READS_TIMES : 0);
}

static bool splits_heads(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->hidden_size % settings->heads != 0;
}

static bool places_twice(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->positions != SR_POSITIONS_NONE;
}

static bool reads_all_positions(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->objective == SR_OBJECTIVE_ALL;
}

static bool contrasts(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->contrastive.in_use;
}

static bool contrasts_positions(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->contrastive.in_use && settings->objective == SR_OBJECTIVE_ALL;
}

static bool compares_directions(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->similarity == SR_SIMILARITY_COSINE;
}

static const sr_rule model_rules[] = {
    SR_RULE("model.similarity", "model.backbone", compares_directions,
            "the states of this backbone are Gaussians, which are compared by their distances and have no direction; leave the "
            "key out, or use another backbone",
            .scope = HAS_GAUSSIANS),
    SR_RULE("model.similarity", "model.backbone", compares_directions,
            "masked items are found by dot products, as this model is published; use dot, or another backbone",
            .scope = IS_MASKED),
    SR_RULE("model.heads", "model.hidden_size", splits_heads,
            "the heads share the width equally, so their number must divide it", .scope = HAS_ATTENTION),
    SR_RULE("model.positions", "model.backbone", places_twice,
            "this backbone always has relative positions of its own and no others; use none, or leave the key out",
            .scope = PLACES_ITSELF),
};

static const sr_key score_keys[] = {
    SR_NUMBER("training", "temperature", sr_model_settings, temperature, 0, 1e6, "1",
              "scores are divided by it in the loss, not in ranking", .above = true, .scope = HAS_SCORES),
};

static const sr_rule objective_rules[] = {
    SR_RULE("training.objective", "model.backbone", reads_all_positions,
            "a filter over the whole sequence adds later items to earlier positions, so that each position would be shown the "
            "item that it has to predict; use objective last, which reads the last position alone",
            .scope = SHOWS_TARGETS),
    SR_RULE(
        "training.contrastive", "model.backbone", contrasts,
        "a backbone that is trained on masked items has no state of a whole history that could be compared; use another one",
        .scope = IS_MASKED),
    SR_RULE("training.contrastive", "model.backbone", contrasts,
            "the states of this backbone are Gaussians, which dot products do not compare; use another one",
            .scope = HAS_GAUSSIANS),
    SR_RULE("training.contrastive", "training.objective", contrasts_positions,
            "examples are compared that have the same target, while with all an example has many; use objective last"),
    SR_RULE("training.objective", "model.backbone", reads_all_positions,
            "this backbone makes one state of a whole window and none of its positions, so that a position has nothing to "
            "predict with; use objective last",
            .scope = HAS_ONE_STATE),
};

/* ---- scopes ---- */

static bool has_capabilities(const sr_scope *scope, unsigned bits, const void *part)
{
    (void)scope;
    return (properties_of(backbone_of(part)) & bits) == bits;
}

/* Of calibrators' sections: whether it is for others to say that they cannot be used. */
static bool may_be_calibrated(const sr_scope *scope, unsigned bits, const void *part)
{
    return has_capabilities(scope, bits, part) || backbone_of(part)->refuses_calibrators;
}

static void name_capable(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    (void)scope;
    for (size_t i = 0; bits && i < backbone_count; ++i)
        if ((properties_of(backbones[i]) & bits) == bits)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", backbones[i]->component.name);
}

static unsigned properties_of_loss(const loss *row)
{
    return row->distances ? 0 : HAS_SCORES;
}

static bool loss_has(const sr_scope *scope, unsigned bits, const void *part)
{
    (void)scope;
    return (properties_of_loss(loss_of(part)) & bits) == bits;
}

static void name_losses(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    (void)scope;
    for (size_t i = 0; bits && i < loss_count; ++i)
        if ((properties_of_loss(losses[i]) & bits) == bits)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? ", " : "", losses[i]->component.name);
}

/* Of keys that a component has alone. */
static bool is_in_use(const sr_scope *scope, unsigned bits, const void *part)
{
    (void)bits;
    return component_in_use(part, scope->context);
}

static void name_component(const sr_scope *scope, unsigned bits, char *text, size_t size)
{
    const component *row = scope->context;
    (void)bits;
    snprintf(text, size, "%s", row->name);
}

static sr_scope scope_of_capabilities(size_t at)
{
    return (sr_scope){.holds = has_capabilities, .owners = name_capable, .at = at, .decided_by = "model.backbone"};
}

static sr_scope scope_of_losses(size_t at)
{
    return (sr_scope){.holds = loss_has, .owners = name_losses, .at = at, .decided_by = "training.loss"};
}

static sr_scope scope_of_component(const component *row, size_t at, const char *decided_by)
{
    return (sr_scope){.holds = is_in_use, .owners = name_component, .context = row, .at = at, .decided_by = decided_by};
}

/* ---- the schema ---- */

/* The path of a calibrator's section; it lives as long as the calibrator's keys do. */
static const char *section_of(const calibrator *row)
{
    return row->component.keys[0].section;
}

void sr_model_add_sections(sr_schema *schema, size_t at)
{
    if (!components_fit()) {
        schema->overflowed = true;
        return;
    }
    sr_scope calibrated = scope_of_capabilities(at);
    calibrated.holds = may_be_calibrated;
    sr_schema_add_section(schema, &(sr_section){.path = "model", .help = "the backbone", .in_use = SR_ALWAYS_IN_USE});
    sr_schema_add_section(
        schema,
        &(sr_section){.path = "calibrators",
                      .help = "stages that calibrate attention; one is in use when it is named, even with nothing in it",
                      .contents = "calibrator",
                      .in_use = SR_ALWAYS_IN_USE});
    for (size_t i = 0; i < calibrator_count; ++i)
        sr_schema_add_section(
            schema, &(sr_section){.path = section_of(calibrators[i]),
                                  .help = calibrators[i]->component.help,
                                  .in_use = at + offsetof(sr_model_settings, calibrators) + i * sizeof(bool),
                                  .scope = calibrated,
                                  .scope_bits = IS_CALIBRATED,
                                  .refusal = "calibrators are stages of attention, which this backbone does not have, or "
                                             "has as one part of a layer among others"});
}

/* The keys of a component that lie in its own sections, or in those of training. */
static void add_component(sr_schema *schema, size_t at, const component *row, const char *decided_by)
{
    const sr_scope scope = scope_of_component(row, at, decided_by);
    if (!components_fit())
        return;
    const sr_key_group group = component_keys(row, &scope, at + offsetof(sr_model_settings, components) + component_offset(row),
                                              at);
    sr_schema_add_group(schema, &group);
}

void sr_model_add_keys(sr_schema *schema, size_t at)
{
    const sr_scope capable = scope_of_capabilities(at);
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(model_keys), .keys_at = at, .scope = capable, SR_RULES(model_rules),
                                                .rules_at = at, SR_GONE(gone_from_model)});
    encoder_add_keys(schema, at, &capable);
    for (size_t i = 0; i < backbone_count; ++i)
        add_component(schema, at, &backbones[i]->component, "model.backbone");
    for (size_t i = 0; i < calibrator_count; ++i)
        add_component(schema, at, &calibrators[i]->component, section_of(calibrators[i]));
}

void sr_objective_add_section(sr_schema *schema, size_t at)
{
    sr_schema_add_section(
        schema,
        &(sr_section){.path = "training.contrastive",
                      .help = "DuoRec's InfoNCE beside the ranking loss: of the states of an example with new dropout, and of "
                              "another example with the same target, each shall tell the other from those of all other "
                              "examples of the batch; in use when it is named",
                      .in_use = at + offsetof(sr_model_settings, contrastive.in_use)});
}

void sr_objective_add_keys(sr_schema *schema, size_t at)
{
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(objective_keys), .keys_at = at, .scope = scope_of_capabilities(at),
                                                SR_RULES(objective_rules), .rules_at = at});
    sr_schema_add_group(schema, &(sr_key_group){SR_KEYS(score_keys), .keys_at = at, .scope = scope_of_losses(at)});
    negatives_add_keys(schema, at);
    for (size_t i = 0; i < loss_count; ++i)
        add_component(schema, at, &losses[i]->component, "training.loss");
}

void sr_model_settle(sr_model_settings *settings, const sr_given *given)
{
    if (backbone_of(settings)->places_itself && !sr_is_given(given, "model.positions"))
        settings->positions = SR_POSITIONS_NONE;
    if (backbone_of(settings)->settle)
        backbone_of(settings)->settle(settings, given);
    encoder_settle(settings, given);
    negatives_settle(settings, given);
}
