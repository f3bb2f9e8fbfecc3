/* Summing gradients over ranks in buckets; srtrain/parallel.h says what is promised. */
#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "parallel/rounded_sum.h"
#include "srtrain/memory.h"
#include "srtrain/node.h"
#include "srtrain/parallel.h"

#include <stdlib.h>
#include <string.h>

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
    size_t width;          /* of a table's rows; 0: no table */
    sr_real *packed;       /* a table: [most_rows, width], for rows taken out of it; else NULL */
    sr_real *packed_rest;  /* likewise, of what rounding took */
    MPI_Request *requests; /* overlapped: one for each message */
    size_t request_count;
} bucket;

struct sr_reduction {
    sr_parallel *parallel;
    sr_parallel *between; /* the processes that MPI sums over: all, or one of each node */
    sr_parameters *parameters;
    sr_reduction_settings settings;
    const sr_touched_rows *touched; /* of the step; NULL: every row */
    size_t message;                 /* elements that one operation of MPI reduces at most */
    rounded_sum *rounded;           /* messages of bf16; else NULL */
    sr_real *rest;                  /* [block_size]: what rounding took, where it is kept; else NULL */
    bucket *buckets;                /* in the order of reduction: from the end of the block to its beginning */
    size_t bucket_count;
    size_t *bucket_of; /* [parameters] */
    char *ready;       /* [parameters] */
    size_t next;       /* overlapped: the next bucket to start */
    sr_error failure;  /* of a reduction that was started by a report */
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

static bool is_table(const sr_reduction_engine *engine, size_t parameter)
{
    const sr_table_list *tables = &engine->settings.tables;
    for (size_t t = 0; t < tables->count; ++t)
        if (tables->index[t] == parameter)
            return true;
    return false;
}

/* Cuts the block into buckets of at least `least` elements, from its end; a table is one by itself. */
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
        current->width = is_table(engine, i) ? parameters->list[i].shape[1] : 0;
        const bool alone = current->width > 0 || (i > 0 && is_table(engine, i - 1));
        if (end - current->begin < least && i > 0 && !alone)
            continue;
        end = current->begin;
        ++engine->bucket_count;
    }
}

/* Whether this engine sends anything: of members only the first one does, for all of its process. */
static bool reduces(const sr_reduction_engine *engine)
{
    return sr_parallel_size(engine->between) > 1 && sr_parallel_thread(engine->parallel) == 0;
}

/* What a step needs, so that it cannot run out of memory on one rank alone. */
static sr_status furnish_buckets(sr_reduction_engine *engine, sr_error *error)
{
    for (size_t i = 0; i < engine->bucket_count; ++i) {
        bucket *b = &engine->buckets[i];
        const size_t packed = reduces(engine) ? engine->settings.most_rows * b->width : 0;
        if (packed > 0)
            SR_TRY(SR_ALLOCATE(&b->packed, packed, "rows of gradients", error));
        if (packed > 0 && engine->rest)
            SR_TRY(SR_ALLOCATE(&b->packed_rest, packed, "rows of gradients", error));
        b->request_count = messages_of(engine, b);
        SR_TRY(SR_ALLOCATE(&b->requests, b->request_count, "the requests of a reduction", error));
        for (size_t k = 0; k < b->request_count; ++k)
            b->requests[k] = MPI_REQUEST_NULL;
    }
    return SR_OK;
}

static sr_status prepare_rounding(sr_reduction_engine *engine, sr_error *error)
{
    if (!engine->settings.rounded || !reduces(engine))
        return SR_OK;
    if (engine->settings.keeps_rest)
        SR_TRY(SR_ALLOCATE_ZERO(&engine->rest, engine->parameters->block_size, "what rounding takes from gradients", error));
    return rounded_sum_create(&engine->rounded, engine->between, engine->message, error);
}

sr_status sr_reduction_create(sr_reduction_engine **engine, sr_parallel *parallel, sr_parameters *parameters,
                              const sr_reduction_settings *settings, sr_error *error)
{
    sr_reduction_engine *made;
    *engine = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the reduction of gradients", error));
    sr_parallel *process = parallel->process ? parallel->process : parallel;
    *made = (sr_reduction_engine){.parallel = parallel,
                                  .between = settings->node ? sr_node_between(settings->node) : process,
                                  .parameters = parameters,
                                  .settings = *settings,
                                  .message = message_elements(settings->bucket_bytes)};
    sr_status status = SR_ALLOCATE_ZERO(&made->buckets, parameters->count + 1, "buckets of gradients", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->bucket_of, parameters->count, "buckets of gradients", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->ready, parameters->count, "buckets of gradients", error);
    if (status == SR_OK)
        status = prepare_rounding(made, error);
    if (status == SR_OK) {
        cut_buckets(made, settings->bucket_bytes / sizeof(sr_real));
        status = furnish_buckets(made, error);
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
    for (size_t i = 0; engine->buckets && i < engine->bucket_count; ++i) {
        free(engine->buckets[i].requests);
        free(engine->buckets[i].packed);
        free(engine->buckets[i].packed_rest);
    }
    free(engine->buckets);
    rounded_sum_free(engine->rounded);
    free(engine->rest);
    free(engine->bucket_of);
    free(engine->ready);
    free(engine);
}

void sr_reduction_begin(sr_reduction_engine *engine, const sr_touched_rows *touched)
{
    engine->touched = touched;
    for (size_t i = 0; i < engine->bucket_count; ++i)
        engine->buckets[i].missing = engine->buckets[i].parameters;
    for (size_t i = 0; i < engine->parameters->count; ++i)
        engine->ready[i] = 0;
    engine->next = 0;
    engine->failure.status = SR_OK;
}

/* ---- rows of tables ---- */

/* Whether only some rows of this bucket are reduced. */
static bool picks_rows(const sr_reduction_engine *engine, const bucket *b)
{
    return b->width > 0 && engine->touched && !engine->touched->every;
}

/* Between the rows of a block and those that are packed. */
static void copy_rows(const sr_reduction_engine *engine, const bucket *b, sr_real *block, sr_real *packed_rows, bool pack)
{
    for (size_t i = 0; i < engine->touched->count; ++i) {
        sr_real *row = block + b->begin + (size_t)engine->touched->rows[i] * b->width;
        sr_real *packed = packed_rows + i * b->width;
        memcpy(pack ? packed : row, pack ? row : packed, b->width * sizeof *row);
    }
}

/* What is reduced of a bucket. */
typedef struct {
    sr_real *values, *rest; /* [count]; rest may be NULL */
    size_t count;
} load;

/* Rows are packed first. */
static load begin_bucket(const sr_reduction_engine *engine, const bucket *b)
{
    if (!picks_rows(engine, b))
        return (load){engine->parameters->gradients + b->begin, engine->rest ? engine->rest + b->begin : NULL,
                      b->end - b->begin};
    copy_rows(engine, b, engine->parameters->gradients, b->packed, true);
    if (engine->rest)
        copy_rows(engine, b, engine->rest, b->packed_rest, true);
    return (load){b->packed, engine->rest ? b->packed_rest : NULL, engine->touched->count * b->width};
}

static void end_bucket(const sr_reduction_engine *engine, const bucket *b)
{
    if (!picks_rows(engine, b))
        return;
    copy_rows(engine, b, engine->parameters->gradients, b->packed, false);
    if (engine->rest)
        copy_rows(engine, b, engine->rest, b->packed_rest, false);
}

/* ---- buckets ---- */

/* The length of the message that begins at element `begin`. */
static int message_length(const sr_reduction_engine *engine, size_t begin, size_t elements)
{
    return (int)(elements - begin < engine->message ? elements - begin : engine->message);
}

/* Starts the non-blocking reduction of a bucket, message by message. */
static sr_status start(sr_reduction_engine *engine, bucket *b, sr_error *error)
{
    MPI_Comm world = sr_parallel_communicator(engine->parallel);
    const load l = begin_bucket(engine, b);
    size_t k = 0;
    for (size_t begin = 0; begin < l.count; begin += engine->message)
        SR_TRY(sr_mpi_check(MPI_Iallreduce(MPI_IN_PLACE, l.values + begin, message_length(engine, begin, l.count), REAL_TYPE,
                                           MPI_SUM, world, &b->requests[k++]),
                            "MPI_Iallreduce", error));
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
    if (!engine->settings.overlapped || engine->failure.status != SR_OK)
        return;
    if (start_complete(engine, &engine->failure) == SR_OK)
        (void)progress(engine, &engine->failure); /* its failure is reported when the reduction is finished */
}

static sr_status finish_overlapped(sr_reduction_engine *engine, sr_error *error)
{
    for (size_t i = 0; i < engine->bucket_count; ++i)
        engine->buckets[i].missing = 0;
    SR_TRY(start_complete(engine, error));
    for (size_t i = 0; i < engine->bucket_count; ++i) {
        const bucket *b = &engine->buckets[i];
        SR_TRY(SR_MPI_WAIT(engine->parallel, "MPI_Waitall",
                           MPI_Waitall((int)b->request_count, b->requests, MPI_STATUSES_IGNORE), error));
        end_bucket(engine, b);
    }
    return SR_OK;
}

/* One message, from element `begin` on. */
static sr_status reduce_message(const sr_reduction_engine *engine, const load *l, size_t begin, sr_error *error)
{
    const int count = message_length(engine, begin, l->count);
#ifndef SR_REAL_IS_DOUBLE
    if (engine->rounded)
        return rounded_sum_all(engine->rounded, l->values + begin, l->rest ? l->rest + begin : NULL, (size_t)count, error);
#endif
    return SR_MPI_WAIT(
        engine->between, "MPI_Allreduce",
        MPI_Allreduce(MPI_IN_PLACE, l->values + begin, count, REAL_TYPE, MPI_SUM, sr_parallel_communicator(engine->between)),
        error);
}

static sr_status reduce_load(const sr_reduction_engine *engine, const load *l, sr_error *error)
{
    for (size_t begin = 0; begin < l->count; begin += engine->message)
        SR_TRY(reduce_message(engine, l, begin, error));
    return SR_OK;
}

static sr_status finish_blocking(sr_reduction_engine *engine, sr_error *error)
{
    for (size_t i = 0; i < engine->bucket_count; ++i) {
        const load l = begin_bucket(engine, &engine->buckets[i]);
        SR_TRY(reduce_load(engine, &l, error));
        end_bucket(engine, &engine->buckets[i]);
    }
    return SR_OK;
}

/* ---- threads ---- */

static void add_range(const thread_team *team, sr_element_range range)
{
    sr_real *sum = team->slots[0];
    for (size_t t = 1; t < team->threads; ++t) {
        const sr_real *term = team->slots[t];
        for (size_t i = range.begin; i < range.end; ++i)
            sum[i] += term[i];
    }
}

/* Adds the gradients of all members into those of the first: each thread a part of the block, in the order of threads. */
static void add_members(const sr_reduction_engine *engine)
{
    sr_parallel *member = engine->parallel;
    thread_team *team = member->team;
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(engine->parameters, engine->touched, ranges);
    const sr_element_range rows = sr_part_of_range((sr_element_range){0, sr_touched_count(engine->touched)}, member->thread,
                                                   team->threads);
    team->slots[member->thread] = engine->parameters->gradients;
    team_wait();
    for (size_t i = 0; i < count; ++i)
        add_range(team, sr_part_of_range(ranges[i], member->thread, team->threads));
    for (size_t b = 0; b < engine->bucket_count && rows.begin < rows.end; ++b) {
        const size_t first = engine->buckets[b].begin, width = engine->buckets[b].width;
        for (size_t i = rows.begin; width > 0 && i < rows.end; ++i) {
            const size_t begin = first + (size_t)engine->touched->rows[i] * width;
            add_range(team, (sr_element_range){begin, begin + width});
        }
    }
    team_wait();
}

/* The first member reduces for all; the others learn whether it succeeded. */
static sr_status finish_members(sr_reduction_engine *engine, sr_error *error)
{
    sr_status status = SR_OK;
    add_members(engine);
    if (reduces(engine))
        status = finish_blocking(engine, error);
    status = member_agree_locally(engine->parallel, status, error);
    return status;
}

/* ---- in a node ---- */

static sr_element_range whole_block(const sr_reduction_engine *engine)
{
    return (sr_element_range){0, engine->parameters->block_size};
}

/* Adds the gradients of all processes to this process's own, in this worker's part of the block. A stretch of it stays in the
 * cache until everybody's is added. */
static void add_processes(const sr_reduction_engine *engine)
{
    enum { STRETCH = 4096 };
    const sr_node *node = engine->settings.node;
    const size_t own = sr_node_process(node), processes = sr_node_processes(node);
    size_t part, parts;
    sr_node_part(node, engine->parallel, &part, &parts);
    const sr_element_range range = sr_part_of_range(whole_block(engine), part, parts);
    sr_real *sum = sr_node_own(node, own);
    for (size_t begin = range.begin; begin < range.end; begin += STRETCH) {
        const size_t end = begin + STRETCH < range.end ? begin + STRETCH : range.end;
        for (size_t process = 0; process < processes; ++process) {
            const sr_real *term = sr_node_own(node, process);
            if (process == own)
                continue;
            for (size_t i = begin; i < end; ++i)
                sum[i] += term[i];
        }
    }
}

/* This process's part of the sums, with the same part of the other nodes'. */
static sr_status add_nodes(const sr_reduction_engine *engine, sr_error *error)
{
    const sr_node *node = engine->settings.node;
    const sr_element_range range = sr_node_process_part(node, whole_block(engine), sr_node_process(node));
    const load l = {sr_node_own(node, sr_node_process(node)) + range.begin, engine->rest ? engine->rest + range.begin : NULL,
                    range.end - range.begin};
    return reduce_load(engine, &l, error);
}

static sr_status finish_in_node(sr_reduction_engine *engine, sr_error *error)
{
    sr_parallel *worker = engine->parallel;
    if (worker->process)
        add_members(engine);
    sr_status status = sr_node_wait(engine->settings.node, worker, error);
    if (status == SR_OK)
        add_processes(engine);
    if (worker->process)
        team_wait();
    if (status == SR_OK && reduces(engine))
        status = add_nodes(engine, error);
    if (worker->process)
        status = member_agree_locally(worker, status, error);
    return status;
}

sr_status sr_reduction_collect(sr_reduction_engine *engine, sr_error *error)
{
    sr_node *node = engine->settings.node;
    if (!node)
        return SR_OK;
    const size_t own = sr_node_process(node);
    SR_TRY(sr_node_wait(node, engine->parallel, error));
    for (size_t process = 0; sr_parallel_thread(engine->parallel) == 0 && process < sr_node_processes(node); ++process) {
        const sr_element_range range = sr_node_process_part(node, whole_block(engine), process);
        if (process != own)
            memcpy(sr_node_own(node, own) + range.begin, sr_node_own(node, process) + range.begin,
                   (range.end - range.begin) * sizeof(sr_real));
    }
    return sr_node_wait(node, engine->parallel, error);
}

/* ---- the end of a reduction ---- */

sr_status sr_reduction_finish(sr_reduction_engine *engine, sr_error *error)
{
    if (engine->settings.node)
        return finish_in_node(engine, error);
    if (engine->parallel->process)
        return finish_members(engine, error);
    if (sr_parallel_size(engine->parallel) == 1)
        return SR_OK;
    if (engine->failure.status != SR_OK) {
        if (error)
            *error = engine->failure;
        return engine->failure.status;
    }
    return engine->settings.overlapped ? finish_overlapped(engine, error) : finish_blocking(engine, error);
}

void sr_reduction_forget(sr_reduction_engine *engine)
{
    if (engine->rest)
        memset(engine->rest, 0, engine->parameters->block_size * sizeof *engine->rest);
}
