/* Sums of long arrays over processes, in messages; srtrain/parallel.h says what is promised. */
#include "base/sizes.h"
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "parallel/ring_sum.h"
#include "parallel/rounded_sum.h"
#include "srtrain/memory.h"
#include "srtrain/parallel.h"

#include <stdlib.h>

/* Elements of one message: no fewer than what latency alone costs, and no more than MPI counts in int. */
enum { LEAST_MESSAGE = 4096, LONGEST_MESSAGE = 1 << 28 };

/* Processes of a ring: in longer ones latency takes more than the ring saves. */
enum { LONGEST_RING = 16 };

#ifdef SR_REAL_IS_DOUBLE
#define REAL_TYPE MPI_DOUBLE
#else
#define REAL_TYPE MPI_FLOAT
#endif

struct sr_array_sum {
    sr_parallel *processes;
    size_t message;       /* elements */
    rounded_sum *rounded; /* where numbers travel as bf16 */
    ring_sum *ring;       /* over few nodes; otherwise MPI sums */
};

static size_t message_elements(size_t bytes)
{
    return smaller(larger(bytes / sizeof(sr_real), LEAST_MESSAGE), LONGEST_MESSAGE);
}

sr_status sr_array_sum_create(sr_array_sum **sum, sr_parallel *processes, size_t message_bytes, bool rounded, sr_error *error)
{
    sr_array_sum *made;
    const size_t ranks = (size_t)sr_parallel_size(processes);
    *sum = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "sums over ranks", error));
    *made = (sr_array_sum){.processes = processes, .message = message_elements(message_bytes)};
    sr_status status = SR_OK;
    if (rounded && sizeof(sr_real) == sizeof(float))
        status = rounded_sum_create(&made->rounded, processes, made->message, error);
    else if (processes->is_spread && ranks > 1 && ranks <= LONGEST_RING)
        status = ring_sum_create(&made->ring, processes, made->message, error);
    if (status != SR_OK) {
        free(made);
        return status;
    }
    *sum = made;
    return SR_OK;
}

void sr_array_sum_free(sr_array_sum *sum)
{
    if (!sum)
        return;
    rounded_sum_free(sum->rounded);
    ring_sum_free(sum->ring);
    free(sum);
}

static sr_status sum_message(const sr_array_sum *sum, sr_real *values, size_t count, sr_error *error)
{
    return SR_MPI_WAIT(
        sum->processes, "MPI_Allreduce",
        MPI_Allreduce(MPI_IN_PLACE, values, (int)count, REAL_TYPE, MPI_SUM, sr_parallel_communicator(sum->processes)), error);
}

sr_status sr_array_sum_run(sr_array_sum *sum, sr_real *values, sr_real *rest, size_t count, sr_error *error)
{
#ifdef SR_REAL_IS_DOUBLE
    (void)rest;
#else
    if (sum->rounded)
        return rounded_sum_run(sum->rounded, values, rest, count, error);
#endif
    if (sum->ring)
        return ring_sum_run(sum->ring, values, count, error);
    for (size_t begin = 0; begin < count; begin += sum->message)
        SR_TRY(sum_message(sum, values + begin, smaller(count - begin, sum->message), error));
    return SR_OK;
}
