#include "parallel/rounded_sum.h"

#include "parallel/mpi_check.h"
#include "parallel/parallel_internal.h"
#include "srtrain/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rounded_sum {
    sr_parallel *process;
    MPI_Comm world;
    size_t rank, ranks;
    uint16_t *mine, *others; /* [longest] each: what is sent of every slice and of one's own; what comes */
    float *sums;             /* [longest]: of one's own slice */
    int *counts, *offsets;   /* [ranks]: of the slices that are sent */
    int *own_counts, *own_offsets;
};

sr_status rounded_sum_create(rounded_sum **sum, sr_parallel *process, size_t longest, sr_error *error)
{
    rounded_sum *made;
    *sum = NULL;
    SR_TRY(SR_ALLOCATE_ZERO(&made, 1, "sums of bf16", error));
    made->process = process;
    made->world = sr_parallel_communicator(process);
    made->rank = (size_t)sr_parallel_rank(process);
    made->ranks = (size_t)sr_parallel_size(process);
    /* A slice comes from everybody: together they may be as many numbers as there are ranks more than in the message. */
    const size_t room = longest + made->ranks;
    sr_status status = SR_ALLOCATE(&made->mine, room, "sums of bf16", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&made->others, room, "sums of bf16", error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&made->sums, room, "sums of bf16", error);
    if (status == SR_OK)
        status = SR_ALLOCATE_ZERO(&made->counts, 4 * made->ranks, "sums of bf16", error);
    if (status != SR_OK) {
        rounded_sum_free(made);
        return status;
    }
    made->offsets = made->counts + made->ranks;
    made->own_counts = made->offsets + made->ranks;
    made->own_offsets = made->own_counts + made->ranks;
    *sum = made;
    return SR_OK;
}

void rounded_sum_free(rounded_sum *sum)
{
    if (!sum)
        return;
    free(sum->mine);
    free(sum->others);
    free(sum->sums);
    free(sum->counts);
    free(sum);
}

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

/* Slices of a message of `count` numbers, and as many pieces of one's own. */
static void cut_slices(rounded_sum *sum, size_t count)
{
    const size_t own = count * (sum->rank + 1) / sum->ranks - count * sum->rank / sum->ranks;
    for (size_t r = 0; r < sum->ranks; ++r) {
        sum->offsets[r] = (int)(count * r / sum->ranks);
        sum->counts[r] = (int)(count * (r + 1) / sum->ranks) - sum->offsets[r];
        sum->own_counts[r] = (int)own;
        sum->own_offsets[r] = (int)(own * r);
    }
}

/* Sums of one's own slice, in single precision and in the order of ranks. */
static void add_pieces(rounded_sum *sum, size_t own)
{
    for (size_t r = 0; r < sum->ranks; ++r) {
        const uint16_t *piece = sum->others + r * own;
#pragma omp simd
        for (size_t i = 0; i < own; ++i)
            sum->sums[i] = r == 0 ? widen(piece[i]) : sum->sums[i] + widen(piece[i]);
    }
}

sr_status rounded_sum_all(rounded_sum *sum, float *values, float *residual, size_t count, sr_error *error)
{
    cut_slices(sum, count);
#pragma omp simd
    for (size_t i = 0; i < count; ++i) {
        const float value = residual ? values[i] + residual[i] : values[i];
        sum->mine[i] = round_number(value);
        if (residual)
            residual[i] = rest_of(value, sum->mine[i]);
    }
    SR_TRY(SR_MPI_WAIT(sum->process, "MPI_Alltoallv",
                       MPI_Alltoallv(sum->mine, sum->counts, sum->offsets, MPI_UINT16_T, sum->others, sum->own_counts,
                                     sum->own_offsets, MPI_UINT16_T, sum->world),
                       error));
    const size_t first = (size_t)sum->offsets[sum->rank], own = (size_t)sum->counts[sum->rank];
    add_pieces(sum, own);
#pragma omp simd
    for (size_t i = 0; i < own; ++i) {
        sum->mine[i] = round_number(sum->sums[i]);
        if (residual)
            residual[first + i] += rest_of(sum->sums[i], sum->mine[i]);
    }
    SR_TRY(SR_MPI_WAIT(
        sum->process, "MPI_Allgatherv",
        MPI_Allgatherv(sum->mine, (int)own, MPI_UINT16_T, sum->others, sum->counts, sum->offsets, MPI_UINT16_T, sum->world),
        error));
#pragma omp simd
    for (size_t i = 0; i < count; ++i)
        values[i] = widen(sum->others[i]);
    return SR_OK;
}
