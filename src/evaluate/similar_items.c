/* Each process compares all items of a round with the rows that are its own: those of its blocks, or where every process has
 * all rows a stretch of them. The bits of a score follow from two vectors alone, so that it does not matter which process
 * computes it. */
#include "evaluate/similar_items.h"

#include "base/sizes.h"
#include "evaluate/best_items.h"
#include "srtrain/memory.h"
#include "srtrain/row_blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_ENTRIES = 1 << 18, ROUND_NUMBERS = 1 << 21, SCORED_AT_ONCE = 1024 };

/* Rows that lie one after the other, as vectors whose products say how much items are alike. */
typedef struct {
    sr_row_numbers numbers;
    sr_real *vectors; /* [numbers.count, width] */
    sr_real *norms;   /* [numbers.count]: squared, of Gaussians; NULL: vectors have length 1, or 0 */
} vector_part;

typedef struct {
    vector_part *parts; /* [part_count] */
    size_t part_count, items, width;
    bool gaussian;
    /* Of the items that are compared with all in this round. */
    sr_real *vectors; /* [room, width] */
    sr_real *norms;   /* [room] */
    size_t room;
} item_vectors;

/* ---- vectors of rows ---- */

static double squared_norm(const sr_real *vector, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; ++i)
        sum += (double)vector[i] * (double)vector[i];
    return sum;
}

/* [mean, root of the covariance]: the squared distance of two is the squared 2-Wasserstein distance of the Gaussians. */
static void make_gaussian(const sr_real *mean, const sr_real *covariance, size_t half, sr_real *vector)
{
    memcpy(vector, mean, half * sizeof *vector);
    for (size_t i = 0; i < half; ++i) {
        const double c = (double)covariance[i];
        vector[half + i] = (sr_real)sqrt(c > 0 ? c + 1 : exp(c));
    }
}

static void make_direction(const sr_real *row, size_t width, sr_real *vector)
{
    const double length = sqrt(squared_norm(row, width));
    for (size_t i = 0; i < width && length > 0; ++i)
        vector[i] = (sr_real)((double)row[i] / length);
}

/* Of the rows at `rows`, and their covariances where they are Gaussians. */
static sr_status make_part(const item_vectors *v, vector_part *part, const sr_real *rows, const sr_real *covariances,
                           sr_error *error)
{
    const size_t width = v->gaussian ? v->width / 2 : v->width;
    SR_TRY(SR_ALLOCATE_ZERO(&part->vectors, part->numbers.count * v->width, "vectors of items", error));
    if (v->gaussian)
        SR_TRY(SR_ALLOCATE_ZERO(&part->norms, part->numbers.count, "vectors of items", error));
    for (size_t place = 0; place < part->numbers.count; ++place) {
        sr_real *vector = part->vectors + place * v->width;
        if (!v->gaussian) {
            make_direction(rows + place * width, width, vector);
            continue;
        }
        make_gaussian(rows + place * width, covariances + place * width, width, vector);
        part->norms[place] = (sr_real)squared_norm(vector, v->width);
    }
    return SR_OK;
}

/* Arrays of parameters that have the rows. */
typedef struct {
    size_t rows, covariances; /* the latter SIZE_MAX unless items are Gaussians */
} row_arrays;

static row_arrays find_arrays(const sr_parameters *parameters)
{
    row_arrays found = {sr_parameters_find(parameters, "item_mean_embedding.weight"),
                        sr_parameters_find(parameters, "item_covariance_embedding.weight")};
    if (found.covariances == SIZE_MAX)
        found.rows = sr_parameters_find(parameters, "output_embedding.weight");
    if (found.rows == SIZE_MAX)
        found.rows = sr_parameters_find(parameters, "item_embedding.weight");
    return found;
}

static const sr_real *rows_of(const sr_parameters *parameters, size_t array, size_t first)
{
    if (array == SIZE_MAX)
        return NULL;
    return parameters->values + parameters->list[array].offset + first * parameters->list[array].shape[1];
}

static sr_status take_stretch(item_vectors *v, const sr_parameters *parameters, const row_arrays *arrays, sr_parallel *parallel,
                              sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel);
    const size_t first = 1 + v->items * rank / ranks, end = 1 + v->items * (rank + 1) / ranks;
    v->parts[0].numbers = (sr_row_numbers){.count = end - first, .first = first};
    return make_part(v, &v->parts[0], rows_of(parameters, arrays->rows, first), rows_of(parameters, arrays->covariances, first),
                     error);
}

static sr_status take_block(item_vectors *v, vector_part *part, const sr_row_block *block, const row_arrays *arrays,
                            sr_error *error)
{
    const bool gaussian = v->gaussian;
    part->numbers = block->numbers;
    return make_part(v, part, sr_row_block_row(block, arrays->rows, SIZE_MAX, 0),
                     gaussian ? sr_row_block_row(block, arrays->covariances, SIZE_MAX, 0) : NULL, error);
}

static sr_status take_vectors(item_vectors *v, sr_parallel *parallel, sr_model *model, sr_error *error)
{
    const sr_parameters *parameters = sr_model_parameters(model);
    const size_t blocks = parameters->row_block_count;
    const sr_parameters *tables = blocks > 0 ? &parameters->row_blocks[0]->parameters : parameters;
    const row_arrays arrays = find_arrays(tables);
    if (arrays.rows == SIZE_MAX)
        return sr_fail(error, SR_ERROR_USAGE, "model.backbone %s has no table of vectors for its items",
                       sr_model_name(sr_model_configuration(model)));
    v->gaussian = arrays.covariances != SIZE_MAX;
    v->width = tables->list[arrays.rows].shape[1] * (v->gaussian ? 2 : 1);
    v->part_count = larger(blocks, 1);
    SR_TRY(SR_ALLOCATE_ZERO(&v->parts, v->part_count, "vectors of items", error));
    if (blocks == 0)
        return take_stretch(v, parameters, &arrays, parallel, error);
    for (size_t b = 0; b < blocks; ++b)
        SR_TRY(take_block(v, &v->parts[b], parameters->row_blocks[b], &arrays, error));
    return SR_OK;
}

static void free_vectors(item_vectors *v)
{
    for (size_t i = 0; v->parts && i < v->part_count; ++i) {
        free(v->parts[i].vectors);
        free(v->parts[i].norms);
    }
    free(v->parts);
    free(v->vectors);
    free(v->norms);
}

/* ---- a round ---- */

static int32_t item_at(const similar_request *request, size_t place)
{
    return request->items ? request->items[place] : (int32_t)place + 1;
}

/* Vectors of a round that this process has: at which place of the round each is. */
typedef struct {
    uint32_t *places;
    sr_real *vectors;
    size_t count;
} own_vectors;

static sr_status find_own(const item_vectors *v, const similar_request *request, size_t first, size_t end, own_vectors *own,
                          sr_error *error)
{
    SR_TRY(SR_ALLOCATE(&own->places, end - first, "items that others are compared with", error));
    SR_TRY(SR_ALLOCATE(&own->vectors, (end - first) * v->width, "items that others are compared with", error));
    for (size_t place = first; place < end; ++place)
        for (size_t i = 0; i < v->part_count; ++i) {
            size_t row;
            if (!sr_row_place(&v->parts[i].numbers, item_at(request, place), &row))
                continue;
            own->places[own->count] = (uint32_t)(place - first);
            memcpy(own->vectors + own->count++ * v->width, v->parts[i].vectors + row * v->width,
                   v->width * sizeof *own->vectors);
            break;
        }
    return SR_OK;
}

/* The vectors of places [first, end) of the request to all processes. */
static sr_status share_vectors(item_vectors *v, sr_parallel *parallel, const similar_request *request, size_t first, size_t end,
                               sr_error *error)
{
    own_vectors own = {.places = NULL};
    void *places = NULL, *vectors = NULL;
    size_t *ends = NULL, *vector_ends = NULL;
    sr_status status = find_own(v, request, first, end, &own, error);
    status = sr_parallel_gather_all(parallel, status, own.places, own.count, sizeof *own.places, &places, &ends, error);
    if (status == SR_OK)
        status = sr_parallel_gather_all(parallel, status, own.vectors, own.count * v->width, sizeof *own.vectors, &vectors,
                                        &vector_ends, error);
    for (size_t i = 0; status == SR_OK && i < ends[sr_parallel_size(parallel)]; ++i) {
        const uint32_t place = ((const uint32_t *)places)[i];
        sr_real *vector = v->vectors + place * v->width;
        memcpy(vector, (const sr_real *)vectors + i * v->width, v->width * sizeof *vector);
        v->norms[place] = v->gaussian ? (sr_real)squared_norm(vector, v->width) : 0;
    }
    free(own.places);
    free(own.vectors);
    free(places);
    free(vectors);
    free(ends);
    free(vector_ends);
    return status;
}

/* Takes those of a part of the rows that are among the best for `item`, which is at `place` of the round; never the item
 * itself, and no row behind the items. False on a number that is none. */
static bool compare_with(const item_vectors *v, const vector_part *part, const similar_request *request, int32_t item,
                         size_t place, sr_scored_number *best)
{
    sr_real scores[SCORED_AT_ONCE];
    const sr_real *own = v->vectors + place * v->width;
    bool numbers = true;
    for (size_t first = 0; first < part->numbers.count; first += SCORED_AT_ONCE) {
        const size_t count = smaller(SCORED_AT_ONCE, part->numbers.count - first);
        const sr_row_numbers others = sr_row_numbers_part(&part->numbers, first, count);
        for (size_t i = 0; i < count; ++i) {
            const int32_t other = sr_row_number(&others, i);
            const sr_real product = request->kernels->dot(own, part->vectors + (first + i) * v->width, v->width);
            scores[i] = part->norms ? 2 * product - v->norms[place] - part->norms[first + i] : product;
            if (other == item || (size_t)other > v->items)
                scores[i] = (sr_real)-INFINITY;
        }
        numbers = best_items_take(&others, scores, request->top_k, best) && numbers;
    }
    return numbers;
}

/* The best of all processes for places [first, end) of the request, in `best` [end - first, top_k]. */
static sr_status find_round(item_vectors *v, sr_parallel *parallel, const similar_request *request, size_t first, size_t end,
                            sr_scored_number *best, sr_error *error)
{
    bool numbers = true;
    SR_TRY(share_vectors(v, parallel, request, first, end, error));
    best_items_clear(best, (end - first) * request->top_k);
    for (size_t place = 0; place < end - first; ++place) {
        sr_scored_number *own = best + place * request->top_k;
        for (size_t i = 0; i < v->part_count; ++i)
            numbers = compare_with(v, &v->parts[i], request, item_at(request, first + place), place, own) && numbers;
        best_items_sort(own, request->top_k);
    }
    const sr_status status = numbers ? SR_OK
                                     : sr_fail(error, SR_ERROR_RUNTIME,
                                               "a vector of an item holds what is not a number: " PARAMETERS_DIVERGED);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_best(parallel, best, end - first, request->top_k, error);
}

static sr_status emit_round(const similar_request *request, size_t first, size_t end, const sr_scored_number *found,
                            sr_recommendation_function emit, void *context, sr_error *error)
{
    for (size_t place = first; place < end; ++place) {
        const sr_scored_number *best = found + (place - first) * request->top_k;
        size_t length;
        const char *name = sr_item_name(request->names, (size_t)item_at(request, place), &length);
        for (size_t k = 0; k < request->top_k && best_items_is(best[k]); ++k)
            SR_TRY(emit(context, name, length, k + 1, best[k].number, (double)best[k].score, error));
    }
    return SR_OK;
}

/* ---- all ---- */

static sr_status make_room(item_vectors *v, const similar_request *request, sr_scored_number **best, sr_error *error)
{
    v->room = larger(1, smaller(ROUND_ENTRIES / request->top_k, ROUND_NUMBERS / v->width));
    SR_TRY(SR_ALLOCATE_ZERO(&v->vectors, v->room * v->width, "items that others are compared with", error));
    SR_TRY(SR_ALLOCATE_ZERO(&v->norms, v->room, "items that others are compared with", error));
    return SR_ALLOCATE(best, v->room * request->top_k, "similar items", error);
}

static sr_status find_all(item_vectors *v, sr_parallel *parallel, const similar_request *request, sr_scored_number *best,
                          sr_recommendation_function emit, void *context, sr_error *error)
{
    const size_t count = request->items ? request->count : v->items;
    for (size_t first = 0; first < count; first += v->room) {
        const size_t end = smaller(count, first + v->room);
        sr_status status = SR_OK;
        SR_TRY(find_round(v, parallel, request, first, end, best, error));
        if (sr_parallel_rank(parallel) == 0)
            status = emit_round(request, first, end, best, emit, context, error);
        SR_TRY(sr_parallel_agree(parallel, status, error));
    }
    return SR_OK;
}

sr_status similar_items(sr_parallel *parallel, sr_model *model, const similar_request *request, sr_recommendation_function emit,
                        void *context, sr_error *error)
{
    item_vectors vectors = {.items = sr_model_items(model)};
    similar_request bounded = *request;
    sr_scored_number *best = NULL;
    bounded.top_k = smaller(request->top_k, sr_model_items(model));
    sr_status status = take_vectors(&vectors, parallel, model, error);
    if (status == SR_OK)
        status = make_room(&vectors, &bounded, &best, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = find_all(&vectors, parallel, &bounded, best, emit, context, error);
    free(best);
    free_vectors(&vectors);
    return status;
}
