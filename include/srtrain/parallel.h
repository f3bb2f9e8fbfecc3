/* The only module that calls MPI for communication. Everything here is collective over all ranks unless it says "local".
 *
 * A run with one process is the same code with one rank. */
#ifndef SRTRAIN_PARALLEL_H
#define SRTRAIN_PARALLEL_H

#include "srtrain/ranks.h"
#include "srtrain/real.h"
#include "srtrain/status.h"

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sr_parallel sr_parallel;

/* Starts MPI (MPI_THREAD_FUNNELED) and makes communicators of our own that return errors. Release with
 * sr_parallel_finish(), which also ends MPI. SR_ERROR_USAGE, with MPI ended, when a launcher has started several processes, but
 * MPI knows of this one alone. */
sr_status sr_parallel_start(sr_parallel **parallel, int *argument_count, char ***arguments, sr_error *error);
void sr_parallel_finish(sr_parallel *parallel);

/* Whether a launcher of MPI programs (mpirun, srun) has started this process, as far as its environment tells. Local. */
bool sr_parallel_is_launched(void);

/* Whether this process is to print what all those print that a launcher has started together: the first of them, as far as the
 * environment tells, and each where SRTRAIN_INDEPENDENT says so. For what needs no MPI. Local. */
bool sr_parallel_is_first(void);

/* The same for programs that do without MPI: SR_ERROR_USAGE when a launcher has started several processes. Local. */
sr_status sr_parallel_check_alone(sr_error *error);

/* A world of one rank without MPI, for programs that are also of use by themselves: starting MPI takes half a second. Of the
 * functions of this header it knows rank, size, node_rank, host, agree(), barrier(), sums and maxima, broadcast() and
 * gather_all(). Local. */
sr_status sr_parallel_start_alone(sr_parallel **parallel, sr_error *error);

int sr_parallel_rank(const sr_parallel *parallel);         /* local */
int sr_parallel_size(const sr_parallel *parallel);         /* local */
int sr_parallel_node_rank(const sr_parallel *parallel);    /* local: rank among the processes of this node */
int sr_parallel_node_size(const sr_parallel *parallel);    /* local: how many processes there are on this node */
const char *sr_parallel_host(const sr_parallel *parallel); /* local */

/* The name and version of the MPI library as one line. Local; also before sr_parallel_start(). */
void sr_parallel_library_version(char *text, size_t size);

/* ---- what this rank is doing: for the watchdog (watchdog.h) and for messages. Local. ---- */

typedef enum {
    SR_PHASE_SETUP,
    SR_PHASE_STEP,
    SR_PHASE_VALIDATION,
    SR_PHASE_CHECKPOINT,
    SR_PHASE_TEST,
    SR_PHASE_EVALUATION,
    SR_PHASE_RECOMMENDATION,
    SR_PHASE_ANALYSIS
} sr_phase;

/* From now on; `step` counts from 1, 0 is none. */
void sr_parallel_phase(sr_parallel *parallel, sr_phase phase, int64_t step);

/* In words, and the step. May be called from a signal handler. */
const char *sr_parallel_phase_name(const sr_parallel *parallel, int64_t *step);

/* For the sums of src/parallel and what measures them. Local. */
MPI_Comm sr_parallel_communicator(const sr_parallel *parallel);

/* Failing together: every rank passes its own status (and message, if it failed). When any rank failed, all return the status
 * of the lowest failing rank, and `error` holds that rank's message on every rank, with "rank R on HOST: " in front unless all
 * ranks failed: so a failure that has been agreed on may be passed through here again. */
sr_status sr_parallel_agree(sr_parallel *parallel, sr_status status, sr_error *error);

/* Memory on every rank or on none: count * size bytes, which may differ between ranks, filled with zero bytes; see
 * sr_allocate(). *memory is NULL after a failure. */
sr_status sr_parallel_allocate(sr_parallel *parallel, void **memory, size_t count, size_t size, const char *what,
                               sr_error *error);

/* SR_PARALLEL_ALLOCATE(parallel, &pointer, count, "what", error). */
#define SR_PARALLEL_ALLOCATE(parallel, pointer, count, what, error) \
    sr_parallel_allocate((parallel), (void **)(pointer), (count), sizeof **(pointer), (what), (error))

/* Ends the whole job at once with `status` as exit code after writing the message to standard error: for a failure that the
 * other ranks cannot take part in. Local; does not return. */
_Noreturn void sr_parallel_abort(sr_parallel *parallel, sr_status status, const sr_error *error);

sr_status sr_parallel_barrier(sr_parallel *parallel, sr_error *error);

/* Element-wise sums and maxima over ranks, in place, equal bits on every rank. */
sr_status sr_parallel_sum_double(sr_parallel *parallel, double *values, size_t count, sr_error *error);
sr_status sr_parallel_sum_int64(sr_parallel *parallel, int64_t *values, size_t count, sr_error *error);
sr_status sr_parallel_maximum_int64(sr_parallel *parallel, int64_t *values, size_t count, sr_error *error);

/* ---- threads ----
 *
 * A thread acts as a rank that shares its process's parameters: it has its own part of the batch, its own tape and gradients,
 * and takes part in collectives. Member t of T in process r is rank r T + t of all members. Members are for code that all
 * threads of an OpenMP parallel region of T threads run alike; the master thread is member 0 and the only one that calls MPI.
 */

/* From now on the process has `threads` members (1: none but itself). Collective over processes, outside parallel regions;
 * fails on all of them, changing nothing, where they ask for different numbers. The members live as long as `parallel`, or
 * until the next call. */
sr_status sr_parallel_use_threads(sr_parallel *parallel, size_t threads, sr_error *error);
size_t sr_parallel_threads(const sr_parallel *parallel); /* local */

/* Member `thread` of a process; the process itself when it has one thread. Local. Of the functions of this header members take
 * part in sr_parallel_agree(), barrier(), sum_double(), sum_int64(), best(), gather_all(), exchange_counts() and
 * exchange_elements(). */
sr_parallel *sr_parallel_member(sr_parallel *parallel, size_t thread);
size_t sr_parallel_thread(const sr_parallel *member); /* local: which member this is; 0 for a process */

/* The process that a member belongs to; for a process itself. Local. */
sr_parallel *sr_parallel_process(sr_parallel *member);

/* What each member of a process brings, [threads] in their order. It is valid until the next collective of the members.
 * Collective over the members of a process, which wait for each other; for members alone. */
void *const *sr_parallel_exchange(sr_parallel *member, void *mine);

/* Waits for all members of the process, and what member 0 says on every one of them. Collective over the members of a process;
 * for a process nothing, and what it says itself. */
void sr_parallel_wait_for_threads(sr_parallel *member);
sr_status sr_parallel_agree_in_process(sr_parallel *member, sr_status status, sr_error *error);

/* The sum over the members of this process alone, in place, equal bits on each; nothing for a process. Collective over them. */
void sr_parallel_sum_over_threads(sr_parallel *member, double *values, size_t count);

/* Cores that this rank has to itself by its binding, as whole ones: where ranks of a node may run on the same cores, each has
 * its share; at least 1. */
sr_status sr_parallel_own_cores(sr_parallel *parallel, size_t *cores, sr_error *error);

/* A number and its score. Of two the better one has the higher score, or an equal one and is the smaller number. */
typedef struct {
    float score;
    int32_t number;
} sr_scored_number;

static inline bool sr_is_better(sr_scored_number left, sr_scored_number right)
{
    return left.score != right.score ? left.score > right.score : left.number < right.number;
}

/* `lists` lists, one after the other, of `length` entries each, the best first and none of them not a number: each becomes the
 * best `length` entries of that list of all ranks, equal on every rank. */
sr_status sr_parallel_best(sr_parallel *parallel, sr_scored_number *entries, size_t lists, size_t length, sr_error *error);

/* Bytes of rank 0 to every rank. */
sr_status sr_parallel_broadcast(sr_parallel *parallel, void *data, size_t bytes, sr_error *error);

/* The `bytes` bytes that rank 0 passes, on every rank: *root (release with free(); a 0 follows), *root_bytes of them. */
sr_status sr_parallel_share_root(sr_parallel *parallel, const void *data, size_t bytes, void **root, size_t *root_bytes,
                                 sr_error *error);

/* SR_ERROR_USAGE on all ranks unless `text` is the same on each: "rank R on HOST: LINE, but rank 0 has LINE: ADVICE" with the
 * first rank and the first of its lines that differ. */
sr_status sr_parallel_compare(sr_parallel *parallel, const char *text, const char *advice, sr_error *error);

/* Blocks of different size from every rank, one after the other in the order of ranks, on rank 0 only: *gathered (release with
 * free()) and *offsets [size + 1] in bytes (release with free()); both NULL on other ranks. */
sr_status sr_parallel_gather(sr_parallel *parallel, const void *data, size_t bytes, void **gathered, size_t **offsets,
                             sr_error *error);

/* Blocks of `count` elements (any number, 0 too) of `size` bytes from every rank, one after the other in the order of ranks, on
 * every rank: *gathered (release with free()) and *offsets [size of the world + 1] in elements (release with free()). At most
 * 2^31 - 1 elements in all. A rank that passes a `status` other than SR_OK takes part without data; then all fail together. */
sr_status sr_parallel_gather_all(sr_parallel *parallel, sr_status status, const void *data, size_t count, size_t size,
                                 void **gathered, size_t **offsets, sr_error *error);

/* How many elements this rank has for each rank, sent [size], and in received [size] how many each has for this one. A rank
 * that passes a `status` other than SR_OK takes part; then all fail together. */
sr_status sr_parallel_exchange_counts(sr_parallel *parallel, sr_status status, const size_t *sent, size_t *received,
                                      sr_error *error);

enum { SR_PACKED_BYTES = 8 << 20 }; /* of memory in which the threads of a process put messages together */

/* Then the elements, of `size` bytes: those for rank r are sent[r] .. sent[r + 1] of `data`, and those from it come to
 * received[r] .. received[r + 1] of `room`. Both are [size + 1]. Any numbers: messages are cut so that their lengths fit. */
sr_status sr_parallel_exchange_elements(sr_parallel *parallel, const void *data, const size_t *sent, void *room,
                                        const size_t *received, size_t size, sr_error *error);

/* All of that for those who know no MPI. Local. */
sr_ranks sr_parallel_ranks(sr_parallel *parallel);

/* The reverse of sr_parallel_gather(): bytes [offsets[r], offsets[r + 1]) of `data` on rank 0 to rank r: *part (release with
 * free()) of *bytes bytes on every rank. `data` and `offsets` [size + 1] are read on rank 0 only. */
sr_status sr_parallel_scatter(sr_parallel *parallel, const void *data, const size_t *offsets, void **part, size_t *bytes,
                              sr_error *error);

/* ---- sums of long arrays ----
 *
 * Sums over processes, in messages: no operation of MPI is longer than a message. */

enum { SR_MESSAGE_BYTES = 1 << 20 }; /* of a good message (docs/performance.md) */

typedef struct sr_array_sum sr_array_sum;

/* Sums over the ranks of `processes`: a process, not a member, or sr_node_between(). A message has `message_bytes`, but at
 * least 4096 and at most 2^28 numbers. With `rounded`, numbers of single precision travel as bf16. Keeps a pointer to
 * `processes`. Local. Release with sr_array_sum_free(). */
sr_status sr_array_sum_create(sr_array_sum **sum, sr_parallel *processes, size_t message_bytes, bool rounded, sr_error *error);
void sr_array_sum_free(sr_array_sum *sum); /* local; NULL is allowed */

/* Replaces values [count] by their sums over ranks, equal bits on every rank. `rest` [count]: what rounding took from each
 * number on this rank before, which is added first, and what it takes now; NULL: nothing is kept. */
sr_status sr_array_sum_run(sr_array_sum *sum, sr_real *values, sr_real *rest, size_t count, sr_error *error);

#endif
