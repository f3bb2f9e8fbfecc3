#include "step/item_rows.h"

#include "srtrain/clock.h"
#include "srtrain/denormals.h"
#include "srtrain/memory.h"
#include "step/shared_state.h"
#include "step/touched_rows.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* The optimizer of a block. */
struct row_steps {
    sr_row_block *block;
    sr_optimizer optimizer;
    const sr_kernels *kernels;
};

/* ---- rows among the parameters ---- */

size_t item_rows_remembered(const sr_stepper *stepper)
{
    const sr_training_settings *training = &stepper->settings->training;
    const sr_table_list tables = sr_model_item_tables(stepper->model);
    const bool picks = training->item_updates == SR_ITEM_UPDATES_DEFERRED && sr_optimizer_can_be_late(training);
    return picks && tables.count > 0 ? sr_model_parameters(stepper->model)->list[tables.index[0]].shape[0] : 0;
}

sr_status item_rows_pick(sr_stepper *stepper, int64_t *taken, sr_error *error)
{
    if (stepper->settings->training.item_updates != SR_ITEM_UPDATES_DEFERRED)
        return SR_OK;
    const sr_table_list tables = sr_model_item_tables(stepper->model);
    return sr_optimizer_pick_rows(&stepper->optimizer, &tables, taken, error);
}

sr_status item_rows_create(sr_worker *worker, sr_error *error)
{
    const sr_optimizer *optimizer = &worker->stepper->optimizer;
    if (!sr_optimizer_picks_rows(optimizer))
        return SR_OK;
    return touched_rows_create(&worker->touched, sr_model_parameters(worker->model), &optimizer->tables, error);
}

void item_rows_free(sr_worker *worker)
{
    touched_rows_free(worker->touched);
    worker->touched = NULL;
}

const sr_touched_rows *item_rows_touched(const sr_worker *worker)
{
    return worker->touched ? touched_rows_found(worker->touched) : NULL;
}

void item_rows_note(sr_stepper *stepper, int64_t step, double learning_rate)
{
    sr_optimizer_note(&stepper->optimizer, step, learning_rate, item_rows_touched(&stepper->workers[0]));
}

/* Nobody reads what another is still updating. */
static sr_status wait_for_rows(sr_worker *worker, sr_error *error)
{
    sr_node *node = worker->stepper->node;
    if (node)
        return sr_node_wait(node, worker->parallel, error);
    sr_parallel_wait_for_threads(worker->parallel);
    return SR_OK;
}

/* All workers remember the same number of steps, so that they come here together, whoever has failed. */
static sr_status settle_every(sr_worker *worker, sr_error *error)
{
    sr_optimizer *optimizer = &worker->stepper->optimizer;
    const sr_touched_rows all = {.tables = optimizer->tables, .every = true};
    size_t part, parts;
    shared_state_part(worker, &part, &parts);
    sr_optimizer_settle_rows(optimizer, worker->stepper->kernels, &all, part, parts);
    sr_optimizer_forget_rows(optimizer, part, parts);
    SR_TRY(wait_for_rows(worker, error));
    if (sr_parallel_thread(worker->parallel) == 0)
        sr_optimizer_forget(optimizer);
    sr_parallel_wait_for_threads(worker->parallel);
    return SR_OK;
}

static sr_status settle_touched(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error)
{
    sr_optimizer *optimizer = &worker->stepper->optimizer;
    double mark = sr_seconds();
    size_t part, parts;
    if (sr_optimizer_remembers_most(optimizer))
        SR_TRY(settle_every(worker, error));
    if (status == SR_OK && sr_parallel_thread(worker->parallel) == 0)
        status = sr_optimizer_reserve(optimizer, error);
    SR_TRY(touched_rows_find(worker->touched, worker->parallel, status, batch, error));
    worker->times.reduction += sr_lap(&mark);
    shared_state_part(worker, &part, &parts);
    sr_optimizer_settle_rows(optimizer, worker->stepper->kernels, item_rows_touched(worker), part, parts);
    status = wait_for_rows(worker, error);
    worker->times.optimizer += sr_lap(&mark);
    return status;
}

void item_rows_forget_part(const sr_worker *worker)
{
    const sr_touched_rows *touched = item_rows_touched(worker);
    size_t part, parts;
    shared_state_part(worker, &part, &parts);
    if (touched && touched->every)
        sr_optimizer_forget_rows(&worker->stepper->optimizer, part, parts);
}

/* ---- rows in blocks ---- */

/* Rows that stay as they are take no steps. */
static bool is_frozen(const sr_row_block *block)
{
    return block->parameters.list[0].set == SR_PARAMETERS_FROZEN;
}

static void settle_asked(void *context, const sr_touched_rows *rows)
{
    struct row_steps *steps = context;
    sr_optimizer_settle_rows(&steps->optimizer, steps->kernels, rows, 0, 1);
}

/* Where not every row has a gradient, a step goes through those that have one. */
static sr_status create_steps(sr_stepper *stepper, struct row_steps *steps, sr_row_block *block, sr_error *error)
{
    const sr_training_settings *training = &stepper->settings->training;
    steps->kernels = stepper->kernels;
    steps->block = block;
    const sr_row_stepping stepping = sr_optimizer_row_stepping(training, block->dense);
    if (stepping != SR_ROWS_CAN_STEP)
        return sr_fail(error, SR_ERROR_USAGE, "model.item_table divided: %s", sr_row_stepping_reason(stepping));
    SR_TRY(sr_optimizer_create(&steps->optimizer, &block->parameters, training, error));
    if (!block->dense && !is_frozen(block))
        SR_TRY(sr_optimizer_pick_rows(&steps->optimizer, &block->touched.tables, NULL, error));
    block->state = &steps->optimizer.state;
    block->settle = block->dense || is_frozen(block) ? NULL : settle_asked;
    block->context = steps;
    return SR_OK;
}

sr_status item_rows_create_blocks(sr_stepper *stepper, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    if (parameters->row_block_count == 0)
        return SR_OK;
    SR_TRY(SR_ALLOCATE_ZERO(&stepper->row_steps, parameters->row_block_count, "optimizers of rows", error));
    for (size_t i = 0; i < parameters->row_block_count; ++i)
        SR_TRY(create_steps(stepper, &stepper->row_steps[i], parameters->row_blocks[i], error));
    return SR_OK;
}

void item_rows_free_blocks(sr_stepper *stepper)
{
    const sr_parameters *parameters = stepper->model ? sr_model_parameters(stepper->model) : NULL;
    for (size_t i = 0; stepper->row_steps && i < parameters->row_block_count; ++i) {
        sr_row_block *block = parameters->row_blocks[i];
        sr_optimizer_free(&stepper->row_steps[i].optimizer);
        block->state = NULL;
        block->settle = NULL;
    }
    free(stepper->row_steps);
    stepper->row_steps = NULL;
}

/* The worker's next block behind *index, which moves on; NULL behind the last one. */
static struct row_steps *next_block(const sr_worker *worker, size_t *index)
{
    const sr_stepper *stepper = worker->stepper;
    const size_t count = stepper->row_steps ? sr_model_parameters(stepper->model)->row_block_count : 0;
    while (*index < count && *index % stepper->threads != sr_parallel_thread(worker->parallel))
        ++*index;
    return *index < count ? &stepper->row_steps[(*index)++] : NULL;
}

void item_rows_draw(const sr_worker *worker)
{
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;)
        sr_row_block_draw(steps->block, (uint64_t)worker->stepper->settings->training.seed);
}

void item_rows_clear(const sr_worker *worker)
{
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;)
        if (steps->block->dense)
            sr_parameters_clear_gradients(&steps->block->parameters, NULL);
}

double item_rows_squares(const sr_worker *worker)
{
    double squares = 0;
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;)
        squares += is_frozen(steps->block)
                       ? 0
                       : sr_gradient_squares(&steps->block->parameters, steps->kernels, &steps->block->touched, 0, 1);
    return squares;
}

sr_status item_rows_update(const sr_worker *worker, const sr_update *update, sr_error *error)
{
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;) {
        const sr_update own = {.step = update->step,
                               .learning_rate = update->learning_rate,
                               .gradient_norm = update->gradient_norm,
                               .touched = &steps->block->touched,
                               .parts = 1};
        if (is_frozen(steps->block))
            continue;
        SR_TRY(sr_optimizer_step(&steps->optimizer, steps->kernels, &own, error));
        sr_optimizer_note(&steps->optimizer, update->step, update->learning_rate, &steps->block->touched);
    }
    return SR_OK;
}

static void settle_block(struct row_steps *steps)
{
    const sr_touched_rows all = {.tables = steps->block->touched.tables, .every = true};
    sr_optimizer_settle_rows(&steps->optimizer, steps->kernels, &all, 0, 1);
    sr_optimizer_forget_rows(&steps->optimizer, 0, 1);
    sr_optimizer_forget(&steps->optimizer);
}

static sr_status reserve_steps(const sr_worker *worker, sr_error *error)
{
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;) {
        if (sr_optimizer_remembers_most(&steps->optimizer))
            settle_block(steps);
        SR_TRY(sr_optimizer_reserve(&steps->optimizer, error));
    }
    return SR_OK;
}

static void settle_blocks(const sr_worker *worker)
{
    struct row_steps *steps;
    for (size_t i = 0; (steps = next_block(worker, &i)) != NULL;)
        settle_block(steps);
}

/* ---- both ---- */

void item_rows_remember_at_most(sr_stepper *stepper, size_t steps)
{
    const size_t blocks = stepper->row_steps ? sr_model_parameters(stepper->model)->row_block_count : 0;
    stepper->optimizer.most_missed = steps;
    for (size_t i = 0; i < blocks; ++i)
        stepper->row_steps[i].optimizer.most_missed = steps;
}

sr_status item_rows_prepare(sr_worker *worker, sr_status status, const sr_batch *batch, sr_error *error)
{
    if (status == SR_OK)
        status = reserve_steps(worker, error);
    return worker->touched ? settle_touched(worker, status, batch, error) : status;
}

sr_status item_rows_settle(sr_stepper *stepper, sr_error *error)
{
    const sr_touched_rows all = {.tables = stepper->optimizer.tables, .every = true};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        const sr_worker *worker = &stepper->workers[omp_get_thread_num()];
        size_t part, parts;
        sr_flush_denormals();
        shared_state_part(worker, &part, &parts);
        sr_optimizer_settle_rows(&stepper->optimizer, stepper->kernels, &all, part, parts);
        sr_optimizer_forget_rows(&stepper->optimizer, part, parts);
        settle_blocks(worker);
    }
    sr_optimizer_forget(&stepper->optimizer);
    const bool shares = stepper->node && sr_optimizer_picks_rows(&stepper->optimizer);
    return shares ? sr_node_wait(stepper->node, stepper->parallel, error) : SR_OK;
}
