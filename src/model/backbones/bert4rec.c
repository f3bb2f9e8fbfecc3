/* BERT4Rec (Sun et al. 2019): a bidirectional transformer that learns to name masked items from both sides; to predict, a mask
 * token is put behind the history. The layers are SASRec's without the causal mask.
 *
 * The mask token is one more row of the item table (id items + 1), read like an item and never a class of the softmax;
 * positions have one row more than the window, for the mask token behind a full one. */
#include "model/backbone.h"

static sr_status declare(sr_model *model, sr_error *error)
{
    SR_TRY(declare_table(model, &model->item_embedding, "item_embedding", model->items + 2, (size_t)model->settings.hidden_size,
                         error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length + 1, error));
    return declare_layers(model, error);
}

const backbone bert4rec_backbone = {.name = "bert4rec", .masked = true, .declare = declare, .encode = encode_items};
