/* Models: their parts, and what they need. */
#include "srtrain/model.h"

#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/chunks.h"
#include "model/loss.h"
#include "model/negative_keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

sr_status sr_model_declare(sr_model **model, const sr_model_settings *settings, size_t items, size_t users, sr_error *error)
{
    return model_declare_with(model, settings, items, users, &replicated_items, NULL, error);
}

sr_status sr_model_declare_divided(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                                   const sr_item_division *division, sr_error *error)
{
    void *memory;
    *model = NULL;
    SR_TRY(divided_items_create(&memory, division, items, error));
    return model_declare_with(model, settings, items, users, &divided_items, memory, error);
}

sr_status model_declare_with(sr_model **model, const sr_model_settings *settings, size_t items, size_t users,
                             const item_table_kind *kind, void *memory, sr_error *error)
{
    *model = NULL;
    sr_model *made;
    sr_status status = calibrators_check(settings, error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made, 1, "a model", error);
    if (status != SR_OK) {
        sr_item_table table = {.kind = kind, .memory = memory};
        item_table_free(&table);
        return status;
    }
    made->settings = *settings;
    made->items = items;
    made->users = users;
    made->position_embedding = SIZE_MAX;
    made->backbone = backbone_of(settings);
    made->loss = loss_of(settings);
    sr_parameters_initialise(&made->parameters);
    item_table_initialise(&made->item_table, kind, memory, &made->parameters, items);
    made->item_table.dense = sr_model_moves_every_item(settings);
    made->parameters.normal_mean = settings->initializer_mean;
    status = SR_ALLOCATE_ZERO(&made->layers, (size_t)settings->layers, "the layers of a model", error);
    if (status == SR_OK)
        status = components_allocate(&made->components, settings, error);
    if (status == SR_OK)
        status = made->backbone->declare_parameters(made, error);
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

sr_status sr_model_check_items(const sr_model_settings *settings, size_t items, sr_error *error)
{
    const loss *row = loss_of(settings);
    return row->check_items ? row->check_items(settings, items, error) : SR_OK;
}

sr_status sr_model_measure_size(sr_model_size *size, const sr_model_settings *settings, size_t items, size_t users,
                                sr_error *error)
{
    sr_model *model;
    SR_TRY(sr_model_declare(&model, settings, items, users, error));
    *size = (sr_model_size){.block = model->parameters.block_size,
                            .arrays = model->parameters.count,
                            .item_table = sr_item_table_bytes(&model->item_table)};
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
    item_table_free(&model->item_table);
    if (model->is_share) {
        free(model->parameters.gradients);
    } else {
        sr_parameters_free(&model->parameters);
        free(model->layers);
        components_free(model->components);
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
    sr_status status = item_table_share(&made->item_table, &model->item_table, &made->parameters, error);
    if (status == SR_OK && model->fourier)
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
    const backbone *row = backbone_of(settings);
    const bool reads_padding = row->reads_padding && row->reads_padding(settings);
    sr_model_needs needs = {.masked = row->masked,
                            .users = row->users,
                            .times = row->reads_times && row->reads_times(settings),
                            .next_times = row->reads_next_times && row->reads_next_times(settings),
                            .whole_window = reads_padding || calibrators_padding(settings, training) != PADDING_UNUSED,
                            .causal = !row->masked,
                            .negatives = loss_of(settings)->samples,
                            .sampled = negatives_of(settings),
                            .log_q = loss_of(settings)->corrects && loss_of(settings)->corrects(settings),
                            .couples_batch = calibrators_couple_batch(settings),
                            .sums_in_passes = row->sums_in_passes};
    if (row->masking)
        row->masking(settings, &needs.mask_ratio, &needs.masks_at_least_one);
    if (row->gaps)
        row->gaps(settings, &needs.time_span, &needs.time_unit);
    return needs;
}

sr_packing sr_model_packing(const sr_model_settings *settings, sr_objective objective, bool training)
{
    const sr_model_needs needs = sr_model_needs_of(settings, training);
    const bool trains_masked = needs.masked && training;
    return (sr_packing){.max_length = (size_t)settings->max_length,
                        .pads_left = settings->padding == SR_PADDING_LEFT,
                        .every_position = objective == SR_OBJECTIVE_ALL || trains_masked,
                        .reads_end = !trains_masked,
                        .users = needs.users,
                        .times = needs.times,
                        .next_times = needs.next_times,
                        .whole_window = needs.whole_window,
                        .causal = needs.causal};
}

double sr_model_tokens_an_item(const sr_model_settings *settings)
{
    const sr_model_needs needs = sr_model_needs_of(settings, true);
    if (needs.negatives || needs.masked || settings->objective == SR_OBJECTIVE_ALL ||
        settings->item_table == SR_ITEM_TABLE_DIVIDED)
        return 0;
    const double width = (double)settings->hidden_size, layers = (double)settings->layers;
    /* Of the last layer all tokens need keys and values alone. */
    return width / ((layers - 1) * (4 * width * width + 2 * width * (double)settings->inner_size) + 2 * width * width);
}

sr_status sr_batch_build(sr_batch *batch, sr_arena *arena, const sr_model_settings *model, sr_objective objective,
                         bool training, const sr_example *examples, size_t count, sr_error *error)
{
    const sr_packing packing = sr_model_packing(model, objective, training);
    return sr_batch_pack(batch, arena, &packing, examples, count, error);
}

size_t sr_model_state_width(const sr_model_settings *settings)
{
    const int64_t own = settings->encoder.item_width;
    return (size_t)(own > 0 ? own : settings->hidden_size);
}

const char *sr_model_name(const sr_model_settings *settings)
{
    return backbone_of(settings)->component.name;
}

/* What a model transforms most: the whole window, in the bins that it needs. */
static sr_band band_of(const sr_model *model)
{
    size_t bins = sr_fourier_bins((size_t)model->settings.max_length);
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(&model->settings, i) && calibrators[i]->bins && calibrators[i]->bins(&model->settings) < bins)
            bins = calibrators[i]->bins(&model->settings);
    return (sr_band){0, bins};
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
    encoding->representation = adapted_states(model, tape, encoding->representation);
    encoding->attacked = adapted_states(model, tape, encoding->attacked);
}

double sr_model_state_weight(const sr_model_settings *settings)
{
    const backbone *row = backbone_of(settings);
    return settings->contrastive.in_use && row->state_weight ? row->state_weight(settings) : 0;
}

sr_tensor *sr_model_state_distance(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *left, sr_tensor *right,
                                   double examples)
{
    return model->backbone->state_distance(model, tape, batch, left, right, examples);
}

size_t sr_model_catalogue_memory(const sr_model_settings *settings, size_t targets, size_t items, size_t kept)
{
    const loss *row = loss_of(settings);
    return row->catalogue_memory ? row->catalogue_memory(settings, targets, items, kept) : 0;
}

bool sr_model_moves_every_item(const sr_model_settings *settings)
{
    return !loss_of(settings)->samples || backbone_of(settings)->penalty;
}

sr_table_list sr_model_item_tables(const sr_model *model)
{
    const sr_model_settings *settings = &model->settings;
    const backbone *row = model->backbone;
    const bool frozen = model->item_table.set == SR_PARAMETERS_FROZEN; /* no step goes through rows */
    if (frozen || sr_model_moves_every_item(settings) || (row->replaces_items && row->replaces_items(settings)))
        return (sr_table_list){.count = 0};
    sr_table_list tables = {.count = 0};
    for (size_t part = 0; part < model->item_table.part_count; ++part)
        if (model->item_table.parts[part].parameter != SIZE_MAX)
            tables.index[tables.count++] = model->item_table.parts[part].parameter;
    return tables;
}

sr_item_table *sr_model_item_table(sr_model *model)
{
    return &model->item_table;
}

/* The ids that a pass reads as its inputs, where they may be others than those of the batch. */
static const int32_t *inputs_of(const sr_model *model, sr_tape *tape, const sr_batch *batch, sr_pass pass, unsigned view)
{
    pass.view = view;
    return model->backbone->items_read(model, tape, batch, &pass);
}

/* The ids that will be read: those that the batch names, but for inputs those that the backbone reads. False when memory runs
 * out. */
static bool find_reads(const sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_item_reads *reads)
{
    static const int32_t padding[] = {0};
    *reads = sr_batch_item_reads(batch);
    if (batch && model->backbone->padding_row)
        reads->lists[reads->count++] = (sr_id_list){padding, 1};
    if (!batch || !model->backbone->items_read)
        return true;
    const sr_batch *const views[] = {batch, batch->again, batch->alike};
    for (size_t list = 0; list < reads->count; ++list)
        for (unsigned view = 0; view < 3; ++view)
            if (views[view] && reads->lists[list].ids == views[view]->items)
                reads->lists[list].ids = inputs_of(model, tape, views[view], *pass, view);
    for (size_t list = 0; list < reads->count; ++list)
        if (!reads->lists[list].ids)
            return false;
    return true;
}

sr_status sr_model_fetch_items(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass, sr_status status,
                               sr_error *error)
{
    const item_table_kind *kind = model->item_table.kind;
    sr_item_reads reads;
    if (!kind->fetch)
        return status;
    if (!find_reads(model, tape, status == SR_OK ? batch : NULL, pass, &reads) && status == SR_OK)
        status = sr_tape_status(tape, error);
    return kind->fetch(&model->item_table, &reads, pass->ranks, status, error);
}

sr_status sr_model_hand_back_items(sr_model *model, sr_status status, sr_error *error)
{
    const item_table_kind *kind = model->item_table.kind;
    return kind->hand_back ? kind->hand_back(&model->item_table, status, error) : status;
}

double sr_model_learning_rate_ratio(const sr_model_settings *settings, sr_parameter_set set)
{
    const calibrator *attacker = set == SR_PARAMETERS_ATTACK ? calibrators_attacker(settings) : NULL;
    return attacker ? attacker->attack_learning_rate_ratio(settings) : 1;
}

const char *sr_model_import_warning(const sr_model_settings *settings)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(settings, i) && calibrators[i]->import_warning && calibrators[i]->import_warning(settings))
            return calibrators[i]->import_warning(settings);
    return NULL;
}

/* What a target is compared with by a softmax: the rivals whose number bounds the loss from below; 0: it is not, or they are
 * not known. */
static double rivals_of(const sr_model_settings *settings, size_t items)
{
    const loss *row = loss_of(settings);
    if (!row->samples)
        return (double)items;
    return row->corrects && !row->corrects(settings) ? (double)negatives_of(settings).count : 0;
}

bool sr_model_training_warning(const sr_model_settings *settings, size_t items, char *text, size_t size)
{
    const double highest = 0.5, rivals = rivals_of(settings, items);
    char bound[160] = "";
    if (settings->similarity != SR_SIMILARITY_COSINE || settings->temperature <= highest)
        return false;
    if (rivals > 0)
        snprintf(bound, sizeof bound, "the loss stays above %.3g, where guessing gives %.3g, and ",
                 log1p(rivals * exp(-2 / settings->temperature)), log1p(rivals));
    snprintf(text, size,
             "with model.similarity cosine and a training.temperature of %g, %sno item can be called likely or unlikely; a "
             "temperature below %g lets the model learn (0.05 is usual)",
             settings->temperature, bound, highest);
    return true;
}

/* The calibrator in use that filters, or NULL. */
static const calibrator *filter_of(const sr_model *model)
{
    for (size_t i = 0; i < calibrator_count; ++i)
        if (calibrates(&model->settings, i) && calibrators[i]->response)
            return calibrators[i];
    return NULL;
}

bool sr_model_filters(const sr_model *model, sr_model_filter_kind kind)
{
    return kind == SR_FILTER_BACKBONE ? model->backbone->response != NULL : filter_of(model) != NULL;
}

void sr_model_filter(const sr_model *model, sr_model_filter_kind kind, size_t layer, size_t bin, double *moduli,
                     double *factors)
{
    if (kind == SR_FILTER_BACKBONE)
        model->backbone->response(model, layer, bin, moduli);
    else
        filter_of(model)->response(model, layer, bin, moduli, factors);
}
