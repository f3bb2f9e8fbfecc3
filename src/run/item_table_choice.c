/* Which kind of item table a run has (model.item_table): what the plan chose, where it had a choice. */
#include "run/run_state.h"

void run_choose_item_table(run *r)
{
    const sr_plan *plan = &r->preflight.plan;
    r->divides_items = plan->table == SR_PLAN_DIVIDED;
    if (r->settings->model.item_table == SR_ITEM_TABLE_AUTO)
        sr_log_information(r->log, "the item table is %s: %s",
                           r->divides_items ? "divided among all threads of all ranks" : "replicated", plan->why);
}

/* A copy of the table beside the table is what a division is to save. */
void run_describe_item_table(const run *r)
{
    const sr_checkpoint_settings *checkpoint = &r->settings->checkpoint;
    if (r->divides_items && checkpoint->writing == SR_WRITING_OVERLAPPED)
        sr_log_information(r->log,
                           "checkpoint.writing overlapped: with a divided item table training waits for checkpoints, as "
                           "writing beside it needs a copy of the table");
}
