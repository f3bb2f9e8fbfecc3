/* Models and their losses. */
#include "srtrain/model.h"

#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/chunks.h"

#include <math.h>
#include <stdlib.h>

sr_status sr_model_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error)
{
    *model = NULL;
    sr_model *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a model", error));
    made->settings = *settings;
    made->items = items;
    made->users = users;
    made->position_embedding = SIZE_MAX;
    made->backbone = backbone_find(settings->backbone);
    sr_parameters_initialise(&made->parameters);
    made->parameters.normal_mean = settings->initializer_mean;
    sr_status status = SR_ALLOCATE_ZERO(&made->layers, (size_t)settings->layers, "the layers of a model", error);
    if (status == SR_OK)
        status = made->backbone->declare(made, error);
    if (status != SR_OK) {
        sr_model_free(made);
        return status;
    }
    *model = made;
    return SR_OK;
}

sr_status sr_model_create(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error)
{
    SR_TRY(sr_model_declare(model, settings, items, users, error));
    const sr_status status = sr_parameters_allocate(&(*model)->parameters, error);
    if (status != SR_OK) {
        sr_model_free(*model);
        *model = NULL;
    }
    return status;
}

sr_status sr_model_measure_size(sr_model_size *size, const sr_model_settings *settings, size_t items, size_t users,
                                sr_error *error)
{
    sr_model *model;
    SR_TRY(sr_model_declare(&model, settings, items, users, error));
    *size = (sr_model_size){.block = model->parameters.block_size, .arrays = model->parameters.count};
    for (size_t i = 0; i < model->parameters.count; ++i)
        size->numbers += model->parameters.list[i].size;
    sr_model_free(model);
    return SR_OK;
}

void sr_model_free(sr_model *model)
{
    if (!model)
        return;
    sr_fourier_free(model->fourier);
    if (model->is_share) {
        free(model->parameters.gradients);
    } else {
        sr_parameters_free(&model->parameters);
        free(model->layers);
        free(model->caser.horizontal);
    }
    free(model);
}

sr_status sr_model_share(sr_model **share, sr_model *model, bool gradients, sr_error *error)
{
    sr_model *made;
    *share = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a model", error));
    *made = *model;
    made->is_share = true;
    made->fourier = NULL;
    made->parameters.gradients = NULL;
    sr_status status = SR_OK;
    if (model->fourier)
        status = sr_fourier_share(&made->fourier, model->fourier, error);
    if (status == SR_OK && gradients)
        status = SR_ALLOCATE_ZERO(&made->parameters.gradients, model->parameters.block_size, "gradients of a thread", error);
    if (status != SR_OK) {
        sr_model_free(made);
        return status;
    }
    *share = made;
    return SR_OK;
}

sr_parameters *sr_model_parameters(sr_model *model)
{
    return &model->parameters;
}

const sr_model_settings *sr_model_configuration(const sr_model *model)
{
    return &model->settings;
}

size_t sr_model_items(const sr_model *model)
{
    return model->items;
}

sr_model_needs sr_model_needs_of(const sr_model_settings *settings, bool training)
{
    const backbone *row = backbone_find(settings->backbone);
    const bool reads_padding = row->reads_padding && row->reads_padding(settings);
    return (sr_model_needs){.masked = row->masked,
                            .users = row->users,
                            .times = row->times,
                            .whole_window = reads_padding || calibrators_padding(settings, training) != PADDING_UNUSED,
                            .causal = !row->masked,
                            .sums_in_passes = row->sums_in_passes};
}

/* What a model transforms most: the whole window, in the bins that it needs. */
static sr_band band_of(const sr_model *model)
{
    const size_t bins = sr_fourier_bins((size_t)model->settings.max_length);
    const sr_frequency_settings *frequency = &model->settings.calibrators.frequency;
    const size_t low = sr_frequency_low_bins(frequency);
    return (sr_band){0, frequency->in_use && low < bins ? low : bins};
}

bool sr_model_uses_fftw(const sr_model *model)
{
    const size_t window = (size_t)model->settings.max_length;
    return model->fourier && sr_fourier_engine_for(model->fourier, window, band_of(model)) == SR_FOURIER_FFTW;
}

sr_status sr_model_measure_transforms(sr_model *model, sr_error *error)
{
    if (!model->fourier)
        return SR_OK;
    return sr_fourier_measure(model->fourier, (size_t)model->settings.max_length, band_of(model), error);
}

size_t model_window(const sr_model *model)
{
    return (size_t)model->settings.max_length + (model->backbone->masked ? 1 : 0); /* evaluation adds a mask token */
}

int32_t sr_model_mask_token(const sr_model *model)
{
    return model->backbone->masked ? (int32_t)model->items + 1 : 0;
}

void sr_model_set_step(sr_model *model, int64_t step)
{
    model->step = step;
}

int64_t sr_model_step(const sr_model *model)
{
    return model->step;
}

void sr_model_encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_encoding *encoding)
{
    *encoding = (sr_encoding){.representation = NULL};
    if (encodes_in_chunks(model, batch, pass))
        encode_chunks(model, tape, batch, pass, encoding);
    else
        model->backbone->encode(model, tape, batch, pass, encoding);
}

sr_tensor *sr_model_spectral_distance(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *left, sr_tensor *right,
                                      double weight)
{
    return sr_spectral_distance(tape, model->fourier, left, right, &batch->layout, weight);
}

bool sr_loss_needs_negatives(sr_loss loss)
{
    return loss != SR_LOSS_CROSS_ENTROPY;
}

sr_tensor *sr_model_penalty(sr_model *model, sr_tape *tape)
{
    return model->backbone->penalty ? model->backbone->penalty(model, tape) : NULL;
}

/* Losses of scores that are dot products. */
static sr_tensor *dot_product_loss(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states, sr_loss loss,
                                   double weight)
{
    sr_tensor *table = sr_tape_parameter(tape, &model->parameters, model->item_embedding);
    if (loss == SR_LOSS_CROSS_ENTROPY)
        return sr_catalogue_cross_entropy(tape, states, table, model->items + 1, batch->target_items, weight);
    sr_tensor *positive = sr_item_scores(tape, states, table, batch->target_items);
    sr_tensor *negative = sr_item_scores(tape, states, table, batch->negative_items);
    return loss == SR_LOSS_BPR ? sr_bpr_loss(tape, positive, negative, weight)
                               : sr_binary_cross_entropy(tape, positive, negative, weight);
}

sr_tensor *sr_model_loss(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, sr_loss loss,
                         double weight)
{
    sr_tensor *states = sr_select_rows(tape, representation, batch->target_reads, batch->targets);
    if (model->backbone->loss)
        return model->backbone->loss(model, tape, batch, states, weight);
    sr_tensor *of_targets = dot_product_loss(model, tape, batch, states, loss, weight);
    if (!model->backbone->penalty)
        return of_targets;
    const double share = weight * (double)batch->targets; /* of this batch in the global one */
    return sr_weighted_add(tape, of_targets, 1, sr_model_penalty(model, tape), model->settings.frobenius_penalty * share);
}

sr_table_list sr_model_item_tables(const sr_model *model, sr_loss loss)
{
    const sr_model_settings *settings = &model->settings;
    const bool replaces = settings->backbone == SR_BACKBONE_SSEPT && settings->sse_item_probability > 0;
    if (!sr_loss_needs_negatives(loss) || model->backbone->penalty || replaces)
        return (sr_table_list){.count = 0};
    sr_table_list tables = {.index = {model->item_embedding}, .count = 1};
    if (model->backbone->distances)
        tables.index[tables.count++] = model->item_covariance;
    return tables;
}

double sr_mask_penalty(const double *global_squares, size_t layers)
{
    double sum = 0;
    for (size_t layer = 0; layer < layers; ++layer)
        sum += sqrt(global_squares[layer]);
    return layers ? sum / (double)layers : 0;
}

/* L_att = -ranking + lambda / n_l sum_l sqrt(S_l): d L_att / d S_l = lambda / (2 n_l sqrt(S_l)), with S_l of the whole batch.
 */
sr_tensor *sr_model_attacked_loss(sr_model *model, sr_tape *tape, const sr_encoding *encoding, sr_tensor *attacked_ranking,
                                  const double *global_squares)
{
    const double weight = model->settings.calibrators.adversarial.penalty_weight;
    const double layers = (double)encoding->mask_count;
    static const sr_real minus_one = -1;
    sr_tensor *loss = sr_weighted_sum(tape, attacked_ranking, &minus_one);
    for (size_t layer = 0; layer < encoding->mask_count; ++layer) {
        const double norm = sqrt(global_squares[layer]);
        loss = sr_weighted_add(tape, loss, 1, encoding->mask_squares[layer], norm > 0 ? weight / (2 * layers * norm) : 0);
    }
    return loss;
}
