/* Sizes of what is planned: those of the data set, or of an imagined one that it is a sample of. */
#ifndef SRTRAIN_PLAN_SIZES_H
#define SRTRAIN_PLAN_SIZES_H

#include "srtrain/plan.h"

static inline size_t planned_items(const sr_plan_request *request)
{
    return request->imagined.users > 0 ? request->imagined.items : sr_dataset_items(request->dataset);
}

static inline size_t planned_users(const sr_plan_request *request)
{
    return request->imagined.users > 0 ? request->imagined.users : sr_dataset_users(request->dataset);
}

/* `count` of the data set, times as many users as are planned for each of its own. */
static inline size_t planned_of_users(const sr_plan_request *request, size_t count)
{
    return (size_t)((double)count * ((double)planned_users(request) / (double)sr_dataset_users(request->dataset)) + 0.5);
}

/* Likewise with items. */
static inline size_t planned_of_items(const sr_plan_request *request, size_t count)
{
    return (size_t)((double)count * ((double)planned_items(request) / (double)sr_dataset_items(request->dataset)) + 0.5);
}

/* Threads of all ranks. */
static inline size_t planned_workers(const sr_plan_request *request)
{
    return request->ranks * request->threads;
}

#endif
