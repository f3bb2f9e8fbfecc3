/* Chains of multiply-and-add in registers, enough of them to hide an instruction's latency; peak.h. */
#include "peak.h"

#include "tensor/square.h"

enum { CHAINS = HAS_32_REGISTERS ? 24 : 12 };

#if defined(__aarch64__)
#define UNKNOWN(vector) __asm__("" : "+w"(vector))
#else
#define UNKNOWN(vector) __asm__("" : "+x"(vector))
#endif

static double run(size_t rounds, float *sum)
{
    vector chains[CHAINS], factor, term;
    for (int l = 0; l < LANES; ++l) {
        factor[l] = 0.999f;
        term[l] = 0.001f * (float)(l + 1); /* not 0: chains that fade become denormal, and these are slow */
    }
    UNKNOWN(factor); /* to the compiler */
    UNKNOWN(term);
#pragma GCC unroll 32
    for (int c = 0; c < CHAINS; ++c)
        chains[c] = term + (float)c;
    for (size_t round = 0; round < rounds; ++round)
#pragma GCC unroll 32
        for (int c = 0; c < CHAINS; ++c)
            chains[c] = chains[c] * factor + term;
    vector total = chains[0];
    for (int c = 1; c < CHAINS; ++c)
        total += chains[c];
    for (int l = 0; l < LANES; ++l)
        *sum += total[l];
    return 2.0 * LANES * CHAINS * (double)rounds;
}

#define NAME_OF(level) NAME_TEXT(level)
#define NAME_TEXT(level) peak_##level

double NAME_OF(SR_CPU_LEVEL)(size_t rounds, float *sum)
{
    return run(rounds, sum);
}
