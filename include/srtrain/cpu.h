/* What the processors of a job have in common, agreed once at the start of a program: the CPU level of the kernels (kernels.h)
 * and the kernels of BLAS. Parameters that every rank updates for itself stay equal to the bit only where all ranks compute by
 * the same instructions. */
#ifndef SRTRAIN_CPU_H
#define SRTRAIN_CPU_H

#include "srtrain/kernels.h"
#include "srtrain/log.h"
#include "srtrain/parallel.h"

/* Names one level, as kernels.h has them, up to which a rank goes; empty or unset: the highest of its machine. */
#define SR_CPU_LEVEL_VARIABLE "SRTRAIN_CPU_LEVEL"

typedef struct {
    const sr_kernels *kernels; /* of the agreed level, the same on every rank */
    const char *highest;       /* level of this machine */
    char level_reason[384];    /* who decided it, as a phrase; the same on every rank */
    char blas_core[64];        /* whose kernels BLAS uses on this rank; "" where it does not tell */
    char blas_reason[128];     /* who decided it, as a phrase */
    char blas_warning[512];    /* ranks have different ones, as a sentence; "" where they have not. The same on every rank */
} sr_cpu;

/* Agrees on the lowest level of all ranks, and tells OpenBLAS which kernels to use:
 * - those of the agreed level, where it does not know the processor and took the oldest it has, where it took higher ones than
 *   the level, or where ranks took different ones;
 * - those it chose, else; always those of OPENBLAS_CORETYPE, where that is set.
 * SR_ERROR_USAGE if a rank's SRTRAIN_CPU_LEVEL is no level or one that its machine lacks. Call it first, before other threads
 * use BLAS or matrix units. `parallel` NULL: for this process alone. Collective. */
sr_status sr_cpu_agree(sr_cpu *cpu, sr_parallel *parallel, sr_error *error);

/* Says what was agreed, and warns where BLAS differs. Local. */
void sr_cpu_log(const sr_cpu *cpu, sr_log *log);

#endif
