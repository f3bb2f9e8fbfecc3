/* Elements from every rank to every rank.
 *
 * They travel as plain messages: MPI_Alltoallv counts elements and offsets in int, so that 2^31 elements over all ranks would
 * be its limit. A pair of processes exchanges one message in each direction, or a few where there is more than a message holds.
 * The threads of a process put what they send into common messages, which the first one sends and receives for all. A process
 * of one thread sends straight from its arrays. What stays within a process is copied by whoever gets it. */
#include "base/sizes.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXCHANGE_TAG = 2,
    PEERS_AT_ONCE = 16,                 /* processes that this one sends to, and as many others that it receives from */
    PIECE_BYTES = 4 * SR_MESSAGE_BYTES, /* of a message that is not packed */
    PACKED_BYTES = SR_PACKED_BYTES / 2, /* of messages that threads pack: to all peers at once, and as much from them */
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
    char *packed; /* two pieces of memory of PACKED_BYTES, what is sent and what is received; NULL for one thread */
} exchange_work;

/* All bytes from this process to another one, or the other way round. Those of the first sending thread stand in front, and of
 * one sending thread those for the first receiving one. */
typedef struct {
    bool sends;
    size_t peer, bytes;
} stream;

/* The streams of a few peers go on side by side, each by at most `piece` bytes in a round. */
typedef struct {
    stream streams[2 * PEERS_AT_ONCE];
    size_t count, piece, longest;
} stream_group;

/* Elements between a thread of this process and some threads of another one, from thread `first` on. */
static size_t elements_of(const exchange_work *work, size_t thread, const stream *s, size_t first, size_t threads)
{
    const exchange_slot *slot = work->slots[thread];
    const size_t *offsets = (s->sends ? slot->sent : slot->received) + s->peer * work->threads + first;
    return offsets[threads] - offsets[0];
}

static void add_stream(const exchange_work *work, stream_group *group, bool sends, size_t peer)
{
    stream *s = &group->streams[group->count++];
    *s = (stream){.sends = sends, .peer = peer};
    for (size_t t = 0; t < work->threads; ++t)
        s->bytes += elements_of(work, t, s, 0, work->threads) * work->size;
    group->longest = larger(group->longest, s->bytes);
}

/* To the processes that follow this one, and from those before it. Both sides of a stream have as many peers, and so cut it
 * alike. */
static stream_group make_group(const exchange_work *work, size_t first)
{
    const size_t processes = (size_t)work->process->size, own = (size_t)work->process->rank;
    const size_t peers = smaller(processes - first, PEERS_AT_ONCE);
    stream_group group = {.piece = work->packed ? PACKED_BYTES / peers : (size_t)PIECE_BYTES};
    for (size_t shift = first; shift < first + peers; ++shift) {
        add_stream(work, &group, false, (own + processes - shift) % processes);
        add_stream(work, &group, true, (own + shift) % processes);
    }
    return group;
}

/* Where the bytes of a round lie that belong to a stream. */
static char *piece_of(const exchange_work *work, const stream_group *group, size_t index, size_t begin)
{
    const stream *s = &group->streams[index];
    const exchange_slot *slot = work->slots[0];
    if (work->packed)
        return work->packed + (s->sends ? PACKED_BYTES : 0) + index / 2 * group->piece;
    return s->sends ? (char *)slot->data + slot->sent[s->peer] * work->size + begin
                    : slot->room + slot->received[s->peer] * work->size + begin;
}

/* Copies what a round has of the bytes [at, at + count) of a stream, whose round begins at `begin`. */
static void copy_part(const stream_group *group, bool sends, char *piece, size_t begin, char *bytes, size_t at, size_t count)
{
    const size_t from = larger(at, begin), end = smaller(at + count, begin + group->piece);
    if (from >= end)
        return;
    if (sends)
        memcpy(piece + (from - begin), bytes + (from - at), end - from);
    else
        memcpy(bytes + (from - at), piece + (from - begin), end - from);
}

/* What a thread sends to all threads of another process lies in one piece. */
static void pack(const exchange_work *work, const stream_group *group, size_t index, size_t thread, size_t begin)
{
    const stream *s = &group->streams[index];
    const exchange_slot *slot = work->slots[thread];
    size_t at = 0;
    for (size_t t = 0; t < thread; ++t)
        at += elements_of(work, t, s, 0, work->threads) * work->size;
    copy_part(group, true, piece_of(work, group, index, begin), begin,
              (char *)slot->data + slot->sent[s->peer * work->threads] * work->size, at,
              elements_of(work, thread, s, 0, work->threads) * work->size);
}

static void unpack(const exchange_work *work, const stream_group *group, size_t index, size_t thread, size_t begin)
{
    const stream *s = &group->streams[index];
    const exchange_slot *slot = work->slots[thread];
    size_t at = 0;
    for (size_t from = 0; from < work->threads; ++from)
        for (size_t to = 0; to < work->threads; ++to) {
            const size_t count = elements_of(work, to, s, from, 1) * work->size;
            if (to == thread)
                copy_part(group, false, piece_of(work, group, index, begin), begin,
                          slot->room + slot->received[s->peer * work->threads + from] * work->size, at, count);
            at += count;
        }
}

static sr_status post(const exchange_work *work, const stream *s, char *bytes, size_t count, MPI_Request *request,
                      sr_error *error)
{
    const int peer = (int)s->peer;
    MPI_Comm world = work->process->world;
    if (s->sends)
        return sr_mpi_check(MPI_Isend(bytes, (int)count, MPI_BYTE, peer, EXCHANGE_TAG, world, request), "MPI_Isend", error);
    return sr_mpi_check(MPI_Irecv(bytes, (int)count, MPI_BYTE, peer, EXCHANGE_TAG, world, request), "MPI_Irecv", error);
}

/* The messages of a round. A stream has its message in the same round on both sides, so that nobody waits for one of a later
 * round. */
static sr_status exchange_pieces(const exchange_work *work, const stream_group *group, size_t begin, sr_error *error)
{
    MPI_Request requests[2 * PEERS_AT_ONCE];
    int posted = 0;
    for (size_t i = 0; i < group->count; ++i) {
        const stream *s = &group->streams[i];
        if (s->bytes > begin)
            SR_TRY(post(work, s, piece_of(work, group, i, begin), smaller(s->bytes - begin, group->piece), &requests[posted++],
                        error));
    }
    return SR_MPI_WAIT(work->process, "MPI_Waitall", MPI_Waitall(posted, requests, MPI_STATUSES_IGNORE), error);
}

/* One round: threads fill the pieces that go out and empty those that have come. Who fills pieces of the next round has emptied
 * those of this one. */
static sr_status exchange_round(const exchange_work *work, sr_parallel *member, const stream_group *group, size_t begin,
                                sr_error *error)
{
    const size_t thread = sr_parallel_thread(member);
    sr_status status = SR_OK;
    for (size_t i = 0; work->packed && i < group->count; ++i)
        if (group->streams[i].sends)
            pack(work, group, i, thread, begin);
    sr_parallel_wait_for_threads(member);
    if (thread == 0)
        status = exchange_pieces(work, group, begin, error);
    SR_TRY(sr_parallel_agree_in_process(member, status, error));
    for (size_t i = 0; work->packed && i < group->count; ++i)
        if (!group->streams[i].sends)
            unpack(work, group, i, thread, begin);
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
    if (parallel->process) {
        work.slots = sr_parallel_exchange(parallel, &own);
        work.threads = parallel->team->threads;
        work.packed = parallel->team->packed;
    }
    copy_within(&work, sr_parallel_thread(parallel));
    for (size_t first = 1; first < (size_t)work.process->size; first += PEERS_AT_ONCE) {
        const stream_group group = make_group(&work, first);
        for (size_t begin = 0; begin < group.longest; begin += group.piece)
            SR_TRY(exchange_round(&work, parallel, &group, begin, error));
    }
    /* Nobody changes its arrays before all have read them. */
    sr_parallel_wait_for_threads(parallel);
    return SR_OK;
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

static void wait_for_threads_of(void *context)
{
    sr_parallel_wait_for_threads(context);
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
                      .exchange = exchange_with_ranks,
                      .wait_here = wait_for_threads_of};
}
