/* TiSASRec (Li, Wang and McAuley 2020): SASRec whose keys and values know the time that has passed.
 *
 *   scores_ij = q_i (k_j + PK_j + TK_gap(i,j))ᵀ / sqrt(e),   context_i = sum_j weights_ij (v_j + PV_j + TV_gap(i,j))
 *   gap(i,j) = min(|t_i - t_j| / time_unit, time_span)
 *
 * PK, PV are tables of the key's column, TK, TV of the gap; all are shared by the layers and split into heads like keys and
 * values. There is no position in the input. Row 0 of each table is read and never trained, as in the published code. */
#include "model/backbone.h"

static sr_status declare(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, columns = (size_t)model->settings.max_length;
    const size_t gaps = (size_t)model->settings.time_span + 1;
    SR_TRY(declare_table(model, &model->item_embedding, "item_embedding", model->items + 1, width, error));
    SR_TRY(declare_table(model, &model->position_keys, "pos_key_embedding", columns, width, error));
    SR_TRY(declare_table(model, &model->position_values, "pos_value_embedding", columns, width, error));
    SR_TRY(declare_table(model, &model->time_keys, "time_key_embedding", gaps, width, error));
    SR_TRY(declare_table(model, &model->time_values, "time_value_embedding", gaps, width, error));
    return declare_layers(model, error);
}

/* The vector of each token's column. */
static sr_tensor *position_vectors(sr_model *model, sr_tape *tape, size_t table, const sr_batch *batch, const sr_pass *pass,
                                   dropout_site_name site_name)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const sr_dropout_site site = dropout_site(pass, 0, site_name, model->settings.hidden_dropout);
    sr_tensor *rows = sr_embedding(tape, model_parameter(model, tape, table), batch->layout.columns, tokens, true);
    return sr_dropout(tape, rows, &batch->layout, NULL, &site);
}

/* The table of gaps, whose dropout acts on its rows or, as in the published code, on what each cell reads. */
static sr_tensor *time_table(sr_model *model, sr_tape *tape, size_t table, const sr_batch *batch, const sr_pass *pass,
                             dropout_site_name site_name, sr_intervals *intervals)
{
    const sr_dropout_site site = dropout_site(pass, 0, site_name, model->settings.hidden_dropout);
    sr_tensor *rows = model_parameter(model, tape, table);
    *intervals = (sr_intervals){.times = batch->times, .unit = model->settings.time_unit, .span = model->settings.time_span};
    if (model->settings.time_dropout == SR_TIME_DROPOUT_TABLE)
        return sr_table_dropout(tape, rows, &site);
    intervals->cell_dropout = site;
    return rows;
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    sr_tensor *items = model_parameter(model, tape, model->item_embedding);
    sr_tensor *x = encode_input(model, tape, sr_embedding(tape, items, batch->items, tokens, true), batch, pass);
    relative_terms terms;
    terms.position_keys = position_vectors(model, tape, model->position_keys, batch, pass, SITE_POSITION_KEYS);
    terms.position_values = position_vectors(model, tape, model->position_values, batch, pass, SITE_POSITION_VALUES);
    terms.time_keys = time_table(model, tape, model->time_keys, batch, pass, SITE_TIME_KEYS, &terms.key_intervals);
    terms.time_values = time_table(model, tape, model->time_values, batch, pass, SITE_TIME_VALUES, &terms.value_intervals);
    encode_layers(model, tape, x, &terms, batch, pass, encoding);
}

const backbone tisasrec_backbone = {.name = "tisasrec", .times = true, .declare = declare, .encode = encode};
