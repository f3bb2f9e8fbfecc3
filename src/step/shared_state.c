#include "step/shared_state.h"

#include <stdio.h>

bool sr_training_shares(const sr_training_settings *settings)
{
    return settings->reduction == SR_REDUCTION_SHARED && settings->item_updates != SR_ITEM_UPDATES_DEFERRED;
}

/* Values and the blocks of the optimizer's state lie in the node's block, one after the other. */
static void place(sr_stepper *stepper)
{
    sr_node *node = stepper->node;
    sr_parameters *parameters = sr_model_parameters(stepper->model);
    const size_t size = parameters->block_size;
    sr_real *common = sr_node_common(node);
    sr_parameters_place(parameters, common, sr_node_own(node, sr_node_process(node)));
    sr_optimizer_place(&stepper->optimizer, parameters, &stepper->settings->training, common + size);
}

sr_status shared_state_create(sr_stepper *stepper, sr_error *error)
{
    const sr_training_settings *training = &stepper->settings->training;
    const size_t size = sr_model_parameters(stepper->model)->block_size;
    const size_t common = (1 + sr_optimizer_blocks(training)) * size;
    const char *why_not = NULL;
    bool possible = false;
    if (training->reduction != SR_REDUCTION_SHARED || sr_parallel_size(stepper->parallel) == 1)
        return SR_OK;
    SR_TRY(sr_node_is_possible(stepper->parallel, &possible, &why_not, error));
    if (possible && !sr_training_shares(training)) {
        possible = false;
        why_not = "training.item_updates is deferred";
    }
    sr_error refusal = {.status = SR_OK};
    if (possible && sr_node_create(&stepper->node, stepper->parallel, common, size, &refusal) != SR_OK)
        why_not = refusal.message;
    if (stepper->node)
        place(stepper);
    else if (why_not)
        snprintf(stepper->why_not, sizeof stepper->why_not, "%s", why_not);
    return SR_OK;
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
