#include "model/encoder_keys.h"

#include "model/backbone.h"

/* ---- keys ---- */

static const sr_choice norm_choices[] = {
    {"post", SR_NORM_POST, "behind the sum of a sub-layer and what it has read"},
    {"pre", SR_NORM_PRE, "in front of a sub-layer, whose outcome is added to what has no norm"},
    {"query", SR_NORM_QUERY,
     "as SASRec was published: of the queries alone, while keys and values have none; outcomes are added to what has the norm"},
    {NULL, 0, NULL}};
static const sr_choice scale_choices[] = {{"one", SR_EMBEDDING_SCALE_ONE, "as they are"},
                                          {"sqrt", SR_EMBEDDING_SCALE_SQRT, "times the square root of hidden_size"},
                                          {NULL, 0, NULL}};
static const sr_choice feed_forward_choices[] = {
    {"plain", SR_FEED_FORWARD_PLAIN, "outer(f(inner(x)))"},
    {"gated", SR_FEED_FORWARD_GATED, "outer(f(inner(x)) times multiplier(x)); with activation swish this is SwiGLU"},
    {NULL, 0, NULL}};
static const sr_choice residual_choices[] = {
    {"plain", SR_RESIDUAL_PLAIN, "x + outcome"},
    {"gated", SR_RESIDUAL_GATED, "x + sigmoid(residual_gate(x)) outcome, as in LiGR; lets deep models train"},
    {NULL, 0, NULL}};
static const sr_choice output_choices[] = {
    {"shared", SR_OUTPUT_EMBEDDING_SHARED, "that of the inputs"},
    {"separate", SR_OUTPUT_EMBEDDING_SEPARATE, "another one, as in gSASRec: twice the memory for items"},
    {NULL, 0, NULL}};
static const sr_choice vectors_choices[] = {{"drawn", SR_ITEM_VECTORS_DRAWN, "at random, and trained"},
                                            {"given", SR_ITEM_VECTORS_GIVEN, "in the file of data.item_vectors, and trained"},
                                            {"frozen", SR_ITEM_VECTORS_FROZEN, "in that file, and stay as they are"},
                                            {NULL, 0, NULL}};
static const sr_choice initializer_choices[] = {
    {"normal", SR_INITIALIZER_NORMAL, "N(initializer_mean, initializer_range^2)"},
    {"glorot", SR_INITIALIZER_GLOROT, "N(0, 2 / (rows + columns)) for every matrix, tables too, as in RecTools"},
    {NULL, 0, NULL}};

static const sr_key keys[] = {
    SR_CHOICE("model", "norm", sr_model_settings, encoder.norm, norm_choices, "post", "where the layer norms of a layer stand",
              .scope = HAS_OPTIONS),
    SR_BOOLEAN("model", "input_norm", sr_model_settings, encoder.input_norm, "true",
               "a layer norm on the embeddings; the default is true with norm post, false with the others",
               .scope = HAS_OPTIONS),
    SR_BOOLEAN("model", "final_norm", sr_model_settings, encoder.final_norm, "false",
               "a layer norm on the states behind the last layer; the default is false with norm post and with residual gated, "
               "true with the others",
               .scope = HAS_OPTIONS),
    SR_CHOICE("model", "embedding_scale", sr_model_settings, encoder.embedding_scale, scale_choices, "one",
              "what vectors of items are multiplied with where the model reads them, not where it scores them; with backbone "
              "hstu the default is sqrt",
              .scope = SCALES_ITEMS),
    SR_BOOLEAN("model", "attention_output", sr_model_settings, encoder.attention_output, "true",
               "attention has an output projection", .scope = HAS_OPTIONS),
    SR_CHOICE("model", "feed_forward", sr_model_settings, encoder.feed_forward, feed_forward_choices, "plain",
              "what feed-forward layers compute", .scope = HAS_OPTIONS),
    SR_BOOLEAN("model", "feed_forward_bias", sr_model_settings, encoder.feed_forward_bias, "true",
               "maps of feed-forward layers have biases", .scope = HAS_OPTIONS),
    SR_CHOICE("model", "residual", sr_model_settings, encoder.residual, residual_choices, "plain",
              "how what a sub-layer has read and its outcome are added; gated needs norm pre", .scope = HAS_OPTIONS),
    SR_NUMBER("model", "inner_dropout", sr_model_settings, encoder.inner_dropout, 0, 0.99, "0",
              "dropout in front of the outer map of feed-forward layers", .scope = HAS_OPTIONS),
    SR_CHOICE("model", "output_embedding", sr_model_settings, encoder.output_embedding, output_choices, "shared",
              "the table of items that states are scored with", .scope = HAS_OPTIONS),
    SR_CHOICE("model", "item_vectors", sr_model_settings, encoder.item_vectors, vectors_choices, "drawn",
              "where rows of the item table start", .scope = HAS_OPTIONS),
    SR_INTEGER(
        "model", "item_width", sr_model_settings, encoder.item_width, 0, 65536, "0",
        "width of rows of the item table: a linear map brings what is read to the width of the layers, and states to this "
        "width, where they are scored; 0: they have the width of the layers, and there is no map",
        .scope = HAS_OPTIONS),
    SR_CHOICE("model", "initializer", sr_model_settings, encoder.initializer, initializer_choices, "normal",
              "initial weights of linear maps and tables", .scope = SCALES_ITEMS),
};

/* ---- rules ---- */

static bool gates_without_pre(const void *part)
{
    const sr_encoder_settings *encoder = &((const sr_model_settings *)part)->encoder;
    return encoder->residual == SR_RESIDUAL_GATED && encoder->norm != SR_NORM_PRE;
}

static bool has_two_tables(const void *part)
{
    return ((const sr_model_settings *)part)->encoder.output_embedding == SR_OUTPUT_EMBEDDING_SEPARATE;
}

static bool adapts_two_tables(const void *part)
{
    const sr_encoder_settings *encoder = &((const sr_model_settings *)part)->encoder;
    return encoder->item_width > 0 && has_two_tables(part);
}

static bool fills_two_tables(const void *part)
{
    const sr_encoder_settings *encoder = &((const sr_model_settings *)part)->encoder;
    return encoder->item_vectors != SR_ITEM_VECTORS_DRAWN && has_two_tables(part);
}

static bool adapts_directions(const void *part)
{
    const sr_model_settings *settings = part;
    return settings->encoder.item_width > 0 && settings->similarity == SR_SIMILARITY_COSINE;
}

static bool freezes(const void *part)
{
    return ((const sr_model_settings *)part)->encoder.item_vectors == SR_ITEM_VECTORS_FROZEN;
}

static const sr_rule rules[] = {
    SR_RULE(
        "model.residual", "model.norm", gates_without_pre,
        "gates read states without a norm and weigh what is added to them, while with the other norms the sum is normed, or "
        "what it starts from, which nobody has published; use norm pre, or residual plain",
        .scope = HAS_OPTIONS),
    SR_RULE("model.output_embedding", "model.backbone", has_two_tables,
            "the mask token is a row of the one table of this model, and masked items are found with that table, as this model "
            "is published; use shared, or another backbone",
            .scope = IS_MASKED),
    SR_RULE("model.item_width", "model.output_embedding", adapts_two_tables,
            "there is one map, of the table that inputs are read from and states are scored with; use shared, or item_width 0",
            .scope = HAS_OPTIONS),
    SR_RULE("model.item_vectors", "model.output_embedding", fills_two_tables,
            "a file has one vector of an item, which is not known to be that of inputs or that of scores; use shared, or drawn",
            .scope = HAS_OPTIONS),
    SR_RULE("model.item_width", "model.similarity", adapts_directions,
            "the lengths of rows and of their maps differ, and cosines compare the one or the other; use dot, or item_width 0",
            .scope = HAS_OPTIONS),
    SR_RULE("model.item_vectors", "model.backbone", freezes,
            "the mask token is a row of the table as well, and nothing would be learned of it; use given, or another backbone",
            .scope = IS_MASKED),
};

void encoder_add_keys(sr_schema *schema, size_t at, const sr_scope *scope)
{
    sr_schema_add_group(schema,
                        &(sr_key_group){SR_KEYS(keys), .keys_at = at, .scope = *scope, SR_RULES(rules), .rules_at = at});
}

/* ---- defaults ---- */

void encoder_settle(sr_model_settings *settings, const sr_given *given)
{
    sr_encoder_settings *encoder = &settings->encoder;
    if (!sr_is_given(given, "model.input_norm"))
        encoder->input_norm = encoder->norm == SR_NORM_POST;
    if (!sr_is_given(given, "model.final_norm"))
        encoder->final_norm = encoder->norm != SR_NORM_POST && encoder->residual != SR_RESIDUAL_GATED;
}
