/* SSE-PT (Wu et al. 2020): SASRec whose tokens carry the user beside the item.
 *
 *   x0 = dropout(LN(concat(E[items], U[user]) + P[columns])),  then the layers of encoder.c
 *
 * Scored are the item columns of the state alone: the user's part of the published score is the same for every item, so that it
 * changes neither the softmax nor the ranking.
 *
 * Stochastic shared embeddings (Wu et al. 2019): in training each user and each item that is read is replaced by a uniformly
 * drawn one with a small probability. */
#include "model/backbone.h"

#include <string.h>

static size_t user_width(const sr_model *model)
{
    return (size_t)model->settings.user_hidden_size;
}

static size_t item_width(const sr_model *model)
{
    return (size_t)model->settings.hidden_size - user_width(model);
}

static sr_status declare(sr_model *model, sr_error *error)
{
    SR_TRY(declare_table(model, &model->item_embedding, "item_embedding", model->items + 1, item_width(model), error));
    SR_TRY(declare_table(model, &model->user_embedding, "user_embedding", model->users + 1, user_width(model), error));
    SR_TRY(declare_positions(model, (size_t)model->settings.max_length, error));
    return declare_layers(model, error);
}

typedef enum { TABLE_ITEMS = 0, TABLE_USERS = 1, SHARED_TABLES = 2 } shared_table; /* keys random numbers: never renumber */

/* The ids with some of them replaced; padding (id 0) stays. A user is drawn once a sequence, an item at each of its columns. */
static const int32_t *share_embeddings(const sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass,
                                       shared_table table)
{
    const sr_layout *layout = &batch->layout;
    const bool users = table == TABLE_USERS;
    const int32_t *ids = users ? batch->users : batch->items;
    const double probability = users ? model->settings.sse_user_probability : model->settings.sse_item_probability;
    if (!pass->training || probability <= 0)
        return ids;
    int32_t *shared = sr_tape_take(tape, layout->offsets[layout->sequences], sizeof *shared);
    const sr_random_stream step = sr_random_open(pass->seed, SR_RANDOM_SHARED_EMBEDDING, pass->step);
    const sr_random_stream stream = sr_random_fork(step, (uint64_t)pass->view * SHARED_TABLES + table);
    for (size_t s = 0; shared && s < layout->sequences; ++s)
        for (size_t token = layout->offsets[s]; token < layout->offsets[s + 1]; ++token) {
            const uint64_t place = users ? 0 : (uint64_t)layout->columns[token];
            const bool replaced = ids[token] != 0 && sr_random_uniform(stream, 2 * place, layout->identity[s]) < probability;
            const uint64_t count = users ? model->users : model->items;
            shared[token] = replaced ? 1 + (int32_t)sr_random_below(stream, 2 * place + 1, layout->identity[s], count)
                                     : ids[token];
        }
    return shared;
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const int32_t *item_ids = share_embeddings(model, tape, batch, pass, TABLE_ITEMS);
    const int32_t *user_ids = share_embeddings(model, tape, batch, pass, TABLE_USERS);
    if (!item_ids || !user_ids)
        return;
    sr_tensor *items = sr_embedding(tape, model_parameter(model, tape, model->item_embedding), item_ids, tokens, true);
    sr_tensor *users = sr_embedding(tape, model_parameter(model, tape, model->user_embedding), user_ids, tokens, true);
    sr_tensor *x = add_positions(model, tape, sr_concatenate_columns(tape, items, users), batch);
    encode_layers(model, tape, encode_input(model, tape, x, batch, pass), NULL, batch, pass, encoding);
    encoding->representation = sr_select_columns(tape, encoding->representation, 0, item_width(model));
    if (encoding->attacked)
        encoding->attacked = sr_select_columns(tape, encoding->attacked, 0, item_width(model));
}

const backbone ssept_backbone = {.name = "ssept", .users = true, .declare = declare, .encode = encode};
