#include "model/ranks.h"

#include "srtrain/clock.h"

/* Ranks of this process. */
static size_t ranks_here(const sr_ranks *ranks)
{
    return ranks->here ? ranks->here : 1;
}

void ranks_sum_in_pass(sr_tape *tape, const sr_pass *pass, double *values, size_t count)
{
    sr_error error;
    sr_ranks *ranks = pass->ranks;
    if (!ranks || ranks->failed || ranks_sum(ranks, values, count, &error) == SR_OK)
        return;
    ranks->failed = true;
    sr_tape_fail(tape, &error);
}

sr_status ranks_sum(sr_ranks *ranks, double *values, size_t count, sr_error *error)
{
    double mark = sr_seconds();
    const sr_status status = ranks->sum(ranks->context, values, count, error);
    ranks->seconds += sr_lap(&mark);
    return status;
}

sr_status ranks_agree(sr_ranks *ranks, sr_status status, sr_error *error)
{
    double mark = sr_seconds();
    status = ranks->agree(ranks->context, status, error);
    ranks->seconds += sr_lap(&mark);
    return status;
}

void ranks_wait_here(sr_ranks *ranks)
{
    double mark = sr_seconds();
    if (!ranks || !ranks->wait_here)
        return;
    ranks->wait_here(ranks->context);
    ranks->seconds += sr_lap(&mark);
}

sr_status ranks_gather(sr_ranks *ranks, sr_status status, const void *data, size_t count, size_t size, void **gathered,
                       size_t **offsets, sr_error *error)
{
    double mark = sr_seconds();
    status = ranks->gather(ranks->context, status, data, count, size, gathered, offsets, error);
    if (status == SR_OK)
        ranks->traffic.bytes[SR_TRAFFIC_STATES] += (double)(count * size) * (double)(ranks->count / ranks_here(ranks) - 1);
    ranks->seconds += sr_lap(&mark);
    return status;
}

sr_status ranks_exchange_counts(sr_ranks *ranks, sr_status status, const size_t *sent, size_t *received, sr_error *error)
{
    double mark = sr_seconds();
    status = ranks->exchange_counts(ranks->context, status, sent, received, error);
    ranks->traffic.bytes[SR_TRAFFIC_IDS] += (double)(ranks->count - ranks_here(ranks)) * (double)sizeof *sent;
    ranks->seconds += sr_lap(&mark);
    return status;
}

sr_status ranks_exchange(sr_ranks *ranks, sr_traffic_kind kind, const void *data, const size_t *sent, void *room,
                         const size_t *received, size_t size, sr_error *error)
{
    double mark = sr_seconds();
    const sr_status status = ranks->exchange(ranks->context, data, sent, room, received, size, error);
    const size_t all_here = ranks_here(ranks), first = ranks->rank - ranks->rank % all_here;
    const size_t here = sent[first + all_here] - sent[first];
    ranks->traffic.bytes[kind] += (double)(sent[ranks->count] - sent[0] - here) * (double)size;
    ranks->seconds += sr_lap(&mark);
    return status;
}
