/* Which item table a training takes. */
#include "srtrain/plan.h"

/* The model of time is coarse: what is faster has to be so by this factor, and by so many seconds a step.
 *
 * On one core of a Xeon with AVX-512 that had its memory to itself, Adam's step of all rows of width 64 took 2.6 ms for 20,000
 * items, 13 ms for 10^5 and 190 ms for 10^6, and the step of rows that were read less than 1 ms. The model says 29 ms for
 * 10^5. So two ranks gain little below 10^5 items, whatever the model says. There a replicated table has advantages: it is
 * saved beside training, and evaluated without rounds. With these constants they divide from about 140,000 items on. A loss
 * over the whole catalogue took 35 ms a step for 10^5 items, and 43 ms with divided rows: within a node nothing is gained, and
 * the factor keeps such tables replicated. */
static const double LARGEST_SHARE = 0.5, LEAST_GAIN = 0.025;

static void take_table(sr_plan *plan, sr_plan_table_kind kind)
{
    const sr_plan_table *table = &plan->tables[kind];
    plan->table = kind;
    plan->memory = table->memory;
    plan->reduced = table->reduced;
    plan->small_sums = table->small_sums;
    plan->messages = plan->message > 0 ? (table->reduced + plan->message - 1) / plan->message : 0;
}

/* The first node on which a table does not fit; NULL: it fits everywhere. */
static const sr_plan_room *too_small_for(const sr_plan *plan, sr_plan_table_kind kind, const sr_plan_room *nodes, size_t count)
{
    sr_plan with = *plan;
    bool tight;
    take_table(&with, kind);
    for (size_t i = 0; i < count; ++i)
        if (sr_plan_check_memory(&with, nodes[i].ranks, nodes[i].memory, nodes[i].limit, nodes[i].node, &tight, NULL) != SR_OK)
            return &nodes[i];
    return NULL;
}

static void choose_by_memory(sr_plan *plan, const sr_plan_room *node, bool divided_fits)
{
    sr_plan with = *plan;
    char needed[32], allowed[32];
    take_table(&with, SR_PLAN_REPLICATED);
    sr_format_bytes((double)sr_plan_memory_of_node(&with, node->ranks), needed, sizeof needed);
    sr_format_bytes((double)node->memory, allowed, sizeof allowed);
    const bool less = plan->tables[SR_PLAN_DIVIDED].memory.total < plan->tables[SR_PLAN_REPLICATED].memory.total;
    take_table(plan, divided_fits || less ? SR_PLAN_DIVIDED : SR_PLAN_REPLICATED);
    snprintf(plan->why, sizeof plan->why, "with a replicated one, a training takes %s of %s, and %s is allowed (%s)", needed,
             node->node, allowed, node->limit);
}

static void choose_by_time(sr_plan *plan, bool divided_fits)
{
    const double replicated = plan->tables[SR_PLAN_REPLICATED].item_seconds,
                 divided = plan->tables[SR_PLAN_DIVIDED].item_seconds;
    const bool faster = plan->ranks > 1 && divided < LARGEST_SHARE * replicated && replicated - divided > LEAST_GAIN;
    char of_replicated[32], of_divided[32];
    sr_format_seconds(replicated, of_replicated, sizeof of_replicated);
    sr_format_seconds(divided, of_divided, sizeof of_divided);
    take_table(plan, faster && divided_fits ? SR_PLAN_DIVIDED : SR_PLAN_REPLICATED);
    snprintf(plan->why, sizeof plan->why,
             "a replicated one fits%s; its rows take about %s of a step, and %s if they are divided (by the model of plans)",
             faster && !divided_fits ? ", and a divided one does not" : "", of_replicated, of_divided);
}

void sr_plan_choose_table(sr_plan *plan, sr_item_table_choice choice, const sr_plan_room *nodes, size_t count)
{
    const char *why_not = plan->tables[SR_PLAN_DIVIDED].why_not;
    if (choice != SR_ITEM_TABLE_AUTO) {
        take_table(plan, choice == SR_ITEM_TABLE_DIVIDED ? SR_PLAN_DIVIDED : SR_PLAN_REPLICATED);
        snprintf(plan->why, sizeof plan->why, "model.item_table says so");
        return;
    }
    if (*why_not) {
        take_table(plan, SR_PLAN_REPLICATED);
        snprintf(plan->why, sizeof plan->why, "it cannot be divided: %s", why_not);
        return;
    }
    const sr_plan_room *small = too_small_for(plan, SR_PLAN_REPLICATED, nodes, count);
    const bool divided_fits = too_small_for(plan, SR_PLAN_DIVIDED, nodes, count) == NULL;
    if (small)
        choose_by_memory(plan, small, divided_fits);
    else
        choose_by_time(plan, divided_fits);
}
