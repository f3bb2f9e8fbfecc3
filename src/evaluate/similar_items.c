#include "evaluate/similar_items.h"

#include "evaluate/best_items.h"
#include "base/sizes.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_ENTRIES = 1 << 18, SCORED_AT_ONCE = 1024 };

/* Vectors whose products say how much items are alike. */
typedef struct {
    sr_real *vectors; /* [items + 1, width] */
    sr_real *norms;   /* [items + 1]: squared, of Gaussians; NULL: vectors have length 1, or 0 */
    size_t items, width;
} item_vectors;

static const sr_real *values_of(sr_model *model, const char *name, size_t *width)
{
    const sr_parameters *parameters = sr_model_parameters(model);
    const size_t index = sr_parameters_find(parameters, name);
    if (index == SIZE_MAX)
        return NULL;
    *width = parameters->list[index].shape[1];
    return parameters->values + parameters->list[index].offset;
}

static double squared_norm(const sr_real *vector, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; ++i)
        sum += (double)vector[i] * (double)vector[i];
    return sum;
}

/* [mean, root of the covariance]: the squared distance of two is the squared 2-Wasserstein distance of the Gaussians. */
static sr_status take_gaussians(item_vectors *v, const sr_real *means, const sr_real *covariances, size_t half, sr_error *error)
{
    v->width = 2 * half;
    SR_TRY(SR_ALLOCATE_ZERO(&v->vectors, (v->items + 1) * v->width, "vectors of items", error));
    SR_TRY(SR_ALLOCATE_ZERO(&v->norms, v->items + 1, "vectors of items", error));
    for (size_t item = 1; item <= v->items; ++item) {
        sr_real *vector = v->vectors + item * v->width;
        memcpy(vector, means + item * half, half * sizeof *vector);
        for (size_t i = 0; i < half; ++i) {
            const double covariance = (double)covariances[item * half + i];
            vector[half + i] = (sr_real)sqrt(covariance > 0 ? covariance + 1 : exp(covariance));
        }
        v->norms[item] = (sr_real)squared_norm(vector, v->width);
    }
    return SR_OK;
}

static sr_status take_directions(item_vectors *v, const sr_real *table, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&v->vectors, (v->items + 1) * v->width, "vectors of items", error));
    for (size_t item = 1; item <= v->items; ++item) {
        const sr_real *row = table + item * v->width;
        const double length = sqrt(squared_norm(row, v->width));
        for (size_t i = 0; i < v->width && length > 0; ++i)
            v->vectors[item * v->width + i] = (sr_real)((double)row[i] / length);
    }
    return SR_OK;
}

static sr_status take_vectors(item_vectors *v, sr_model *model, sr_error *error)
{
    size_t half;
    *v = (item_vectors){.items = sr_model_items(model)};
    const sr_real *means = values_of(model, "item_mean_embedding.weight", &half);
    const sr_real *covariances = values_of(model, "item_covariance_embedding.weight", &half);
    if (means && covariances)
        return take_gaussians(v, means, covariances, half, error);
    const sr_real *table = values_of(model, "output_embedding.weight", &v->width);
    if (!table)
        table = values_of(model, "item_embedding.weight", &v->width);
    if (!table)
        return sr_fail(error, SR_ERROR_USAGE, "model.backbone %s has no table of vectors for its items",
                       sr_model_name(sr_model_configuration(model)));
    return take_directions(v, table, error);
}

/* ---- the best ---- */

/* `best` [top_k] of all items but the one itself; false on a number that is none. */
static bool find_similar(const item_vectors *v, const similar_request *request, int32_t item, sr_scored_number *best)
{
    sr_real scores[SCORED_AT_ONCE];
    const sr_real *own = v->vectors + (size_t)item * v->width;
    bool numbers = true;
    best_items_clear(best, request->top_k);
    for (size_t first = 1; first <= v->items; first += SCORED_AT_ONCE) {
        const sr_row_numbers others = {.count = smaller(SCORED_AT_ONCE, v->items + 1 - first), .first = first};
        for (size_t i = 0; i < others.count; ++i) {
            const size_t other = first + i;
            const sr_real product = request->kernels->dot(own, v->vectors + other * v->width, v->width);
            scores[i] = v->norms ? 2 * product - v->norms[item] - v->norms[other] : product;
            if (other == (size_t)item)
                scores[i] = (sr_real)-INFINITY;
        }
        numbers = best_items_take(&others, scores, request->top_k, best) && numbers;
    }
    best_items_sort(best, request->top_k);
    return numbers;
}

static int32_t item_at(const similar_request *request, size_t place)
{
    return request->items ? request->items[place] : (int32_t)place + 1;
}

static sr_status emit_round(const similar_request *request, size_t first, size_t end, const sr_scored_number *gathered,
                            sr_recommendation_function emit, void *context, sr_error *error)
{
    for (size_t place = first; place < end; ++place) {
        const sr_scored_number *best = gathered + (place - first) * request->top_k;
        size_t length;
        const char *name = sr_item_name(request->names, (size_t)item_at(request, place), &length);
        for (size_t k = 0; k < request->top_k && best_items_is(best[k]); ++k)
            SR_TRY(emit(context, name, length, k + 1, best[k].number, (double)best[k].score, error));
    }
    return SR_OK;
}

/* Places [first, end) of the request, a stretch for each rank. */
static sr_status find_round(sr_parallel *parallel, const item_vectors *v, const similar_request *request, size_t first,
                            size_t end, sr_scored_number **gathered, sr_error *error)
{
    const size_t rank = (size_t)sr_parallel_rank(parallel), ranks = (size_t)sr_parallel_size(parallel), all = end - first;
    const size_t begin = first + all * rank / ranks, stop = first + all * (rank + 1) / ranks;
    sr_scored_number *best;
    size_t *offsets = NULL;
    sr_status status = SR_ALLOCATE(&best, (stop - begin) * request->top_k, "similar items", error);
    for (size_t place = begin; place < stop && status == SR_OK; ++place)
        if (!find_similar(v, request, item_at(request, place), best + (place - begin) * request->top_k))
            status = sr_fail(error, SR_ERROR_RUNTIME, "a vector of an item holds what is not a number: " PARAMETERS_DIVERGED);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_gather(parallel, best, (stop - begin) * request->top_k * sizeof *best, (void **)gathered, &offsets,
                                    error);
    free(best);
    free(offsets);
    return status;
}

static sr_status find_all(sr_parallel *parallel, const item_vectors *v, const similar_request *request,
                          sr_recommendation_function emit, void *context, sr_error *error)
{
    const size_t count = request->items ? request->count : v->items;
    const size_t of_round = larger(1, ROUND_ENTRIES / request->top_k) * (size_t)sr_parallel_size(parallel);
    for (size_t first = 0; first < count; first += of_round) {
        const size_t end = smaller(count, first + of_round);
        sr_scored_number *gathered = NULL;
        SR_TRY(find_round(parallel, v, request, first, end, &gathered, error));
        const sr_status status = gathered ? emit_round(request, first, end, gathered, emit, context, error) : SR_OK;
        free(gathered);
        SR_TRY(sr_parallel_agree(parallel, status, error));
    }
    return SR_OK;
}

sr_status similar_items(sr_parallel *parallel, sr_model *model, const similar_request *request, sr_recommendation_function emit,
                        void *context, sr_error *error)
{
    item_vectors vectors;
    similar_request bounded = *request;
    bounded.top_k = smaller(request->top_k, sr_model_items(model));
    sr_status status = sr_parallel_agree(parallel, take_vectors(&vectors, model, error), error);
    if (status == SR_OK)
        status = find_all(parallel, &vectors, &bounded, emit, context, error);
    free(vectors.vectors);
    free(vectors.norms);
    return status;
}
