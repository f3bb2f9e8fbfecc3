/* What backbones, calibrators and losses have in common: they are components (config/component.h) with settings in
 * sr_model_settings, and with places for what they keep in a model.
 *
 * Each is one file and one row in the list of its kind (backbones.c, calibrators.c, losses.c). The structs of its settings and
 * of its parameters' indices are known to that file alone: it gets them back through its row. */
#ifndef SRTRAIN_MODEL_COMPONENT_H
#define SRTRAIN_MODEL_COMPONENT_H

#include "config/component.h"
#include "srtrain/objective.h"

/* Its part of the settings. */
const void *component_settings(const sr_model_settings *settings, const component *row);

/* What it keeps in a model that uses it, and in a layer of it. */
void *component_parameters(const sr_model *model, const component *row);
void *component_layer(const sr_model *model, const component *row, size_t layer);

/* ---- for those that know all of them ---- */

/* Whether settings use it. */
bool component_in_use(const sr_model_settings *settings, const component *row);

/* Whether the settings of all components, and a flag for each calibrator, fit into sr_model_settings; a test asks. */
bool components_fit(void);

/* Where its settings begin in `components`, in bytes. */
size_t component_offset(const component *row);

/* Memory for what the components in use keep in a model, zero. */
typedef struct {
    void *parameters;
    char *layers; /* [layers][layer_size] */
} component_memory;

sr_status components_allocate(component_memory **memory, const sr_model_settings *settings, sr_error *error);
void components_free(component_memory *memory); /* NULL is allowed */

#endif
