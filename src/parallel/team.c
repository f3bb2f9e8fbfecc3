/* Threads as ranks: the members of a process take part in collectives one by one, the first of them speaks MPI for all.
 *
 * A collective of members has three parts, with a wait of all threads after each: every thread puts what it brings into its
 * slot; the first one combines the slots, in order, with those of the other processes; every thread takes what it needs. */
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making a team ---- */

void team_free(thread_team *team)
{
    if (!team)
        return;
    free(team->members);
    free(team->slots);
    free(team->statuses);
    free(team->errors);
    free(team->packed);
    free(team);
}

static sr_status allocate_team(thread_team **team, size_t threads, bool alone, sr_error *error)
{
    SR_TRY(SR_ALLOCATE_ZERO(team, 1, "a team of threads", error));
    (*team)->threads = threads;
    SR_TRY(SR_ALLOCATE_ZERO(&(*team)->members, threads, "a team of threads", error));
    SR_TRY(SR_ALLOCATE_ZERO(&(*team)->slots, threads, "a team of threads", error));
    SR_TRY(SR_ALLOCATE_ZERO(&(*team)->statuses, threads, "a team of threads", error));
    SR_TRY(SR_ALLOCATE_ZERO(&(*team)->errors, threads, "a team of threads", error));
    return alone ? SR_OK : SR_ALLOCATE(&(*team)->packed, SR_PACKED_BYTES, "messages of a team of threads", error);
}

/* Whether the system grants as many threads as the team needs: collectives would wait for the others for ever. */
static sr_status try_threads(size_t threads, sr_error *error)
{
    int granted = 0;
    omp_set_dynamic(0);
#pragma omp parallel num_threads((int)threads)
    {
#pragma omp single
        granted = omp_get_num_threads();
    }
    if ((size_t)granted == threads)
        return SR_OK;
    return sr_fail(
        error, SR_ERROR_RUNTIME,
        "training.threads is %zu, but OpenMP grants %d threads: raise OMP_THREAD_LIMIT, or take fewer training.threads",
        threads, granted);
}

/* A member's number follows from its rank and the number of threads. With unlike numbers of threads two members would get the
 * same number. */
static sr_status check_equal(sr_parallel *parallel, size_t threads, sr_error *error)
{
    int64_t extremes[] = {(int64_t)threads, -(int64_t)threads};
    SR_TRY(sr_parallel_maximum_int64(parallel, extremes, 2, error));
    if (extremes[0] == -extremes[1])
        return SR_OK;
    return sr_fail(error, SR_ERROR_RUNTIME,
                   "some ranks have %lld threads and others %lld, but all need the same number: set training.threads, or "
                   "OMP_NUM_THREADS on all machines",
                   (long long)-extremes[1], (long long)extremes[0]);
}

sr_status sr_parallel_use_threads(sr_parallel *parallel, size_t threads, sr_error *error)
{
    SR_TRY(check_equal(parallel, threads, error));
    team_free(parallel->team);
    parallel->team = NULL;
    sr_status status = SR_OK;
    if (threads > 1)
        status = allocate_team(&parallel->team, threads, parallel->size == 1, error);
    if (status == SR_OK && threads > 1)
        status = try_threads(threads, error);
    for (size_t t = 0; status == SR_OK && threads > 1 && t < threads; ++t) {
        sr_parallel *member = &parallel->team->members[t];
        *member = *parallel;
        member->process = parallel;
        member->thread = t;
        member->rank = parallel->rank * (int)threads + (int)t;
        member->size = parallel->size * (int)threads;
    }
    status = sr_parallel_agree(parallel, status, error);
    if (status != SR_OK) {
        team_free(parallel->team);
        parallel->team = NULL;
    }
    return status;
}

size_t sr_parallel_threads(const sr_parallel *parallel)
{
    return parallel->team ? parallel->team->threads : 1;
}

sr_parallel *sr_parallel_member(sr_parallel *parallel, size_t thread)
{
    return parallel->team ? &parallel->team->members[thread] : parallel;
}

size_t sr_parallel_thread(const sr_parallel *member)
{
    return member->process ? member->thread : 0;
}

sr_parallel *sr_parallel_process(sr_parallel *member)
{
    return member->process ? member->process : member;
}

/* ---- how many threads a rank should have ---- */

/* Cores that two ranks may both run on are shared by all ranks that may; what is left to each is its part. */
sr_status sr_parallel_own_cores(sr_parallel *parallel, size_t *cores, sr_error *error)
{
    const int ranks = parallel->node_size;
    cpu_set_t mine, *all = NULL;
    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        CPU_SET(0, &mine);
    sr_status status = sr_parallel_agree(parallel, SR_ALLOCATE(&all, (size_t)ranks, "the bindings of this node's ranks", error),
                                         error);
    if (status != SR_OK) {
        free(all);
        return status;
    }
    status = SR_MPI_WAIT(parallel, "MPI_Allgather",
                         MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, parallel->node), error);
    size_t sharing = 0;
    for (int rank = 0; rank < ranks && status == SR_OK; ++rank) {
        cpu_set_t common;
        CPU_AND(&common, &mine, &all[rank]);
        sharing += CPU_COUNT(&common) > 0;
    }
    free(all);
    *cores = status == SR_OK && (size_t)CPU_COUNT(&mine) > sharing ? (size_t)CPU_COUNT(&mine) / sharing : 1;
    return sr_parallel_agree(parallel, status, error);
}

/* ---- collectives ---- */

void team_wait(void)
{
#pragma omp barrier
}

/* What the first thread's part came to, on every thread. */
static sr_status common_status(const thread_team *team, sr_error *error)
{
    if (team->status != SR_OK && error)
        *error = team->error;
    return team->status;
}

static bool is_first(const sr_parallel *member)
{
    return member->thread == 0;
}

sr_status member_agree(sr_parallel *member, sr_status status, sr_error *error)
{
    thread_team *team = member->team;
    team->statuses[member->thread] = status;
    if (status != SR_OK && error)
        team->errors[member->thread] = *error;
    else
        team->errors[member->thread].message[0] = '\0';
    team_wait();
    if (is_first(member)) {
        size_t failing = 0;
        while (failing < team->threads && team->statuses[failing] == SR_OK)
            ++failing;
        const bool failed = failing < team->threads;
        if (failed)
            team->error = team->errors[failing];
        team->status = sr_parallel_agree(member->process, failed ? team->statuses[failing] : SR_OK, &team->error);
    }
    team_wait();
    const sr_status agreed = common_status(team, error);
    team_wait();
    return agreed;
}

sr_status member_agree_locally(sr_parallel *member, sr_status status, sr_error *error)
{
    thread_team *team = member->team;
    if (is_first(member)) {
        team->status = status;
        if (status != SR_OK && error)
            team->error = *error;
    }
    team_wait();
    const sr_status agreed = common_status(team, error);
    team_wait();
    return agreed;
}

sr_status sr_parallel_agree_in_process(sr_parallel *member, sr_status status, sr_error *error)
{
    return member->process ? member_agree_locally(member, status, error) : status;
}

void *const *sr_parallel_exchange(sr_parallel *member, void *mine)
{
    member->team->slots[member->thread] = mine;
    team_wait();
    return member->team->slots;
}

void sr_parallel_wait_for_threads(sr_parallel *member)
{
    if (member->process)
        team_wait();
}

sr_status member_barrier(sr_parallel *member, sr_error *error)
{
    return member_agree(member, SR_OK, error);
}

/* The members of one process alone. */
static sr_status sum_of_one_process(sr_parallel *process, double *values, size_t count, sr_error *error)
{
    (void)process, (void)values, (void)count, (void)error;
    return SR_OK;
}

/* Adds the slots of all threads to the first one's, sums that over processes, and gives it to all. */
#define DEFINE_MEMBER_SUM(name, type, process_sum)                                    \
    sr_status name(sr_parallel *member, type *values, size_t count, sr_error *error)  \
    {                                                                                 \
        thread_team *team = member->team;                                             \
        team->slots[member->thread] = values;                                         \
        team_wait();                                                                  \
        if (is_first(member)) {                                                       \
            for (size_t t = 1; t < team->threads; ++t)                                \
                for (size_t i = 0; i < count; ++i)                                    \
                    values[i] += ((const type *)team->slots[t])[i];                   \
            team->status = process_sum(member->process, values, count, &team->error); \
        }                                                                             \
        team_wait();                                                                  \
        if (!is_first(member))                                                        \
            memcpy(values, team->slots[0], count * sizeof *values);                   \
        const sr_status status = common_status(team, error);                          \
        team_wait();                                                                  \
        return status;                                                                \
    }
DEFINE_MEMBER_SUM(member_sum_double, double, sr_parallel_sum_double)
DEFINE_MEMBER_SUM(member_sum_int64, int64_t, sr_parallel_sum_int64)
static DEFINE_MEMBER_SUM(member_sum_here, double, sum_of_one_process)

    void sr_parallel_sum_over_threads(sr_parallel *member, double *values, size_t count)
{
    if (member->process)
        (void)member_sum_here(member, values, count, NULL); /* without MPI nothing can fail */
}

/* ---- gather on every rank ---- */

/* One thread's block. */
typedef struct {
    const void *data;
    size_t count;
    sr_status status;
    const sr_error *error;
} gather_slot;

/* The blocks of this process's threads, one after the other. */
static sr_status join_blocks(const thread_team *team, size_t size, char **joined, uint64_t *counts, size_t *total,
                             sr_error *error)
{
    *total = 0;
    for (size_t t = 0; t < team->threads; ++t) {
        const gather_slot *slot = team->slots[t];
        if (slot->status != SR_OK) {
            if (slot->error && error)
                *error = *slot->error;
            return slot->status;
        }
        counts[t] = slot->count;
        *total += slot->count;
    }
    SR_TRY(sr_allocate((void **)joined, *total, size, "what threads bring to a gather", error));
    char *at = *joined;
    for (size_t t = 0; t < team->threads; ++t) {
        const gather_slot *slot = team->slots[t];
        if (slot->count > 0)
            memcpy(at, slot->data, slot->count * size);
        at += slot->count * size;
    }
    return SR_OK;
}

/* The first thread's part: the blocks of all threads of all processes, and how many elements each has. */
static sr_status gather_for_team(sr_parallel *member, size_t size, void **gathered, uint64_t **all_counts, sr_error *error)
{
    const thread_team *team = member->team;
    char *joined = NULL;
    uint64_t *counts = NULL;
    size_t total = 0, *process_offsets = NULL, *count_offsets = NULL;
    sr_status status = SR_ALLOCATE(&counts, team->threads, "the sizes of a gather", error);
    if (status == SR_OK)
        status = join_blocks(team, size, &joined, counts, &total, error);
    status = sr_parallel_gather_all(member->process, status, counts, team->threads, sizeof *counts, (void **)all_counts,
                                    &count_offsets, error);
    if (status == SR_OK)
        status = sr_parallel_gather_all(member->process, SR_OK, joined, total, size, gathered, &process_offsets, error);
    free(joined);
    free(counts);
    free(process_offsets);
    free(count_offsets);
    return status;
}

/* Each thread owns a copy. */
static sr_status copy_gathered(const sr_parallel *member, const uint64_t *counts, const void *all, size_t size, void **gathered,
                               size_t **offsets, sr_error *error)
{
    const size_t ranks = (size_t)member->size;
    SR_TRY(SR_ALLOCATE(offsets, ranks + 1, "the offsets of a gather", error));
    (*offsets)[0] = 0;
    for (size_t rank = 0; rank < ranks; ++rank)
        (*offsets)[rank + 1] = (*offsets)[rank] + counts[rank];
    SR_TRY(sr_allocate(gathered, (*offsets)[ranks], size, "what is gathered from all ranks", error));
    memcpy(*gathered, all, (*offsets)[ranks] * size);
    return SR_OK;
}

sr_status member_gather_all(sr_parallel *member, sr_status status, const void *data, size_t count, size_t size, void **gathered,
                            size_t **offsets, sr_error *error)
{
    thread_team *team = member->team;
    gather_slot slot = {data, count, status, error};
    void *all = NULL;
    uint64_t *counts = NULL;
    struct {
        void *all;
        uint64_t *counts;
    } * shared, own;
    team->slots[member->thread] = &slot;
    team_wait();
    if (is_first(member)) {
        team->status = gather_for_team(member, size, &all, &counts, &team->error);
        own.all = all;
        own.counts = counts;
        team->slots[0] = &own;
    }
    team_wait();
    shared = team->slots[0];
    status = common_status(team, error);
    if (status == SR_OK)
        status = copy_gathered(member, shared->counts, shared->all, size, gathered, offsets, error);
    team_wait(); /* the first thread's blocks have been copied */
    free(all);
    free(counts);
    return member_agree(member, status, error);
}
