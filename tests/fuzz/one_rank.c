/* What the storage calls of parallel.h, for a process alone and without MPI and threads, of which a fuzzer needs nothing. */
#include "srtrain/parallel.h"

#include <stdlib.h>

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
