/* What the storage calls of parallel.h, for a process alone and without MPI and threads, of which a fuzzer needs nothing. */
#include "srtrain/node.h"
#include "srtrain/parallel.h"

#include <stdlib.h>
#include <string.h>

struct sr_parallel {
    int rank;
};

sr_status sr_parallel_start_alone(sr_parallel **parallel, sr_error *error)
{
    *parallel = calloc(1, sizeof **parallel);
    return *parallel ? SR_OK : sr_fail_memory(error, sizeof **parallel, "a rank");
}

int sr_parallel_rank(const sr_parallel *parallel)
{
    return parallel->rank;
}

int sr_parallel_size(const sr_parallel *parallel)
{
    return parallel->rank + 1;
}

sr_status sr_parallel_agree(sr_parallel *parallel, sr_status status, sr_error *error)
{
    (void)parallel;
    (void)error;
    return status;
}

sr_status sr_parallel_barrier(sr_parallel *parallel, sr_error *error)
{
    return sr_parallel_agree(parallel, SR_OK, error);
}

sr_status sr_parallel_broadcast(sr_parallel *parallel, void *data, size_t bytes, sr_error *error)
{
    (void)data;
    (void)bytes;
    return sr_parallel_agree(parallel, SR_OK, error);
}

sr_status sr_parallel_sum_int64(sr_parallel *parallel, int64_t *values, size_t count, sr_error *error)
{
    (void)values;
    (void)count;
    return sr_parallel_agree(parallel, SR_OK, error);
}

sr_status sr_node_wait(sr_node *node, sr_parallel *member, sr_error *error)
{
    (void)node;
    return sr_parallel_agree(member, SR_OK, error);
}

sr_status sr_node_broadcast(sr_node *node, void *data, size_t bytes, sr_error *error)
{
    (void)node;
    (void)data;
    (void)bytes;
    (void)error;
    return SR_OK;
}

sr_status sr_parallel_sum_double(sr_parallel *parallel, double *values, size_t count, sr_error *error)
{
    (void)values;
    (void)count;
    return sr_parallel_agree(parallel, SR_OK, error);
}

sr_status sr_parallel_exchange_counts(sr_parallel *parallel, sr_status status, const size_t *sent, size_t *received,
                                      sr_error *error)
{
    *received = *sent;
    return sr_parallel_agree(parallel, status, error);
}

sr_status sr_parallel_exchange_elements(sr_parallel *parallel, const void *data, const size_t *sent, void *room,
                                        const size_t *received, size_t size, sr_error *error)
{
    if (sent[1] > sent[0])
        memcpy((char *)room + received[0] * size, (const char *)data + sent[0] * size, (sent[1] - sent[0]) * size);
    return sr_parallel_agree(parallel, SR_OK, error);
}
