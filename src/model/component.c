/* Components by number, and where their settings and parameters lie. */
#include "model/component.h"

#include "model/backbone.h"
#include "model/calibrator.h"
#include "model/loss.h"
#include "srtrain/memory.h"

#include <stdlib.h>

/* Component `number` of all lists; NULL behind the last. */
static const component *component_at(size_t number)
{
    if (number < backbone_count)
        return &backbones[number]->component;
    number -= backbone_count;
    if (number < calibrator_count)
        return &calibrators[number]->component;
    number -= calibrator_count;
    return number < loss_count ? &losses[number]->component : NULL;
}

static size_t number_of(const component *row)
{
    size_t number = 0;
    while (component_at(number) && component_at(number) != row)
        ++number;
    return number;
}

bool component_in_use(const sr_model_settings *settings, const component *row)
{
    if (row == &backbone_of(settings)->component || row == &loss_of(settings)->component)
        return true;
    for (size_t i = 0; i < calibrator_count; ++i)
        if (row == &calibrators[i]->component)
            return settings->calibrators[i];
    return false;
}

size_t component_offset(const component *row)
{
    return component_place(component_at, row);
}

bool components_fit(void)
{
    return component_place(component_at, NULL) <= sizeof((sr_model_settings *)0)->components &&
           calibrator_count <= SR_CALIBRATORS_MAXIMUM;
}

const void *component_settings(const sr_model_settings *settings, const component *row)
{
    return (const char *)settings->components + component_offset(row);
}

void *component_parameters(const sr_model *model, const component *row)
{
    return model->components[number_of(row)].parameters;
}

void *component_layer(const sr_model *model, const component *row, size_t layer)
{
    return model->components[number_of(row)].layers + layer * row->layer_size;
}

static sr_status allocate_one(component_memory *memory, const component *row, size_t layers, sr_error *error)
{
    char *parameters = NULL;
    sr_status status = SR_OK;
    if (row->parameters_size)
        status = sr_allocate_zero((void **)&parameters, 1, row->parameters_size, "a model", error);
    memory->parameters = parameters;
    if (status == SR_OK && row->layer_size)
        status = sr_allocate_zero((void **)&memory->layers, layers, row->layer_size, "the layers of a model", error);
    return status;
}

sr_status components_allocate(component_memory **memory, const sr_model_settings *settings, sr_error *error)
{
    size_t count = 0;
    while (component_at(count))
        ++count;
    SR_TRY(SR_ALLOCATE_ZERO(memory, count, "a model", error));
    for (size_t i = 0; i < count; ++i)
        if (component_in_use(settings, component_at(i)))
            SR_TRY(allocate_one(&(*memory)[i], component_at(i), (size_t)settings->layers, error));
    return SR_OK;
}

void components_free(component_memory *memory)
{
    for (size_t i = 0; memory && component_at(i); ++i) {
        free(memory[i].parameters);
        free(memory[i].layers);
    }
    free(memory);
}
