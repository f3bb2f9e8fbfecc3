#include "step/shared_state.h"

#include "step/item_rows.h"

#include <stdio.h>

bool sr_training_shares(const sr_training_settings *settings)
{
    return settings->reduction == SR_REDUCTION_SHARED;
}

/* Values, the blocks of the optimizer's state and the steps that rows have taken lie in the node's block, one after the other.
 */
static sr_status place(sr_stepper *stepper, sr_error *error)
{
    sr_node *node = stepper->node;
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    const size_t size = parameters->block_size, blocks = sr_optimizer_blocks(&stepper->settings->training);
    sr_real *common = sr_node_common(node);
    sr_parameters_place(parameters, common, sr_node_own(node, sr_node_process(node)));
    sr_optimizer_place(&stepper->optimizer, parameters, &stepper->settings->training, common + size);
    return item_rows_pick(stepper, (int64_t *)(void *)(common + (1 + blocks) * size), error);
}

sr_status shared_state_create(sr_stepper *stepper, sr_error *error)
{
    const sr_training_settings *training = &stepper->settings->training;
    const size_t size = sr_model_parameters(stepper->model)->block_size;
    const size_t taken = item_rows_remembered(stepper) * (sizeof(int64_t) / sizeof(sr_real));
    const size_t common = (1 + sr_optimizer_blocks(training)) * size + taken;
    const char *why_not = NULL;
    bool possible = false;
    if (!sr_training_shares(training) || sr_parallel_size(stepper->parallel) == 1)
        return SR_OK;
    SR_TRY(sr_node_is_possible(stepper->parallel, &possible, error));
    sr_error refusal = {.status = SR_OK};
    if (possible && sr_node_create(&stepper->node, stepper->parallel, common, size, &refusal) != SR_OK)
        why_not = refusal.message;
    if (!stepper->node && why_not)
        snprintf(stepper->why_not, sizeof stepper->why_not, "%.255s", why_not);
    return sr_parallel_agree(stepper->parallel, stepper->node ? place(stepper, error) : SR_OK, error);
}

void shared_state_part(const sr_worker *worker, size_t *part, size_t *parts)
{
    *part = sr_parallel_thread(worker->parallel);
    *parts = worker->stepper->threads;
    if (worker->stepper->node)
        sr_node_part(worker->stepper->node, worker->parallel, part, parts);
}

void shared_state_free(sr_stepper *stepper)
{
    if (!stepper->node)
        return;
    sr_parameters_withdraw(sr_model_parameters(stepper->model));
    sr_node_free(stepper->node);
}
