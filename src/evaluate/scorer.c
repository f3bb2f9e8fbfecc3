#include "evaluate/scorer.h"

#include "srtrain/operations.h"
#include "srtrain/sampler.h"

scored_history scored_history_of(const sr_dataset *dataset, size_t user, size_t length)
{
    const sr_sequence sequence = sr_dataset_sequence(dataset, user);
    return (scored_history){.items = sequence.items,
                            .times = sequence.times,
                            .next_time = sequence.times && length < sequence.length ? sequence.times[length] : 0,
                            .length = length,
                            .user = user};
}

static void find_tiles(scorer *s, const sr_dataset *dataset)
{
    if (s->catalogue) {
        s->divided = sr_item_table_is_divided(sr_model_item_table(s->model));
        s->columns = sr_catalogue_columns(s->catalogue);
        s->width = sr_catalogue_width(s->catalogue);
        sr_catalogue_tiles(s->catalogue, &s->tiles, &s->tile_count);
    } else {
        s->columns = sr_dataset_items(dataset) + 1;
        s->in_order = (sr_score_tile){.items = {.count = s->columns}};
        s->tiles = &s->in_order;
        s->tile_count = 1;
    }
}

sr_status scorer_create(scorer *s, const score_source *source, const sr_dataset *dataset, sr_parallel *member,
                        const sr_kernels *kernels, sr_error *error)
{
    sr_model *model = source->model;
    *s = (scorer){.model = model, .popularity = source->popularity, .kernels = kernels, .ranks = sr_parallel_ranks(member)};
    if (model && dataset)
        SR_TRY(sr_check_times(dataset, sr_model_needs_of(sr_model_configuration(model), false).times,
                              sr_model_name(sr_model_configuration(model)), error));
    sr_status status = SR_OK;
    if (model)
        status = sr_catalogue_create(&s->catalogue, model, kernels, error);
    if (status == SR_OK) {
        find_tiles(s, dataset);
        status = sr_arena_create(&s->arena, (size_t)1 << 20, error);
    }
    if (status == SR_OK)
        status = sr_tape_create(&s->tape, kernels, false, error);
    if (status != SR_OK)
        scorer_free(s);
    return status;
}

void scorer_free(scorer *s)
{
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
                                   .next_time = histories[i].next_time,
                                   .length = histories[i].length,
                                   .user = (int32_t)histories[i].user + 1,
                                   .mask_token = sr_model_mask_token(model),
                                   .identity = i};
    return sr_batch_build(batch, arena, sr_model_configuration(model), SR_OBJECTIVE_LAST, false, examples, count, error);
}

sr_status scorer_encode(scorer *s, const scored_history *histories, size_t count, sr_status status, sr_error *error)
{
    if (!s->model)
        return status;
    sr_batch batch;
    sr_arena_reset(s->arena);
    sr_tape_reset(s->tape);
    if (status == SR_OK && count > 0)
        status = scored_batch_build(&batch, s->arena, s->model, histories, count, error);
    const bool has_batch = status == SR_OK && count > 0;
    const sr_pass pass = {.step = (uint64_t)sr_model_step(s->model), .ranks = s->divided ? &s->ranks : NULL};
    sr_encoding encoding;
    SR_TRY(sr_model_fetch_items(s->model, s->tape, has_batch ? &batch : NULL, &pass, status, error));
    if (!has_batch)
        return SR_OK;
    sr_model_encode(s->model, s->tape, &batch, &pass, &encoding);
    /* One row for each history, in order, so that blocks of them are contiguous. */
    const sr_tensor *ordered = sr_select_rows(s->tape, encoding.representation, batch.example_reads, count);
    SR_TRY(sr_tape_status(s->tape, error));
    s->representations = ordered->values;
    return SR_OK;
}

sr_status scorer_take_states(scorer *s, const sr_real *states, size_t count, sr_error *error)
{
    return s->catalogue ? sr_catalogue_take_states(s->catalogue, states, count, error) : SR_OK;
}

void scorer_score(const scorer *s, const sr_score_part *part, sr_real *scores)
{
    if (s->catalogue) {
        sr_catalogue_score(s->catalogue, part, scores);
        return;
    }
    for (size_t row = 0; row < part->states; ++row)
        for (size_t item = 0; item < part->items; ++item)
            scores[row * part->items + item] = (sr_real)s->popularity[part->first_item + item];
}

bool scorer_find(const scorer *s, int32_t item, size_t *tile, size_t *place)
{
    for (*tile = 0; *tile < s->tile_count; ++*tile)
        if (sr_row_place(&s->tiles[*tile].items, item, place))
            return true;
    return false;
}
