/* What the benchmarks have in common as programs. */
#ifndef SRTRAIN_BENCHMARKS_BENCHMARK_H
#define SRTRAIN_BENCHMARKS_BENCHMARK_H

#include "srtrain/parallel.h"

/* What a benchmark does on each rank; arguments[0] is its name. */
typedef sr_status benchmark_work(sr_parallel *parallel, int argument_count, char **arguments, sr_error *error);

/* main() of a benchmark that ranks run together: starts them, with one BLAS thread each, and ends as benchmark_end() does. */
int benchmark_on_ranks(const char *name, benchmark_work *work, int argument_count, char **arguments);

/* The exit code for `status`; a failure is told as "NAME: message". */
int benchmark_end(const char *name, sr_status status, const sr_error *error);

#endif
