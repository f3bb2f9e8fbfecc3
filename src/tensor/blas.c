/* Which BLAS this is, and making it use the CPU that is there. */
#include "tensor/gemm.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef OPENBLAS_VERSION
#define HAVE_OPENBLAS 1
#else
#define HAVE_OPENBLAS 0
#endif

void sr_blas_description(char *text, size_t size)
{
#if HAVE_OPENBLAS
    snprintf(text, size, "%s, kernels %s", openblas_get_config(), openblas_get_corename());
#else
    snprintf(text, size, "CBLAS (not OpenBLAS)");
#endif
}

int sr_blas_threads(void)
{
#if HAVE_OPENBLAS
    return openblas_get_num_threads();
#else
    return 1;
#endif
}

#if HAVE_OPENBLAS && defined(__x86_64__)
static int uses_avx512(const char *core)
{
    static const char *const cores[] = {"SkylakeX", "Cooperlake", "SapphireRapids", "Zen4"};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; ++i)
        if (strcasecmp(core, cores[i]) == 0)
            return 1;
    return 0;
}

void sr_blas_prepare(char **arguments)
{
    if (!getenv("OPENBLAS_NUM_THREADS") && !getenv("OMP_NUM_THREADS"))
        openblas_set_num_threads(1);
    __builtin_cpu_init();
    const int has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    /* A core type that the user chose is left alone, which also ends the recursion. */
    if (!has_avx512 || getenv("OPENBLAS_CORETYPE") || uses_avx512(openblas_get_corename()))
        return;
    if (setenv("OPENBLAS_CORETYPE", "SkylakeX", 1) == 0)
        execv("/proc/self/exe", arguments); /* returns only on failure: then we go on with what we have */
}
#else
void sr_blas_prepare(char **arguments)
{
    (void)arguments;
}
#endif
