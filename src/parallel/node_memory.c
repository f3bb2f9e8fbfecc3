/* One copy a node; srtrain/node_memory.h says what is promised. */
#include "srtrain/node_memory.h"

#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

struct sr_node_memory {
    sr_parallel *parallel;
    size_t bytes;
    void *at;
    void *own; /* where processes share nothing */
    MPI_Win window;
    bool is_open;
    sr_parallel between; /* one process of each copy; nobody on the others */
};

static bool leads(const sr_node_memory *memory)
{
    return memory->own || memory->parallel->node_rank == 0;
}

/* Whether some node has several processes, and all nodes have room. */
static sr_status decide(const sr_node_memory *memory, bool *shares, sr_error *error)
{
    const sr_parallel *parallel = memory->parallel;
    const bool fits = parallel->node_rank > 0 || parallel_check_room((double)memory->bytes, NULL) == SR_OK;
    int64_t facts[] = {parallel->node_size, !fits};
    SR_TRY(sr_parallel_maximum_int64(memory->parallel, facts, 2, error));
    *shares = facts[0] > 1 && facts[1] == 0;
    return SR_OK;
}

static sr_status allocate_window(sr_node_memory *memory, sr_error *error)
{
    const MPI_Aint size = memory->parallel->node_rank == 0 ? (MPI_Aint)memory->bytes : 0;
    return SR_MPI_WAIT(memory->parallel, "MPI_Win_allocate_shared",
                       MPI_Win_allocate_shared(size, 1, MPI_INFO_NULL, memory->parallel->node, &memory->at, &memory->window),
                       error);
}

static sr_status open_window(sr_node_memory *memory, sr_error *error)
{
    MPI_Aint size;
    int unit;
    SR_TRY(sr_mpi_check(MPI_Win_set_errhandler(memory->window, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler", error));
    SR_TRY(sr_mpi_check(MPI_Win_lock_all(MPI_MODE_NOCHECK, memory->window), "MPI_Win_lock_all", error));
    memory->is_open = true;
    return sr_mpi_check(MPI_Win_shared_query(memory->window, 0, &size, &unit, &memory->at), "MPI_Win_shared_query", error);
}

static sr_status wait_for_node(sr_node_memory *memory, sr_error *error)
{
    if (!memory->is_open)
        return SR_OK;
    SR_TRY(sr_mpi_check(MPI_Win_sync(memory->window), "MPI_Win_sync", error));
    SR_TRY(SR_MPI_WAIT(memory->parallel, "MPI_Barrier", MPI_Barrier(memory->parallel->node), error));
    return sr_mpi_check(MPI_Win_sync(memory->window), "MPI_Win_sync", error);
}

static sr_status connect_copies(sr_node_memory *memory, sr_error *error)
{
    sr_parallel *parallel = memory->parallel, *between = &memory->between;
    *between = *parallel;
    between->world = MPI_COMM_NULL;
    between->node = MPI_COMM_NULL;
    between->team = NULL;
    SR_TRY(SR_MPI_WAIT(parallel, "MPI_Comm_split",
                       MPI_Comm_split(parallel->world, leads(memory) ? 0 : MPI_UNDEFINED, parallel->rank, &between->world),
                       error));
    if (!leads(memory))
        return SR_OK;
    SR_TRY(sr_mpi_check(MPI_Comm_rank(between->world, &between->rank), "MPI_Comm_rank", error));
    return sr_mpi_check(MPI_Comm_size(between->world, &between->size), "MPI_Comm_size", error);
}

/* Memory of this process alone. */
static sr_status allocate_own(sr_node_memory *memory, const char *what, sr_error *error)
{
    SR_TRY(SR_PARALLEL_ALLOCATE(memory->parallel, (char **)&memory->own, memory->bytes, what, error));
    memory->at = memory->own;
    return memory->parallel->alone ? SR_OK : connect_copies(memory, error);
}

static sr_status allocate_shared(sr_node_memory *memory, sr_error *error)
{
    sr_parallel *parallel = memory->parallel;
    sr_status status = sr_parallel_agree(parallel, allocate_window(memory, error), error);
    if (status != SR_OK) {
        memory->window = MPI_WIN_NULL; /* freeing it takes all of them, and not all may have got one */
        return status;
    }
    status = open_window(memory, error);
    if (status == SR_OK && leads(memory))
        memset(memory->at, 0, memory->bytes);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    SR_TRY(sr_parallel_agree(parallel, connect_copies(memory, error), error));
    return wait_for_node(memory, error);
}

sr_status sr_node_memory_create(sr_node_memory **memory, sr_parallel *parallel, size_t bytes, const char *what, sr_error *error)
{
    sr_node_memory *made;
    bool shares = false;
    *memory = NULL;
    SR_TRY(SR_PARALLEL_ALLOCATE(parallel, &made, 1, what, error));
    made->parallel = parallel;
    made->bytes = bytes;
    made->window = MPI_WIN_NULL;
    made->between.world = MPI_COMM_NULL;
    sr_status status = parallel->alone ? SR_OK : decide(made, &shares, error);
    if (status == SR_OK)
        status = shares ? allocate_shared(made, error) : allocate_own(made, what, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status != SR_OK) {
        sr_node_memory_free(made);
        return status;
    }
    *memory = made;
    return SR_OK;
}

void sr_node_memory_free(sr_node_memory *memory)
{
    if (!memory)
        return;
    if (memory->is_open)
        MPI_Win_unlock_all(memory->window);
    if (memory->window != MPI_WIN_NULL)
        (void)SR_MPI_WAIT(memory->parallel, "MPI_Win_free", MPI_Win_free(&memory->window), NULL);
    if (memory->between.world != MPI_COMM_NULL)
        (void)SR_MPI_WAIT(memory->parallel, "MPI_Comm_free", MPI_Comm_free(&memory->between.world), NULL);
    free(memory->own);
    free(memory);
}

void *sr_node_memory_at(const sr_node_memory *memory)
{
    return memory->at;
}

sr_status sr_node_memory_sum(sr_node_memory *memory, sr_error *error)
{
    sr_status status = wait_for_node(memory, error);
    if (status == SR_OK && leads(memory) && !memory->parallel->alone)
        status = sr_parallel_sum_int64(&memory->between, memory->at, memory->bytes / sizeof(int64_t), error);
    SR_TRY(sr_parallel_agree(memory->parallel, status, error));
    return wait_for_node(memory, error);
}
