/* The list of losses: one row each. Numbers are places in it. */
#include "model/loss.h"

#include "model/backbone.h"

#include <assert.h>
#include <string.h>

extern const loss cross_entropy_loss, bpr_loss, binary_cross_entropy_loss, stosa_loss;

/* clang-format off */
const loss *const losses[] = {
    &cross_entropy_loss,
    &bpr_loss,
    &binary_cross_entropy_loss,
    &stosa_loss,
};
/* clang-format on */
const size_t loss_count = sizeof losses / sizeof *losses;

const loss *loss_of(const sr_model_settings *settings)
{
    return losses[settings->loss];
}

const int32_t *single_negatives(const sr_batch *batch)
{
    const sr_negatives *negatives = batch->negatives;
    assert(negatives ? negatives->length == 1 && negatives->lists == batch->targets : batch->targets == 0);
    return negatives ? negatives->items : NULL;
}

pair_scores score_pairs(sr_model *model, sr_tape *tape, const sr_batch *batch, sr_tensor *states)
{
    sr_tensor *targets = item_table_scores(&model->item_table, tape, states, batch->target_items);
    return (pair_scores){.targets = targets,
                         .negatives = item_table_scores(&model->item_table, tape, states, single_negatives(batch))};
}

int sr_loss_number(const char *name)
{
    for (size_t i = 0; i < loss_count; ++i)
        if (strcmp(losses[i]->component.name, name) == 0)
            return (int)i;
    return -1;
}
