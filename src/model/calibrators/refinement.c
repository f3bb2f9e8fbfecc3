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

static const sr_refinement_settings *settings_of(const attention_block *block)
{
    return &block->model->settings.calibrators.refinement;
}

static bool in_use(const sr_model_settings *settings)
{
    return settings->calibrators.refinement.in_use;
}

static size_t rank_of(const sr_model *model)
{
    const int64_t rank = model->settings.calibrators.refinement.rank;
    return (size_t)(rank ? rank : model->settings.max_length);
}

/* ---- parameters ---- */

/* "layers.N.refinement.NAME.weight" [rows, columns], or [heads, rows, columns]. */
static sr_status declare_matrix(sr_model *model, size_t layer, const char *what, size_t rows, size_t *index, sr_error *error)
{
    const size_t heads = (size_t)model->settings.heads, columns = model_window(model);
    const bool per_head = model->settings.calibrators.refinement.per_head;
    const size_t shape[] = {heads, rows, columns};
    char name[SR_PARAMETER_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%zu.refinement.%s.weight", layer, what);
    return sr_parameters_declare(&model->parameters, name, per_head ? shape : shape + 1, per_head ? 3 : 2, SR_INITIAL_NORMAL,
                                 model->settings.initializer_range, SR_PARAMETERS_ORDINARY, index, error);
}

static sr_status declare(sr_model *model, size_t layer, sr_error *error)
{
    const sr_refinement_settings *settings = &model->settings.calibrators.refinement;
    refinement_parameters *own = &model->layers[layer].attention.refinement;
    const size_t rank = rank_of(model);
    if (settings->kind == SR_REFINEMENT_STOCHASTIC) {
        SR_TRY(declare_matrix(model, layer, "mean_query", rank, &own->mean_query, error));
        SR_TRY(declare_matrix(model, layer, "mean_key", rank, &own->mean_key, error));
        SR_TRY(declare_matrix(model, layer, "covariance_query", rank, &own->covariance_query, error));
        return declare_matrix(model, layer, "covariance_key", rank, &own->covariance_key, error);
    }
    SR_TRY(declare_matrix(model, layer, "query", rank, &own->query, error));
    SR_TRY(declare_matrix(model, layer, "key", rank, &own->key, error));
    if (settings->kind != SR_REFINEMENT_VALUE || settings->value != SR_VALUE_LEARNED)
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
                           settings_of(block)->per_head);
}

static sr_tensor *dot_product_scores(const attention_block *block, sr_tensor *source)
{
    const refinement_parameters *own = &block->model->layers[block->layer].attention.refinement;
    const size_t rank = rank_of(block->model);
    sr_tensor *query = rows_of_queries(block, project(block, source, own->query, rank));
    sr_tensor *key = rows_of_keys(block, project(block, source, own->key, rank));
    return sr_attention_scores(block->tape, query, key, block->map, 1 / sqrt((double)rank));
}

static sr_tensor *stochastic_scores(const attention_block *block, sr_tensor *source)
{
    const refinement_parameters *own = &block->model->layers[block->layer].attention.refinement;
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
    const bool learned = settings_of(block)->value == SR_VALUE_LEARNED;
    sr_tensor *values = learned ? project(block, block->probabilities,
                                          block->model->layers[block->layer].attention.refinement.value, width)
                                : sr_rows_to_window(tape, block->probabilities, block->score_map, width);
    sr_tensor *context = sr_attention_context(tape, refined, rows_of_keys(block, values), block->map);
    return sr_rows_from_window(tape, context, block->map);
}

static void calibrate_probabilities(attention_block *block)
{
    const sr_refinement_settings *settings = settings_of(block);
    sr_tensor *source = settings->source == SR_SOURCE_SCORES ? block->scores : block->probabilities;
    sr_tensor *scores = settings->kind == SR_REFINEMENT_STOCHASTIC ? stochastic_scores(block, source)
                                                                   : dot_product_scores(block, source);
    sr_tensor *refined = sr_attention_softmax(block->tape, scores, block->map);
    if (settings->kind == SR_REFINEMENT_ADDITIVE)
        refined = sr_weighted_add(block->tape, attention_of_queries(block, block->probabilities), 0.5, refined, 0.5);
    else if (settings->kind == SR_REFINEMENT_VALUE)
        refined = apply_to_weights(block, refined);
    block->probabilities = refined;
}

const calibrator refinement_calibrator = {.name = "refinement",
                                          .in_use = in_use,
                                          .scores_every_query = true, /* rows attend to rows: a query needs those of its keys */
                                          .declare = declare,
                                          .calibrate_probabilities = calibrate_probabilities};
