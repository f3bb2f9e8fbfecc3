#include "evaluate/scorer.h"

#include "srtrain/operations.h"
#include "srtrain/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

scored_history scored_history_of(const sr_dataset *dataset, size_t user, size_t length)
{
    const sr_sequence sequence = sr_dataset_sequence(dataset, user);
    return (scored_history){.items = sequence.items, .times = sequence.times, .length = length, .user = user};
}

static void find_columns(scorer *s, const sr_dataset *dataset)
{
    if (s->catalogue) {
        s->columns = sr_catalogue_columns(s->catalogue);
        sr_catalogue_tiles(s->catalogue, &s->tiles, &s->tile_count);
    } else {
        s->columns = sr_dataset_items(dataset) + 1;
        s->in_order = (sr_score_tile){.items = {.count = s->columns}};
        s->tiles = &s->in_order;
        s->tile_count = 1;
    }
    s->rows = SCORE_BLOCK_BYTES / sizeof *s->scores / s->columns;
    s->rows = s->rows ? s->rows : 1;
}

sr_status scorer_create(scorer *s, sr_model *model, const int64_t *popularity, const sr_dataset *dataset,
                        const sr_kernels *kernels, sr_error *error)
{
    *s = (scorer){.model = model, .popularity = popularity, .kernels = kernels};
    if (model && dataset)
        SR_TRY(sr_check_times(dataset, sr_model_needs_of(sr_model_configuration(model), false).times,
                              sr_model_name(sr_model_configuration(model)), error));
    sr_status status = SR_OK;
    if (model)
        status = sr_catalogue_create(&s->catalogue, model, kernels, error);
    if (status == SR_OK) {
        find_columns(s, dataset);
        status = SR_ALLOCATE(&s->scores, s->rows * s->columns, "scores of the catalogue", error);
    }
    if (status == SR_OK)
        status = sr_arena_create(&s->arena, (size_t)1 << 20, error);
    if (status == SR_OK)
        status = sr_tape_create(&s->tape, kernels, false, error);
    if (status != SR_OK)
        scorer_free(s);
    return status;
}

void scorer_free(scorer *s)
{
    free(s->scores);
    sr_arena_free(s->arena);
    sr_tape_free(s->tape);
    sr_catalogue_free(s->catalogue);
    *s = (scorer){.model = NULL};
}

sr_status scored_batch_build(sr_batch *batch, sr_arena *arena, const sr_model *model, const scored_history *histories,
                             size_t count, sr_error *error)
{
    sr_example *examples = sr_arena_take(arena, count * sizeof *examples);
    if (!examples)
        return sr_fail_memory(error, count * sizeof *examples, "histories to be scored");
    for (size_t i = 0; i < count; ++i)
        examples[i] = (sr_example){.items = histories[i].items,
                                   .times = histories[i].times,
                                   .length = histories[i].length,
                                   .user = (int32_t)histories[i].user + 1,
                                   .mask_token = sr_model_mask_token(model),
                                   .identity = i};
    return sr_batch_build(batch, arena, sr_model_configuration(model), SR_OBJECTIVE_LAST, false, examples, count, error);
}

sr_status scorer_encode(scorer *s, const scored_history *histories, size_t count, sr_error *error)
{
    if (!s->model)
        return SR_OK;
    sr_batch batch;
    sr_arena_reset(s->arena);
    sr_tape_reset(s->tape);
    SR_TRY(scored_batch_build(&batch, s->arena, s->model, histories, count, error));
    const sr_pass pass = {.training = false, .step = (uint64_t)sr_model_step(s->model)};
    sr_encoding encoding;
    SR_TRY(sr_model_fetch_items(s->model, s->tape, &batch, &pass, SR_OK, error));
    sr_model_encode(s->model, s->tape, &batch, &pass, &encoding);
    /* One row for each history, in order, so that blocks of them are contiguous. */
    const sr_tensor *ordered = sr_select_rows(s->tape, encoding.representation, batch.example_reads, count);
    SR_TRY(sr_tape_status(s->tape, error));
    s->representations = ordered->values;
    s->width = ordered->columns;
    return SR_OK;
}

void scorer_score(scorer *s, size_t first, size_t count)
{
    if (s->model) {
        sr_catalogue_score(s->catalogue, s->representations + first * s->width, count, s->scores);
        return;
    }
    for (size_t row = 0; row < count; ++row)
        for (size_t item = 0; item < s->columns; ++item)
            s->scores[row * s->columns + item] = (sr_real)s->popularity[item];
}

size_t scorer_column(const scorer *s, int32_t item)
{
    for (size_t i = 0; i < s->tile_count; ++i) {
        size_t place;
        if (sr_row_place(&s->tiles[i].items, item, &place))
            return s->tiles[i].begin + place;
    }
    return SIZE_MAX;
}

static void set_score(const scorer *s, sr_real *scores, int32_t item, sr_real score)
{
    const size_t column = scorer_column(s, item);
    if (column != SIZE_MAX)
        scores[column] = score;
}

void scorer_apply_history(const scorer *s, sr_real *scores, sr_history history, const int32_t *items, size_t length)
{
    if (history != SR_HISTORY_ZERO)
        set_score(s, scores, 0, (sr_real)-INFINITY);
    if (history == SR_HISTORY_KEEP)
        return;
    for (size_t i = 0; i < length; ++i)
        set_score(s, scores, items[i], history == SR_HISTORY_ZERO ? 0 : (sr_real)-INFINITY);
}
