/* How many threads a rank works with. */
#include "srtrain/run.h"

#include "base/units.h"
#include "tensor/gemm.h"

/* What OMP_NUM_THREADS says, which may be a list for nested regions; 0 when it says nothing. */
static size_t threads_of_environment(void)
{
    return sr_number_of_environment("OMP_NUM_THREADS");
}

/* What the environment says, or else this rank's cores; the least of all ranks, because they are to have equally many: nodes
 * may be of different size, and their environments may differ. */
static sr_status find_threads(sr_parallel *parallel, size_t *threads, sr_error *error)
{
    size_t own_cores = 1;
    SR_TRY(sr_parallel_own_cores(parallel, &own_cores, error));
    int64_t least = -(int64_t)(threads_of_environment() ? threads_of_environment() : own_cores);
    SR_TRY(sr_parallel_maximum_int64(parallel, &least, 1, error));
    *threads = (size_t)-least;
    return SR_OK;
}

sr_status sr_use_threads(sr_parallel *parallel, const sr_training_settings *settings, sr_error *error)
{
    size_t threads = (size_t)settings->threads;
    if (threads == 0)
        SR_TRY(find_threads(parallel, &threads, error));
    if (settings->threads == 0 && !sr_blas_is_thread_safe())
        threads = 1;
    sr_status status = SR_OK;
    if (threads > 1 && !sr_blas_is_thread_safe())
        status = sr_fail(
            error, SR_ERROR_USAGE,
            "training.threads is %zu, but this OpenBLAS was built without threads and must not be called by several "
            "at once: use its OpenMP flavour (Debian: libopenblas0-openmp), or 1 thread and more ranks",
            threads);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_use_threads(parallel, threads, error);
}
