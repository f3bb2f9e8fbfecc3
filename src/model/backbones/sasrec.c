/* SASRec (Kang and McAuley 2018) in the post-norm form of the calibration papers: a causal transformer over the items of a
 * history, with learned positions or none, scored against the item table that it also reads its inputs from.
 *
 *   x0 = dropout(LN(E[items] + P[columns])),  then the layers of encoder.c */
#include "model/backbone.h"

static sr_status declare(sr_model *model, sr_error *error)
{
    const sr_model_settings *settings = &model->settings;
    const size_t width = (size_t)settings->hidden_size;
    SR_TRY(sr_parameters_declare(&model->parameters, "item_embedding.weight", (size_t[]){model->items + 1, width}, 2,
                                 SR_INITIAL_NORMAL, settings->initializer_range, SR_PARAMETERS_ORDINARY, &model->item_embedding,
                                 error));
    if (settings->positions == SR_POSITIONS_LEARNED)
        SR_TRY(sr_parameters_declare(&model->parameters, "position_embedding.weight",
                                     (size_t[]){(size_t)settings->max_length, width}, 2, SR_INITIAL_NORMAL,
                                     settings->initializer_range, SR_PARAMETERS_ORDINARY, &model->position_embedding, error));
    return declare_layers(model, error);
}

static sr_tensor *encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    sr_tensor *items = sr_tape_parameter(tape, &model->parameters, model->item_embedding);
    sr_tensor *x = sr_embedding(tape, items, batch->items, tokens, true);
    if (model->position_embedding != SIZE_MAX) {
        sr_tensor *positions = sr_tape_parameter(tape, &model->parameters, model->position_embedding);
        x = sr_add(tape, x, sr_embedding(tape, positions, batch->layout.columns, tokens, false));
    }
    x = encode_input(model, tape, x, batch, pass);
    return encode_layers(model, tape, x, batch, pass);
}

const backbone sasrec_backbone = {.name = "sasrec", .declare = declare, .encode = encode};
