/* Models and their losses. */
#include "srtrain/model.h"

#include "model/backbone.h"

#include <stdlib.h>

sr_status sr_model_create(sr_model **model, const sr_model_settings *settings, size_t items, sr_error *error)
{
    *model = NULL;
    if (settings->hidden_size % settings->heads != 0)
        return sr_fail(error, SR_ERROR_USAGE, "model.hidden_size %lld is not divisible by model.heads %lld",
                       (long long)settings->hidden_size, (long long)settings->heads);
    sr_model *made;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "a model", error));
    made->settings = *settings;
    made->items = items;
    made->position_embedding = SIZE_MAX;
    made->backbone = backbone_find(settings->backbone);
    sr_parameters_initialise(&made->parameters);
    sr_status status = SR_ALLOCATE_ZERO(&made->layers, (size_t)settings->layers, "the layers of a model", error);
    if (status == SR_OK)
        status = made->backbone->declare(made, error);
    if (status == SR_OK)
        status = sr_parameters_allocate(&made->parameters, error);
    if (status != SR_OK) {
        sr_model_free(made);
        return status;
    }
    *model = made;
    return SR_OK;
}

void sr_model_free(sr_model *model)
{
    if (!model)
        return;
    sr_parameters_free(&model->parameters);
    free(model->layers);
    free(model);
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

sr_tensor *sr_model_encode(sr_model *model, sr_tape *tape, const sr_batch *batch, const sr_pass *pass)
{
    return model->backbone->encode(model, tape, batch, pass);
}

bool sr_loss_needs_negatives(sr_loss loss)
{
    return loss == SR_LOSS_BPR || loss == SR_LOSS_BINARY_CROSS_ENTROPY;
}

sr_tensor *sr_model_loss(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *representation, sr_loss loss,
                         double weight)
{
    sr_tensor *table = sr_tape_parameter(tape, &model->parameters, model->item_embedding);
    sr_tensor *states = sr_select_rows(tape, representation, batch->target_reads, batch->targets);
    if (loss == SR_LOSS_CROSS_ENTROPY)
        return sr_catalogue_cross_entropy(tape, states, table, batch->target_items, weight);
    sr_tensor *positive = sr_item_scores(tape, states, table, batch->target_items);
    sr_tensor *negative = sr_item_scores(tape, states, table, batch->negative_items);
    return loss == SR_LOSS_BPR ? sr_bpr_loss(tape, positive, negative, weight)
                               : sr_binary_cross_entropy(tape, positive, negative, weight);
}

const sr_real *sr_model_item_table(const sr_model *model, size_t *width)
{
    *width = (size_t)model->settings.hidden_size;
    return model->parameters.values + model->parameters.list[model->item_embedding].offset;
}
