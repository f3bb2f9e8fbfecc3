/* The transformer encoder that backbones share. With the norms of model.norm post:
 *
 *   x0 = dropout(LN(x))
 *   y  = LN(x + dropout(output(context)))            attention.c
 *   x' = LN(y + dropout(outer(f(inner(y)))))         feed_forward()
 *
 * sublayer.h has the other norms. A last norm may follow the layers.
 *
 * Only what somebody reads is computed. In the last layer that is the rows of the loss. Of an attacked branch it is the last
 * layer alone: the next layer's input is the calibrated output. */
#include "model/attention.h"
#include "model/sublayer.h"

#include <math.h>

sr_dropout_site dropout_site(const sr_pass *pass, size_t layer, unsigned site, double probability)
{
    if (!pass->training)
        return (sr_dropout_site){.probability = 0};
    const sr_random_stream step = sr_random_open(pass->seed, SR_RANDOM_DROPOUT, pass->step);
    const uint64_t layer_of_view = (uint64_t)pass->view * SR_LAYERS_MAXIMUM + layer;
    return (sr_dropout_site){sr_random_fork(step, layer_of_view * SITES_OF_A_LAYER + site), probability};
}

const sr_real *model_values(const sr_model *model, size_t index)
{
    return model->parameters.values + model->parameters.list[index].offset;
}

sr_tensor *model_parameter(sr_model *model, sr_tape *tape, size_t index)
{
    return sr_tape_parameter(tape, &model->parameters, index);
}

sr_tensor *model_linear(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices)
{
    sr_tensor *bias = indices->bias == NO_PARAMETER ? NULL : model_parameter(model, tape, indices->bias);
    return bias || indices->bias == NO_PARAMETER ? sr_linear(tape, x, model_parameter(model, tape, indices->weight), bias)
                                                 : NULL;
}

sr_tensor *model_norm(sr_model *model, sr_tape *tape, sr_tensor *x, const affine_parameters *indices)
{
    return sr_layer_norm(tape, x, model_parameter(model, tape, indices->weight), model_parameter(model, tape, indices->bias),
                         model->settings.layer_norm_epsilon);
}

/* What the outer map of a feed-forward block reads. */
static sr_tensor *inner_states(const layer_rows *rows, sr_tensor *read, const feed_forward_parameters *parameters,
                               unsigned site)
{
    sr_model *model = rows->model;
    sr_tape *tape = rows->tape;
    const sr_encoder_settings *encoder = &model->settings.encoder;
    const unsigned inner_site = site == SITE_ATTACKED_FEED_FORWARD ? SITE_ATTACKED_FEED_FORWARD_INNER : SITE_FEED_FORWARD_INNER;
    const sr_dropout_site dropout = dropout_site(rows->pass, rows->layer, inner_site, encoder->inner_dropout);
    sr_tensor *inner = sr_activate(tape, model_linear(model, tape, read, &parameters->inner), model->settings.activation);
    if (encoder->feed_forward == SR_FEED_FORWARD_GATED)
        inner = sr_multiply(tape, inner, model_linear(model, tape, read, &parameters->multiplier));
    return sr_dropout(tape, inner, rows->layout, rows->rows->tokens, &dropout);
}

sr_tensor *feed_forward(const layer_rows *rows, sr_tensor *y, const feed_forward_parameters *parameters, unsigned site)
{
    const sublayer_inputs in = sublayer_enter(rows->model, rows->tape, y, &parameters->norm);
    const sr_dropout_site dropout = sublayer_dropout(rows, site, false);
    sr_tensor *inner = inner_states(rows, in.read, parameters, site);
    sr_tensor *outcome = model_linear(rows->model, rows->tape, inner, &parameters->outer);
    sr_tensor *branch = sublayer_branch(rows, in.residual, outcome, &parameters->norm, &dropout);
    return sublayer_join(rows, in.residual, branch, &parameters->gate);
}

sr_tensor *item_vectors_of(sr_model *model, sr_tape *tape, const sr_batch *batch, const int32_t *ids)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    sr_tensor *vectors = item_table_read(&model->item_table, tape, ITEM_VECTORS, ids, tokens, true);
    if (model->settings.encoder.item_width > 0)
        vectors = sr_linear(tape, vectors, model_parameter(model, tape, model->item_adaptor.weight), NULL);
    if (model->settings.encoder.embedding_scale == SR_EMBEDDING_SCALE_ONE)
        return vectors;
    return sr_weighted_add(tape, vectors, sqrt((double)model->settings.hidden_size), vectors, 0);
}

sr_tensor *adapted_states(sr_model *model, sr_tape *tape, sr_tensor *states)
{
    if (model->settings.encoder.item_width == 0 || !states)
        return states;
    return sr_linear_back(tape, states, model_parameter(model, tape, model->item_adaptor.weight));
}

sr_tensor *item_vectors(sr_model *model, sr_tape *tape, const sr_batch *batch)
{
    return item_vectors_of(model, tape, batch, batch->items);
}

sr_tensor *add_positions(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch)
{
    if (model->position_embedding == SIZE_MAX || !x)
        return x;
    sr_tensor *positions = model_parameter(model, tape, model->position_embedding);
    return sr_add(tape, x, sr_embedding(tape, positions, batch->layout.columns, x->rows, false));
}

sr_tensor *encode_input(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass)
{
    const sr_dropout_site site = dropout_site(pass, 0, SITE_INPUT, model->settings.hidden_dropout);
    if (model->settings.encoder.input_norm)
        x = model_norm(model, tape, x, &model->input_norm);
    return sr_dropout(tape, x, &batch->layout, NULL, &site);
}

sr_tensor *embed_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass)
{
    sr_tensor *x = add_positions(model, tape, item_vectors(model, tape, batch), batch);
    return encode_input(model, tape, x, batch, pass);
}

void encode_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    encode_layers(model, tape, embed_items(model, tape, batch, pass), NULL, batch, pass, encoding);
}

sr_tensor *rows_that_are_read(sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass)
{
    return pass->every_row ? sr_select_rows(tape, x, batch->reads.tokens, sr_rows_count(&batch->reads, &batch->layout)) : x;
}

void trace_states(const sr_pass *pass, size_t layer, const sr_tensor *x)
{
    if (!pass->trace)
        return;
    pass->trace->states[layer] = x;
    pass->trace->state_count = layer + 1;
}

/* What is scored, of the last layer's output. */
static sr_tensor *representation_of(sr_model *model, sr_tape *tape, sr_tensor *x, const sr_batch *batch, const sr_pass *pass)
{
    sr_tensor *read = rows_that_are_read(tape, x, batch, pass);
    return model->settings.encoder.final_norm ? model_norm(model, tape, read, &model->final_norm) : read;
}

void encode_layers(sr_model *model, sr_tape *tape, sr_tensor *x, const relative_terms *terms, const sr_batch *batch,
                   const sr_pass *pass, sr_encoding *encoding)
{
    attention_rows rows;
    sr_tensor *attacked = NULL;
    if (!attention_rows_make(&rows, model, tape, batch, pass))
        return;
    trace_states(pass, 0, x);
    for (size_t layer = 0; layer < (size_t)model->settings.layers; ++layer) {
        attention_block block = attention_begin(model, tape, &rows, pass, layer, encoding);
        if (!block.map)
            return;
        block.terms = terms;
        block.input = x;
        sr_tensor *y = attention_run(&block, &attacked);
        const layer_rows computed = rows_of_block(&block);
        const feed_forward_parameters *parameters = &model->layers[layer].feed_forward;
        x = feed_forward(&computed, y, parameters, SITE_FEED_FORWARD);
        trace_states(pass, layer + 1, x);
        if (attacked)
            attacked = feed_forward(&computed, attacked, parameters, SITE_ATTACKED_FEED_FORWARD);
    }
    encoding->representation = representation_of(model, tape, x, batch, pass);
    if (attacked)
        encoding->attacked = representation_of(model, tape, attacked, batch, pass);
}
