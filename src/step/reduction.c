/* Summing gradients over workers; step/reduction.h says what is promised. */
#include "step/reduction.h"

#include "base/sizes.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

struct sr_reduction {
    sr_parallel *parallel;
    sr_parameters *parameters;
    sr_node *node;
    sr_array_sum *sum;    /* over processes; NULL: this worker sends nothing */
    size_t element;       /* bytes of a number that travels */
    double bytes;         /* summed so far */
    sr_real *rest;        /* [block_size]: what rounding took, where it is kept; else NULL */
    sr_real *packed;      /* [most_rows, width of the widest table]: rows taken out of a table */
    sr_real *packed_rest; /* likewise, of what rounding took */
};

/* ---- making ---- */

static bool is_member(const sr_reduction *reduction)
{
    return sr_parallel_process(reduction->parallel) != reduction->parallel;
}

/* Room that a step needs, so that it cannot run out of memory on one rank alone. */
static sr_status take_room(sr_reduction *reduction, const sr_reduction_settings *settings, sr_error *error)
{
    size_t width = 0;
    for (size_t t = 0; t < settings->tables.count; ++t)
        width = larger(width, reduction->parameters->list[settings->tables.index[t]].shape[1]);
    const size_t packed = settings->most_rows * width;
    if (settings->rounded && settings->keeps_rest)
        SR_TRY(
            SR_ALLOCATE_ZERO(&reduction->rest, reduction->parameters->block_size, "what rounding takes from gradients", error));
    if (packed > 0)
        SR_TRY(SR_ALLOCATE(&reduction->packed, packed, "rows of gradients", error));
    if (packed > 0 && reduction->rest)
        SR_TRY(SR_ALLOCATE(&reduction->packed_rest, packed, "rows of gradients", error));
    return SR_OK;
}

sr_status sr_reduction_create(sr_reduction **reduction, sr_parallel *parallel, sr_parameters *parameters,
                              const sr_reduction_settings *settings, sr_error *error)
{
    sr_reduction *made;
    *reduction = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "the reduction of gradients", error));
    *made = (sr_reduction){.parallel = parallel, .parameters = parameters, .node = settings->node};
    made->element = settings->rounded && sizeof(sr_real) == sizeof(float) ? sizeof(uint16_t) : sizeof(sr_real);
    sr_parallel *between = settings->node ? sr_node_between(settings->node) : sr_parallel_process(parallel);
    const bool sends = sr_parallel_size(between) > 1 && sr_parallel_thread(parallel) == 0;
    const size_t message = settings->message_bytes ? settings->message_bytes : SR_MESSAGE_BYTES;
    sr_status status = SR_OK;
    if (sends)
        status = take_room(made, settings, error);
    if (sends && status == SR_OK)
        status = sr_array_sum_create(&made->sum, between, message, settings->rounded, error);
    if (status != SR_OK) {
        sr_reduction_free(made);
        return status;
    }
    *reduction = made;
    return SR_OK;
}

void sr_reduction_free(sr_reduction *reduction)
{
    if (!reduction)
        return;
    sr_array_sum_free(reduction->sum);
    free(reduction->rest);
    free(reduction->packed);
    free(reduction->packed_rest);
    free(reduction);
}

/* ---- over the threads of a process ---- */

static void add_range(void *const *gradients, size_t threads, sr_element_range range)
{
    sr_real *sum = gradients[0];
    for (size_t t = 1; t < threads; ++t) {
        const sr_real *term = gradients[t];
        for (size_t i = range.begin; i < range.end; ++i)
            sum[i] += term[i];
    }
}

/* Adds the gradients of all members into those of the first: each thread a part of the block, in the order of threads. */
static void add_members(const sr_reduction *reduction, const sr_touched_rows *touched)
{
    sr_parallel *member = reduction->parallel;
    const sr_parameters *parameters = reduction->parameters;
    const size_t threads = sr_parallel_threads(member), thread = sr_parallel_thread(member);
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges);
    const sr_element_range rows = sr_part_of_range((sr_element_range){0, sr_touched_count(touched)}, thread, threads);
    void *const *gradients = sr_parallel_exchange(member, parameters->gradients);
    for (size_t i = 0; i < count; ++i)
        add_range(gradients, threads, sr_part_of_range(ranges[i], thread, threads));
    for (size_t t = 0; rows.begin < rows.end && t < touched->tables.count; ++t) {
        const sr_parameter *table = &parameters->list[touched->tables.index[t]];
        for (size_t i = rows.begin; i < rows.end; ++i) {
            const size_t begin = table->offset + (size_t)touched->rows[i] * table->shape[1];
            add_range(gradients, threads, (sr_element_range){begin, begin + table->shape[1]});
        }
    }
    sr_parallel_wait_for_threads(member);
}

/* ---- over processes ---- */

static sr_status sum_numbers(sr_reduction *reduction, sr_real *values, sr_real *rest, size_t count, sr_error *error)
{
    reduction->bytes += (double)count * (double)reduction->element;
    return sr_array_sum_run(reduction->sum, values, rest, count, error);
}

static sr_status sum_range(sr_reduction *reduction, sr_real *gradients, sr_element_range range, sr_error *error)
{
    sr_real *rest = reduction->rest ? reduction->rest + range.begin : NULL;
    return sum_numbers(reduction, gradients + range.begin, rest, range.end - range.begin, error);
}

/* Rows [rows.begin, rows.end) of those that are touched. */
static void pack_rows(const sr_touched_rows *touched, sr_element_range rows, const sr_real *table, size_t width,
                      sr_real *packed)
{
    for (size_t i = rows.begin; i < rows.end; ++i)
        memcpy(packed + (i - rows.begin) * width, table + (size_t)touched->rows[i] * width, width * sizeof *packed);
}

static void unpack_rows(const sr_touched_rows *touched, sr_element_range rows, const sr_real *packed, size_t width,
                        sr_real *table)
{
    for (size_t i = rows.begin; i < rows.end; ++i)
        memcpy(table + (size_t)touched->rows[i] * width, packed + (i - rows.begin) * width, width * sizeof *packed);
}

static sr_status sum_rows(sr_reduction *reduction, const sr_touched_rows *touched, sr_element_range rows,
                          const sr_parameter *table, sr_error *error)
{
    const size_t width = table->shape[1];
    sr_real *gradients = reduction->parameters->gradients + table->offset;
    sr_real *rest = reduction->rest ? reduction->rest + table->offset : NULL;
    pack_rows(touched, rows, gradients, width, reduction->packed);
    if (rest)
        pack_rows(touched, rows, rest, width, reduction->packed_rest);
    SR_TRY(sum_numbers(reduction, reduction->packed, rest ? reduction->packed_rest : NULL, (rows.end - rows.begin) * width,
                       error));
    unpack_rows(touched, rows, reduction->packed, width, gradients);
    if (rest)
        unpack_rows(touched, rows, reduction->packed_rest, width, rest);
    return SR_OK;
}

/* What this process sums of a range: all of it, or in a node the part of its lane. */
static sr_element_range part_of_process(const sr_reduction *reduction, sr_element_range range)
{
    return reduction->node ? sr_node_lane_part(reduction->node, range) : range;
}

/* Over all ranks, or in a node with those that speak for the same lane on other nodes. */
static sr_status sum_over_processes(sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error)
{
    const sr_parameters *parameters = reduction->parameters;
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges);
    const sr_element_range rows = part_of_process(reduction, (sr_element_range){0, sr_touched_count(touched)});
    for (size_t i = 0; i < count; ++i)
        SR_TRY(sum_range(reduction, parameters->gradients, part_of_process(reduction, ranges[i]), error));
    for (size_t t = 0; sr_touched_count(touched) > 0 && t < touched->tables.count; ++t)
        SR_TRY(sum_rows(reduction, touched, rows, &parameters->list[touched->tables.index[t]], error));
    return SR_OK;
}

/* ---- in a node ---- */

/* Adds the gradients of all processes to those of the one that speaks for the lane. A stretch of them stays in the cache until
 * everybody's is added. */
static void add_stretches(const sr_node *node, sr_element_range range)
{
    enum { STRETCH = 4096 };
    const size_t own = sr_node_speaker(node), processes = sr_node_processes(node);
    sr_real *sum = sr_node_own(node, own);
    for (size_t begin = range.begin; begin < range.end; begin += STRETCH) {
        const size_t end = smaller(begin + STRETCH, range.end);
        for (size_t process = 0; process < processes; ++process) {
            const sr_real *term = sr_node_own(node, process);
            if (process == own)
                continue;
            for (size_t i = begin; i < end; ++i)
                sum[i] += term[i];
        }
    }
}

/* This worker's part of all elements and rows that have a gradient. */
static void add_processes(const sr_reduction *reduction, const sr_touched_rows *touched)
{
    const sr_parameters *parameters = reduction->parameters;
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges);
    size_t part, parts;
    sr_node_part(reduction->node, reduction->parallel, &part, &parts);
    const sr_element_range rows = sr_part_of_range((sr_element_range){0, sr_touched_count(touched)}, part, parts);
    for (size_t i = 0; i < count; ++i)
        add_stretches(reduction->node, sr_part_of_range(ranges[i], part, parts));
    for (size_t t = 0; rows.begin < rows.end && t < touched->tables.count; ++t) {
        const sr_parameter *table = &parameters->list[touched->tables.index[t]];
        for (size_t i = rows.begin; i < rows.end; ++i) {
            const size_t begin = table->offset + (size_t)touched->rows[i] * table->shape[1];
            add_stretches(reduction->node, (sr_element_range){begin, begin + table->shape[1]});
        }
    }
}

static sr_status add_in_node(const sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error)
{
    const sr_status status = sr_node_wait(reduction->node, reduction->parallel, error);
    if (status == SR_OK)
        add_processes(reduction, touched);
    if (status == SR_OK && sr_node_has_wide_lanes(reduction->node)) /* others have added for who speaks */
        return sr_node_wait(reduction->node, reduction->parallel, error);
    sr_parallel_wait_for_threads(reduction->parallel);
    return status;
}

static void copy_range(const sr_reduction *reduction, sr_element_range range, size_t process)
{
    const sr_node *node = reduction->node;
    memcpy(sr_node_own(node, sr_node_process(node)) + range.begin, sr_node_own(node, process) + range.begin,
           (range.end - range.begin) * sizeof(sr_real));
}

/* The sums of a part, from the process that has them: those of another one, or of this one from who speaks for its lane. */
static void copy_sums(const sr_reduction *reduction, const sr_touched_rows *touched, size_t part, size_t process)
{
    const sr_parameters *parameters = reduction->parameters;
    sr_element_range ranges[SR_TABLES_MAXIMUM + 1];
    const size_t count = sr_parameters_dense_ranges(parameters, touched, ranges);
    const sr_element_range all = {0, sr_touched_count(touched)};
    const sr_element_range rows = sr_node_process_part(reduction->node, all, part);
    for (size_t i = 0; i < count; ++i)
        copy_range(reduction, sr_node_process_part(reduction->node, ranges[i], part), process);
    for (size_t t = 0; rows.begin < rows.end && t < touched->tables.count; ++t)
        for (size_t i = rows.begin; i < rows.end; ++i) {
            const sr_parameter *table = &parameters->list[touched->tables.index[t]];
            const size_t begin = table->offset + (size_t)touched->rows[i] * table->shape[1];
            copy_range(reduction, (sr_element_range){begin, begin + table->shape[1]}, process);
        }
}

sr_status sr_reduction_collect(sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error)
{
    sr_node *node = reduction->node;
    if (!node)
        return SR_OK;
    SR_TRY(sr_node_wait(node, reduction->parallel, error));
    for (size_t process = 0; sr_parallel_thread(reduction->parallel) == 0 && process < sr_node_processes(node); ++process)
        if (process != sr_node_process(node))
            copy_sums(reduction, touched, process, process);
    return sr_node_wait(node, reduction->parallel, error);
}

/* In a lane of several processes, each takes its part of the sums. */
static sr_status share_lane(const sr_reduction *reduction, const sr_touched_rows *touched, sr_status status, sr_error *error)
{
    const sr_node *node = reduction->node;
    const size_t own = sr_node_process(node), speaker = sr_node_speaker(node);
    const sr_status waited = sr_node_wait(reduction->node, reduction->parallel, status == SR_OK ? error : NULL);
    if (status != SR_OK || waited != SR_OK)
        return status != SR_OK ? status : waited;
    if (own != speaker && sr_parallel_thread(reduction->parallel) == 0)
        copy_sums(reduction, touched, own, speaker);
    return SR_OK;
}

/* ---- all ---- */

/* The first member speaks for its process; the others learn whether it succeeded. */
sr_status sr_reduction_run(sr_reduction *reduction, const sr_touched_rows *touched, sr_error *error)
{
    sr_status status = SR_OK;
    if (is_member(reduction))
        add_members(reduction, touched);
    if (reduction->node)
        status = add_in_node(reduction, touched, error);
    if (status == SR_OK && reduction->sum)
        status = sum_over_processes(reduction, touched, error);
    if (reduction->node && sr_node_has_wide_lanes(reduction->node))
        status = share_lane(reduction, touched, status, error);
    return sr_parallel_agree_in_process(reduction->parallel, status, error);
}

double sr_reduction_bytes(const sr_reduction *reduction)
{
    return reduction->bytes;
}

void sr_reduction_forget(sr_reduction *reduction)
{
    if (reduction->rest)
        memset(reduction->rest, 0, reduction->parameters->block_size * sizeof *reduction->rest);
}
