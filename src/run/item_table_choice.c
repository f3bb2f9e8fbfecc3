/* Which kind of item table a run has (model.item_table). */
#include "run/run_state.h"

#include "srtrain/machine.h"

/* Bytes that a replicated table takes on this node: values, the optimizer's state, and gradients of each thread. */
static sr_status replicated_bytes(const run *r, double *bytes, sr_error *error)
{
    sr_model_size size;
    bool shares;
    const sr_training_settings *training = &r->settings->training;
    SR_TRY(sr_node_is_possible(r->parallel, &shares, NULL, error));
    const sr_status status = sr_model_measure_size(&size, &r->settings->model, sr_dataset_items(r->dataset),
                                                   sr_dataset_users(r->dataset), error);
    SR_TRY(sr_parallel_agree(r->parallel, status, error));
    const double ranks = sr_parallel_node_size(r->parallel), threads = (double)sr_parallel_threads(r->parallel);
    const double kept = 1 + (double)sr_optimizer_blocks(training);
    const double copies = shares && sr_training_shares(training) ? kept + ranks * threads : ranks * (kept + threads);
    *bytes = copies * (double)size.item_table;
    return SR_OK;
}

/* What does not yet serve rows of other workers. */
static sr_status check_division(const run *r, sr_error *error)
{
    const size_t workers = (size_t)sr_parallel_size(r->parallel) * sr_parallel_threads(r->parallel);
    if (workers == 1)
        return SR_OK;
    return sr_fail(
        error, SR_ERROR_USAGE,
        "model.item_table divided: validation and checkpoints do not serve a table that is divided among %zu workers "
        "(ranks times threads): use one rank with one thread, or item_table replicated",
        workers);
}

/* Divided where some node has no memory for a replicated table, and where that serves. */
static sr_status choose_by_memory(run *r, sr_error *error)
{
    sr_machine machine;
    double bytes;
    SR_TRY(replicated_bytes(r, &bytes, error));
    sr_machine_look(&machine, NULL);
    int64_t too_large = bytes > (double)machine.memory;
    SR_TRY(sr_parallel_maximum_int64(r->parallel, &too_large, 1, error));
    r->divides_items = too_large && sr_optimizer_can_step_rows(&r->settings->training) && check_division(r, NULL) == SR_OK;
    char needed[32], allowed[32];
    sr_format_bytes(bytes, needed, sizeof needed);
    sr_format_bytes((double)machine.memory, allowed, sizeof allowed);
    sr_log_information(r->log, "the item table is %s: replicated it takes %s of a node, and %s is allowed (%s)",
                       r->divides_items ? "divided among all threads of all ranks" : "replicated", needed, allowed,
                       machine.limit);
    return SR_OK;
}

sr_status run_choose_item_table(run *r, sr_error *error)
{
    const sr_item_table_choice choice = r->settings->model.item_table;
    if (choice == SR_ITEM_TABLE_AUTO)
        return choose_by_memory(r, error);
    r->divides_items = choice == SR_ITEM_TABLE_DIVIDED;
    return r->divides_items ? check_division(r, error) : SR_OK;
}
