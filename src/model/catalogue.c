/* From representations to scores of the whole catalogue: the one place that evaluation and recommendation get them from. */
#include "model/backbone.h"
#include "srtrain/memory.h"
#include "tensor/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 64 }; /* states whose roots are held at a time */

struct sr_catalogue {
    const sr_model *model;
    const sr_kernels *kernels;
    const sr_real *table; /* [items, width]: what states are multiplied with */
    size_t items, width;  /* items: the padding item included */
    /* Distances: -|z - z_v|^2 = 2 z z_vᵀ - |z_v|^2 - |z|^2 with z = [mean, root of the covariance]. */
    sr_real *gaussians; /* [items, width]: z_v; owns what `table` points to. NULL for dot products */
    sr_real *norms;     /* [items]: |z_v|^2 */
    sr_real *states;    /* [STATES, width]: z */
};

static sr_real squared_norm(const sr_real *vector, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; ++i)
        sum += (double)vector[i] * (double)vector[i];
    return (sr_real)sum;
}

/* z_v of every item: [mean, sqrt(elu(covariance) + 1)], from the tables as they are. */
static void prepare_gaussians(sr_catalogue *catalogue)
{
    const sr_model *model = catalogue->model;
    const size_t half = catalogue->width / 2;
    const sr_real *means = model_values(model, model->item_embedding),
                  *covariances = model_values(model, model->item_covariance);
    for (size_t item = 0; item < catalogue->items; ++item) {
        sr_real *gaussian = catalogue->gaussians + item * catalogue->width;
        memcpy(gaussian, means + item * half, half * sizeof *gaussian);
        for (size_t i = 0; i < half; ++i) {
            const double covariance = (double)covariances[item * half + i];
            gaussian[half + i] = (sr_real)sqrt(covariance > 0 ? covariance + 1 : exp(covariance));
        }
        catalogue->norms[item] = squared_norm(gaussian, catalogue->width);
    }
}

size_t sr_catalogue_memory(const sr_model_settings *settings, size_t items)
{
    const size_t width = 2 * (size_t)settings->hidden_size;
    if (!backbone_of(settings)->distances)
        return 0;
    return ((items + 1) * (width + 1) + STATES * width) * sizeof(sr_real);
}

sr_status sr_catalogue_create(sr_catalogue **catalogue, const sr_model *model, const sr_kernels *kernels, sr_error *error)
{
    sr_catalogue *made;
    *catalogue = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the catalogue", error));
    made->model = model;
    made->kernels = kernels;
    made->items = model->items + 1;
    made->table = model_values(model, model->item_embedding);
    made->width = model->parameters.list[model->item_embedding].shape[1];
    sr_status status = SR_OK;
    if (model->backbone->distances) {
        made->width *= 2;
        status = SR_ALLOCATE(&made->gaussians, made->items * made->width, "the Gaussians of the catalogue", error);
        if (status == SR_OK)
            status = SR_ALLOCATE(&made->norms, made->items, "the Gaussians of the catalogue", error);
        if (status == SR_OK)
            status = SR_ALLOCATE(&made->states, STATES * made->width, "states to be scored", error);
    }
    if (status != SR_OK) {
        sr_catalogue_free(made);
        return status;
    }
    if (made->gaussians) {
        prepare_gaussians(made);
        made->table = made->gaussians;
    }
    *catalogue = made;
    return SR_OK;
}

void sr_catalogue_free(sr_catalogue *catalogue)
{
    if (!catalogue)
        return;
    free(catalogue->gaussians);
    free(catalogue->norms);
    free(catalogue->states);
    free(catalogue);
}

static void score_gaussians(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    const size_t width = catalogue->width, half = width / 2;
    for (size_t row = 0; row < count; ++row) {
        sr_real *state = catalogue->states + row * width;
        memcpy(state, representations + row * width, half * sizeof *state);
        for (size_t i = half; i < width; ++i)
            state[i] = (sr_real)sqrt((double)representations[row * width + i]);
    }
    sr_gemm(catalogue->kernels, (sr_product_size){count, catalogue->items, width}, 2, sr_plain(catalogue->states, width),
            sr_transposed(catalogue->table, width), 0, scores, catalogue->items);
    for (size_t row = 0; row < count; ++row) {
        const sr_real norm = squared_norm(catalogue->states + row * width, width);
        for (size_t item = 0; item < catalogue->items; ++item)
            scores[row * catalogue->items + item] -= norm + catalogue->norms[item];
    }
}

void sr_catalogue_score(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    const size_t width = catalogue->width;
    if (!catalogue->gaussians) {
        sr_gemm(catalogue->kernels, (sr_product_size){count, catalogue->items, width}, 1, sr_plain(representations, width),
                sr_transposed(catalogue->table, width), 0, scores, catalogue->items);
        return;
    }
    for (size_t first = 0; first < count; first += STATES) {
        const size_t rows = count - first < STATES ? count - first : STATES;
        score_gaussians(catalogue, representations + first * width, rows, scores + first * catalogue->items);
    }
}
