/* From representations to scores of the catalogue: the one place that evaluation and recommendation get them from. */
#include "model/backbone.h"
#include "srtrain/memory.h"
#include "tensor/description.h"
#include "tensor/gemm.h"
#include "tensor/unit_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sr_catalogue {
    const sr_item_table *table;
    const sr_kernels *kernels;
    sr_score_tile *tiles; /* one for each slab of the table, in its order */
    size_t tile_count;
    size_t columns, width;
    const sr_real *representations; /* [.., width]: the states that are scored, as products need them */
    /* Distances: -|z - z_v|^2 = 2 z z_vᵀ - |z_v|^2 - |z|^2 with z = [mean, root of the covariance]. */
    sr_real *gaussians; /* [columns, width]: z_v; NULL for dot products */
    sr_real *norms;     /* [columns]: |z_v|^2 */
    /* Cosines: 1 / length of every item; NULL for others. */
    sr_real *factors;     /* [columns] */
    sr_real *states;      /* [room, width]: z, or states of length 1; NULL where states are scored as they are */
    sr_real *state_norms; /* [room]: |z|^2 */
    size_t room;
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

size_t sr_catalogue_memory(const sr_model_settings *settings, size_t items, size_t states)
{
    const size_t vector = sr_model_state_width(settings), width = 2 * vector;
    if (settings->similarity == SR_SIMILARITY_COSINE)
        return (items + 1 + states * (vector + 1)) * sizeof(sr_real);
    if (!backbone_of(settings)->distances)
        return 0;
    return (items + 1 + states) * (width + 1) * sizeof(sr_real);
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
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab)
        prepare_gaussians(catalogue, slab);
    return SR_OK;
}

static sr_status make_factors(sr_catalogue *catalogue, sr_error *error)
{
    const sr_item_table *table = catalogue->table;
    const size_t width = catalogue->width;
    SR_TRY(SR_ALLOCATE(&catalogue->factors, catalogue->columns, "the lengths of the catalogue", error));
    for (size_t slab = 0; slab < catalogue->tile_count; ++slab) {
        const sr_score_tile *tile = &catalogue->tiles[slab];
        const sr_real *rows = table->kind->slab_values(table, slab, table->scored);
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
    made->width = model->item_table.parts[model->item_table.scored].width;
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
    free(catalogue->state_norms);
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

size_t sr_catalogue_width(const sr_catalogue *catalogue)
{
    return catalogue->width;
}

/* ---- scores ---- */

static sr_status make_room(sr_catalogue *catalogue, size_t states, sr_error *error)
{
    if (states <= catalogue->room)
        return SR_OK;
    free(catalogue->states);
    free(catalogue->state_norms);
    catalogue->states = catalogue->state_norms = NULL;
    catalogue->room = 0;
    SR_TRY(SR_ALLOCATE(&catalogue->states, states * catalogue->width, "states to be scored", error));
    SR_TRY(SR_ALLOCATE(&catalogue->state_norms, states, "states to be scored", error));
    catalogue->room = states;
    return SR_OK;
}

/* z of a representation. */
static void take_gaussian(const sr_catalogue *catalogue, const sr_real *representation, size_t row)
{
    const size_t width = catalogue->width, half = width / 2;
    sr_real *state = catalogue->states + row * width;
    memcpy(state, representation, half * sizeof *state);
    for (size_t i = half; i < width; ++i)
        state[i] = (sr_real)sqrt((double)representation[i]);
    catalogue->state_norms[row] = squared_norm(state, width);
}

/* A representation with length 1. */
static void take_direction(const sr_catalogue *catalogue, const sr_real *representation, size_t row)
{
    const size_t width = catalogue->width;
    sr_real *state = catalogue->states + row * width;
    memcpy(state, representation, width * sizeof *state);
    catalogue->kernels->scale(state, unit_factor(catalogue->kernels, representation, width), width);
}

sr_status sr_catalogue_take_states(sr_catalogue *catalogue, const sr_real *representations, size_t count, sr_error *error)
{
    catalogue->representations = representations;
    if (!catalogue->gaussians && !catalogue->factors)
        return SR_OK;
    SR_TRY(make_room(catalogue, count, error));
    for (size_t row = 0; row < count; ++row)
        (catalogue->gaussians ? take_gaussian : take_direction)(catalogue, representations + row * catalogue->width, row);
    catalogue->representations = catalogue->states;
    return SR_OK;
}

/* scores = factor states itemsᵀ. Always by the one engine that adds up each number in the same order, whatever the
 * shape of the product is: BLAS does not. */
static void multiply(const sr_catalogue *catalogue, const sr_score_part *part, sr_real factor, const sr_real *items,
                     sr_real *scores)
{
    const size_t width = catalogue->width;
    const matrix_product product = {.transpose_b = true,
                                    .m = part->states,
                                    .n = part->items,
                                    .k = width,
                                    .alpha = factor,
                                    .a = catalogue->representations + part->first_state * width,
                                    .a_stride = width,
                                    .b = items,
                                    .b_stride = width,
                                    .c = scores,
                                    .c_stride = part->items};
    sr_gemm_by(SR_GEMM_OWN, catalogue->kernels->products[SR_PRECISION_FP32], &product);
}

static void score_gaussians(const sr_catalogue *catalogue, const sr_score_part *part, sr_real *scores)
{
    const size_t first = catalogue->tiles[part->tile].begin + part->first_item;
    const sr_real *norms = catalogue->norms + first, *state_norms = catalogue->state_norms + part->first_state;
    multiply(catalogue, part, 2, catalogue->gaussians + first * catalogue->width, scores);
    for (size_t row = 0; row < part->states; ++row)
        for (size_t item = 0; item < part->items; ++item)
            scores[row * part->items + item] -= state_norms[row] + norms[item];
}

static void score_vectors(const sr_catalogue *catalogue, const sr_score_part *part, sr_real *scores)
{
    const sr_item_table *table = catalogue->table;
    const size_t first = catalogue->tiles[part->tile].begin + part->first_item;
    multiply(catalogue, part, 1,
             table->kind->slab_values(table, part->tile, table->scored) + part->first_item * catalogue->width, scores);
    for (size_t row = 0; catalogue->factors && row < part->states; ++row) {
        sr_real *of_row = scores + row * part->items;
        catalogue->kernels->multiply(of_row, of_row, catalogue->factors + first, part->items);
    }
}

void sr_catalogue_score(const sr_catalogue *catalogue, const sr_score_part *part, sr_real *scores)
{
    if (part->states > 0 && part->items > 0)
        (catalogue->gaussians ? score_gaussians : score_vectors)(catalogue, part, scores);
}

/* ---- in a graph ---- */

/* The table of a part as a value [rows, width]. */
static sr_graph_value describe_table(sr_model *model, sr_tape *tape, sr_description *to, item_part part)
{
    sr_item_table *table = &model->item_table;
    return described(to, table->kind->slab_on_tape(table, tape, 0, part));
}

/* states tableᵀ */
static sr_graph_value describe_products(sr_graph *g, sr_graph_value states, sr_graph_value table)
{
    return SR_GRAPH_WITH(g, "Gemm", "transB", 1, states, table);
}

/* |row|^2 of each row, [rows, 1]. */
static sr_graph_value describe_squares(sr_graph *g, sr_graph_value rows)
{
    return sr_graph_sum(g, SR_GRAPH(g, "Mul", rows, rows), 1);
}

/* max(|row|, 1e-8) of each row, [rows, 1]. */
static sr_graph_value describe_lengths(sr_graph *g, sr_graph_value rows)
{
    return SR_GRAPH(g, "Max", SR_GRAPH(g, "Sqrt", describe_squares(g, rows)), sr_graph_number(g, 1e-8));
}

/* [rows, 1] -> [1, rows] */
static sr_graph_value describe_as_row(sr_graph *g, sr_graph_value column)
{
    return sr_graph_transpose(g, column, (const int64_t[]){1, 0}, 2);
}

static sr_graph_value describe_cosines(sr_graph *g, sr_graph_value states, sr_graph_value table)
{
    const sr_graph_value directions = SR_GRAPH(g, "Div", states, describe_lengths(g, states));
    return SR_GRAPH(g, "Div", describe_products(g, directions, table), describe_as_row(g, describe_lengths(g, table)));
}

/* -|z - z_v|^2, as score_gaussians() has it. */
static sr_graph_value describe_distances(sr_model *model, sr_tape *tape, sr_description *to, sr_graph_value states)
{
    sr_graph *g = description_graph(to);
    const int64_t half = (int64_t)model->item_table.parts[ITEM_VECTORS].width;
    const sr_graph_value mean = sr_graph_slice(g, states, 1, 0, half),
                         covariance = sr_graph_slice(g, states, 1, half, 2 * half);
    const sr_graph_value z = SR_GRAPH_WITH(g, "Concat", "axis", 1, mean, SR_GRAPH(g, "Sqrt", covariance));
    const sr_graph_value positive = SR_GRAPH(g, "Add", SR_GRAPH(g, "Elu", describe_table(model, tape, to, ITEM_COVARIANCES)),
                                             sr_graph_number(g, 1));
    const sr_graph_value z_items = SR_GRAPH_WITH(g, "Concat", "axis", 1, describe_table(model, tape, to, ITEM_VECTORS),
                                                 SR_GRAPH(g, "Sqrt", positive));
    const sr_graph_value norms = SR_GRAPH(g, "Add", describe_squares(g, z), describe_as_row(g, describe_squares(g, z_items)));
    return SR_GRAPH(g, "Sub", sr_graph_scaled(g, describe_products(g, z, z_items), 2), norms);
}

sr_graph_value catalogue_describe(sr_model *model, sr_tape *tape, sr_description *to, sr_graph_value states)
{
    sr_graph *g = description_graph(to);
    const sr_item_table *table = &model->item_table;
    const int64_t columns = 1 + (int64_t)table->items;
    sr_graph_value scores;
    if (model->backbone->distances)
        scores = describe_distances(model, tape, to, states);
    else if (model->settings.similarity == SR_SIMILARITY_COSINE)
        scores = describe_cosines(g, states, describe_table(model, tape, to, table->scored));
    else
        scores = describe_products(g, states, describe_table(model, tape, to, table->scored));
    if (table->rows > (size_t)columns) /* without the mask token */
        scores = sr_graph_slice(g, scores, 1, 0, columns);
    const sr_graph_value numbers = SR_GRAPH(g, "Range", sr_graph_integer(g, 0), sr_graph_integer(g, columns),
                                            sr_graph_integer(g, 1));
    const sr_graph_value is_padding = SR_GRAPH(g, "Equal", numbers, sr_graph_integer(g, 0));
    return SR_GRAPH(g, "Where", is_padding, sr_graph_number(g, -INFINITY), scores);
}
