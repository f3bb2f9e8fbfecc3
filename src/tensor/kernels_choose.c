/* Chooses the kernels for this CPU by its feature flags (never by its model number). */
#include "srtrain/kernels.h"

#include <string.h>

extern const sr_kernels sr_kernels_generic;
#ifdef SR_HAVE_X86_LEVELS
extern const sr_kernels sr_kernels_avx2;
extern const sr_kernels sr_kernels_avx512;
#endif

const sr_kernels *sr_kernels_choose(const char *level)
{
#ifdef SR_HAVE_X86_LEVELS
    __builtin_cpu_init();
    const int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (has_avx512 && (!level || strcmp(level, "avx512") == 0))
        return &sr_kernels_avx512;
    if (has_avx2 && (!level || strcmp(level, "avx2") == 0))
        return &sr_kernels_avx2;
#endif
    return !level || strcmp(level, "generic") == 0 ? &sr_kernels_generic : NULL;
}
