/* Elements from every rank to every rank.
 *
 * Blocks travel as plain messages, of which a few are under way at a time: MPI_Alltoallv counts elements and offsets in int, so
 * that 2^31 elements over all ranks would be its limit. Of the threads of a process the first one sends and receives for all,
 * straight from and to the arrays of each. What stays within a process is copied by whoever gets it. */
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXCHANGE_TAG = 2,
    PEERS_AT_ONCE = 16,             /* processes that this one sends to, and as many others that it receives from */
    PIECES_AT_ONCE = 4,             /* messages of each under way, */
    PIECE_BYTES = SR_MESSAGE_BYTES, /* of so many bytes */
    REQUESTS = 2 * PEERS_AT_ONCE * PIECES_AT_ONCE
};

/* ---- how many elements ---- */

static sr_status exchange_numbers(sr_parallel *process, const size_t *sent, size_t *received, size_t count, sr_error *error)
{
    _Static_assert(sizeof(size_t) == sizeof(uint64_t), "counts travel as 64-bit integers");
    if (process->alone) {
        memcpy(received, sent, count * sizeof *sent);
        return SR_OK;
    }
    return SR_MPI_WAIT(process, "MPI_Alltoall",
                       MPI_Alltoall(sent, (int)count, MPI_UINT64_T, received, (int)count, MPI_UINT64_T, process->world), error);
}

/* Counts of all threads to all threads, for each process one block [thread of this one][thread of the other]. */
typedef struct {
    size_t *sent, *received;
} count_blocks;

static void pack_counts(const sr_parallel *member, size_t *packed)
{
    const thread_team *team = member->team;
    const size_t threads = team->threads, processes = (size_t)member->process->size;
    for (size_t q = 0; q < processes; ++q)
        for (size_t t = 0; t < threads; ++t)
            memcpy(packed + (q * threads + t) * threads, (const size_t *)team->slots[t] + q * threads,
                   threads * sizeof *packed);
}

/* The first member has the blocks. */
static sr_status exchange_counts_of_team(sr_parallel *member, const size_t *sent, size_t *received, count_blocks *blocks,
                                         sr_error *error)
{
    thread_team *team = member->team;
    const size_t threads = team->threads, all = (size_t)member->size;
    team->slots[member->thread] = (void *)sent;
    team_wait();
    if (member->thread == 0) {
        pack_counts(member, blocks->sent);
        team->status = exchange_numbers(member->process, blocks->sent, blocks->received, threads * threads, &team->error);
        team->slots[0] = blocks->received;
    }
    team_wait();
    const size_t *from = team->slots[0];
    for (size_t other = 0; other < all; ++other)
        received[other] = from[other * threads + member->thread];
    const sr_status status = team->status;
    if (status != SR_OK && error)
        *error = team->error;
    team_wait();
    return status;
}

static sr_status member_exchange_counts(sr_parallel *member, sr_status status, const size_t *sent, size_t *received,
                                        sr_error *error)
{
    const size_t threads = member->team->threads, room = (size_t)member->size * threads;
    count_blocks blocks = {NULL, NULL};
    if (status == SR_OK && member->thread == 0)
        status = SR_ALLOCATE(&blocks.sent, room, "the sizes of an exchange", error);
    if (status == SR_OK && member->thread == 0)
        status = SR_ALLOCATE(&blocks.received, room, "the sizes of an exchange", error);
    status = member_agree(member, status, error);
    if (status == SR_OK)
        status = exchange_counts_of_team(member, sent, received, &blocks, error);
    free(blocks.sent);
    free(blocks.received);
    return status;
}

sr_status sr_parallel_exchange_counts(sr_parallel *parallel, sr_status status, const size_t *sent, size_t *received,
                                      sr_error *error)
{
    if (parallel->process)
        return member_exchange_counts(parallel, status, sent, received, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return exchange_numbers(parallel, sent, received, 1, error);
}

/* ---- the elements ---- */

/* What one thread brings: its arrays, and where the elements of each rank begin. */
typedef struct {
    const char *data;
    char *room;
    const size_t *sent, *received; /* [ranks + 1] */
} exchange_slot;

/* What is exchanged by the threads of this process. */
typedef struct {
    sr_parallel *process;
    void *const *slots; /* [threads] of exchange_slot */
    size_t threads, size;
} exchange_work;

/* What is left of the elements between this process and another one: pairs of threads, first those that send. */
typedef struct {
    bool sends;
    size_t peer, pair, done; /* bytes of the pair's */
} cursor;

typedef struct {
    char *bytes;
    size_t count;
} piece;

/* All elements of a pair. */
static piece whole_pair(const exchange_work *work, const cursor *at)
{
    const size_t from = at->pair / work->threads, to = at->pair % work->threads;
    const exchange_slot *slot = work->slots[at->sends ? from : to];
    const size_t other = at->peer * work->threads + (at->sends ? to : from);
    const size_t *offsets = at->sends ? slot->sent : slot->received;
    char *base = at->sends ? (char *)slot->data : slot->room;
    return (piece){base + offsets[other] * work->size, (offsets[other + 1] - offsets[other]) * work->size};
}

/* The next message, which both sides cut alike; false behind the last one. */
static bool next_piece(const exchange_work *work, cursor *at, piece *next)
{
    for (; at->pair < work->threads * work->threads; ++at->pair, at->done = 0) {
        const piece all = whole_pair(work, at);
        if (at->done == all.count)
            continue;
        const size_t left = all.count - at->done;
        *next = (piece){all.bytes + at->done, left < PIECE_BYTES ? left : (size_t)PIECE_BYTES};
        at->done += next->count;
        return true;
    }
    return false;
}

static sr_status post(const exchange_work *work, const cursor *at, const piece *next, MPI_Request *request, sr_error *error)
{
    const int peer = (int)at->peer, count = (int)next->count;
    MPI_Comm world = work->process->world;
    if (at->sends)
        return sr_mpi_check(MPI_Isend(next->bytes, count, MPI_BYTE, peer, EXCHANGE_TAG, world, request), "MPI_Isend", error);
    return sr_mpi_check(MPI_Irecv(next->bytes, count, MPI_BYTE, peer, EXCHANGE_TAG, world, request), "MPI_Irecv", error);
}

/* Everything between this process and some others. Each round has as many messages of a pair of processes on both sides, so
 * that nobody waits for a message of a later round. */
static sr_status exchange_with(const exchange_work *work, cursor *cursors, size_t count, sr_error *error)
{
    MPI_Request requests[REQUESTS];
    for (;;) {
        int posted = 0;
        piece next;
        for (size_t i = 0; i < count; ++i)
            for (size_t k = 0; k < PIECES_AT_ONCE && next_piece(work, &cursors[i], &next); ++k)
                SR_TRY(post(work, &cursors[i], &next, &requests[posted++], error));
        if (posted == 0)
            return SR_OK;
        SR_TRY(SR_MPI_WAIT(work->process, "MPI_Waitall", MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE), error));
    }
}

/* To the processes that follow this one, and from those before it. */
static sr_status exchange_with_all(const exchange_work *work, sr_error *error)
{
    const size_t processes = (size_t)work->process->size, own = (size_t)work->process->rank;
    cursor cursors[2 * PEERS_AT_ONCE];
    for (size_t first = 1; first < processes; first += PEERS_AT_ONCE) {
        size_t count = 0;
        for (size_t shift = first; shift < processes && shift < first + PEERS_AT_ONCE; ++shift) {
            cursors[count++] = (cursor){.peer = (own + processes - shift) % processes};
            cursors[count++] = (cursor){.sends = true, .peer = (own + shift) % processes};
        }
        SR_TRY(exchange_with(work, cursors, count, error));
    }
    return SR_OK;
}

/* What thread `to` gets of the threads of its own process. */
static void copy_within(const exchange_work *work, size_t to)
{
    const size_t first = (size_t)work->process->rank * work->threads;
    const exchange_slot *own = work->slots[to];
    for (size_t t = 0; t < work->threads; ++t) {
        const exchange_slot *other = work->slots[t];
        const size_t begin = other->sent[first + to], count = other->sent[first + to + 1] - begin;
        if (count > 0)
            memcpy(own->room + own->received[first + t] * work->size, other->data + begin * work->size, count * work->size);
    }
}

sr_status sr_parallel_exchange_elements(sr_parallel *parallel, const void *data, const size_t *sent, void *room,
                                        const size_t *received, size_t size, sr_error *error)
{
    exchange_slot own = {data, room, sent, received};
    void *alone[] = {&own};
    exchange_work work = {.process = sr_parallel_process(parallel), .slots = alone, .threads = 1, .size = size};
    sr_status status = SR_OK;
    if (parallel->process) {
        work.slots = sr_parallel_exchange(parallel, &own);
        work.threads = parallel->team->threads;
    }
    copy_within(&work, sr_parallel_thread(parallel));
    if (sr_parallel_thread(parallel) == 0)
        status = exchange_with_all(&work, error);
    return sr_parallel_agree_in_process(parallel, status, error);
}

/* ---- ranks, as models see them ---- */

static sr_status sum_over(void *context, double *values, size_t count, sr_error *error)
{
    return sr_parallel_sum_double(context, values, count, error);
}

static sr_status agree_with(void *context, sr_status status, sr_error *error)
{
    return sr_parallel_agree(context, status, error);
}

static sr_status gather_from(void *context, sr_status status, const void *data, size_t elements, size_t size, void **gathered,
                             size_t **offsets, sr_error *error)
{
    return sr_parallel_gather_all(context, status, data, elements, size, gathered, offsets, error);
}

static sr_status exchange_counts_with(void *context, sr_status status, const size_t *sent, size_t *received, sr_error *error)
{
    return sr_parallel_exchange_counts(context, status, sent, received, error);
}

static sr_status exchange_with_ranks(void *context, const void *data, const size_t *sent, void *room, const size_t *received,
                                     size_t size, sr_error *error)
{
    return sr_parallel_exchange_elements(context, data, sent, room, received, size, error);
}

sr_ranks sr_parallel_ranks(sr_parallel *parallel)
{
    return (sr_ranks){.rank = (size_t)parallel->rank,
                      .count = (size_t)parallel->size,
                      .here = sr_parallel_threads(parallel),
                      .context = parallel,
                      .sum = sum_over,
                      .agree = agree_with,
                      .gather = gather_from,
                      .exchange_counts = exchange_counts_with,
                      .exchange = exchange_with_ranks};
}
