#include "plan/probe.h"

#include "base/sizes.h"
#include "evaluate/scorer.h"
#include "srtrain/operations.h"

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

static sr_status fold_batch(const probe *p, sr_batch *batch, sr_error *error)
{
    const size_t items = sr_dataset_items(p->request->dataset), users = sr_dataset_users(p->request->dataset);
    const size_t tokens = batch->layout.offsets[batch->layout.sequences];
    SR_TRY(fold(&batch->items, tokens, p->items, items, p->arena, error));
    SR_TRY(fold(&batch->users, tokens, p->users, users, p->arena, error));
    SR_TRY(fold(&batch->target_items, batch->targets, p->items, items, p->arena, error));
    return fold(&batch->negative_items, batch->targets, p->items, items, p->arena, error);
}

/* ---- contrastive training ---- */

typedef struct {
    sr_tensor *again, *alike, *again_states, *alike_states;
} views;

static sr_tensor *encode_view(probe *p, const sr_batch *view, sr_pass pass, unsigned number, sr_tensor **states,
                              sr_error *error)
{
    sr_encoding encoding;
    sr_batch *batch = sr_arena_take(p->arena, sizeof *batch); /* the tape keeps pointers into it */
    sr_status status = batch ? SR_OK : sr_fail_memory(error, sizeof *batch, "a part of a batch");
    if (status == SR_OK) {
        *batch = *view;
        status = fold_batch(p, batch, error);
    }
    if (status != SR_OK) {
        sr_tape_fail(p->tape, error);
        return NULL;
    }
    pass.view = number;
    pass.every_row = sr_model_state_weight(&p->request->settings->model) > 0;
    sr_model_encode(p->model, p->tape, batch, &pass, &encoding);
    *states = encoding.states;
    return sr_select_rows(p->tape, encoding.representation, batch->example_reads, batch->examples);
}

/* The loss of the part's own pairs: that of the whole global batch needs other ranks, but no more memory on the tape. */
static sr_tensor *contrastive_loss(probe *p, const sr_batch *batch, const views *v)
{
    const sr_model_settings *model = &p->request->settings->model;
    const double state_weight = sr_model_state_weight(model);
    if (!v->again || !v->alike)
        return NULL;
    const size_t width = v->again->columns, pairs = v->again->rows, size = pairs * width;
    sr_real *rows = sr_tape_take(p->tape, 2 * size, sizeof *rows);
    double *log_sums = sr_tape_take(p->tape, 2 * pairs, sizeof *log_sums);
    if (!rows || !log_sums)
        return NULL;
    memcpy(rows, v->again->values, size * sizeof *rows);
    memcpy(rows + size, v->alike->values, size * sizeof *rows);
    const sr_contrast contrast = {
        .rows = rows, .count = 2 * pairs, .pairs = pairs, .temperature = model->contrastive.temperature};
    sr_contrastive_log_sums(p->tape, &contrast, width, log_sums);
    sr_tensor *loss = sr_contrastive_loss(p->tape, v->again, v->alike, &contrast, log_sums, 1 / (double)(2 * pairs));
    if (!v->again_states || state_weight == 0)
        return loss;
    sr_tensor *distance = sr_model_state_distance(p->model, p->tape, batch->again, v->again_states, v->alike_states, 1);
    return sr_weighted_add(p->tape, loss, 1, distance, state_weight);
}

/* ---- a step ---- */

static sr_status compute(probe *p, sr_batch *batch, part_memory *memory, sr_error *error)
{
    const sr_training_settings *training = &p->request->settings->training;
    const sr_pass pass = {.training = true, .seed = (uint64_t)training->seed};
    const double weight = batch->targets ? 1 / (double)batch->targets : 0;
    sr_encoding encoding;
    views v = {NULL, NULL, NULL, NULL};
    const sr_contrastive_settings *contrast = &p->request->settings->model.contrastive;
    const bool contrastive = contrast->in_use && batch->examples > 0;
    SR_TRY(fold_batch(p, batch, error));
    sr_model_encode(p->model, p->tape, batch, &pass, &encoding);
    if (contrastive) {
        v.again = encode_view(p, batch->again, pass, 1, &v.again_states, error);
        v.alike = encode_view(p, batch->alike, pass, 2, &v.alike_states, error);
    }
    sr_tensor *total = sr_model_loss(p->model, p->tape, batch, encoding.representation, weight);
    sr_tensor *attacked = NULL;
    if (contrastive)
        total = sr_weighted_add(p->tape, total, 1, contrastive_loss(p, batch, &v), contrast->weight);
    if (encoding.attacked) {
        sr_tensor *ranking = sr_model_loss(p->model, p->tape, batch, encoding.attacked, weight);
        attacked = sr_model_attacked_loss(p->model, p->tape, &encoding, ranking, encoding.mask_square_sums);
    }
    SR_TRY(sr_tape_status(p->tape, error));
    memory->scorings = attacked ? 2 : 1;
    SR_TRY(sr_tape_backward(p->tape, total, attacked ? SR_PARAMETERS_ORDINARY : SR_PARAMETERS_EVERY, error));
    return attacked ? sr_tape_backward(p->tape, attacked, SR_PARAMETERS_ATTACK, error) : SR_OK;
}

sr_status probe_step(probe *p, const batch_part *part, part_memory *memory, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(p->model);
    size_t targets, examples;
    part_memory own = {.scorings = 1};
    sr_batch batch;
    memset(parameters->gradients, 0, parameters->block_size * sizeof *parameters->gradients);
    sr_arena_reset(p->arena);
    sr_tape_reset(p->tape);
    SR_TRY(sr_sampler_batch(p->request->sampler, 0, part->index, part->member, part->members, p->arena, &batch, &targets,
                            &examples, error));
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
