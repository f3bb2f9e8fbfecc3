/* Which kind of item table a run has (model.item_table): what the plan chose, where it had a choice. */
#include "run/run_state.h"

const char *run_why_not_divided(const run *r)
{
    const size_t workers = (size_t)sr_parallel_size(r->parallel) * sr_parallel_threads(r->parallel);
    return workers == 1 ? NULL
                        : "validation and checkpoints do not serve a table that is divided among several workers (ranks times "
                          "threads)";
}

sr_status run_choose_item_table(run *r, sr_error *error)
{
    const sr_plan *plan = &r->preflight.plan;
    const char *why_not = run_why_not_divided(r);
    r->divides_items = plan->table == SR_PLAN_DIVIDED;
    if (r->divides_items && why_not)
        return sr_fail(error, SR_ERROR_USAGE,
                       "model.item_table divided: %s: use one rank with one thread, or item_table replicated", why_not);
    if (r->settings->model.item_table == SR_ITEM_TABLE_AUTO)
        sr_log_information(r->log, "the item table is %s: %s",
                           r->divides_items ? "divided among all threads of all ranks" : "replicated", plan->why);
    return SR_OK;
}
