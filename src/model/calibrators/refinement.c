/* AWRSR's refinement (Liu et al. 2024, "Pay Attention to Attention for Sequential Recommendation"): attention weights attend to
 * each other before they are used. The equations are a reconstruction, see docs/models.md.
 *
 *   X = A, the weights after softmax, or S, the scores before (source); row i of a head as a vector over the window's columns
 *   R = softmax_j( (W_q x_i) (W_k x_j)ᵀ / sqrt(rank) ) over visible keys
 *
 *   simple      R
 *   additive    (A + R) / 2
 *   value       row i: sum_k R_ik (W_v a_k) in visible columns, W_v the identity or learned; not renormalised
 *   stochastic  softmax_j( -W2(N(W_mq x_i, elu(W_cq x_i) + 1), N(W_mk x_j, elu(W_ck x_j) + 1)) / sqrt(rank) )
 *
 * Causal by construction: row i of X depends on items up to i alone, matrices mix columns within a row, and what is computed
 * from rows i and j is masked again wherever j > i. */
#include "model/calibrator.h"

#include <math.h>
#include <stdio.h>

extern const calibrator refinement_calibrator;

typedef enum { REFINEMENT_SIMPLE, REFINEMENT_VALUE, REFINEMENT_ADDITIVE, REFINEMENT_STOCHASTIC } refinement_kind;
typedef enum { SOURCE_PROBABILITIES, SOURCE_SCORES } refinement_source;
typedef enum { VALUE_IDENTITY, VALUE_LEARNED } refinement_value;

typedef struct {
    refinement_kind kind;
    refinement_source source;
    int64_t rank; /* width of the space in which weights attend to weights; 0: max_length */
    bool per_head;
    refinement_value value; /* kind value */
} refinement_settings;

static const sr_choice kind_choices[] = {
    {"simple", REFINEMENT_SIMPLE, "R"},
    {"value", REFINEMENT_VALUE, "R times what the key value says, in visible columns; not renormalised"},
    {"additive", REFINEMENT_ADDITIVE, "(A + R) / 2"},
    {"stochastic", REFINEMENT_STOCHASTIC, "R, by Wasserstein distances of Gaussians instead of dot products; stosa only"},
    {NULL, 0, NULL}};
static const sr_choice source_choices[] = {{"probabilities", SOURCE_PROBABILITIES, "A"},
                                           {"scores", SOURCE_SCORES, "the scores before softmax, 0 where a query sees no key"},
                                           {NULL, 0, NULL}};
static const sr_choice value_choices[] = {
    {"identity", VALUE_IDENTITY, "A itself"},
    {"learned", VALUE_LEARNED, "A after a learned map of its columns, which starts as the identity; kind value only"},
    {NULL, 0, NULL}};

static const char section[] = "calibrators.refinement";

static const sr_key keys[] = {
    SR_CHOICE(section, "kind", refinement_settings, kind, kind_choices, "simple", "what takes the place of A"),
    SR_CHOICE(section, "source", refinement_settings, source, source_choices, "probabilities", "what X is"),
    SR_INTEGER(section, "rank", refinement_settings, rank, 0, 65536, "0",
               "width of the learned maps of the rows of X that R compares; 0: max_length"),
    SR_BOOLEAN(section, "per_head", refinement_settings, per_head, "false",
               "true: each head has learned maps of its own; false: the heads of a layer share them"),
    SR_CHOICE(section, "value", refinement_settings, value, value_choices, "identity", "what R multiplies, with kind value"),
};

static const refinement_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &refinement_calibrator.component);
}

static bool is_stochastic_alone(const void *part)
{
    return settings_of(part)->kind == REFINEMENT_STOCHASTIC && !backbone_of(part)->distances;
}

static bool learns_no_value(const void *part)
{
    return settings_of(part)->value == VALUE_LEARNED && settings_of(part)->kind != REFINEMENT_VALUE;
}

static const sr_rule rules[] = {
    SR_RULE("calibrators.refinement.kind", "model.backbone", is_stochastic_alone,
            "stochastic refinement is for stosa alone, whose attention is stochastic itself; use backbone stosa or kind "
            "simple, value or additive"),
    SR_RULE("calibrators.refinement.value", "calibrators.refinement.kind", learns_no_value,
            "no other kind than value has a value to learn; use kind value or value identity"),
};

/* Matrices; those of other kinds than the one in use are not declared. */
typedef struct {
    size_t query, key, value;
    size_t mean_query, mean_key, covariance_query, covariance_key;
} refinement_layer;

static refinement_layer *layer_of(const sr_model *model, size_t layer)
{
    return component_layer(model, &refinement_calibrator.component, layer);
}

static size_t rank_of(const sr_model *model)
{
    const int64_t rank = settings_of(&model->settings)->rank;
    return (size_t)(rank ? rank : model->settings.max_length);
}

/* ---- parameters ---- */

/* "layers.N.refinement.NAME.weight" [rows, columns], or [heads, rows, columns]. */
static sr_status declare_matrix(sr_model *model, size_t layer, const char *what, size_t rows, size_t *index, sr_error *error)
{
    const size_t heads = (size_t)model->settings.heads, columns = model_window(model);
    const bool per_head = settings_of(&model->settings)->per_head;
    const size_t shape[] = {heads, rows, columns};
    char name[SR_PARAMETER_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%zu.refinement.%s.weight", layer, what);
    return sr_parameters_declare(&model->parameters, name, per_head ? shape : shape + 1, per_head ? 3 : 2,
                                 initial_matrix(model, rows, columns), SR_PARAMETERS_ORDINARY, index, error);
}

static sr_status declare_parameters(sr_model *model, size_t layer, sr_error *error)
{
    const refinement_settings *settings = settings_of(&model->settings);
    refinement_layer *own = layer_of(model, layer);
    const size_t rank = rank_of(model);
    if (settings->kind == REFINEMENT_STOCHASTIC) {
        SR_TRY(declare_matrix(model, layer, "mean_query", rank, &own->mean_query, error));
        SR_TRY(declare_matrix(model, layer, "mean_key", rank, &own->mean_key, error));
        SR_TRY(declare_matrix(model, layer, "covariance_query", rank, &own->covariance_query, error));
        return declare_matrix(model, layer, "covariance_key", rank, &own->covariance_key, error);
    }
    SR_TRY(declare_matrix(model, layer, "query", rank, &own->query, error));
    SR_TRY(declare_matrix(model, layer, "key", rank, &own->key, error));
    if (settings->kind != REFINEMENT_VALUE || settings->value != VALUE_LEARNED)
        return SR_OK;
    SR_TRY(declare_matrix(model, layer, "value", model_window(model), &own->value, error));
    model->parameters.list[own->value].initial = SR_INITIAL_IDENTITY;
    return SR_OK;
}

/* ---- attention among rows ---- */

/* W x_i for every token, [T, heads * rank]. */
static sr_tensor *project(const attention_block *block, sr_tensor *cells, size_t weight, size_t rank)
{
    return sr_project_rows(block->tape, cells, model_parameter(block->model, block->tape, weight), block->score_map, rank,
                           settings_of(&block->model->settings)->per_head);
}

static sr_tensor *dot_product_scores(const attention_block *block, sr_tensor *source)
{
    const refinement_layer *own = layer_of(block->model, block->layer);
    const size_t rank = rank_of(block->model);
    sr_tensor *query = rows_of_queries(block, project(block, source, own->query, rank));
    sr_tensor *key = rows_of_keys(block, project(block, source, own->key, rank));
    return sr_attention_scores(block->tape, query, key, block->map, 1 / sqrt((double)rank));
}

static sr_tensor *stochastic_scores(const attention_block *block, sr_tensor *source)
{
    const refinement_layer *own = layer_of(block->model, block->layer);
    const size_t rank = rank_of(block->model);
    const gaussians query = {rows_of_queries(block, project(block, source, own->mean_query, rank)),
                             rows_of_queries(block, project(block, source, own->covariance_query, rank))};
    const gaussians key = {rows_of_keys(block, project(block, source, own->mean_key, rank)),
                           rows_of_keys(block, project(block, source, own->covariance_key, rank))};
    return wasserstein_scores(block->tape, query, key, block->map, 1 / sqrt((double)rank));
}

/* sum_k R_ik (W_v a_k), back in cells. */
static sr_tensor *apply_to_weights(const attention_block *block, sr_tensor *refined)
{
    sr_tape *tape = block->tape;
    const size_t width = model_window(block->model);
    const bool learned = settings_of(&block->model->settings)->value == VALUE_LEARNED;
    sr_tensor *values = learned ? project(block, block->probabilities, layer_of(block->model, block->layer)->value, width)
                                : sr_rows_to_window(tape, block->probabilities, block->score_map, width);
    sr_tensor *context = sr_attention_context(tape, refined, rows_of_keys(block, values), block->map);
    return sr_rows_from_window(tape, context, block->map);
}

static void calibrate_probabilities(attention_block *block)
{
    const refinement_settings *settings = settings_of(&block->model->settings);
    sr_tensor *source = settings->source == SOURCE_SCORES ? block->scores : block->probabilities;
    sr_tensor *scores = settings->kind == REFINEMENT_STOCHASTIC ? stochastic_scores(block, source)
                                                                : dot_product_scores(block, source);
    sr_tensor *refined = sr_attention_softmax(block->tape, scores, block->map);
    if (settings->kind == REFINEMENT_ADDITIVE)
        refined = sr_weighted_add(block->tape, attention_of_queries(block, block->probabilities), 0.5, refined, 0.5);
    else if (settings->kind == REFINEMENT_VALUE)
        refined = apply_to_weights(block, refined);
    block->probabilities = refined;
}

const calibrator refinement_calibrator = {
    .component =
        {.name = "refinement",
         .help = "AWRSR's refinement of the attention weights A by R, the attention of the rows of X to each other (equations "
                 "reconstructed, see docs/models.md)",
         SR_KEYS(keys),
         .settings_size = sizeof(refinement_settings),
         SR_RULES(rules),
         .layer_size = sizeof(refinement_layer)},
    .scores_every_query = true, /* rows attend to rows: a query needs those of its keys */
    .declare_parameters = declare_parameters,
    .calibrate_probabilities = calibrate_probabilities,
};
