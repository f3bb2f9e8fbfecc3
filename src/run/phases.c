#include "run/phases.h"

#include "srtrain/compare_doubles.h"
#include "srtrain/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `sorted` is memory for as many numbers as there are ranks. */
static void describe(const double *all, size_t stride, size_t ranks, const char (*hosts)[PHASE_HOST_SIZE], double *sorted,
                     phase_times *times)
{
    for (size_t rank = 0; rank < ranks; ++rank) {
        sorted[rank] = all[rank * stride];
        if (sorted[rank] > sorted[times->slowest] && (int)rank > times->slowest)
            times->slowest = (int)rank;
    }
    snprintf(times->host, sizeof times->host, "%s", hosts[times->slowest]);
    qsort(sorted, ranks, sizeof *sorted, sr_compare_doubles);
    times->least = sorted[0];
    times->most = sorted[ranks - 1];
    times->median = (sorted[(ranks - 1) / 2] + sorted[ranks / 2]) / 2;
}

sr_status phases_over_ranks(sr_parallel *parallel, const char *const *names, const double *seconds, size_t count,
                            phase_times *over, sr_error *error)
{
    const size_t ranks = (size_t)sr_parallel_size(parallel);
    char host[PHASE_HOST_SIZE];
    void *all = NULL, *hosts = NULL;
    size_t *offsets = NULL;
    double *sorted = NULL;
    snprintf(host, sizeof host, "%.*s", PHASE_HOST_SIZE - 1, sr_parallel_host(parallel));
    SR_TRY(SR_PARALLEL_ALLOCATE(parallel, &sorted, ranks, "times over ranks", error));
    sr_status status = sr_parallel_gather_all(parallel, SR_OK, seconds, 1, count * sizeof *seconds, &all, &offsets, error);
    free(offsets);
    if (status == SR_OK) {
        status = sr_parallel_gather_all(parallel, SR_OK, host, 1, sizeof host, &hosts, &offsets, error);
        free(offsets);
    }
    for (size_t i = 0; status == SR_OK && i < count; ++i) {
        over[i] = (phase_times){.slowest = 0};
        snprintf(over[i].name, sizeof over[i].name, "%s", names[i]);
        describe((const double *)all + i, count, ranks, hosts, sorted, &over[i]);
    }
    free(sorted);
    free(all);
    free(hosts);
    return status;
}
