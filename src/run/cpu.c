#include "srtrain/cpu.h"

#include "tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 64, LIST_SIZE = 128 };

/* What a rank brings. */
typedef struct {
    int64_t highest, level; /* indices of kernels.h: of its machine, and what its environment leaves of it */
    uint64_t levels;        /* bit i: its machine has level i */
    char blas_core[NAME_SIZE];
    char host[256];
} rank_offer;

/* ---- levels ---- */

static int64_t index_of_level(const char *name)
{
    for (size_t i = 0; sr_kernels_level_name(i); ++i)
        if (strcmp(sr_kernels_level_name(i), name) == 0)
            return (int64_t)i;
    return -1;
}

static uint64_t levels_of_machine(void)
{
    uint64_t levels = 0;
    for (size_t i = 0; sr_kernels_level_name(i); ++i)
        levels |= sr_kernels_choose(sr_kernels_level_name(i)) ? (uint64_t)1 << i : 0;
    return levels;
}

static bool has_level(const rank_offer *offer, int64_t level)
{
    return level >= 0 && (offer->levels >> level & 1);
}

/* "generic, avx2, avx512": the levels of a machine. */
static void list_levels(char *text, size_t size, const rank_offer *offer)
{
    size_t used = 0;
    text[0] = '\0';
    for (int64_t i = 0; i <= offer->highest && used < size; ++i) {
        const int written = has_level(offer, i)
                                ? snprintf(text + used, size - used, "%s%s", used ? ", " : "", sr_kernels_level_name((size_t)i))
                                : 0;
        used += written > 0 ? (size_t)written : 0;
    }
}

static sr_status read_level(rank_offer *offer, sr_error *error)
{
    const char *asked = getenv(SR_CPU_LEVEL_VARIABLE);
    char there[LIST_SIZE];
    offer->highest = offer->level = index_of_level(sr_kernels_choose(NULL)->level);
    offer->levels = levels_of_machine();
    if (!asked || !*asked)
        return SR_OK;
    offer->level = index_of_level(asked);
    if (has_level(offer, offer->level))
        return SR_OK;
    list_levels(there, sizeof there, offer);
    return sr_fail(error, SR_ERROR_USAGE, "%s is \"%s\", %s; this machine has %s", SR_CPU_LEVEL_VARIABLE, asked,
                   offer->level < 0 ? "which is no CPU level" : "which this machine lacks", there);
}

/* The highest level that no rank goes beyond and all have. All have the lowest. */
static int64_t common_level(const rank_offer *offers, size_t count)
{
    rank_offer common = offers[0];
    for (size_t rank = 1; rank < count; ++rank) {
        common.level = offers[rank].level < common.level ? offers[rank].level : common.level;
        common.levels &= offers[rank].levels;
    }
    while (common.level > 0 && !has_level(&common, common.level))
        --common.level;
    return common.level;
}

/* Of ranks that have nothing higher in common than `level`, which none of them names: the phrase that says so. */
static void explain_unlike_machines(const rank_offer *offers, size_t count, char *reason, size_t size)
{
    size_t other = 0;
    while (other + 1 < count && offers[other].highest == offers[0].highest)
        ++other;
    snprintf(reason, size, "which %s of rank 0 on %.100s and %s of rank %zu on %.100s have in common",
             sr_kernels_level_name((size_t)offers[0].highest), offers[0].host,
             sr_kernels_level_name((size_t)offers[other].highest), other, offers[other].host);
}

/* The level for all, and the phrase that says whose it is: a machine's rather than an environment's. */
static int64_t choose_level(const rank_offer *offers, size_t count, char *reason, size_t size)
{
    const int64_t level = common_level(offers, count);
    size_t by_machine = count, by_environment = count, above = 0, equal = 0;
    for (size_t rank = count; rank-- > 0;) {
        by_machine = offers[rank].highest == level ? rank : by_machine;
        by_environment = offers[rank].level == level ? rank : by_environment;
        above += offers[rank].highest > level;
        equal += offers[rank].level == level;
    }
    if (above == 0)
        snprintf(reason, size, "the highest of %s", count == 1 ? "this machine" : "every rank's machine");
    else if (by_machine < count)
        snprintf(reason, size, "limited by the machine of rank %zu on %s; %zu of %zu ranks have more", by_machine,
                 offers[by_machine].host, above, count);
    else if (equal == count)
        snprintf(reason, size, "as %s says", SR_CPU_LEVEL_VARIABLE);
    else if (by_environment == count)
        explain_unlike_machines(offers, count, reason, size);
    else
        snprintf(reason, size, "limited by %s of rank %zu on %s", SR_CPU_LEVEL_VARIABLE, by_environment,
                 offers[by_environment].host);
    return level;
}

/* ---- BLAS ---- */

/* OpenBLAS names its kernels by the processors that they were made for. The level that these need; -1 for names that are not
 * known here. */
static int64_t level_of_core(const char *core)
{
    static const struct {
        const char *core, *level;
    } known[] = {{"Prescott", "generic"},  {"Core2", "generic"},   {"Penryn", "generic"},    {"Dunnington", "generic"},
                 {"Nehalem", "generic"},   {"Atom", "generic"},    {"Opteron", "generic"},   {"Opteron_SSE3", "generic"},
                 {"Barcelona", "generic"}, {"Bobcat", "generic"},  {"Haswell", "avx2"},      {"Zen", "avx2"},
                 {"Excavator", "avx2"},    {"SkylakeX", "avx512"}, {"Cooperlake", "avx512"}, {"SapphireRapids", "avx512"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (strcmp(known[i].core, core) == 0)
            return index_of_level(known[i].level);
    return -1;
}

/* The kernels for a level; NULL where OpenBLAS is best left alone. */
static const char *core_for_level(int64_t level)
{
    static const struct {
        const char *level, *core;
    } rows[] = {{"generic", "Prescott"}, {"avx2", "Haswell"}, {"avx512", "SkylakeX"}, {"amx", "SkylakeX"}};
    if (index_of_level("avx2") < 0)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
        if (level == index_of_level(rows[i].level))
            return rows[i].core;
    return NULL;
}

/* Takes other kernels and says why; leaves those of OPENBLAS_CORETYPE alone, and all where OpenBLAS cannot change. */
static void use_core(sr_cpu *cpu, const char *core, const char *reason)
{
    char before[NAME_SIZE];
    snprintf(before, sizeof before, "%s", sr_blas_core());
    if (!core || strcmp(core, before) == 0 || !sr_blas_use_core(core) || strcmp(core, sr_blas_core()) != 0)
        return; /* a build without them goes back to its own choice */
    snprintf(cpu->blas_reason, sizeof cpu->blas_reason, "instead of %s, %s", before, reason);
}

/* OpenBLAS takes the oldest kernels for a processor that it does not know. */
static void mend_core(sr_cpu *cpu, int64_t highest)
{
    snprintf(cpu->blas_reason, sizeof cpu->blas_reason, "%s",
             getenv("OPENBLAS_CORETYPE") ? "as OPENBLAS_CORETYPE says" : "its own choice");
    if (level_of_core(sr_blas_core()) == 0 && highest > 0)
        use_core(cpu, core_for_level(highest), "because this OpenBLAS does not know the processor");
}

static void fit_core(sr_cpu *cpu, const rank_offer *offers, size_t count, int64_t level)
{
    bool differ = false, too_high = false;
    for (size_t rank = 0; rank < count; ++rank) {
        differ = differ || strcmp(offers[rank].blas_core, offers[0].blas_core) != 0;
        too_high = too_high || level_of_core(offers[rank].blas_core) > level;
    }
    if (too_high)
        use_core(cpu, core_for_level(level), "to fit the CPU level");
    else if (differ)
        use_core(cpu, core_for_level(level), "so that all ranks have the same");
}

static void warn_of_cores(sr_cpu *cpu, const rank_offer *offers, size_t count)
{
    for (size_t rank = 1; rank < count; ++rank)
        if (strcmp(offers[rank].blas_core, offers[0].blas_core) != 0) {
            snprintf(
                cpu->blas_warning, sizeof cpu->blas_warning,
                "OpenBLAS uses kernels for %.40s on rank 0 (%.80s) and for %.40s on rank %zu (%.80s): results may differ in "
                "the last digits from those of equal ranks; set OPENBLAS_CORETYPE to the same on all, or unset it",
                offers[0].blas_core, offers[0].host, offers[rank].blas_core, rank, offers[rank].host);
            return;
        }
}

/* ---- all ranks ---- */

/* The offers of all ranks, this one's with the BLAS kernels of now; release with free(). */
static sr_status exchange(sr_parallel *parallel, sr_status status, rank_offer *own, rank_offer **offers, size_t *count,
                          sr_error *error)
{
    void *gathered = NULL;
    size_t *offsets = NULL;
    snprintf(own->blas_core, sizeof own->blas_core, "%s", sr_blas_core());
    SR_TRY(sr_parallel_gather_all(parallel, status, own, 1, sizeof *own, &gathered, &offsets, error));
    free(offsets);
    *offers = gathered;
    *count = (size_t)sr_parallel_size(parallel);
    return SR_OK;
}

static sr_status agree(sr_cpu *cpu, sr_parallel *parallel, sr_error *error)
{
    rank_offer own, *offers = NULL;
    size_t count = 0;
    memset(&own, 0, sizeof own);
    snprintf(own.host, sizeof own.host, "%s", sr_parallel_host(parallel));
    sr_status status = read_level(&own, error);
    if (status == SR_OK)
        mend_core(cpu, own.highest);
    SR_TRY(exchange(parallel, status, &own, &offers, &count, error));
    const int64_t level = choose_level(offers, count, cpu->level_reason, sizeof cpu->level_reason);
    cpu->highest = sr_kernels_level_name((size_t)own.highest);
    cpu->kernels = sr_kernels_choose(sr_kernels_level_name((size_t)level));
    fit_core(cpu, offers, count, level);
    free(offers);
    SR_TRY(exchange(parallel, SR_OK, &own, &offers, &count, error));
    warn_of_cores(cpu, offers, count);
    snprintf(cpu->blas_core, sizeof cpu->blas_core, "%s", own.blas_core);
    free(offers);
    return SR_OK;
}

sr_status sr_cpu_agree(sr_cpu *cpu, sr_parallel *parallel, sr_error *error)
{
    sr_parallel *alone = NULL;
    *cpu = (sr_cpu){.kernels = NULL};
    if (parallel)
        return agree(cpu, parallel, error);
    sr_status status = sr_parallel_start_alone(&alone, error);
    if (status == SR_OK)
        status = agree(cpu, alone, error);
    sr_parallel_finish(alone);
    return status;
}

void sr_cpu_log(const sr_cpu *cpu, sr_log *log)
{
    sr_log_information(log, "CPU level %s, %s", cpu->kernels->level, cpu->level_reason);
    if (*cpu->blas_core)
        sr_log_information(log, "BLAS kernels for %s, %s", cpu->blas_core, cpu->blas_reason);
    if (*cpu->blas_warning)
        sr_log_warning(log, "%s", cpu->blas_warning);
}
