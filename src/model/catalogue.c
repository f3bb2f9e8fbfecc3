/* From representations to scores of the catalogue: the one place that evaluation and recommendation get them from. */
#include "model/backbone.h"
#include "srtrain/memory.h"
#include "tensor/gemm.h"
#include "tensor/unit_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 64 }; /* states of which something is held at a time */

struct sr_catalogue {
    const sr_item_table *table;
    const sr_kernels *kernels;
    sr_score_tile *tiles; /* one for each slab of the table, in its order */
    size_t tile_count;
    size_t columns, width;
    /* Distances: -|z - z_v|^2 = 2 z z_vᵀ - |z_v|^2 - |z|^2 with z = [mean, root of the covariance]. */
    sr_real *gaussians; /* [columns, width]: z_v; NULL for dot products */
    sr_real *norms;     /* [columns]: |z_v|^2 */
    /* Cosines: 1 / length of every item; NULL for others. */
    sr_real *factors; /* [columns] */
    sr_real *states;  /* [STATES, width]: z, or states of length 1 */
};

static sr_real squared_norm(const sr_real *vector, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; ++i)
        sum += (double)vector[i] * (double)vector[i];
    return (sr_real)sum;
}

/* z_v of every item of a slab: [mean, sqrt(elu(covariance) + 1)], from the table as it is. */
static void prepare_gaussians(sr_catalogue *catalogue, size_t slab)
{
    const sr_item_table *table = catalogue->table;
    const sr_score_tile *tile = &catalogue->tiles[slab];
    const size_t half = catalogue->width / 2;
    const sr_real *means = table->kind->slab_values(table, slab, ITEM_VECTORS),
                  *covariances = table->kind->slab_values(table, slab, ITEM_COVARIANCES);
    for (size_t row = 0; row < tile->items.count; ++row) {
        sr_real *gaussian = catalogue->gaussians + (tile->begin + row) * catalogue->width;
        memcpy(gaussian, means + row * half, half * sizeof *gaussian);
        for (size_t i = 0; i < half; ++i) {
            const double covariance = (double)covariances[row * half + i];
            gaussian[half + i] = (sr_real)sqrt(covariance > 0 ? covariance + 1 : exp(covariance));
        }
        catalogue->norms[tile->begin + row] = squared_norm(gaussian, catalogue->width);
    }
}

size_t sr_catalogue_memory(const sr_model_settings *settings, size_t items)
{
    const size_t vector = (size_t)settings->hidden_size, width = 2 * vector;
    if (settings->similarity == SR_SIMILARITY_COSINE)
        return (items + 1 + STATES * vector) * sizeof(sr_real);
    if (!backbone_of(settings)->distances)
        return 0;
    return ((items + 1) * (width + 1) + STATES * width) * sizeof(sr_real);
}

static sr_status make_tiles(sr_catalogue *catalogue, sr_error *error)
{
    const sr_item_table *table = catalogue->table;
    catalogue->tile_count = table->kind->slab_count(table);
    SR_TRY(SR_ALLOCATE(&catalogue->tiles, catalogue->tile_count, "the catalogue", error));
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab) {
        catalogue->tiles[slab] = (sr_score_tile){.begin = catalogue->columns, .items = table->kind->slab_items(table, slab)};
        catalogue->columns += catalogue->tiles[slab].items.count;
    }
    return SR_OK;
}

static sr_status make_gaussians(sr_catalogue *catalogue, sr_error *error)
{
    catalogue->width *= 2;
    SR_TRY(SR_ALLOCATE(&catalogue->gaussians, catalogue->columns * catalogue->width, "the Gaussians of the catalogue", error));
    SR_TRY(SR_ALLOCATE(&catalogue->norms, catalogue->columns, "the Gaussians of the catalogue", error));
    SR_TRY(SR_ALLOCATE(&catalogue->states, STATES * catalogue->width, "states to be scored", error));
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab)
        prepare_gaussians(catalogue, slab);
    return SR_OK;
}

static sr_status make_factors(sr_catalogue *catalogue, sr_error *error)
{
    const sr_item_table *table = catalogue->table;
    const size_t width = catalogue->width;
    SR_TRY(SR_ALLOCATE(&catalogue->factors, catalogue->columns, "the lengths of the catalogue", error));
    SR_TRY(SR_ALLOCATE(&catalogue->states, STATES * width, "states to be scored", error));
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab) {
        const sr_score_tile *tile = &catalogue->tiles[slab];
        const sr_real *rows = table->kind->slab_values(table, slab, ITEM_VECTORS);
        for (size_t row = 0; row < tile->items.count; ++row)
            catalogue->factors[tile->begin + row] = unit_factor(catalogue->kernels, rows + row * width, width);
    }
    return SR_OK;
}

sr_status sr_catalogue_create(sr_catalogue **catalogue, const sr_model *model, const sr_kernels *kernels, sr_error *error)
{
    sr_catalogue *made;
    *catalogue = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the catalogue", error));
    made->table = &model->item_table;
    made->kernels = kernels;
    made->width = model->item_table.parts[ITEM_VECTORS].width;
    sr_status status = make_tiles(made, error);
    if (status == SR_OK && model->backbone->distances)
        status = make_gaussians(made, error);
    if (status == SR_OK && model->settings.similarity == SR_SIMILARITY_COSINE)
        status = make_factors(made, error);
    if (status != SR_OK) {
        sr_catalogue_free(made);
        return status;
    }
    *catalogue = made;
    return SR_OK;
}

void sr_catalogue_free(sr_catalogue *catalogue)
{
    if (!catalogue)
        return;
    free(catalogue->tiles);
    free(catalogue->gaussians);
    free(catalogue->norms);
    free(catalogue->factors);
    free(catalogue->states);
    free(catalogue);
}

size_t sr_catalogue_columns(const sr_catalogue *catalogue)
{
    return catalogue->columns;
}

void sr_catalogue_tiles(const sr_catalogue *catalogue, const sr_score_tile **tiles, size_t *tile_count)
{
    *tiles = catalogue->tiles;
    *tile_count = catalogue->tile_count;
}

static void score_gaussians(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    const size_t width = catalogue->width, half = width / 2, columns = catalogue->columns;
    for (size_t row = 0; row < count; ++row) {
        sr_real *state = catalogue->states + row * width;
        memcpy(state, representations + row * width, half * sizeof *state);
        for (size_t i = half; i < width; ++i)
            state[i] = (sr_real)sqrt((double)representations[row * width + i]);
    }
    sr_gemm(catalogue->kernels, (sr_product_size){count, columns, width}, 2, sr_plain(catalogue->states, width),
            sr_transposed(catalogue->gaussians, width), 0, scores, columns);
    for (size_t row = 0; row < count; ++row) {
        const sr_real norm = squared_norm(catalogue->states + row * width, width);
        for (size_t column = 0; column < columns; ++column)
            scores[row * columns + column] -= norm + catalogue->norms[column];
    }
}

static void score_vectors(const sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    const sr_item_table *table = catalogue->table;
    const size_t width = catalogue->width;
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab) {
        const sr_score_tile *tile = &catalogue->tiles[slab];
        sr_gemm(catalogue->kernels, (sr_product_size){count, tile->items.count, width}, 1, sr_plain(representations, width),
                sr_transposed(table->kind->slab_values(table, slab, ITEM_VECTORS), width), 0, scores + tile->begin,
                catalogue->columns);
    }
}

static void score_directions(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    const size_t width = catalogue->width;
    memcpy(catalogue->states, representations, count * width * sizeof *representations);
    for (size_t row = 0; row < count; ++row) {
        sr_real *state = catalogue->states + row * width;
        catalogue->kernels->scale(state, unit_factor(catalogue->kernels, state, width), width);
    }
    score_vectors(catalogue, catalogue->states, count, scores);
    for (size_t row = 0; row < count; ++row) {
        sr_real *row_scores = scores + row * catalogue->columns;
        catalogue->kernels->multiply(row_scores, row_scores, catalogue->factors, catalogue->columns);
    }
}

void sr_catalogue_score(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_real *scores)
{
    if (!catalogue->states) {
        score_vectors(catalogue, representations, count, scores);
        return;
    }
    for (size_t first = 0; first < count; first += STATES) {
        const size_t rows = count - first < STATES ? count - first : STATES;
        const sr_real *of_rows = representations + first * catalogue->width;
        sr_real *row_scores = scores + first * catalogue->columns;
        if (catalogue->gaussians)
            score_gaussians(catalogue, of_rows, rows, row_scores);
        else
            score_directions(catalogue, of_rows, rows, row_scores);
    }
}
