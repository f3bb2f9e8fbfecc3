/* SASRec (Kang and McAuley 2018), by default in the post-norm form of the calibration papers: a causal transformer over the
 * items of a history, with learned positions or none, scored against the item table that it also reads its inputs from.
 *
 *   x0 = dropout(LN(E[items] + P[columns])),  then the layers of encoder.c
 *
 * Options of encoder_keys.c make it SASRec as published, gSASRec, LiGR or eSASRec. */
#include "model/backbone.h"

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    SR_TRY(declare_item_tables(model, (size_t)model->settings.hidden_size, error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length, error));
    return declare_layers(model, error);
}

const backbone sasrec_backbone = {
    .component = {.name = "sasrec", .help = "causal transformer over the items of a history (Kang and McAuley 2018)"},
    .capabilities = IS_ENCODER,
    .declare_parameters = declare_parameters,
    .encode = encode_items,
};
