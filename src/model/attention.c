/* The attention pipeline; model/attention.h says what its stages are. */
#include "model/attention.h"

#include "model/calibrator.h"

#include <math.h>

/* ---- rows ---- */

/* Whether padding is attended to by items. */
static bool reads_padding(const sr_model *model, const sr_pass *pass)
{
    return calibrators_padding(&model->settings, pass->training) == PADDING_KEYS;
}

bool attention_rows_make(attention_rows *rows, sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass)
{
    rows->batch = batch;
    rows->tokens = sr_rows_all(tape, &batch->layout);
    rows->keys = rows->tokens;
    if (rows->tokens && !reads_padding(model, pass))
        rows->keys = sr_rows_seen(tape, &batch->layout, rows->tokens);
    return rows->tokens && rows->keys;
}

attention_block attention_begin(sr_model *model, sr_tape *tape, const attention_rows *rows, const sr_pass *pass, size_t layer,
                                sr_encoding *encoding)
{
    const sr_layout *layout = &rows->batch->layout;
    const size_t heads = (size_t)model->settings.heads;
    attention_block block = {.model = model,
                             .tape = tape,
                             .pass = pass,
                             .encoding = encoding,
                             .layer = layer,
                             .last = layer + 1 == (size_t)model->settings.layers,
                             .tokens = rows->tokens,
                             .score_scale = 1 / sqrt((double)model->settings.hidden_size / (double)heads)};
    const bool only_read = block.last && !pass->every_row;
    const bool scores_all = calibrators_score_every_query(&model->settings);
    /* Padding is neither a query nor seen by one. */
    const bool items_alone = only_read && !scores_all && !reads_padding(model, pass) &&
                             !calibrators_read_rows_of_padding(&model->settings, pass->training);
    const sr_rows *keys = rows->keys;
    if (items_alone && keys)
        keys = sr_rows_seen_by_items(tape, layout, keys);
    block.map = keys ? sr_attention_map_make(tape, layout, only_read ? &rows->batch->reads : rows->tokens, keys, heads) : NULL;
    block.score_map = block.map;
    if (only_read && scores_all)
        block.score_map = sr_attention_map_make(tape, layout, rows->tokens, keys, heads);
    if (!block.score_map)
        block.map = NULL;
    return block;
}

static sr_tensor *select_tokens(const attention_block *block, sr_tensor *x, const sr_rows *rows)
{
    return rows == block->tokens ? x : sr_select_rows(block->tape, x, rows->tokens, sr_rows_count(rows, block->map->layout));
}

sr_tensor *rows_of_queries(const attention_block *block, sr_tensor *x)
{
    return select_tokens(block, x, block->map->queries);
}

sr_tensor *rows_of_keys(const attention_block *block, sr_tensor *x)
{
    return select_tokens(block, x, block->map->keys);
}

sr_tensor *rows_of_score_queries(const attention_block *block, sr_tensor *x)
{
    return select_tokens(block, x, block->score_map->queries);
}

/* ---- the pipeline ---- */

sr_tensor *attention_of_queries(const attention_block *block, sr_tensor *cells)
{
    return block->score_map == block->map ? cells
                                          : sr_attention_select_queries(block->tape, cells, block->score_map, block->map);
}

sr_tensor *attention_every_query(const attention_block *block)
{
    if (block->score_map->queries == block->tokens)
        return block->score_query;
    return model_linear(block->model, block->tape, block->reads.read, &block->model->layers[block->layer].attention.query);
}

sr_tensor *attention_dropped(const attention_block *block, sr_tensor *probabilities, unsigned site)
{
    const double probability = block->model->settings.attention_dropout;
    const sr_dropout_site dropout = dropout_site(block->pass, block->layer, site, probability);
    return sr_attention_dropout(block->tape, probabilities, block->map, &dropout);
}

static void trace(const attention_block *block)
{
    sr_trace *into = block->pass->trace;
    if (!into)
        return;
    sr_tensor *uncalibrated = sr_attention_softmax(block->tape, block->raw_scores, block->score_map);
    into->attention[block->layer] = block->weights;
    into->uncalibrated[block->layer] = attention_of_queries(block, uncalibrated);
    into->maps[block->layer] = block->map;
    into->attention_maps[block->layer] = block->weights_map;
    into->layers = block->layer + 1;
}

void attention_weigh(attention_block *block)
{
    const sr_model_settings *settings = &block->model->settings;
    bool refined = false;
    block->scores = block->raw_scores;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->calibrate_scores && calibrates(settings, i))
            calibrators[i]->calibrate_scores(block);
    block->probabilities = sr_attention_softmax(block->tape, block->scores, block->score_map);
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->calibrate_probabilities && calibrates(settings, i)) {
            calibrators[i]->calibrate_probabilities(block);
            refined = true;
        }
    if (!refined)
        block->probabilities = attention_of_queries(block, block->probabilities);
    block->weights = attention_dropped(block, block->probabilities, SITE_ATTENTION);
    block->weights_map = block->map;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->calibrate_weights && calibrates(settings, i))
            calibrators[i]->calibrate_weights(block);
    trace(block);
}

/* ---- what follows the weights ---- */

layer_rows rows_of_block(const attention_block *block)
{
    return (layer_rows){block->model, block->tape, block->pass, block->layer, block->map->layout, block->map->queries};
}

/* The outcome of attention as a branch. */
static sr_tensor *branch_of(const attention_block *block, sr_tensor *context, sr_tensor *residual,
                            const affine_parameters *output, unsigned site)
{
    sr_model *model = block->model;
    const layer_rows rows = rows_of_block(block);
    const sr_dropout_site dropout = sublayer_dropout(&rows, site, true);
    sr_tensor *outcome = output->weight == NO_PARAMETER ? context : model_linear(model, block->tape, context, output);
    return sublayer_branch(&rows, residual, outcome, &model->layers[block->layer].attention.norm, &dropout);
}

static sr_tensor *join_branch(const attention_block *block, sr_tensor *residual, sr_tensor *branch)
{
    const layer_rows rows = rows_of_block(block);
    return sublayer_join(&rows, residual, branch, &block->model->layers[block->layer].attention.gate);
}

sr_tensor *attention_output(const attention_block *block, sr_tensor *context, sr_tensor *residual,
                            const affine_parameters *output, unsigned site)
{
    return join_branch(block, residual, branch_of(block, context, residual, output, site));
}

/* ---- distances ---- */

static sr_tensor *root_of_covariance(sr_tape *tape, sr_tensor *covariance)
{
    return sr_square_root(tape, sr_elu_plus_one(tape, covariance));
}

sr_tensor *wasserstein_scores(sr_tape *tape, gaussians query, gaussians key, const sr_attention_map *map, double scale)
{
    sr_tensor *query_root = root_of_covariance(tape, query.covariance), *key_root = root_of_covariance(tape, key.covariance);
    return sr_add(tape, sr_distance_attention_scores(tape, query.mean, key.mean, map, scale),
                  sr_distance_attention_scores(tape, query_root, key_root, map, scale));
}

/* ---- dot products ---- */

/* scale (q_i k_jᵀ), and with relative terms scale q_i (k_j + PK_j + TK_gap(i,j))ᵀ. */
static sr_tensor *dot_product_scores(const attention_block *block)
{
    sr_tape *tape = block->tape;
    const relative_terms *terms = block->terms;
    sr_tensor *key = terms ? sr_add(tape, block->key, rows_of_keys(block, terms->position_keys)) : block->key;
    sr_tensor *scores = sr_attention_scores(tape, block->score_query, key, block->score_map, block->score_scale);
    if (!terms)
        return scores;
    return sr_add(tape, scores,
                  sr_interval_scores(tape, block->score_query, terms->time_keys, block->score_map, &terms->intervals,
                                     block->score_scale));
}

/* The branch of sum_j weights_ij v_j; with relative terms the sum runs over v_j + PV_j + TV_gap(i,j). */
static sr_tensor *branch_of_weights(const attention_block *block, sr_tensor *weights, const sr_attention_map *map,
                                    sr_tensor *value, sr_tensor *residual, unsigned number)
{
    sr_tape *tape = block->tape;
    if (!map)
        return NULL;
    sr_tensor *context = sr_attention_context(tape, weights, value, map);
    if (block->terms)
        context = sr_add(tape, context,
                         sr_interval_context(tape, weights, block->terms->time_values, map, &block->terms->intervals));
    return branch_of(block, context, residual, &block->model->layers[block->layer].attention.output, number);
}

/* Whether the maps of scores and weights are held: somebody looks at them, or they are so small that computing them again would
 * cost more time than holding them. All else is a matter of sr_fused_attention(). */
static bool holds_maps(const attention_block *block)
{
    enum { LONGEST_SEQUENCE = 256 }; /* docs/performance.md */
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(&block->model->settings, i) &&
            (calibrators[i]->calibrate_scores || calibrators[i]->calibrate_probabilities || calibrators[i]->calibrate_weights))
            return true;
    return block->terms || block->pass->trace || block->score_map != block->map ||
           sr_attention_map_longest(block->map) <= LONGEST_SEQUENCE;
}

static sr_tensor *fused_context(const attention_block *block, sr_tensor *value)
{
    const double probability = block->model->settings.attention_dropout;
    const sr_dropout_site dropout = dropout_site(block->pass, block->layer, SITE_ATTENTION, probability);
    return sr_fused_attention(block->tape, &(sr_attention_inputs){block->query, block->key, value}, block->map,
                              block->score_scale, &dropout);
}

/* Lets the mixing stages act on the branches, if there are any, and joins these to the residual. */
static sr_tensor *mix_and_join(attention_block *block, sr_tensor *residual, sr_tensor *y, sr_tensor **attacked)
{
    const bool has_attacked = block->attacked_weights;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->mix && calibrates(&block->model->settings, i))
            calibrators[i]->mix(block, residual, &y, has_attacked ? attacked : NULL);
    if (has_attacked)
        *attacked = join_branch(block, residual, *attacked);
    return join_branch(block, residual, y);
}

sr_tensor *attention_run(attention_block *block, sr_tensor **attacked)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const attention_parameters *layer = &model->layers[block->layer].attention;
    block->reads = sublayer_enter(model, tape, block->input, &layer->norm);
    sr_tensor *residual = rows_of_queries(block, block->reads.residual);
    sr_tensor *keys = rows_of_keys(block, block->reads.keys);
    block->key = model_linear(model, tape, keys, &layer->key);
    sr_tensor *value = model_linear(model, tape, keys, &layer->value);
    if (block->terms)
        value = sr_add(tape, value, rows_of_keys(block, block->terms->position_values));
    if (block->score_map == block->map) {
        const bool is_residual = block->reads.read == block->reads.residual;
        sr_tensor *queries = is_residual ? residual : rows_of_queries(block, block->reads.read);
        block->query = block->score_query = model_linear(model, tape, queries, &layer->query);
    } else {
        block->score_query = model_linear(model, tape, block->reads.read, &layer->query);
        block->query = rows_of_queries(block, block->score_query);
    }
    sr_tensor *y;
    if (holds_maps(block)) {
        block->raw_scores = dot_product_scores(block);
        attention_weigh(block);
        if (block->attacked_weights)
            *attacked = branch_of_weights(block, block->attacked_weights, block->attacked_map, value, residual,
                                          SITE_ATTACKED_OUTPUT);
        y = branch_of_weights(block, block->weights, block->weights_map, value, residual, SITE_ATTENTION_OUTPUT);
    } else {
        y = branch_of(block, fused_context(block, value), residual, &layer->output, SITE_ATTENTION_OUTPUT);
    }
    return mix_and_join(block, residual, y, attacked);
}
