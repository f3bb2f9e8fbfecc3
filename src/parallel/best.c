/* The best of all ranks: lists are merged on the way by an operation of our own, so that no rank holds more than two of each.
 * Threads merge theirs before, in memory. */
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/parallel.h"

#include <limits.h>
#include <string.h>

/* The best `length` of two lists, in the place of the second. They are counted first and then merged from the worst on, so that
 * nothing is written over before it is read. */
static void merge_lists(const sr_scored_number *list, sr_scored_number *merged, size_t length)
{
    size_t of_list = 0, of_merged = 0;
    while (of_list + of_merged < length)
        if (sr_is_better(list[of_list], merged[of_merged]))
            ++of_list;
        else
            ++of_merged;
    while (of_list > 0) {
        const bool takes_list = of_merged == 0 || sr_is_better(merged[of_merged - 1], list[of_list - 1]);
        const size_t place = of_list + of_merged - 1;
        merged[place] = takes_list ? list[--of_list] : merged[--of_merged];
    }
}

/* An operation of MPI. One element of its type is a whole list. */
static void merge_all(void *in, void *inout, int *count, MPI_Datatype *type)
{
    int bytes;
    if (MPI_Type_size(*type, &bytes) != MPI_SUCCESS)
        return;
    const size_t length = (size_t)bytes / sizeof(sr_scored_number);
    for (int i = 0; i < *count; ++i)
        merge_lists((const sr_scored_number *)in + (size_t)i * length, (sr_scored_number *)inout + (size_t)i * length, length);
}

static sr_status merge_over_ranks(sr_parallel *parallel, sr_scored_number *entries, size_t lists, MPI_Datatype list,
                                  sr_error *error)
{
    MPI_Op merge;
    SR_TRY(sr_mpi_check(MPI_Type_commit(&list), "MPI_Type_commit", error));
    SR_TRY(sr_mpi_check(MPI_Op_create(merge_all, 1, &merge), "MPI_Op_create", error));
    const sr_status status = SR_MPI_WAIT(parallel, "MPI_Allreduce",
                                         MPI_Allreduce(MPI_IN_PLACE, entries, (int)lists, list, merge, parallel->world), error);
    MPI_Op_free(&merge);
    return status;
}

static sr_status best_of_processes(sr_parallel *parallel, sr_scored_number *entries, size_t lists, size_t length,
                                   sr_error *error)
{
    MPI_Datatype list;
    if (parallel->alone)
        return SR_OK;
    if (length > INT_MAX / sizeof *entries || lists > INT_MAX)
        return sr_fail(error, SR_ERROR_RUNTIME, "%zu lists of %zu entries cannot be merged over ranks, at most %zu entries can",
                       lists, length, INT_MAX / sizeof *entries);
    SR_TRY(sr_mpi_check(MPI_Type_contiguous((int)(length * sizeof *entries), MPI_BYTE, &list), "MPI_Type_contiguous", error));
    const sr_status status = merge_over_ranks(parallel, entries, lists, list, error);
    MPI_Type_free(&list);
    return status;
}

/* The first thread merges what all have, and the others take what has come of it. */
static sr_status best_of_members(sr_parallel *member, sr_scored_number *entries, size_t lists, size_t length, sr_error *error)
{
    void *const *brought = sr_parallel_exchange(member, entries);
    const sr_scored_number *merged = brought[0];
    sr_status status = SR_OK;
    if (member->thread == 0) {
        for (size_t thread = 1; thread < member->team->threads; ++thread)
            for (size_t list = 0; list < lists; ++list)
                merge_lists((const sr_scored_number *)brought[thread] + list * length, entries + list * length, length);
        status = best_of_processes(member->process, entries, lists, length, error);
    }
    status = sr_parallel_agree_in_process(member, status, error);
    if (member->thread > 0 && status == SR_OK)
        memcpy(entries, merged, lists * length * sizeof *entries);
    sr_parallel_wait_for_threads(member);
    return status;
}

sr_status sr_parallel_best(sr_parallel *parallel, sr_scored_number *entries, size_t lists, size_t length, sr_error *error)
{
    if (lists == 0 || length == 0)
        return SR_OK;
    return parallel->process ? best_of_members(parallel, entries, lists, length, error)
                             : best_of_processes(parallel, entries, lists, length, error);
}
