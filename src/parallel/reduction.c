/* Summing gradients over ranks in buckets; srtrain/parallel.h says what is promised. */
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/clock.h"
#include "srtrain/memory.h"
#include "srtrain/parallel.h"

#include <stdlib.h>

/* Elements of one message: no shorter than what latency alone costs, and countable by MPI in int. */
enum { LEAST_MESSAGE = 4096, LONGEST_MESSAGE = 1 << 28 };

#ifdef SR_REAL_IS_DOUBLE
#define REAL_TYPE MPI_DOUBLE
#else
#define REAL_TYPE MPI_FLOAT
#endif

/* A contiguous range of whole parameters. */
typedef struct {
    size_t begin, end;     /* elements of the gradient block */
    size_t parameters;     /* how many it holds */
    size_t missing;        /* how many of them are not final yet */
    MPI_Request *requests; /* overlapped: one for each message */
    size_t request_count;
} bucket;

struct sr_reduction {
    sr_parallel *parallel;
    sr_parameters *parameters;
    bool overlapped;
    size_t message;  /* elements that one operation of MPI reduces at most */
    bucket *buckets; /* in the order of reduction: from the end of the block to its beginning */
    size_t bucket_count;
    size_t *bucket_of; /* [parameters] */
    char *ready;       /* [parameters] */
    size_t next;       /* overlapped: the next bucket to start */
    double seconds;
    sr_error failure; /* of a reduction that was started by a report */
};

static size_t message_elements(size_t bucket_bytes)
{
    const size_t elements = bucket_bytes / sizeof(sr_real);
    if (elements < LEAST_MESSAGE)
        return LEAST_MESSAGE;
    return elements < LONGEST_MESSAGE ? elements : (size_t)LONGEST_MESSAGE;
}

static size_t messages_of(const sr_reduction_engine *engine, const bucket *b)
{
    return (b->end - b->begin + engine->message - 1) / engine->message;
}

/* The length of the message that begins at element `begin` of a bucket. */
static int message_length(const sr_reduction_engine *engine, const bucket *b, size_t begin)
{
    return (int)(b->end - begin < engine->message ? b->end - begin : engine->message);
}

/* Cuts the block into buckets of at least `least` elements, from its end. */
static void cut_buckets(sr_reduction_engine *engine, size_t least)
{
    const sr_parameters *parameters = engine->parameters;
    size_t end = parameters->block_size;
    for (size_t i = parameters->count; i-- > 0;) {
        bucket *current = &engine->buckets[engine->bucket_count];
        engine->bucket_of[i] = engine->bucket_count;
        current->begin = parameters->list[i].offset;
        current->end = end;
        ++current->parameters;
        if (end - current->begin < least && i > 0)
            continue;
        end = current->begin;
        ++engine->bucket_count;
    }
}

static sr_status make_requests(sr_reduction_engine *engine, sr_error *error)
{
    for (size_t i = 0; i < engine->bucket_count; ++i) {
        bucket *b = &engine->buckets[i];
        b->request_count = messages_of(engine, b);
        SR_TRY(SR_ALLOCATE(&b->requests, b->request_count, "the requests of a reduction", error));
        for (size_t k = 0; k < b->request_count; ++k)
            b->requests[k] = MPI_REQUEST_NULL;
    }
    return SR_OK;
}

sr_status sr_reduction_create(sr_reduction_engine **engine, sr_parallel *parallel, sr_parameters *parameters, bool overlapped,
                              size_t bucket_bytes, sr_error *error)
{
    sr_reduction_engine *made;
    *engine = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the reduction of gradients", error));
    *made = (sr_reduction_engine){
        .parallel = parallel, .parameters = parameters, .overlapped = overlapped, .message = message_elements(bucket_bytes)};
    sr_status status = SR_ALLOCATE_ZERO(&made->buckets, parameters->count + 1, "buckets of gradients", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->bucket_of, parameters->count, "buckets of gradients", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->ready, parameters->count, "buckets of gradients", error);
    if (status == SR_OK) {
        cut_buckets(made, bucket_bytes / sizeof(sr_real));
        status = make_requests(made, error);
    }
    if (status != SR_OK) {
        sr_reduction_free(made);
        return status;
    }
    *engine = made;
    return SR_OK;
}

void sr_reduction_free(sr_reduction_engine *engine)
{
    if (!engine)
        return;
    for (size_t i = 0; engine->buckets && i < engine->bucket_count; ++i)
        free(engine->buckets[i].requests);
    free(engine->buckets);
    free(engine->bucket_of);
    free(engine->ready);
    free(engine);
}

void sr_reduction_begin(sr_reduction_engine *engine)
{
    for (size_t i = 0; i < engine->bucket_count; ++i)
        engine->buckets[i].missing = engine->buckets[i].parameters;
    for (size_t i = 0; i < engine->parameters->count; ++i)
        engine->ready[i] = 0;
    engine->next = 0;
    engine->failure.status = SR_OK;
}

/* Starts the non-blocking reduction of a bucket, message by message. */
static sr_status start(sr_reduction_engine *engine, bucket *b, sr_error *error)
{
    MPI_Comm world = sr_parallel_communicator(engine->parallel);
    for (size_t k = 0; k < b->request_count; ++k) {
        const size_t begin = b->begin + k * engine->message;
        SR_TRY(sr_mpi_check(MPI_Iallreduce(MPI_IN_PLACE, engine->parameters->gradients + begin,
                                           message_length(engine, b, begin), REAL_TYPE, MPI_SUM, world, &b->requests[k]),
                            "MPI_Iallreduce", error));
    }
    return SR_OK;
}

/* Starts buckets, strictly in order, as long as the next one is complete: so every rank starts the same sequence of operations,
 * in whatever order its parameters become final. */
static sr_status start_complete(sr_reduction_engine *engine, sr_error *error)
{
    while (engine->next < engine->bucket_count && engine->buckets[engine->next].missing == 0)
        SR_TRY(start(engine, &engine->buckets[engine->next++], error));
    return SR_OK;
}

/* Gives MPI a chance to move what is under way. */
static sr_status progress(sr_reduction_engine *engine, sr_error *error)
{
    int done;
    if (engine->next == 0)
        return SR_OK;
    bucket *b = &engine->buckets[engine->next - 1];
    return sr_mpi_check(MPI_Testall((int)b->request_count, b->requests, &done, MPI_STATUSES_IGNORE), "MPI_Testall", error);
}

void sr_reduction_ready(void *context, size_t index)
{
    sr_reduction_engine *engine = context;
    if (engine->ready[index] || sr_parallel_size(engine->parallel) == 1 || engine->parallel->process)
        return; /* members wait for each other first */
    engine->ready[index] = 1;
    --engine->buckets[engine->bucket_of[index]].missing;
    if (!engine->overlapped || engine->failure.status != SR_OK)
        return;
    const double start_time = sr_seconds();
    if (start_complete(engine, &engine->failure) == SR_OK)
        (void)progress(engine, &engine->failure); /* its failure is reported when the reduction is finished */
    engine->seconds += sr_seconds() - start_time;
}

static sr_status finish_overlapped(sr_reduction_engine *engine, sr_error *error)
{
    for (size_t i = 0; i < engine->bucket_count; ++i)
        engine->buckets[i].missing = 0;
    SR_TRY(start_complete(engine, error));
    for (size_t i = 0; i < engine->bucket_count; ++i)
        SR_TRY(SR_MPI_WAIT(engine->parallel, "MPI_Waitall",
                           MPI_Waitall((int)engine->buckets[i].request_count, engine->buckets[i].requests, MPI_STATUSES_IGNORE),
                           error));
    return SR_OK;
}

static sr_status finish_blocking(sr_reduction_engine *engine, sr_error *error)
{
    MPI_Comm world = sr_parallel_communicator(engine->parallel);
    for (size_t i = 0; i < engine->bucket_count; ++i) {
        const bucket *b = &engine->buckets[i];
        for (size_t begin = b->begin; begin < b->end; begin += engine->message)
            SR_TRY(SR_MPI_WAIT(engine->parallel, "MPI_Allreduce",
                               MPI_Allreduce(MPI_IN_PLACE, engine->parameters->gradients + begin,
                                             message_length(engine, b, begin), REAL_TYPE, MPI_SUM, world),
                               error));
    }
    return SR_OK;
}

/* Adds the gradients of all members into those of the first: each thread a part of the block, in the order of threads. */
static void add_members(const sr_reduction_engine *engine)
{
    sr_parallel *member = engine->parallel;
    thread_team *team = member->team;
    const size_t size = engine->parameters->block_size;
    const size_t begin = size * member->thread / team->threads, end = size * (member->thread + 1) / team->threads;
    team->slots[member->thread] = engine->parameters->gradients;
    team_wait();
    sr_real *sum = team->slots[0];
    for (size_t t = 1; t < team->threads; ++t) {
        const sr_real *term = team->slots[t];
        for (size_t i = begin; i < end; ++i)
            sum[i] += term[i];
    }
    team_wait();
}

/* The first member reduces for all; the others learn whether it succeeded. */
static sr_status finish_members(sr_reduction_engine *engine, sr_error *error)
{
    const double start_time = sr_seconds();
    sr_status status = SR_OK;
    add_members(engine);
    if (engine->parallel->thread == 0 && engine->parallel->process->size > 1)
        status = finish_blocking(engine, error);
    status = member_agree_locally(engine->parallel, status, error);
    engine->seconds += sr_seconds() - start_time;
    return status;
}

sr_status sr_reduction_finish(sr_reduction_engine *engine, sr_error *error)
{
    if (engine->parallel->process)
        return finish_members(engine, error);
    if (sr_parallel_size(engine->parallel) == 1)
        return SR_OK;
    if (engine->failure.status != SR_OK) {
        if (error)
            *error = engine->failure;
        return engine->failure.status;
    }
    const double start_time = sr_seconds();
    const sr_status status = engine->overlapped ? finish_overlapped(engine, error) : finish_blocking(engine, error);
    engine->seconds += sr_seconds() - start_time;
    return status;
}

double sr_reduction_seconds(sr_reduction_engine *engine)
{
    const double seconds = engine->seconds;
    engine->seconds = 0;
    return seconds;
}
