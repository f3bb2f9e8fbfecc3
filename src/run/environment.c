#include "run/environment.h"

#include "srtrain/output_file.h"
#include "srtrain/run.h"
#include "tensor/gemm.h"

#include <cjson/cJSON.h>
#include <fftw3.h>
#include <hdf5.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- versions ---- */

static void hdf5_version(char *text, size_t size)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, size, "HDF5 %u.%u.%u (parallel)", major, minor, release);
}

/* FFTW's is a string with its name and the instruction sets it was built for. */
static const char *fftw_version_text(void)
{
    return fftwf_version;
}

sr_status sr_versions(const char *program_version, const char *program_commit, const sr_cpu *cpu, char **text, sr_error *error)
{
    char mpi[256], blas[256], hdf5[64];
    sr_parallel_library_version(mpi, sizeof mpi);
    sr_blas_description(blas, sizeof blas);
    hdf5_version(hdf5, sizeof hdf5);
    if (asprintf(text, "srtrain %s%s%s%s\n%s\n%s (%s)\n%s\n%s\nCPU level: %s (%s); products of %s\n", program_version,
                 program_commit ? " (" : "", program_commit ? program_commit : "", program_commit ? ")" : "", mpi, blas,
                 cpu->blas_reason, hdf5, fftw_version_text(), cpu->kernels->level, cpu->level_reason,
                 cpu->kernels->products[SR_PRECISION_BF16]->name) < 0) {
        *text = NULL;
        return sr_fail_memory(error, 1, "version text");
    }
    return SR_OK;
}

/* ---- the processor of this machine ---- */

/* Whether a flag of /proc/cpuinfo names an instruction set that decides what a program like this one can make of the machine:
 * an x86 processor's, or an ARM processor's. */
static bool is_feature(const char *flag)
{
    static const char *const families[] = {"sse4", "avx", "fma", "f16c", "bmi", "amx", "asimd", "sve", "sme", "bf16", "i8mm"};
    for (size_t i = 0; i < sizeof families / sizeof *families; ++i)
        if (strncmp(flag, families[i], strlen(families[i])) == 0)
            return true;
    return false;
}

/* What stands behind the colon of a line "NAME : VALUE"; NULL for another line. */
static char *value_of(char *line, const char *name)
{
    char *colon = strchr(line, ':');
    line[strcspn(line, "\n")] = '\0';
    if (!colon || strncmp(line, name, strlen(name)) != 0)
        return NULL;
    return colon + 1 + strspn(colon + 1, " ");
}

static bool add_features(cJSON *list, char *flags)
{
    char *rest = NULL;
    for (char *flag = strtok_r(flags, " ", &rest); flag; flag = strtok_r(NULL, " ", &rest))
        if (is_feature(flag) && !cJSON_AddItemToArray(list, cJSON_CreateString(flag)))
            return false;
    return true;
}

/* Linux has numbers for the names of ARM processors. */
static bool add_part(cJSON *root, const char *implementer, const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "implementer %.32s, part %.32s", implementer, part);
    return cJSON_AddStringToObject(root, "cpu", name) != NULL;
}

/* The name and features of the first processor that the system lists, up to an empty line; where it has no such list, neither.
 */
static bool add_processor(cJSON *root, const sr_cpu *cpu)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    cJSON *features = cJSON_AddArrayToObject(root, "cpu_features");
    bool complete = features && cJSON_AddStringToObject(root, "cpu_kernels", cpu->kernels->level) &&
                    cJSON_AddStringToObject(root, "cpu_kernels_reason", cpu->level_reason) &&
                    cJSON_AddStringToObject(root, "blas_kernels", cpu->blas_core) &&
                    cJSON_AddStringToObject(root, "blas_kernels_reason", cpu->blas_reason);
    char *line = NULL, *value, implementer[32] = "unknown";
    size_t capacity = 0;
    while (file && complete && getline(&line, &capacity, file) > 0 && *line != '\n') {
        if ((value = value_of(line, "model name")))
            complete = cJSON_HasObjectItem(root, "cpu") || cJSON_AddStringToObject(root, "cpu", value);
        else if ((value = value_of(line, "flags")) || (value = value_of(line, "Features")))
            complete = add_features(features, value);
        else if ((value = value_of(line, "CPU implementer")))
            snprintf(implementer, sizeof implementer, "%s", value);
        else if ((value = value_of(line, "CPU part")))
            complete = cJSON_HasObjectItem(root, "cpu") || add_part(root, implementer, value);
    }
    complete = complete && (!file || cJSON_GetArraySize(features) > 0 || feof(file)); /* else there was no memory for a line */
    free(line);
    if (file)
        fclose(file);
    return complete;
}

/* ---- ranks ---- */

typedef struct {
    char host[256];
    int64_t process, node_rank, threads;
    char cores[256];                   /* as "0-3,8" */
    char cpu_level[16], blas_core[64]; /* the highest of its machine; whose kernels its BLAS uses */
} rank_description;

/* The cores this process may run on, as ranges. */
static void describe_binding(char *text, size_t size)
{
    cpu_set_t set;
    size_t used = 0;
    text[0] = '\0';
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    for (size_t core = 0; core < CPU_SETSIZE && used < size; ++core) {
        if (!CPU_ISSET(core, &set))
            continue;
        size_t last = core;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
            ++last;
        const char *comma = used ? "," : "";
        const int written = last > core ? snprintf(text + used, size - used, "%s%zu-%zu", comma, core, last)
                                        : snprintf(text + used, size - used, "%s%zu", comma, core);
        used += written > 0 ? (size_t)written : 0;
        core = last;
    }
}

static void describe_rank(const sr_parallel *parallel, const sr_cpu *cpu, rank_description *description)
{
    memset(description, 0, sizeof *description);
    snprintf(description->host, sizeof description->host, "%s", sr_parallel_host(parallel));
    description->process = (int64_t)getpid();
    description->node_rank = sr_parallel_node_rank(parallel);
    description->threads = (int64_t)sr_parallel_threads(parallel);
    describe_binding(description->cores, sizeof description->cores);
    snprintf(description->cpu_level, sizeof description->cpu_level, "%s", cpu->highest);
    snprintf(description->blas_core, sizeof description->blas_core, "%s", cpu->blas_core);
}

static bool add_ranks(cJSON *root, const rank_description *ranks, size_t count)
{
    cJSON *list = cJSON_AddArrayToObject(root, "ranks");
    bool complete = list != NULL;
    for (size_t rank = 0; rank < count && complete; ++rank) {
        cJSON *entry = cJSON_CreateObject();
        complete = entry && cJSON_AddItemToArray(list, entry) && cJSON_AddNumberToObject(entry, "rank", (double)rank) &&
                   cJSON_AddStringToObject(entry, "host", ranks[rank].host) &&
                   cJSON_AddNumberToObject(entry, "process", (double)ranks[rank].process) &&
                   cJSON_AddNumberToObject(entry, "node_rank", (double)ranks[rank].node_rank) &&
                   cJSON_AddNumberToObject(entry, "threads", (double)ranks[rank].threads) &&
                   cJSON_AddStringToObject(entry, "cores", ranks[rank].cores) &&
                   cJSON_AddStringToObject(entry, "cpu_level", ranks[rank].cpu_level) &&
                   cJSON_AddStringToObject(entry, "blas_kernels", ranks[rank].blas_core);
    }
    return complete;
}

static cJSON *make_document(const char *versions, const run_environment *agreed, const rank_description *ranks, size_t count)
{
    char stamp[32] = "";
    const time_t now = time(NULL);
    struct tm broken_down;
    if (gmtime_r(&now, &broken_down))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &broken_down);
    cJSON *root = cJSON_CreateObject();
    bool complete = root && cJSON_AddStringToObject(root, "started", stamp) &&
                    cJSON_AddNumberToObject(root, "rank_count", (double)count) && add_processor(root, agreed->cpu) &&
                    cJSON_AddStringToObject(root, "item_table", agreed->item_table) &&
                    cJSON_AddStringToObject(root, "item_table_reason", agreed->item_table_reason);
    cJSON *list = complete ? cJSON_AddArrayToObject(root, "versions") : NULL;
    char line[512];
    for (const char *at = versions; list && complete && *at;) {
        const size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        complete = cJSON_AddItemToArray(list, cJSON_CreateString(line));
        at += length + (at[length] == '\n');
    }
    if (complete && list && add_ranks(root, ranks, count))
        return root;
    cJSON_Delete(root);
    return NULL;
}

static sr_status write_document(const char *path, const char *versions, const run_environment *agreed,
                                const rank_description *ranks, size_t count, sr_error *error)
{
    cJSON *root = make_document(versions, agreed, ranks, count);
    char *text = root ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text)
        return sr_fail_memory(error, 1, "environment.json");
    const sr_status status = sr_output_file_write(path, text, error);
    cJSON_free(text);
    return status;
}

sr_status run_environment_write(sr_parallel *parallel, const run_environment *agreed, const char *path, sr_error *error)
{
    rank_description mine;
    describe_rank(parallel, agreed->cpu, &mine);
    void *gathered = NULL;
    size_t *offsets = NULL;
    SR_TRY(sr_parallel_gather(parallel, &mine, sizeof mine, &gathered, &offsets, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) == 0) {
        char *versions = NULL;
        status = sr_versions(agreed->program_version, agreed->program_commit, agreed->cpu, &versions, error);
        if (status == SR_OK)
            status = write_document(path, versions, agreed, gathered, (size_t)sr_parallel_size(parallel), error);
        free(versions);
    }
    free(gathered);
    free(offsets);
    return sr_parallel_agree(parallel, status, error);
}
