/* The attention pipeline; model/attention.h says what its stages are. */
#include "model/attention.h"

#include "model/calibrator.h"

sr_tensor *attention_probabilities(const attention_block *block, sr_tensor *scores, dropout_site_name site_name)
{
    const sr_dropout_site site = dropout_site(block->pass, block->layer, site_name, block->model->settings.attention_dropout);
    sr_tensor *probabilities = sr_attention_softmax(block->tape, scores, block->map);
    return sr_attention_dropout(block->tape, probabilities, block->map, &site);
}

sr_tensor *attention_every_query(const attention_block *block)
{
    if (block->map->queries == block->tokens)
        return block->query;
    return model_linear(block->model, block->tape, block->input, &block->model->layers[block->layer].attention.query);
}

/* The rows of x [T, d] that act as keys. */
static sr_tensor *rows_of_keys(const attention_block *block, sr_tensor *x)
{
    const sr_rows *keys = block->map->keys;
    return keys == block->tokens ? x : sr_select_rows(block->tape, x, keys->tokens, sr_rows_count(keys, block->map->layout));
}

/* scale (q_i k_jᵀ), and with TiSASRec's terms scale q_i (k_j + PK_j + TK_gap(i,j))ᵀ. */
static sr_tensor *raw_scores(const attention_block *block)
{
    sr_tape *tape = block->tape;
    const relative_terms *terms = block->terms;
    sr_tensor *key = terms ? sr_add(tape, block->key, rows_of_keys(block, terms->position_keys)) : block->key;
    sr_tensor *scores = sr_attention_scores(tape, block->query, key, block->map, block->score_scale);
    if (!terms)
        return scores;
    return sr_add(
        tape, scores,
        sr_interval_scores(tape, block->query, terms->time_keys, block->map, &terms->key_intervals, block->score_scale));
}

/* LN(x + dropout(output(sum_j weights_ij v_j))); with TiSASRec's terms the sum runs over v_j + PV_j + TV_gap(i,j). */
static sr_tensor *output_of(const attention_block *block, sr_tensor *weights, const sr_attention_map *map, sr_tensor *value,
                            sr_tensor *residual, dropout_site_name site_name)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const attention_parameters *layer = &model->layers[block->layer].attention;
    const sr_dropout_site site = dropout_site(block->pass, block->layer, site_name, model->settings.hidden_dropout);
    if (!map)
        return NULL;
    sr_tensor *context = sr_attention_context(tape, weights, value, map);
    if (block->terms)
        context = sr_add(tape, context,
                         sr_interval_context(tape, weights, block->terms->time_values, map, &block->terms->value_intervals));
    sr_tensor *output = model_linear(model, tape, context, &layer->output);
    sr_tensor *sum = sr_add_dropped(tape, residual, output, map->layout, map->queries->tokens, &site);
    return model_norm(model, tape, sum, &layer->norm);
}

static void trace(const attention_block *block)
{
    sr_trace *into = block->pass->trace;
    if (!into)
        return;
    into->attention[block->layer] = block->weights;
    into->maps[block->layer] = block->map;
    into->layers = block->layer + 1;
}

sr_tensor *attention_run(attention_block *block, sr_tensor *residual, sr_tensor **attacked)
{
    sr_model *model = block->model;
    sr_tape *tape = block->tape;
    const attention_parameters *layer = &model->layers[block->layer].attention;
    sr_tensor *keys = rows_of_keys(block, block->input);
    block->query = model_linear(model, tape, residual, &layer->query);
    block->key = model_linear(model, tape, keys, &layer->key);
    sr_tensor *value = model_linear(model, tape, keys, &layer->value);
    if (block->terms)
        value = sr_add(tape, value, rows_of_keys(block, block->terms->position_values));
    block->raw_scores = block->scores = raw_scores(block);
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->calibrate_scores && calibrators[i]->in_use(&model->settings))
            calibrators[i]->calibrate_scores(block);
    block->weights = attention_probabilities(block, block->scores, SITE_ATTENTION);
    block->weights_map = block->map;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrators[i]->calibrate_weights && calibrators[i]->in_use(&model->settings))
            calibrators[i]->calibrate_weights(block);
    trace(block);
    if (block->attacked_weights)
        *attacked = output_of(block, block->attacked_weights, block->attacked_map, value, residual, SITE_ATTACKED_OUTPUT);
    return output_of(block, block->weights, block->weights_map, value, residual, SITE_ATTENTION_OUTPUT);
}
