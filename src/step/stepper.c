/* What steps need: memory for the state of training, initial values, and workers. */
#include "srtrain/step.h"

#include "base/sizes.h"
#include "srtrain/denormals.h"
#include "step/item_rows.h"
#include "step/reduction.h"
#include "step/shared_state.h"
#include "step/touched_rows.h"

#include <omp.h>
#include <stdlib.h>

size_t sr_training_kept_bytes(const sr_training_settings *settings, size_t threads)
{
    return (size_t)(settings->kept_logits_megabytes * 0x1p20) / threads;
}

/* How the gradients of this model are reduced. */
static sr_reduction_settings reduction_settings(const sr_stepper *stepper)
{
    const sr_training_settings *training = &stepper->settings->training;
    const sr_table_list tables = stepper->optimizer.tables; /* none unless rows may be late */
    return (sr_reduction_settings){.node = stepper->node,
                                   .rounded = training->reduction_precision == SR_PRECISION_BF16,
                                   .keeps_rest = true,
                                   .tables = tables,
                                   .most_rows = touched_rows_most(sr_model_parameters(stepper->model), &tables)};
}

/* Worker 0 works with the model itself, the others with shares of it. */
static sr_status create_worker(sr_stepper *stepper, size_t thread, sr_error *error)
{
    sr_worker *worker = &stepper->workers[thread];
    const sr_reduction_settings reduction = reduction_settings(stepper);
    *worker = (sr_worker){
        .stepper = stepper, .parallel = sr_parallel_member(stepper->parallel, thread), .model = stepper->model};
    if (thread > 0)
        SR_TRY(sr_model_share(&worker->model, stepper->model, true, error));
    SR_TRY(sr_arena_create(&worker->arena, (size_t)4 << 20, error));
    SR_TRY(sr_tape_create(&worker->tape, stepper->kernels, true, error));
    sr_tape_set_precision(worker->tape, stepper->settings->training.precision);
    sr_tape_set_kept_bytes(worker->tape, sr_training_kept_bytes(&stepper->settings->training, stepper->threads));
    SR_TRY(item_rows_create(worker, error));
    return sr_reduction_create(&worker->reduction, worker->parallel, sr_model_parameters(worker->model), &reduction, error);
}

/* Parameters, gradients and the optimizer's state in memory of this process. */
static sr_status create_own_state(sr_stepper *stepper, sr_error *error)
{
    SR_TRY(sr_parameters_allocate(sr_model_parameters(stepper->model), error));
    SR_TRY(sr_optimizer_create(&stepper->optimizer, sr_model_parameters(stepper->model), &stepper->settings->training, error));
    return item_rows_pick(stepper, NULL, error);
}

/* Processes of a node draw a part each of what they share: memory that several of them write at once may hold anything. */
static sr_status draw_initial_values(sr_stepper *stepper, sr_error *error)
{
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    const uint64_t seed = (uint64_t)stepper->settings->training.seed;
    const sr_element_range all = {0, parameters->block_size};
#pragma omp parallel num_threads((int)stepper->threads) default(shared)
    {
        size_t part, parts;
        sr_flush_denormals();
        shared_state_part(&stepper->workers[omp_get_thread_num()], &part, &parts);
        sr_parameters_draw_part(parameters, seed, sr_part_of_range(all, part, parts));
        item_rows_draw(&stepper->workers[omp_get_thread_num()]);
    }
    return stepper->node ? sr_node_wait(stepper->node, stepper->parallel, error) : SR_OK;
}

sr_status sr_stepper_create(sr_stepper *stepper, sr_parallel *parallel, const sr_settings *settings, const sr_kernels *kernels,
                            const sr_sampler *sampler, sr_model *model, int64_t total_steps, sr_error *error)
{
    *stepper = (sr_stepper){.parallel = parallel,
                            .settings = settings,
                            .kernels = kernels,
                            .sampler = sampler,
                            .model = model,
                            .total_steps = total_steps,
                            .threads = sr_parallel_threads(parallel)};
    sr_status status = shared_state_create(stepper, error);
    if (status == SR_OK && !stepper->node)
        status = create_own_state(stepper, error);
    else if (status == SR_OK)
        status = sr_row_blocks_allocate(sr_model_parameters(model), true, error);
    if (status == SR_OK)
        status = item_rows_create_blocks(stepper, error);
    stepper->optimizer.attack_learning_rate_ratio = sr_model_learning_rate_ratio(&settings->model, SR_PARAMETERS_ATTACK);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&stepper->workers, stepper->threads, "the workers of a step", error);
    for (size_t thread = 0; status == SR_OK && thread < stepper->threads; ++thread)
        status = create_worker(stepper, thread, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = draw_initial_values(stepper, error);
    if (status != SR_OK)
        sr_stepper_free(stepper);
    return status;
}

void sr_stepper_free(sr_stepper *stepper)
{
    for (size_t thread = 0; stepper->workers && thread < stepper->threads; ++thread) {
        sr_worker *worker = &stepper->workers[thread];
        sr_reduction_free(worker->reduction);
        item_rows_free(worker);
        sr_tape_free(worker->tape);
        sr_arena_free(worker->arena);
        if (thread > 0)
            sr_model_free(worker->model);
    }
    free(stepper->workers);
    item_rows_free_blocks(stepper);
    sr_optimizer_free(&stepper->optimizer);
    shared_state_free(stepper);
    *stepper = (sr_stepper){0};
}

sr_status sr_stepper_settle(sr_stepper *stepper, sr_error *error)
{
    sr_reduction_forget(stepper->workers[0].reduction);
    return item_rows_settle(stepper, error);
}

sr_traffic sr_stepper_traffic(const sr_stepper *stepper)
{
    sr_traffic traffic = {{0}};
    for (size_t thread = 0; thread < stepper->threads; ++thread) {
        const sr_worker *worker = &stepper->workers[thread];
        sr_traffic_add(&traffic, &worker->traffic);
        traffic.bytes[SR_TRAFFIC_IDS] += worker->touched ? touched_rows_sent(worker->touched) : 0;
        traffic.bytes[SR_TRAFFIC_GRADIENTS] += sr_reduction_bytes(worker->reduction);
    }
    return traffic;
}

size_t sr_stepper_memory(const sr_stepper *stepper)
{
    size_t bytes = 0;
    for (size_t thread = 0; thread < stepper->threads; ++thread)
        bytes += sr_tape_memory(stepper->workers[thread].tape);
    return bytes;
}

/* Negatives that all workers together name at most, for so many examples and tokens of a batch. Workers that share a list draw
 * it each. */
static size_t named_negatives(const sr_model_settings *settings, size_t examples, size_t tokens, size_t workers)
{
    const sr_model_needs needs = sr_model_needs_of(settings, true);
    const sr_negative_settings *sampled = &needs.sampled;
    const size_t length = sampled->count > 0 ? (size_t)sampled->count : tokens;
    const size_t slices = (examples + (size_t)sampled->slice - 1) / (size_t)sampled->slice;
    if (!needs.negatives)
        return 0;
    switch (sampled->sharing) {
    case SR_SHARING_EXAMPLE:
        return examples * length;
    case SR_SHARING_SLICE:
        return smaller(examples, slices * workers) * length;
    case SR_SHARING_BATCH:
        return smaller(examples, workers) * length;
    case SR_SHARING_TARGET:
        break;
    }
    return tokens * length;
}

/* Ids that every worker gathers: those that the whole batch names, or as many as all workers may bring where these are fewer.
 */
static size_t gathered_ids(const sr_settings *settings, size_t most, size_t workers)
{
    const size_t examples = (size_t)settings->training.batch_size, tokens = examples * (size_t)settings->model.max_length;
    const size_t ids = settings->model.contrastive.in_use ? 4 : 2; /* of an item in each view, and of its target */
    const size_t named = ids * tokens + named_negatives(&settings->model, examples, tokens, workers);
    return workers == 1 ? 0 : smaller(named, workers * most);
}

size_t sr_stepper_late_memory(sr_model *model, const sr_settings *settings, size_t rows, size_t steps, size_t ranks,
                              size_t threads)
{
    const sr_training_settings *training = &settings->training;
    const sr_table_list tables = sr_model_item_tables(model);
    const size_t late = sr_optimizer_late_memory(training, rows, steps);
    if (training->item_updates != SR_ITEM_UPDATES_DEFERRED || tables.count == 0 || late == 0)
        return 0;
    const size_t most = touched_rows_most_of(rows), blocks = training->reduction_precision == SR_PRECISION_BF16 ? 2 : 1;
    size_t width = 0;
    for (size_t i = 0; i < tables.count; ++i)
        width = larger(width, sr_model_parameters(model)->list[tables.index[i]].shape[1]);
    const size_t packed = ranks > 1 ? blocks * most * width * sizeof(sr_real) : 0;
    return late + packed +
           threads * (touched_rows_memory(rows) + gathered_ids(settings, most, ranks * threads) * sizeof(int32_t));
}
