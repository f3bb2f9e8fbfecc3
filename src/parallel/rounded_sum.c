#include "parallel/rounded_sum.h"

#include "base/sizes.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "parallel/ring_sum.h"
#include "srtrain/memory.h"
#include "srtrain/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCATTER_TAG = 4, GATHER_TAG = 5, UNDER_WAY = 4, TURN = UNDER_WAY / 2, PIECE = RING_PIECE_BYTES / sizeof(uint16_t) };

/* A message that is under way. */
typedef struct {
    float *values, *rest; /* [count]: of the caller */
    size_t count;
    uint16_t *others; /* [ranks][own slice]: what others have of this process's slice */
    uint16_t *mine;   /* [longest]: what is sent; then the sums */
    MPI_Request *requests;
    int posted;
} message;

struct rounded_sum {
    sr_parallel *process;
    size_t rank, ranks, longest;
    float *sums; /* [own slice] */
    message messages[UNDER_WAY];
};

/* ---- making ---- */

static sr_status allocate_message(const rounded_sum *sum, message *m, sr_error *error)
{
    const size_t room = sum->longest + sum->ranks; /* slices may be one number longer than a part */
    const size_t requests = 2 * (sum->longest / PIECE + 2 * sum->ranks);
    SR_TRY(SR_ALLOCATE(&m->others, room, "sums of bf16", error));
    SR_TRY(SR_ALLOCATE(&m->mine, sum->longest, "sums of bf16", error));
    return SR_ALLOCATE(&m->requests, requests, "sums of bf16", error);
}

sr_status rounded_sum_create(rounded_sum **sum, sr_parallel *process, size_t longest, sr_error *error)
{
    rounded_sum *made;
    *sum = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "sums of bf16", error));
    made->process = process;
    made->rank = (size_t)sr_parallel_rank(process);
    made->ranks = (size_t)sr_parallel_size(process);
    made->longest = longest;
    sr_status status = SR_ALLOCATE(&made->sums, longest / made->ranks + 1, "sums of bf16", error);
    for (size_t i = 0; i < UNDER_WAY && status == SR_OK; ++i)
        status = allocate_message(made, &made->messages[i], error);
    if (status != SR_OK) {
        rounded_sum_free(made);
        return status;
    }
    *sum = made;
    return SR_OK;
}

void rounded_sum_free(rounded_sum *sum)
{
    if (!sum)
        return;
    for (size_t i = 0; i < UNDER_WAY; ++i) {
        free(sum->messages[i].others);
        free(sum->messages[i].mine);
        free(sum->messages[i].requests);
    }
    free(sum->sums);
    free(sum);
}

/* ---- bf16 ---- */

/* To the nearest bf16, ties to even; what is not a number stays so. */
static inline uint16_t round_number(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(value != value ? bits >> 16 | 0x40 : rounded);
}

static inline float widen(uint16_t rounded)
{
    const uint32_t bits = (uint32_t)rounded << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What rounding took; nothing where there is no number, so that a step that is given up leaves no trace. */
static inline float rest_of(float value, uint16_t rounded)
{
    const float rest = value - widen(rounded);
    return fabsf(rest) <= 1e30f ? rest : 0;
}

/* ---- what travels ---- */

static sr_element_range slice_of(const rounded_sum *sum, const message *m, size_t rank)
{
    return sr_part_of_range((sr_element_range){0, m->count}, rank, sum->ranks);
}

static size_t length_of(sr_element_range range)
{
    return range.end - range.begin;
}

/* Numbers that go to a peer or come from it. */
typedef struct {
    uint16_t *numbers;
    size_t count;
} stream;

static stream stream_of(const rounded_sum *sum, const message *m, int tag, bool sends, size_t peer)
{
    const sr_element_range own = slice_of(sum, m, sum->rank), other = slice_of(sum, m, peer);
    if (tag == SCATTER_TAG && !sends)
        return (stream){m->others + peer * length_of(own), length_of(own)};
    const sr_element_range slice = (tag == SCATTER_TAG) == sends ? other : own;
    return (stream){m->mine + slice.begin, length_of(slice)};
}

/* In pieces, in turns for all peers (ring_sum.h says why). */
static sr_status post(const rounded_sum *sum, message *m, int tag, bool sends, sr_error *error)
{
    MPI_Comm world = sr_parallel_communicator(sum->process);
    for (size_t begin = 0; begin < m->count / sum->ranks + 1; begin += PIECE)
        for (size_t shift = 1; shift < sum->ranks; ++shift) {
            const size_t peer = (sum->rank + (sends ? shift : sum->ranks - shift)) % sum->ranks;
            const stream s = stream_of(sum, m, tag, sends, peer);
            if (begin >= s.count)
                continue;
            const int count = (int)smaller(s.count - begin, PIECE);
            uint16_t *numbers = s.numbers + begin;
            MPI_Request *request = &m->requests[m->posted++];
            if (sends)
                SR_TRY(
                    sr_mpi_check(MPI_Isend(numbers, count, MPI_UINT16_T, (int)peer, tag, world, request), "MPI_Isend", error));
            else
                SR_TRY(
                    sr_mpi_check(MPI_Irecv(numbers, count, MPI_UINT16_T, (int)peer, tag, world, request), "MPI_Irecv", error));
        }
    return SR_OK;
}

/* Sends come in turns to all peers, behind the receipts. */
static sr_status begin_exchange(const rounded_sum *sum, message *m, int tag, sr_error *error)
{
    m->posted = 0;
    SR_TRY(post(sum, m, tag, false, error));
    return post(sum, m, tag, true, error);
}

static sr_status end_exchange(const rounded_sum *sum, message *m, sr_error *error)
{
    return SR_MPI_WAIT(sum->process, "MPI_Waitall", MPI_Waitall(m->posted, m->requests, MPI_STATUSES_IGNORE), error);
}

/* ---- sums ---- */

static void round_message(message *m)
{
#pragma omp simd
    for (size_t i = 0; i < m->count; ++i) {
        const float value = m->rest ? m->values[i] + m->rest[i] : m->values[i];
        m->mine[i] = round_number(value);
        if (m->rest)
            m->rest[i] = rest_of(value, m->mine[i]);
    }
}

/* Of one's own slice, in single precision and in the order of ranks. */
static void add_slices(const rounded_sum *sum, message *m, sr_element_range own)
{
    const size_t length = length_of(own);
    for (size_t r = 0; r < sum->ranks; ++r) {
        const uint16_t *piece = r == sum->rank ? m->mine + own.begin : m->others + r * length;
#pragma omp simd
        for (size_t i = 0; i < length; ++i)
            sum->sums[i] = r == 0 ? widen(piece[i]) : sum->sums[i] + widen(piece[i]);
    }
#pragma omp simd
    for (size_t i = 0; i < length; ++i) {
        const float value = sum->sums[i];
        m->mine[own.begin + i] = round_number(value);
        if (m->rest)
            m->rest[own.begin + i] += rest_of(value, m->mine[own.begin + i]);
    }
}

static sr_status begin_message(const rounded_sum *sum, message *m, sr_error *error)
{
    round_message(m);
    return begin_exchange(sum, m, SCATTER_TAG, error);
}

/* All slices have come: their sums go to all. */
static sr_status turn_message(const rounded_sum *sum, message *m, sr_error *error)
{
    SR_TRY(end_exchange(sum, m, error));
    add_slices(sum, m, slice_of(sum, m, sum->rank));
    return begin_exchange(sum, m, GATHER_TAG, error);
}

static sr_status end_message(const rounded_sum *sum, message *m, sr_error *error)
{
    SR_TRY(end_exchange(sum, m, error));
#pragma omp simd
    for (size_t i = 0; i < m->count; ++i)
        m->values[i] = widen(m->mine[i]);
    return SR_OK;
}

/* In round i, message i begins, an earlier one turns, and one before that ends. */
sr_status rounded_sum_run(rounded_sum *sum, float *values, float *rest, size_t count, sr_error *error)
{
    const size_t messages = (count + sum->longest - 1) / sum->longest;
    for (size_t i = 0; i < messages + UNDER_WAY; ++i) {
        message *m = &sum->messages[i % UNDER_WAY], *before = &sum->messages[(i + UNDER_WAY - TURN) % UNDER_WAY];
        if (i >= UNDER_WAY)
            SR_TRY(end_message(sum, m, error));
        if (i < messages) {
            const size_t begin = i * sum->longest;
            m->values = values + begin;
            m->rest = rest ? rest + begin : NULL;
            m->count = smaller(count - begin, sum->longest);
            SR_TRY(begin_message(sum, m, error));
        }
        if (i >= TURN && i - TURN < messages)
            SR_TRY(turn_message(sum, before, error));
    }
    return SR_OK;
}
