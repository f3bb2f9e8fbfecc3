/* Starting and ending MPI, failing together, and small collectives. */
#include "srtrain/parallel.h"

#include "parallel/launch.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES = 1 << 28, /* larger messages go in pieces, so that counts fit into int */
    BLOCK_TAG = 1
};

sr_status sr_mpi_check(int code, const char *operation, sr_error *error)
{
    if (code == MPI_SUCCESS)
        return SR_OK;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error code %d", code);
    return sr_fail(error, SR_ERROR_RUNTIME, "%s failed: %s", operation, text);
}

/* ---- start and end ---- */

static sr_status look_at_node(sr_parallel *parallel, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Comm_rank(parallel->node, &parallel->node_rank), "MPI_Comm_rank", error));
    SR_TRY(sr_mpi_check(MPI_Comm_size(parallel->node, &parallel->node_size), "MPI_Comm_size", error));
    int most;
    SR_TRY(
        sr_mpi_check(MPI_Allreduce(&parallel->node_size, &most, 1, MPI_INT, MPI_MAX, parallel->world), "MPI_Allreduce", error));
    parallel->is_spread = most == 1;
    return SR_OK;
}

/* `parallel` has its world already. */
static sr_status look_at_world(sr_parallel *parallel, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Comm_set_errhandler(parallel->world, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", error));
    SR_TRY(sr_mpi_check(MPI_Comm_rank(parallel->world, &parallel->rank), "MPI_Comm_rank", error));
    SR_TRY(sr_mpi_check(MPI_Comm_size(parallel->world, &parallel->size), "MPI_Comm_size", error));
    SR_TRY(
        sr_mpi_check(MPI_Comm_split_type(parallel->world, MPI_COMM_TYPE_SHARED, parallel->rank, MPI_INFO_NULL, &parallel->node),
                     "MPI_Comm_split_type", error));
    SR_TRY(look_at_node(parallel, error));
    int length;
    return sr_mpi_check(MPI_Get_processor_name(parallel->host, &length), "MPI_Get_processor_name", error);
}

sr_status sr_parallel_start(sr_parallel **parallel, int *argument_count, char ***arguments, sr_error *error)
{
    int provided, size;
    *parallel = NULL;
    const launch_promise promise = launch_look();
    SR_TRY(sr_mpi_check(MPI_Init_thread(argument_count, arguments, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread", error));
    if (provided < MPI_THREAD_FUNNELED)
        return sr_fail(error, SR_ERROR_RUNTIME,
                       "this MPI library was built without support for threads (MPI_THREAD_FUNNELED): use one that has it");
    SR_TRY(sr_mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", error));
    SR_TRY(sr_mpi_check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size", error));
    const sr_status status = launch_check(&promise, size, error);
    if (status != SR_OK) {
        MPI_Finalize();
        return status;
    }
    SR_TRY(SR_ALLOCATE_ZERO(parallel, 1, "the communicators", error));
    (*parallel)->world = (*parallel)->node = MPI_COMM_NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&(*parallel)->activity, 1, "the communicators", error));
    SR_TRY(sr_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &(*parallel)->world), "MPI_Comm_dup", error));
    return look_at_world(*parallel, error);
}

sr_status parallel_first_ranks(sr_parallel **first, sr_parallel *parallel, int ranks, sr_error *error)
{
    MPI_Comm world;
    *first = NULL;
    SR_TRY(sr_mpi_check(MPI_Comm_split(parallel->world, parallel->rank < ranks ? 0 : MPI_UNDEFINED, parallel->rank, &world),
                        "MPI_Comm_split", error));
    if (world == MPI_COMM_NULL)
        return SR_OK;
    SR_TRY(SR_ALLOCATE_ZERO(first, 1, "the communicators", error));
    (*first)->world = world;
    (*first)->node = MPI_COMM_NULL;
    (*first)->is_part = true;
    SR_TRY(SR_ALLOCATE_ZERO(&(*first)->activity, 1, "the communicators", error));
    return look_at_world(*first, error);
}

sr_status parallel_pretend_nodes(sr_parallel *parallel, int processes, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Comm_free(&parallel->node), "MPI_Comm_free", error));
    SR_TRY(sr_mpi_check(MPI_Comm_split(parallel->world, parallel->rank / processes, parallel->rank, &parallel->node),
                        "MPI_Comm_split", error));
    return look_at_node(parallel, error);
}

bool sr_parallel_is_launched(void)
{
    /* What Open MPI, PMIx, MPICH and those that come from it, and Cray's launchers tell their processes. */
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK",   "PMI_RANK",   "PMI_SIZE",
                                        "MV2_COMM_WORLD_SIZE",  "PALS_RANKID", "ALPS_APP_PE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (getenv(names[i]))
            return true;
    return false;
}

sr_status sr_parallel_start_alone(sr_parallel **parallel, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(parallel, 1, "the communicators", error));
    (*parallel)->world = (*parallel)->node = MPI_COMM_NULL;
    (*parallel)->size = (*parallel)->node_size = 1;
    (*parallel)->alone = true;
    snprintf((*parallel)->host, sizeof(*parallel)->host, "this host");
    return SR_ALLOCATE_ZERO(&(*parallel)->activity, 1, "the communicators", error);
}

void sr_parallel_finish(sr_parallel *parallel)
{
    const bool ends_mpi = !parallel || !(parallel->alone || parallel->is_part);
    if (parallel)
        team_free(parallel->team);
    if (parallel && parallel->node != MPI_COMM_NULL)
        MPI_Comm_free(&parallel->node);
    if (parallel && parallel->world != MPI_COMM_NULL)
        MPI_Comm_free(&parallel->world);
    if (parallel)
        free(parallel->activity);
    free(parallel);
    int initialised = 0, finalised = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    if (ends_mpi && initialised && !finalised)
        MPI_Finalize();
}

int sr_parallel_rank(const sr_parallel *parallel)
{
    return parallel->rank;
}

int sr_parallel_size(const sr_parallel *parallel)
{
    return parallel->size;
}

int sr_parallel_node_rank(const sr_parallel *parallel)
{
    return parallel->node_rank;
}

int sr_parallel_node_size(const sr_parallel *parallel)
{
    return parallel->node_size;
}

const char *sr_parallel_host(const sr_parallel *parallel)
{
    return parallel->host;
}

MPI_Comm sr_parallel_communicator(const sr_parallel *parallel)
{
    return parallel->world;
}

/* ---- what this rank is doing ---- */

const char *activity_phase_name(sr_phase phase)
{
    static const char *const names[] = {"setting up",     "training step", "validation",      "writing a checkpoint",
                                        "the final test", "an evaluation", "recommendations", "an analysis"};
    return names[phase];
}

void sr_parallel_phase(sr_parallel *parallel, sr_phase phase, int64_t step)
{
    atomic_store(&parallel->activity->phase, (int)phase);
    atomic_store(&parallel->activity->step, step);
}

const char *sr_parallel_phase_name(const sr_parallel *parallel, int64_t *step)
{
    *step = atomic_load(&parallel->activity->step);
    return activity_phase_name((sr_phase)atomic_load(&parallel->activity->phase));
}

/* ---- the library ---- */

void sr_parallel_library_version(char *text, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (MPI_Get_library_version(version, &length) != MPI_SUCCESS)
        snprintf(version, sizeof version, "MPI of unknown version");
    version[strcspn(version, "\n")] = '\0';
    snprintf(text, size, "%s", version);
}

/* ---- failing together ---- */

static sr_status broadcast_from(sr_parallel *parallel, void *data, size_t bytes, int root, sr_error *error)
{
    if (parallel->alone)
        return SR_OK;
    for (size_t done = 0; done < bytes; done += PIECE_BYTES) {
        const size_t piece = bytes - done < PIECE_BYTES ? bytes - done : (size_t)PIECE_BYTES;
        SR_TRY(SR_MPI_WAIT(parallel, "MPI_Bcast", MPI_Bcast((char *)data + done, (int)piece, MPI_BYTE, root, parallel->world),
                           error));
    }
    return SR_OK;
}

sr_status sr_parallel_agree(sr_parallel *parallel, sr_status status, sr_error *error)
{
    if (parallel->process)
        return member_agree(parallel, status, error);
    if (parallel->alone)
        return status;
    /* Smallest over ranks: the lowest failing rank (`size` when nobody failed), and 1 only when everybody failed. */
    int smallest[] = {status == SR_OK ? parallel->size : parallel->rank, status != SR_OK};
    SR_TRY(SR_MPI_WAIT(parallel, "MPI_Allreduce", MPI_Allreduce(MPI_IN_PLACE, smallest, 2, MPI_INT, MPI_MIN, parallel->world),
                       error));
    const int first = smallest[0];
    if (first == parallel->size)
        return SR_OK;
    sr_error shared = {.status = status};
    if (first == parallel->rank) {
        snprintf(shared.message, sizeof shared.message, "%s", error ? error->message : "");
        /* What everybody finds wrong (a misspelt key) is nobody's in particular. */
        if (!smallest[1])
            sr_error_prepend(&shared, "rank %d on %s: ", parallel->rank, parallel->host);
    }
    SR_TRY(broadcast_from(parallel, &shared, sizeof shared, first, error));
    if (error)
        *error = shared;
    return shared.status;
}

sr_status sr_parallel_allocate(sr_parallel *parallel, void **memory, size_t count, size_t size, const char *what,
                               sr_error *error)
{
    const sr_status status = sr_parallel_agree(parallel, sr_allocate_zero(memory, count, size, what, error), error);
    if (status != SR_OK) {
        free(*memory);
        *memory = NULL;
    }
    return status;
}

_Noreturn void sr_parallel_abort(sr_parallel *parallel, sr_status status, const sr_error *error)
{
    fprintf(stderr, "srtrain: rank %d on %s: %s\n", parallel ? parallel->rank : 0, parallel ? parallel->host : "this host",
            error ? error->message : "failed");
    MPI_Abort(parallel ? parallel->world : MPI_COMM_WORLD, (int)status);
    exit((int)status);
}

/* ---- small collectives ---- */

sr_status sr_parallel_barrier(sr_parallel *parallel, sr_error *error)
{
    if (parallel->process)
        return member_barrier(parallel, error);
    if (parallel->alone)
        return SR_OK;
    return SR_MPI_WAIT(parallel, "MPI_Barrier", MPI_Barrier(parallel->world), error);
}

/* `size` is that of one value in bytes. */
static sr_status reduce(sr_parallel *parallel, void *values, size_t count, size_t size, MPI_Datatype type, MPI_Op operation,
                        sr_error *error)
{
    if (parallel->alone)
        return SR_OK;
    const size_t piece = PIECE_BYTES / size;
    for (size_t done = 0; done < count; done += piece) {
        const int here = (int)(count - done < piece ? count - done : piece);
        SR_TRY(SR_MPI_WAIT(parallel, "MPI_Allreduce",
                           MPI_Allreduce(MPI_IN_PLACE, (char *)values + done * size, here, type, operation, parallel->world),
                           error));
    }
    return SR_OK;
}

sr_status sr_parallel_sum_double(sr_parallel *parallel, double *values, size_t count, sr_error *error)
{
    if (parallel->process)
        return member_sum_double(parallel, values, count, error);
    return reduce(parallel, values, count, sizeof *values, MPI_DOUBLE, MPI_SUM, error);
}

sr_status sr_parallel_sum_int64(sr_parallel *parallel, int64_t *values, size_t count, sr_error *error)
{
    if (parallel->process)
        return member_sum_int64(parallel, values, count, error);
    return reduce(parallel, values, count, sizeof *values, MPI_INT64_T, MPI_SUM, error);
}

sr_status sr_parallel_maximum_int64(sr_parallel *parallel, int64_t *values, size_t count, sr_error *error)
{
    return reduce(parallel, values, count, sizeof *values, MPI_INT64_T, MPI_MAX, error);
}

sr_status sr_parallel_broadcast(sr_parallel *parallel, void *data, size_t bytes, sr_error *error)
{
    return broadcast_from(parallel, data, bytes, 0, error);
}

/* ---- gather ---- */

/* On rank 0: where each rank's block begins, and room for all of them. */
static sr_status plan_gather(const uint64_t *sizes, size_t ranks, char **data, size_t **offsets, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(offsets, ranks + 1, "the offsets of a gather", error));
    (*offsets)[0] = 0;
    for (size_t rank = 0; rank < ranks; ++rank)
        (*offsets)[rank + 1] = (*offsets)[rank] + sizes[rank];
    return SR_ALLOCATE(data, (*offsets)[ranks], "a gather", error);
}

static sr_status send_block(sr_parallel *parallel, int to, const char *data, size_t bytes, sr_error *error)
{
    for (size_t done = 0; done < bytes; done += PIECE_BYTES) {
        const size_t piece = bytes - done < PIECE_BYTES ? bytes - done : (size_t)PIECE_BYTES;
        SR_TRY(SR_MPI_WAIT(parallel, "MPI_Send", MPI_Send(data + done, (int)piece, MPI_BYTE, to, BLOCK_TAG, parallel->world),
                           error));
    }
    return SR_OK;
}

static sr_status receive_block(sr_parallel *parallel, int from, char *data, size_t bytes, sr_error *error)
{
    for (size_t done = 0; done < bytes; done += PIECE_BYTES) {
        const size_t piece = bytes - done < PIECE_BYTES ? bytes - done : (size_t)PIECE_BYTES;
        SR_TRY(SR_MPI_WAIT(parallel, "MPI_Recv",
                           MPI_Recv(data + done, (int)piece, MPI_BYTE, from, BLOCK_TAG, parallel->world, MPI_STATUS_IGNORE),
                           error));
    }
    return SR_OK;
}

/* Blocks travel as plain messages: MPI_Gatherv counts bytes in int, so that 2 GiB over all ranks would be its limit. */
static sr_status move_blocks(sr_parallel *parallel, const void *own, size_t bytes, char *data, const size_t *offsets,
                             sr_error *error)
{
    if (parallel->rank != 0)
        return send_block(parallel, 0, own, bytes, error);
    if (bytes > 0)
        memcpy(data, own, bytes);
    for (int rank = 1; rank < parallel->size; ++rank)
        SR_TRY(receive_block(parallel, rank, data + offsets[rank], offsets[rank + 1] - offsets[rank], error));
    return SR_OK;
}

sr_status sr_parallel_gather(sr_parallel *parallel, const void *data, size_t bytes, void **gathered, size_t **offsets,
                             sr_error *error)
{
    const uint64_t mine = bytes;
    uint64_t *sizes = NULL;
    char *all = NULL;
    *gathered = NULL;
    *offsets = NULL;
    const bool is_root = parallel->rank == 0;
    sr_status status = is_root ? SR_ALLOCATE(&sizes, (size_t)parallel->size, "the sizes of a gather", error) : SR_OK;
    SR_TRY(sr_parallel_agree(parallel, status, error));
    status = SR_MPI_WAIT(parallel, "MPI_Gather", MPI_Gather(&mine, 1, MPI_UINT64_T, sizes, 1, MPI_UINT64_T, 0, parallel->world),
                         error);
    if (status == SR_OK && is_root)
        status = plan_gather(sizes, (size_t)parallel->size, &all, offsets, error);
    free(sizes);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = move_blocks(parallel, data, bytes, all, *offsets, error);
    if (status == SR_OK) {
        *gathered = all;
        return SR_OK;
    }
    free(all);
    free(*offsets);
    *offsets = NULL;
    return status;
}

/* ---- gather on every rank ---- */

/* A gather under way: what this rank gives, how many elements each rank has and where they go (in the integers of MPI; each
 * [ranks]), and what all get. `size` bytes are one element, so that MPI counts elements and not bytes. */
typedef struct {
    const void *data;
    size_t count, size;
    uint64_t *sizes;
    int *counts, *starts;
    void *gathered;
    size_t *offsets; /* [ranks + 1] */
} gather_work;

static sr_status add_up_sizes(gather_work *work, size_t ranks, sr_error *error)
{
    work->offsets[0] = 0;
    for (size_t rank = 0; rank < ranks; ++rank) {
        if (work->sizes[rank] > INT_MAX || work->offsets[rank] > INT_MAX - work->sizes[rank])
            return sr_fail(error, SR_ERROR_RUNTIME, "more than %d rows cannot be gathered from all ranks", INT_MAX);
        work->counts[rank] = (int)work->sizes[rank];
        work->starts[rank] = (int)work->offsets[rank];
        work->offsets[rank + 1] = work->offsets[rank] + work->sizes[rank];
    }
    return SR_OK;
}

static sr_status exchange_blocks(sr_parallel *parallel, const gather_work *work, sr_error *error)
{
    if (parallel->alone) {
        if (work->count > 0)
            memcpy(work->gathered, work->data, work->count * work->size);
        return SR_OK;
    }
    MPI_Datatype element;
    SR_TRY(sr_mpi_check(MPI_Type_contiguous((int)work->size, MPI_BYTE, &element), "MPI_Type_contiguous", error));
    sr_status status = sr_mpi_check(MPI_Type_commit(&element), "MPI_Type_commit", error);
    if (status == SR_OK)
        status = SR_MPI_WAIT(parallel, "MPI_Allgatherv",
                             MPI_Allgatherv(work->data, (int)work->count, element, work->gathered, work->counts, work->starts,
                                            element, parallel->world),
                             error);
    MPI_Type_free(&element);
    return status;
}

static sr_status make_room_to_gather(gather_work *work, size_t ranks, sr_error *error)
{
    SR_TRY(SR_ALLOCATE(&work->sizes, ranks, "the sizes of a gather", error));
    SR_TRY(SR_ALLOCATE(&work->counts, ranks, "the sizes of a gather", error));
    SR_TRY(SR_ALLOCATE(&work->starts, ranks, "the sizes of a gather", error));
    return SR_ALLOCATE(&work->offsets, ranks + 1, "the offsets of a gather", error);
}

static sr_status gather_everywhere(sr_parallel *parallel, sr_status status, gather_work *work, sr_error *error)
{
    const size_t ranks = (size_t)parallel->size;
    const uint64_t mine = work->count;
    if (status == SR_OK)
        status = make_room_to_gather(work, ranks, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    work->sizes[0] = mine; /* which is all there is for a process alone */
    if (!parallel->alone)
        status = SR_MPI_WAIT(parallel, "MPI_Allgather",
                             MPI_Allgather(&mine, 1, MPI_UINT64_T, work->sizes, 1, MPI_UINT64_T, parallel->world), error);
    if (status == SR_OK)
        status = add_up_sizes(work, ranks, error);
    if (status == SR_OK)
        status = sr_allocate(&work->gathered, work->offsets[ranks], work->size, "what is gathered from all ranks", error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return exchange_blocks(parallel, work, error);
}

sr_status sr_parallel_gather_all(sr_parallel *parallel, sr_status status, const void *data, size_t count, size_t size,
                                 void **gathered, size_t **offsets, sr_error *error)
{
    if (parallel->process) {
        *gathered = NULL;
        *offsets = NULL;
        status = member_gather_all(parallel, status, data, count, size, gathered, offsets, error);
        if (status != SR_OK) {
            free(*gathered);
            free(*offsets);
            *gathered = NULL;
            *offsets = NULL;
        }
        return status;
    }
    gather_work work = {.data = data, .count = count, .size = size};
    status = gather_everywhere(parallel, status, &work, error);
    free(work.sizes);
    free(work.counts);
    free(work.starts);
    if (status != SR_OK) {
        free(work.gathered);
        free(work.offsets);
        work.gathered = NULL;
        work.offsets = NULL;
    }
    *gathered = work.gathered;
    *offsets = work.offsets;
    return status;
}

/* ---- scatter ---- */

/* Rank 0 sends to everybody; each rank has room for its part. */
static sr_status deal_blocks(sr_parallel *parallel, const char *data, const size_t *offsets, char *part, size_t bytes,
                             sr_error *error)
{
    if (parallel->rank != 0)
        return receive_block(parallel, 0, part, bytes, error);
    if (bytes > 0)
        memcpy(part, data, bytes);
    for (int rank = 1; rank < parallel->size; ++rank)
        SR_TRY(send_block(parallel, rank, data + offsets[rank], offsets[rank + 1] - offsets[rank], error));
    return SR_OK;
}

sr_status sr_parallel_scatter(sr_parallel *parallel, const void *data, const size_t *offsets, void **part, size_t *bytes,
                              sr_error *error)
{
    uint64_t mine = 0, *sizes = NULL;
    char *own = NULL;
    *part = NULL;
    *bytes = 0;
    const bool is_root = parallel->rank == 0;
    sr_status status = is_root ? SR_ALLOCATE(&sizes, (size_t)parallel->size, "the sizes of a scatter", error) : SR_OK;
    SR_TRY(sr_parallel_agree(parallel, status, error));
    for (int rank = 0; is_root && rank < parallel->size; ++rank)
        sizes[rank] = offsets[rank + 1] - offsets[rank];
    status = SR_MPI_WAIT(parallel, "MPI_Scatter",
                         MPI_Scatter(sizes, 1, MPI_UINT64_T, &mine, 1, MPI_UINT64_T, 0, parallel->world), error);
    free(sizes);
    if (status == SR_OK)
        status = SR_ALLOCATE(&own, mine, "a part of a scatter", error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = deal_blocks(parallel, data, offsets, own, mine, error);
    if (status != SR_OK) {
        free(own);
        return status;
    }
    *part = own;
    *bytes = mine;
    return SR_OK;
}
