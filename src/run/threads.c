/* How many threads a rank works with. */
#include "srtrain/run.h"

#include "base/units.h"
#include "tensor/gemm.h"

/* What OMP_NUM_THREADS says, which may be a list for nested regions; 0 when it says nothing. */
static size_t threads_of_environment(void)
{
    return sr_number_of_environment("OMP_NUM_THREADS");
}

sr_status sr_choose_threads(const sr_training_settings *settings, size_t own_cores, size_t *threads, sr_error *error)
{
    const size_t configured = (size_t)settings->threads, said = threads_of_environment();
    if (configured > 1 && !sr_blas_is_thread_safe())
        return sr_fail(error, SR_ERROR_USAGE,
                       "training.threads is %zu, but this OpenBLAS was built without threads and must not be called by several "
                       "at once: use its OpenMP flavour (Debian: libopenblas0-openmp), or 1 thread and more ranks",
                       configured);
    *threads = configured;
    if (configured > 0)
        return SR_OK;
    *threads = !sr_blas_is_thread_safe() ? 1 : said > 0 ? said : own_cores;
    return SR_OK;
}

sr_status sr_use_threads(sr_parallel *parallel, const sr_training_settings *settings, sr_error *error)
{
    size_t own_cores = 1, threads = 1;
    if (settings->threads == 0)
        SR_TRY(sr_parallel_own_cores(parallel, &own_cores, error));
    SR_TRY(sr_parallel_agree(parallel, sr_choose_threads(settings, own_cores, &threads, error), error));
    int64_t least = -(int64_t)threads; /* nodes may be of different size, and their environments may differ */
    SR_TRY(sr_parallel_maximum_int64(parallel, &least, 1, error));
    return sr_parallel_use_threads(parallel, (size_t)-least, error);
}
