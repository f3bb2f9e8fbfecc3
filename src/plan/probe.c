#include "plan/probe.h"

#include "base/sizes.h"
#include "evaluate/scorer.h"
#include "srtrain/objective.h"
#include "srtrain/operations.h"
#include "srtrain/step.h"

#include <string.h>

sr_status probe_create(probe *p, const sr_plan_request *request, size_t items, size_t users, sr_error *error)
{
    *p = (probe){.request = request,
                 .items = smaller(items, sr_dataset_items(request->dataset)),
                 .users = smaller(users, sr_dataset_users(request->dataset))};
    sr_status status = sr_model_create(&p->model, &request->settings->model, p->items, p->users, error);
    if (status == SR_OK)
        status = sr_arena_create(&p->arena, (size_t)1 << 20, error);
    if (status == SR_OK)
        status = sr_tape_create(&p->tape, request->kernels, true, error);
    if (status != SR_OK) {
        probe_free(p);
        return status;
    }
    sr_tape_set_precision(p->tape, request->settings->training.precision);
    sr_tape_set_kept_bytes(p->tape, sr_training_kept_bytes(&request->settings->training, request->threads));
    sr_parameters_draw(sr_model_parameters(p->model), (uint64_t)request->settings->training.seed);
    return SR_OK;
}

void probe_free(probe *p)
{
    sr_tape_free(p->tape);
    sr_arena_free(p->arena);
    sr_model_free(p->model);
    *p = (probe){.request = NULL};
}

/* ---- numbers that the model knows ---- */

/* 1..known, and one behind the last for what is behind the last of the data set (the mask token); 0 stays. */
static int32_t folded(int32_t number, size_t known, size_t all)
{
    if (number <= 0)
        return number;
    return (size_t)number > all ? (int32_t)known + 1 : 1 + (int32_t)((size_t)(number - 1) % known);
}

static sr_status fold(const int32_t **numbers, size_t count, size_t known, size_t all, sr_arena *arena, sr_error *error)
{
    if (!*numbers || known == all)
        return SR_OK;
    int32_t *made = sr_arena_take(arena, count * sizeof *made);
    if (!made)
        return sr_fail_memory(error, count * sizeof *made, "a part of a batch");
    for (size_t i = 0; i < count; ++i)
        made[i] = folded((*numbers)[i], known, all);
    *numbers = made;
    return SR_OK;
}

static sr_status fold_negatives(const probe *p, const sr_negatives **negatives, sr_error *error)
{
    sr_negatives *folded_negatives = sr_arena_take(p->arena, sizeof *folded_negatives);
    if (!folded_negatives)
        return sr_fail_memory(error, sizeof *folded_negatives, "a part of a batch");
    *folded_negatives = **negatives;
    *negatives = folded_negatives;
    return fold(&folded_negatives->items, folded_negatives->lists * folded_negatives->length, p->items,
                sr_dataset_items(p->request->dataset), p->arena, error);
}

static sr_status fold_batch(const probe *p, sr_batch *batch, sr_error *error)
{
    const size_t items = sr_dataset_items(p->request->dataset), users = sr_dataset_users(p->request->dataset);
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    SR_TRY(fold(&batch->items, tokens, p->items, items, p->arena, error));
    SR_TRY(fold(&batch->users, tokens, p->users, users, p->arena, error));
    SR_TRY(fold(&batch->target_items, batch->targets, p->items, items, p->arena, error));
    return batch->negatives ? fold_negatives(p, &batch->negatives, error) : SR_OK;
}

/* The same for a further pass of contrastive training, whose batch is not the probe's to change. */
static sr_status fold_view(const probe *p, const sr_batch **view, sr_error *error)
{
    sr_batch *folded_view = *view ? sr_arena_take(p->arena, sizeof *folded_view) : NULL;
    if (!*view)
        return SR_OK;
    if (!folded_view)
        return sr_fail_memory(error, sizeof *folded_view, "a part of a batch");
    *folded_view = **view;
    *view = folded_view;
    return fold_batch(p, folded_view, error);
}

/* ---- a step ---- */

/* Contrastive training compares the part's own examples: the whole global batch needs other ranks, but no more memory on the
 * tape. */
static sr_status compute(probe *p, sr_batch *batch, part_memory *memory, sr_error *error)
{
    SR_TRY(fold_batch(p, batch, error));
    SR_TRY(fold_view(p, &batch->again, error));
    SR_TRY(fold_view(p, &batch->alike, error));
    const sr_objective_request request = {
        .model = p->model,
        .tape = p->tape,
        .batch = batch,
        .pass = {.training = true, .seed = (uint64_t)p->request->settings->training.seed},
        .targets = (double)batch->targets,
    };
    sr_outcome outcome;
    SR_TRY(sr_objective_run(&request, SR_OK, &outcome, error));
    memory->scorings = 0;
    for (size_t i = 0; i < outcome.terms.count; ++i)
        memory->scorings += outcome.terms.list[i].scale == SR_SCALE_TARGETS;
    return SR_OK;
}

sr_status probe_step(probe *p, const batch_part *part, part_memory *memory, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(p->model);
    sr_totals totals;
    part_memory own;
    sr_batch batch;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    sr_arena_reset(p->arena);
    sr_tape_reset(p->tape);
    SR_TRY(sr_sampler_batch(p->request->sampler, 0, part->index, (sr_part){.rank = part->worker, .ranks = part->workers},
                            p->arena, &batch, &totals, error));
    SR_TRY(compute(p, &batch, &own, error));
    own.targets = batch.targets;
    own.tape = sr_tape_memory(p->tape);
    own.tape -= own.scorings *
                sr_model_catalogue_memory(&p->request->settings->model, batch.targets, p->items, sr_tape_kept_bytes(p->tape));
    if (memory)
        *memory = own;
    return SR_OK;
}

/* ---- evaluation ---- */

sr_status probe_histories(probe *p, size_t count, size_t *tape_bytes, sr_error *error)
{
    const sr_dataset *dataset = p->request->dataset;
    const size_t users = sr_dataset_users(dataset);
    sr_arena_reset(p->arena);
    scored_history *histories = sr_arena_take(p->arena, count * sizeof *histories);
    if (!histories)
        return sr_fail_memory(error, count * sizeof *histories, "histories");
    for (size_t i = 0; i < count; ++i) {
        const size_t user = i * (users / count ? users / count : 1) % users;
        histories[i] = scored_history_of(dataset, user, sr_dataset_sequence(dataset, user).valid_end);
    }
    sr_batch batch;
    SR_TRY(scored_batch_build(&batch, p->arena, p->model, histories, count, error));
    sr_tape *tape;
    SR_TRY(sr_tape_create(&tape, p->request->kernels, false, error));
    sr_status status = fold_batch(p, &batch, error);
    if (status == SR_OK) {
        const sr_pass pass = {.training = false};
        sr_encoding encoding;
        sr_model_encode(p->model, tape, &batch, &pass, &encoding);
        (void)sr_select_rows(tape, encoding.representation, batch.example_reads, count);
        status = sr_tape_status(tape, error);
        *tape_bytes = sr_tape_memory(tape);
    }
    sr_tape_free(tape);
    return status;
}
