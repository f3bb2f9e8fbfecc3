#include "parallel/ring_sum.h"

#include "base/sizes.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"
#include "srtrain/range.h"

#include <stdlib.h>

enum { RING_TAG = 3 };

/* A message that is under way. */
typedef struct {
    sr_real *values; /* [count]: of the caller */
    size_t count;
    sr_real *partial; /* [longest slice]: the sum of a slice over those before this process */
    MPI_Request *requests;
    int posted;
} message;

struct ring_sum {
    sr_parallel *processes;
    size_t rank, ranks, longest;
    size_t steps, slots; /* of a message; messages under way at most */
    message *messages;   /* [slots] */
};

/* ---- making ---- */

static size_t longest_slice(const ring_sum *sum)
{
    return sum->longest / sum->ranks + 1;
}

static sr_status allocate_message(const ring_sum *sum, message *m, sr_error *error)
{
    const size_t pieces = longest_slice(sum) * sizeof(sr_real) / RING_PIECE_BYTES + 1;
    SR_TRY(SR_ALLOCATE(&m->partial, longest_slice(sum), "sums over ranks", error));
    return SR_ALLOCATE(&m->requests, 2 * pieces, "sums over ranks", error);
}

sr_status ring_sum_create(ring_sum **sum, sr_parallel *processes, size_t longest, sr_error *error)
{
    ring_sum *made;
    *sum = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "sums over ranks", error));
    made->processes = processes;
    made->rank = (size_t)sr_parallel_rank(processes);
    made->ranks = (size_t)sr_parallel_size(processes);
    made->longest = longest;
    made->steps = 2 * (made->ranks - 1);
    made->slots = made->steps + 1;
    sr_status status = SR_ALLOCATE_ZERO(&made->messages, made->slots, "sums over ranks", error);
    for (size_t i = 0; status == SR_OK && i < made->slots; ++i)
        status = allocate_message(made, &made->messages[i], error);
    if (status != SR_OK) {
        ring_sum_free(made);
        return status;
    }
    *sum = made;
    return SR_OK;
}

void ring_sum_free(ring_sum *sum)
{
    if (!sum)
        return;
    for (size_t i = 0; sum->messages && i < sum->slots; ++i) {
        free(sum->messages[i].partial);
        free(sum->messages[i].requests);
    }
    free(sum->messages);
    free(sum);
}

/* ---- a step ---- */

/* The slice that goes out in a step, and with `step` one larger the one that comes in. */
static sr_element_range slice_of(const ring_sum *sum, const message *m, size_t step)
{
    const size_t slice = (sum->rank + 2 * sum->ranks - step) % sum->ranks;
    return sr_part_of_range((sr_element_range){0, m->count}, slice, sum->ranks);
}

/* Sums are complete after as many steps. */
static bool is_partial(const ring_sum *sum, size_t step)
{
    return step < sum->ranks - 1;
}

static sr_status begin_step(const ring_sum *sum, message *m, size_t step, sr_error *error)
{
    enum { PIECE = RING_PIECE_BYTES / sizeof(sr_real) };
    const sr_element_range out = slice_of(sum, m, step), in = slice_of(sum, m, step + 1);
    const int right = (int)((sum->rank + 1) % sum->ranks), left = (int)((sum->rank + sum->ranks - 1) % sum->ranks);
    sr_real *room = is_partial(sum, step) ? m->partial : m->values + in.begin;
    MPI_Comm world = sr_parallel_communicator(sum->processes);
    m->posted = 0;
    for (size_t i = 0; i < in.end - in.begin; i += PIECE)
        SR_TRY(sr_mpi_check(MPI_Irecv(room + i, (int)(smaller(in.end - in.begin - i, PIECE) * sizeof(sr_real)), MPI_BYTE, left,
                                      RING_TAG, world, &m->requests[m->posted++]),
                            "MPI_Irecv", error));
    for (size_t i = out.begin; i < out.end; i += PIECE)
        SR_TRY(sr_mpi_check(MPI_Isend(m->values + i, (int)(smaller(out.end - i, PIECE) * sizeof(sr_real)), MPI_BYTE, right,
                                      RING_TAG, world, &m->requests[m->posted++]),
                            "MPI_Isend", error));
    return SR_OK;
}

static sr_status end_step(const ring_sum *sum, const message *m, size_t step, sr_error *error)
{
    SR_TRY(SR_MPI_WAIT(sum->processes, "MPI_Waitall", MPI_Waitall(m->posted, m->requests, MPI_STATUSES_IGNORE), error));
    const sr_element_range in = slice_of(sum, m, step + 1);
    sr_real *own = m->values + in.begin;
    if (is_partial(sum, step)) {
#pragma omp simd
        for (size_t i = 0; i < in.end - in.begin; ++i)
            own[i] = m->partial[i] + own[i];
    }
    return SR_OK;
}

/* ---- all messages ---- */

/* In a round, each message that is under way ends a step and begins the next one. All processes do so in the same order, so
 * that messages of one tag meet in theirs. */
sr_status ring_sum_run(ring_sum *sum, sr_real *values, size_t count, sr_error *error)
{
    const size_t messages = (count + sum->longest - 1) / sum->longest;
    for (size_t round = 0; messages > 0 && round < messages + sum->steps; ++round) {
        const size_t first = round > sum->steps ? round - sum->steps : 0;
        for (size_t i = first; i < messages && i <= round; ++i) {
            message *m = &sum->messages[i % sum->slots];
            const size_t step = round - i;
            if (step > 0)
                SR_TRY(end_step(sum, m, step - 1, error));
            if (step == 0) {
                const sr_element_range range = sr_part_of_range((sr_element_range){0, count}, i, messages);
                m->values = values + range.begin;
                m->count = range.end - range.begin;
            }
            if (step < sum->steps)
                SR_TRY(begin_step(sum, m, step, error));
        }
    }
    return SR_OK;
}
