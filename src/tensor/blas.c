/* Which BLAS this is, how many threads it uses, and whether it uses the CPU that is there. */
#include "tensor/gemm.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OPENBLAS_VERSION
#define HAVE_OPENBLAS 1
#else
#define HAVE_OPENBLAS 0
#endif

#if HAVE_OPENBLAS
/* OpenBLAS forgets its choice and chooses anew. Builds for one processor, and other libraries of that name, lack these. */
void gotoblas_dynamic_quit(void) __attribute__((weak));
void gotoblas_dynamic_init(void) __attribute__((weak));
#endif

const char *sr_blas_core(void)
{
#if HAVE_OPENBLAS
    return openblas_get_corename();
#else
    return "";
#endif
}

bool sr_blas_use_core(const char *core)
{
#if HAVE_OPENBLAS
    static const char variable[] = "OPENBLAS_CORETYPE"; /* where OpenBLAS looks when it chooses */
    if (getenv(variable) || !gotoblas_dynamic_quit || !gotoblas_dynamic_init || setenv(variable, core, 1) != 0)
        return false;
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv(variable); /* programs that this one starts choose for themselves */
    return true;
#else
    (void)core;
    return false;
#endif
}

void sr_blas_description(char *text, size_t size)
{
#if HAVE_OPENBLAS
    snprintf(text, size, "%s, kernels %s", openblas_get_config(), openblas_get_corename());
#else
    snprintf(text, size, "CBLAS (not OpenBLAS)");
#endif
}

bool sr_blas_is_thread_safe(void)
{
#if HAVE_OPENBLAS
    return openblas_get_parallel() != 0;
#else
    return true;
#endif
}

void sr_blas_use_one_thread(void)
{
#if HAVE_OPENBLAS
    /* OpenBLAS's OpenMP flavour heeds OMP_NUM_THREADS more than this variable. */
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    if (!threads || strcmp(threads, "1") == 0)
        openblas_set_num_threads(1);
#endif
}

int sr_blas_threads(void)
{
#if HAVE_OPENBLAS
    return openblas_get_num_threads();
#else
    return 0;
#endif
}
