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

extern const backbone ssept_backbone;

typedef struct {
    int64_t user_hidden_size;                          /* the columns of hidden_size that belong to the user */
    double sse_user_probability, sse_item_probability; /* that an id is replaced by a random one in training */
} ssept_settings;

static const sr_key keys[] = {
    SR_INTEGER("model", "user_hidden_size", ssept_settings, user_hidden_size, 1, 8191, "32",
               "how much of hidden_size is the user's; items have the rest"),
    SR_NUMBER("model", "sse_user_probability", ssept_settings, sse_user_probability, 0, 1, "0",
              "probability that a user is replaced by a random one in training (stochastic shared embeddings)", .below = true),
    SR_NUMBER("model", "sse_item_probability", ssept_settings, sse_item_probability, 0, 1, "0",
              "probability that an item is replaced by a random one in training (stochastic shared embeddings)", .below = true),
};

static const ssept_settings *settings_of(const sr_model_settings *settings)
{
    return component_settings(settings, &ssept_backbone.component);
}

static bool replaces_items(const sr_model_settings *settings)
{
    return settings_of(settings)->sse_item_probability > 0;
}

static bool leaves_no_width(const void *part)
{
    const sr_model_settings *settings = part;
    return settings_of(settings)->user_hidden_size >= settings->hidden_size;
}

static const sr_rule rules[] = {
    SR_RULE("model.user_hidden_size", "model.hidden_size", leaves_no_width,
            "the user's part of the width must leave some for the items, so it must be smaller"),
};

/* ---- the model ---- */

static size_t user_width(const sr_model *model)
{
    return (size_t)settings_of(&model->settings)->user_hidden_size;
}

static size_t item_width(const sr_model *model)
{
    return (size_t)model->settings.hidden_size - user_width(model);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    SR_TRY(declare_item_tables(model, item_width(model), error));
    SR_TRY(declare_users(model, user_width(model), error));
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
    const ssept_settings *own = settings_of(&model->settings);
    const double probability = users ? own->sse_user_probability : own->sse_item_probability;
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

static const int32_t *items_read(const sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass)
{
    return share_embeddings(model, tape, batch, pass, TABLE_ITEMS);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const int32_t *item_ids = items_read(model, tape, batch, pass);
    const int32_t *user_ids = share_embeddings(model, tape, batch, pass, TABLE_USERS);
    if (!item_ids || !user_ids)
        return;
    sr_tensor *items = item_vectors_of(model, tape, batch, item_ids);
    sr_tensor *users = sr_embedding(tape, model_parameter(model, tape, model->user_embedding), user_ids, tokens, true);
    sr_tensor *x = add_positions(model, tape, sr_concatenate_columns(tape, items, users), batch);
    encode_layers(model, tape, encode_input(model, tape, x, batch, pass), NULL, batch, pass, encoding);
    encoding->representation = sr_select_columns(tape, encoding->representation, 0, item_width(model));
    if (encoding->attacked)
        encoding->attacked = sr_select_columns(tape, encoding->attacked, 0, item_width(model));
}

const backbone ssept_backbone = {
    .component = {.name = "ssept",
                  .help = "SASRec with a user embedding beside each item's (Wu et al. 2020)",
                  SR_KEYS(keys),
                  .settings_size = sizeof(ssept_settings),
                  SR_RULES(rules)},
    .capabilities = IS_ENCODER,
    .users = true,
    .replaces_items = replaces_items,
    .items_read = items_read,
    .declare_parameters = declare_parameters,
    .encode = encode,
};
