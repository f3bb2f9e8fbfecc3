/* Memory and work that the processes of a node share; srtrain/node.h says what is promised. */
#include "srtrain/node.h"

#include "base/sizes.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { SUMS_AT_ONCE = 8 };

struct sr_node {
    sr_parallel *parallel; /* the process */
    size_t processes, process, lanes;
    MPI_Win window;
    bool is_open; /* the window is: every process may read and write */
    sr_real *common;
    sr_real **own;       /* [processes] */
    double *sums;        /* [processes * SUMS_AT_ONCE]: what they bring to a sum */
    sr_parallel between; /* those that speak for this lane on all nodes; one alone on others */
};

sr_status sr_node_is_possible(sr_parallel *parallel, bool *possible, sr_error *error)
{
    int64_t most = parallel->node_size;
    SR_TRY(sr_parallel_maximum_int64(parallel, &most, 1, error));
    *possible = most > 1;
    return SR_OK;
}

/* ---- lanes ----
 *
 * What has been added up in a node crosses the network in as many parts as the smallest node has processes: its lanes. A
 * larger node has several processes in a lane. They divide its work, and the first of them speaks for it. */

static size_t lane_of(const sr_node *node, size_t process)
{
    return process * node->lanes / node->processes;
}

/* The first process of a lane. */
static size_t speaker_of(const sr_node *node, size_t lane)
{
    return (lane * node->processes + node->lanes - 1) / node->lanes;
}

static sr_status count_lanes(sr_node *node, sr_error *error)
{
    int64_t least = -node->parallel->node_size;
    SR_TRY(sr_parallel_maximum_int64(node->parallel, &least, 1, error));
    node->lanes = (size_t)-least;
    return SR_OK;
}

/* ---- memory ---- */

/* MPI libraries place such memory in /dev/shm, which containers keep small. Open MPI 4.1 fails on one process when it does not
 * fit, while the others wait: better to know before. */
sr_status parallel_check_room(double needed, sr_error *error)
{
    static const char directory[] = "/dev/shm";
    struct statvfs system;
    if (statvfs(directory, &system) != 0)
        return SR_OK;
    const double room = (double)system.f_bavail * (double)system.f_frsize;
    if (needed < room)
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME,
                   "%s has %.1f MB left, and %.1f MB are needed for what the ranks of a node share: make it larger "
                   "(containers: --shm-size), or start fewer ranks a node",
                   directory, 1e-6 * room, 1e-6 * needed);
}

static sr_status check_room(const sr_node *node, size_t common, size_t own, sr_error *error)
{
    return node->process > 0 ? SR_OK : parallel_check_room((double)(common + node->processes * own) * sizeof(sr_real), error);
}

/* The first process's segment begins with what is common. */
static sr_status allocate_window(sr_node *node, size_t common, size_t own, sr_error *error)
{
    MPI_Info info = MPI_INFO_NULL;
    void *mine = NULL;
    const size_t size = (node->process == 0 ? common + own : own) * sizeof(sr_real);
    SR_TRY(sr_mpi_check(MPI_Info_create(&info), "MPI_Info_create", error));
    /* Each process's pages in its own part of the machine's memory. */
    sr_status status = sr_mpi_check(MPI_Info_set(info, "alloc_shared_noncontig", "true"), "MPI_Info_set", error);
    if (status == SR_OK)
        status = SR_MPI_WAIT(
            node->parallel, "MPI_Win_allocate_shared",
            MPI_Win_allocate_shared((MPI_Aint)size, sizeof(sr_real), info, node->parallel->node, &mine, &node->window), error);
    MPI_Info_free(&info);
    return status;
}

/* Windows end the program where something is wrong, unless they are told to return it. */
static sr_status open_window(sr_node *node, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Win_set_errhandler(node->window, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler", error));
    SR_TRY(sr_mpi_check(MPI_Win_lock_all(MPI_MODE_NOCHECK, node->window), "MPI_Win_lock_all", error));
    node->is_open = true;
    return SR_OK;
}

static sr_status find_segments(sr_node *node, size_t common, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(&node->own, node->processes, "the memory of a node", error));
    for (size_t process = 0; process < node->processes; ++process) {
        MPI_Aint size;
        int unit;
        void *segment;
        SR_TRY(sr_mpi_check(MPI_Win_shared_query(node->window, (int)process, &size, &unit, &segment), "MPI_Win_shared_query",
                            error));
        node->own[process] = (sr_real *)segment + (process == 0 ? common : 0);
        if (process == 0)
            node->common = segment;
    }
    return SR_OK;
}

static sr_status connect_nodes(sr_node *node, sr_error *error)
{
    sr_parallel *parallel = node->parallel, *between = &node->between;
    *between = *parallel;
    between->world = MPI_COMM_NULL;
    between->node = MPI_COMM_NULL;
    between->team = NULL;
    between->rank = 0;
    between->size = 1;
    between->is_spread = true;
    const size_t lane = lane_of(node, node->process);
    const int group = sr_node_speaker(node) == node->process ? (int)lane : MPI_UNDEFINED;
    SR_TRY(SR_MPI_WAIT(parallel, "MPI_Comm_split", MPI_Comm_split(parallel->world, group, parallel->rank, &between->world),
                       error));
    if (between->world == MPI_COMM_NULL)
        return SR_OK;
    SR_TRY(sr_mpi_check(MPI_Comm_rank(between->world, &between->rank), "MPI_Comm_rank", error));
    return sr_mpi_check(MPI_Comm_size(between->world, &between->size), "MPI_Comm_size", error);
}

/* Each process touches its own block, and its part of the common one, first. */
static void clear(sr_node *node, size_t common, size_t own)
{
    const sr_element_range part = sr_part_of_range((sr_element_range){0, common}, node->process, node->processes);
    memset(node->own[node->process], 0, own * sizeof(sr_real));
    memset(node->common + part.begin, 0, (part.end - part.begin) * sizeof(sr_real));
}

sr_status sr_node_create(sr_node **node, sr_parallel *parallel, size_t common, size_t own, sr_error *error)
{
    sr_node *made;
    double *sums;
    *node = NULL;
    SR_TRY(SR_PARALLEL_ALLOCATE(parallel, &sums, (size_t)parallel->node_size * SUMS_AT_ONCE, "sums over a node", error));
    sr_status status = SR_PARALLEL_ALLOCATE(parallel, &made, 1, "the memory of a node", error);
    if (status != SR_OK) {
        free(sums);
        return status;
    }
    made->sums = sums;
    made->parallel = parallel;
    made->processes = (size_t)parallel->node_size;
    made->process = (size_t)parallel->node_rank;
    made->window = MPI_WIN_NULL;
    made->between.world = MPI_COMM_NULL;
    status = count_lanes(made, error);
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, check_room(made, common, own, error), error);
    if (status == SR_OK) {
        status = sr_parallel_agree(parallel, allocate_window(made, common, own, error), error);
        if (status != SR_OK)
            made->window = MPI_WIN_NULL; /* freeing it takes all of them, and not all may have got one */
    }
    if (status == SR_OK)
        status = sr_parallel_agree(parallel, open_window(made, error), error);
    if (status == SR_OK)
        status = connect_nodes(made, error);
    if (status == SR_OK)
        status = find_segments(made, common, error);
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK) {
        clear(made, common, own);
        status = sr_node_wait(made, parallel, error);
    }
    if (status != SR_OK) {
        sr_node_free(made);
        return status;
    }
    *node = made;
    return SR_OK;
}

void sr_node_free(sr_node *node)
{
    if (!node)
        return;
    if (node->is_open)
        MPI_Win_unlock_all(node->window);
    if (node->window != MPI_WIN_NULL)
        (void)SR_MPI_WAIT(node->parallel, "MPI_Win_free", MPI_Win_free(&node->window), NULL);
    if (node->between.world != MPI_COMM_NULL)
        (void)SR_MPI_WAIT(node->parallel, "MPI_Comm_free", MPI_Comm_free(&node->between.world), NULL);
    free(node->own);
    free(node->sums);
    free(node);
}

sr_real *sr_node_common(const sr_node *node)
{
    return node->common;
}

sr_real *sr_node_own(const sr_node *node, size_t process)
{
    return node->own[process];
}

size_t sr_node_processes(const sr_node *node)
{
    return node->processes;
}

size_t sr_node_process(const sr_node *node)
{
    return node->process;
}

sr_parallel *sr_node_between(sr_node *node)
{
    return &node->between;
}

/* ---- work ---- */

static size_t threads_of(const sr_node *node)
{
    return sr_parallel_threads(node->parallel);
}

/* Thread `thread` of a process has part *part of *parts. Parts of different size begin and end where lanes do. */
static void part_of(const sr_node *node, size_t process, size_t thread, size_t *part, size_t *parts)
{
    const size_t lane = lane_of(node, process), first = speaker_of(node, lane), threads = threads_of(node);
    const size_t together = speaker_of(node, lane + 1) - first;
    *part = (lane * together + process - first) * threads + thread;
    *parts = node->lanes * together * threads;
}

void sr_node_part(const sr_node *node, const sr_parallel *member, size_t *part, size_t *parts)
{
    part_of(node, node->process, sr_parallel_thread(member), part, parts);
}

sr_element_range sr_node_process_part(const sr_node *node, sr_element_range range, size_t process)
{
    size_t first, last, parts;
    part_of(node, process, 0, &first, &parts);
    part_of(node, process, threads_of(node) - 1, &last, &parts);
    return (sr_element_range){sr_part_of_range(range, first, parts).begin, sr_part_of_range(range, last, parts).end};
}

sr_element_range sr_node_lane_part(const sr_node *node, sr_element_range range)
{
    return sr_part_of_range(range, lane_of(node, node->process), node->lanes);
}

size_t sr_node_speaker(const sr_node *node)
{
    return speaker_of(node, lane_of(node, node->process));
}

bool sr_node_has_wide_lanes(const sr_node *node)
{
    return node->processes > node->lanes;
}

static sr_status wait_for_processes(sr_node *node, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Win_sync(node->window), "MPI_Win_sync", error));
    SR_TRY(SR_MPI_WAIT(node->parallel, "MPI_Barrier", MPI_Barrier(node->parallel->node), error));
    return sr_mpi_check(MPI_Win_sync(node->window), "MPI_Win_sync", error);
}

sr_status sr_node_wait(sr_node *node, sr_parallel *member, sr_error *error)
{
    sr_status status = SR_OK;
    if (member->process)
        team_wait();
    if (sr_parallel_thread(member) == 0)
        status = wait_for_processes(node, error);
    return sr_parallel_agree_in_process(member, status, error);
}

sr_status sr_node_broadcast(sr_node *node, void *data, size_t bytes, sr_error *error)
{
    sr_status status = node->process == 0 ? sr_parallel_broadcast(&node->between, data, bytes, error) : SR_OK;
    SR_TRY(sr_parallel_agree(node->parallel, status, error));
    return sr_node_wait(node, node->parallel, error);
}

/* MPI may add in any order; what all processes bring is gathered instead, and added in theirs. At most SUMS_AT_ONCE values:
 * memory for them was taken when the node was made, as no process may fail here by itself while the others wait. */
static sr_status sum_some(sr_node *node, double *values, size_t count, sr_error *error)
{
    SR_TRY(SR_MPI_WAIT(node->parallel, "MPI_Allgather",
                       MPI_Allgather(values, (int)count, MPI_DOUBLE, node->sums, (int)count, MPI_DOUBLE, node->parallel->node),
                       error));
    for (size_t i = 0; i < count; ++i) {
        values[i] = 0;
        for (size_t process = 0; process < node->processes; ++process)
            values[i] += node->sums[process * count + i];
    }
    return SR_OK;
}

static sr_status sum_over_processes(sr_node *node, double *values, size_t count, sr_error *error)
{
    SR_TRY(sr_mpi_check(MPI_Win_sync(node->window), "MPI_Win_sync", error));
    for (size_t done = 0; done < count; done += SUMS_AT_ONCE)
        SR_TRY(sum_some(node, values + done, smaller(count - done, SUMS_AT_ONCE), error));
    return sr_mpi_check(MPI_Win_sync(node->window), "MPI_Win_sync", error);
}

sr_status sr_node_sum(sr_node *node, sr_parallel *member, double *values, size_t count, sr_error *error)
{
    sr_status status = SR_OK;
    sr_parallel_sum_over_threads(member, values, count);
    if (sr_parallel_thread(member) == 0)
        status = sum_over_processes(node, values, count, error);
    if (!member->process)
        return status;
    member->team->slots[member->thread] = values;
    status = member_agree_locally(member, status, error);
    if (member->thread > 0 && status == SR_OK)
        memcpy(values, member->team->slots[0], count * sizeof *values);
    team_wait();
    return status;
}
