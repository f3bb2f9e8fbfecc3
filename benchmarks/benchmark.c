#include "benchmark.h"

#include "srtrain/denormals.h"
#include "tensor/gemm.h"

#include <stdio.h>

sr_status benchmark_begin(sr_cpu *cpu, sr_parallel *parallel, sr_error *error)
{
    sr_blas_use_one_thread();
    sr_flush_denormals();
    return sr_cpu_agree(cpu, parallel, error);
}

int benchmark_end(const char *name, sr_status status, const sr_error *error)
{
    if (status == SR_OK || status == SR_HELP_GIVEN)
        return 0;
    fprintf(stderr, "%s: %s\n", name, error->message);
    return (int)status;
}

int benchmark_on_ranks(const char *name, benchmark_work *work, int argument_count, char **arguments)
{
    sr_error error = {.status = SR_OK};
    sr_parallel *parallel;
    sr_cpu cpu;
    sr_status status = sr_parallel_start(&parallel, &argument_count, &arguments, &error);
    if (status == SR_OK)
        status = benchmark_begin(&cpu, parallel, &error);
    if (status == SR_OK)
        status = work(parallel, &cpu, argument_count, arguments, &error);
    sr_parallel_finish(parallel);
    return benchmark_end(name, status, &error);
}
