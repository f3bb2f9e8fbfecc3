/* What the benchmarks have in common as programs. */
#ifndef SRTRAIN_BENCHMARKS_BENCHMARK_H
#define SRTRAIN_BENCHMARKS_BENCHMARK_H

#include "srtrain/cpu.h"
#include "srtrain/parallel.h"

/* Makes ready to compute as the programs do: one BLAS thread, no denormal numbers, and a CPU level for all ranks (`parallel`
 * NULL: for this process). Collective. */
sr_status benchmark_begin(sr_cpu *cpu, sr_parallel *parallel, sr_error *error);

/* What a benchmark does on each rank; arguments[0] is its name. */
typedef sr_status benchmark_work(sr_parallel *parallel, const sr_cpu *cpu, int argument_count, char **arguments,
                                 sr_error *error);

/* main() of a benchmark that ranks run together: starts them, makes them ready, and ends as benchmark_end() does. */
int benchmark_on_ranks(const char *name, benchmark_work *work, int argument_count, char **arguments);

/* The exit code for `status`; a failure is told as "NAME: message". */
int benchmark_end(const char *name, sr_status status, const sr_error *error);

#endif
