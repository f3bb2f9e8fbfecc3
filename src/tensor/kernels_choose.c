/* The CPU levels, and which of them this machine has: by feature flags, never by model number. */
#include "srtrain/kernels.h"
#include "tensor/amx.h"
#include "tensor/bf16.h"
#include "tensor/product.h"

#include <string.h>
#ifdef SR_HAVE_SVE_LEVELS
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

extern const sr_kernels sr_kernels_generic;

static bool has_generic(void)
{
    return true;
}

#ifdef SR_HAVE_X86_LEVELS
extern const sr_kernels sr_kernels_avx2, sr_kernels_avx512;

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#ifdef SR_HAVE_SVE_LEVELS
extern const sr_kernels sr_kernels_sve256, sr_kernels_sve512;

/* The length of SVE's vectors in this process; 0 where there is no SVE. */
static int sve_bits(void)
{
    const int answer = getauxval(AT_HWCAP) & HWCAP_SVE ? prctl(PR_SVE_GET_VL) : 0;
    return answer < 0 ? 0 : 8 * (answer & PR_SVE_VL_LEN_MASK);
}

static bool has_sve256(void)
{
    return sve_bits() == 256;
}

static bool has_sve512(void)
{
    return sve_bits() == 512;
}
#endif

#if defined(SR_HAVE_AMX) && !defined(SR_REAL_IS_DOUBLE)
extern const sr_kernels sr_kernels_amx;

/* Whether AMX gives what rounding gives, up to the order of sums: a processor or virtual machine that promises it and does not
 * keep it should cost speed, not results. */
static bool amx_is_right(void)
{
    enum { M = 35, N = 37, K = 70 };
    float a[M * K], b[K * N], c[M * N];
    for (size_t i = 0; i < M * K; ++i)
        a[i] = (float)(i % 23) / 23 - 0.4f;
    for (size_t i = 0; i < K * N; ++i)
        b[i] = (float)(i % 29) / 29 - 0.6f;
    multiply_amx(&(matrix_product){
        .m = M, .n = N, .k = K, .alpha = 1, .a = a, .a_stride = K, .b = b, .b_stride = N, .c = c, .c_stride = N});
    for (size_t i = 0; i < M; ++i)
        for (size_t j = 0; j < N; ++j) {
            float sum = 0;
            for (size_t k = 0; k < K; ++k)
                sum += bf16_round(a[i * K + k]) * bf16_round(b[k * N + j]);
            if (!(sum - c[i * N + j] < 1e-3f && c[i * N + j] - sum < 1e-3f))
                return false;
        }
    return true;
}

static bool has_amx(void)
{
    return has_avx512() && amx_allow() && amx_is_right();
}
#endif

/* From the lowest to the highest. */
static const struct {
    const sr_kernels *kernels;
    const char *name;
    bool (*is_there)(void);
} levels[] = {
    {&sr_kernels_generic, "generic", has_generic},
#ifdef SR_HAVE_X86_LEVELS
    {&sr_kernels_avx2, "avx2", has_avx2},
    {&sr_kernels_avx512, "avx512", has_avx512},
#endif
#ifdef SR_HAVE_SVE_LEVELS
    {&sr_kernels_sve256, "sve256", has_sve256},
    {&sr_kernels_sve512, "sve512", has_sve512},
#endif
#if defined(SR_HAVE_AMX) && !defined(SR_REAL_IS_DOUBLE)
    {&sr_kernels_amx, "amx", has_amx},
#endif
};
enum { LEVELS = sizeof levels / sizeof *levels };

const char *sr_kernels_level_name(size_t index)
{
    return index < LEVELS ? levels[index].name : NULL;
}

const sr_kernels *sr_kernels_choose(const char *level)
{
    for (size_t i = LEVELS; i-- > 0;)
        if ((!level || strcmp(level, levels[i].name) == 0) && levels[i].is_there())
            return levels[i].kernels;
    return NULL;
}
