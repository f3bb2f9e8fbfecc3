/* TiSASRec (Li, Wang and McAuley 2020): SASRec whose keys and values know the time that has passed.
 *
 *   scores_ij = q_i (k_j + PK_j + TK_gap(i,j))ᵀ / sqrt(e),   context_i = sum_j weights_ij (v_j + PV_j + TV_gap(i,j))
 *   gap(i,j) = min(|t_i - t_j| / time_unit, time_span)
 *
 * PK, PV are tables of the key's column, TK, TV of the gap; all are shared by the layers and split into heads like keys and
 * values. There is no position in the input. Row 0 of each table is read and never trained, as in the published code. */
#include "model/backbone.h"

extern const backbone tisasrec_backbone;

enum { SITE_POSITION_KEYS = 8, SITE_POSITION_VALUES = 9, SITE_TIME_KEYS = 10, SITE_TIME_VALUES = 11 };

typedef struct {
    int64_t time_span; /* the largest gap that is told apart */
} tisasrec_settings;

static const sr_key keys[] = {
    SR_INTEGER("model", "time_span", tisasrec_settings, time_span, 1, 65535, "256",
               "the largest gap in time that is told apart from longer ones"),
};

static const sr_gone_key gone[] = {
    {"model.time_dropout", "table", .was = "let hidden_dropout drop rows of the tables of gaps, once a batch",
     .now = "this is always so", .instead = "leave it out"},
    {"model.time_dropout", "cells",
     .was = "let hidden_dropout drop a copy of a gap's row for each pair of query and key, as released",
     .now = "rows of the tables are dropped, once a batch", .instead = "leave it out", .ends_training = true},
};

static const tisasrec_settings *settings_of(const sr_model *model)
{
    return component_settings(&model->settings, &tisasrec_backbone.component);
}

static bool reads_times(const sr_model_settings *settings)
{
    (void)settings;
    return true;
}

static void gaps(const sr_model_settings *settings, int64_t *span, int64_t *unit)
{
    const tisasrec_settings *own = component_settings(settings, &tisasrec_backbone.component);
    *span = own->time_span;
    *unit = settings->time_unit;
}

/* Tables of a key's column and of the gap, for keys and for values. */
typedef struct {
    size_t position_keys, position_values, time_keys, time_values;
} tisasrec_parameters;

static tisasrec_parameters *parameters_of(const sr_model *model)
{
    return component_parameters(model, &tisasrec_backbone.component);
}

static sr_status declare_parameters(sr_model *model, sr_error *error)
{
    const size_t width = (size_t)model->settings.hidden_size, columns = (size_t)model->settings.max_length;
    const size_t gaps = (size_t)settings_of(model)->time_span + 1;
    tisasrec_parameters *own = parameters_of(model);
    SR_TRY(declare_item_tables(model, width, error));
    SR_TRY(declare_table(model, &own->position_keys, "pos_key_embedding", columns, width, error));
    SR_TRY(declare_table(model, &own->position_values, "pos_value_embedding", columns, width, error));
    SR_TRY(declare_table(model, &own->time_keys, "time_key_embedding", gaps, width, error));
    SR_TRY(declare_table(model, &own->time_values, "time_value_embedding", gaps, width, error));
    return declare_layers(model, error);
}

/* The vector of each token's column. */
static sr_tensor *position_vectors(sr_model *model, sr_tape *tape, size_t table, const sr_batch *batch, const sr_pass *pass,
                                   unsigned number)
{
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    const sr_dropout_site site = dropout_site(pass, 0, number, model->settings.hidden_dropout);
    sr_tensor *rows = sr_embedding(tape, model_parameter(model, tape, table), batch->layout.columns, tokens, true);
    return sr_dropout(tape, rows, &batch->layout, NULL, &site);
}

/* The table of gaps, some of whose rows are dropped. */
static sr_tensor *time_table(sr_model *model, sr_tape *tape, size_t table, const sr_pass *pass, unsigned number)
{
    const sr_dropout_site site = dropout_site(pass, 0, number, model->settings.hidden_dropout);
    return sr_table_dropout(tape, model_parameter(model, tape, table), &site);
}

static void encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    const tisasrec_parameters *own = parameters_of(model);
    sr_tensor *x = encode_input(model, tape, item_vectors(model, tape, batch), batch, pass);
    relative_terms terms;
    terms.position_keys = position_vectors(model, tape, own->position_keys, batch, pass, SITE_POSITION_KEYS);
    terms.position_values = position_vectors(model, tape, own->position_values, batch, pass, SITE_POSITION_VALUES);
    terms.time_keys = time_table(model, tape, own->time_keys, pass, SITE_TIME_KEYS);
    terms.time_values = time_table(model, tape, own->time_values, pass, SITE_TIME_VALUES);
    terms.intervals = (sr_intervals){
        .times = batch->times, .unit = model->settings.time_unit, .span = settings_of(model)->time_span};
    encode_layers(model, tape, x, &terms, batch, pass, encoding);
}

const backbone tisasrec_backbone = {
    .component = {.name = "tisasrec",
                  .help = "time intervals and relative positions in keys and values (Li et al. 2020)",
                  SR_KEYS(keys),
                  SR_GONE(gone),
                  .settings_size = sizeof(tisasrec_settings),
                  .parameters_size = sizeof(tisasrec_parameters)},
    .capabilities = IS_ENCODER,
    .reads_times = reads_times,
    .places_itself = true,
    .gaps = gaps,
    .declare_parameters = declare_parameters,
    .encode = encode,
};
