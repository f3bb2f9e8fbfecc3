#include "engine/workplace.h"

#include "srtrain/directories.h"
#include "srtrain/machine.h"
#include "srtrain/memory.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_LEAST = 4096, BUFFER_MOST = 1 << 20, PIECE = 1 << 16 };

/* Half of the memory that this job may use here, shared by the processes on the machine. */
static sr_status default_memory(workplace *place, sr_error *error)
{
    int64_t on_node = sr_parallel_node_rank(place->parallel) + 1;
    SR_TRY(sr_parallel_maximum_int64(place->parallel, &on_node, 1, error));
    sr_machine machine;
    sr_machine_look(&machine, NULL);
    place->memory = machine.memory / 2 / (uint64_t)on_node;
    return SR_OK;
}

/* The directory that a new directory `output` stands in. */
static sr_status parent_of(const char *output, char **parent, sr_error *error)
{
    char *copy;
    SR_TRY(sr_copy_string(&copy, output, error));
    const sr_status status = sr_copy_string(parent, dirname(copy), error);
    free(copy);
    return status;
}

sr_status workplace_open(workplace *place, sr_parallel *parallel, const char *temporary, const char *output, uint64_t memory,
                         sr_error *error)
{
    *place = (workplace){.parallel = parallel,
                         .rank = (size_t)sr_parallel_rank(parallel),
                         .ranks = (size_t)sr_parallel_size(parallel),
                         .memory = memory};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* one file of every rank is open at a time */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (memory == 0)
        SR_TRY(default_memory(place, error));
    return sr_parallel_agree(
        parallel, temporary ? sr_copy_string(&place->base, temporary, error) : parent_of(output, &place->base, error), error);
}

/* A name that is not in use yet, as for output directories. */
static sr_status make_directory(workplace *place, sr_error *error)
{
    char *below;
    if (asprintf(&below, "%s/x", place->base) < 0)
        return sr_fail_memory(error, strlen(place->base) + 3, "a file name");
    const sr_status status = sr_make_parent_directories(below, error);
    free(below);
    SR_TRY(status);
    for (int attempt = 0;; ++attempt) {
        if (asprintf(&place->directory, "%s/srprep.tmp-%ld-%d", place->base, (long)getpid(), attempt) < 0) {
            place->directory = NULL;
            return sr_fail_memory(error, strlen(place->base) + 64, "a file name");
        }
        if (mkdir(place->directory, 0777) == 0)
            return SR_OK;
        const int cause = errno;
        if (cause != EEXIST || attempt == 99)
            (void)sr_fail(error, SR_ERROR_RUNTIME, "cannot make the directory %s for temporary files: %s", place->directory,
                          strerror(cause));
        free(place->directory);
        place->directory = NULL;
        if (cause != EEXIST || attempt == 99)
            return SR_ERROR_RUNTIME;
    }
}

sr_status workplace_make_directory(workplace *place, sr_error *error)
{
    if (place->directory)
        return SR_OK;
    char name[4096] = "";
    sr_status status = SR_OK;
    if (place->rank == 0) {
        status = make_directory(place, error);
        if (status == SR_OK && strlen(place->directory) >= sizeof name)
            status = sr_fail(error, SR_ERROR_RUNTIME, "%s: the name is too long", place->directory);
        if (status == SR_OK)
            snprintf(name, sizeof name, "%s", place->directory);
    }
    status = sr_parallel_agree(place->parallel, status, error);
    if (status == SR_OK)
        status = sr_parallel_broadcast(place->parallel, name, sizeof name, error);
    if (status == SR_OK && place->rank != 0)
        status = sr_copy_string(&place->directory, name, error);
    if (status == SR_OK && access(place->directory, W_OK) != 0)
        status = sr_fail(error, SR_ERROR_RUNTIME,
                         "%s: %s (temporary files must lie where every rank can reach them; --temporary chooses the place)",
                         place->directory, strerror(errno));
    status = sr_parallel_agree(place->parallel, status, error);
    if (status != SR_OK) { /* all ranks have a directory or none has: closing waits for those that have */
        if (place->directory && place->rank == 0)
            (void)rmdir(place->directory);
        free(place->directory);
        place->directory = NULL;
    }
    return status;
}

sr_status workplace_store(workplace *place, store *s, const char *file, bool shared, sr_error *error)
{
    char full[64];
    *s = (store){.descriptor = -1};
    if (!place->directory)
        SR_TRY(make_directory(place, error));
    snprintf(full, sizeof full, "%s-%zu", file, place->rank);
    return store_create(s, place->directory, full, shared, error);
}

sr_status workplace_open_store(const workplace *place, store *s, const char *file, size_t rank, sr_error *error)
{
    char full[64];
    snprintf(full, sizeof full, "%s-%zu", file, rank);
    return store_open(s, place->directory, full, error);
}

sr_status workplace_common_store(workplace *place, store *s, const char *file, sr_error *error)
{
    *s = (store){.descriptor = -1};
    if (place->ranks == 1)
        return workplace_store(place, s, file, false, error);
    sr_status status = place->rank == 0 ? workplace_store(place, s, file, true, error) : SR_OK;
    SR_TRY(sr_parallel_agree(place->parallel, status, error));
    if (place->rank != 0)
        status = workplace_open_store(place, s, file, 0, error);
    return sr_parallel_agree(place->parallel, status, error);
}

void workplace_close(workplace *place)
{
    if (place->directory && place->ranks > 1)
        (void)sr_parallel_barrier(place->parallel, NULL);
    DIR *directory = place->directory && place->rank == 0 ? opendir(place->directory) : NULL;
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory) {
        closedir(directory);
        (void)rmdir(place->directory);
    }
    free(place->directory);
    free(place->base);
    *place = (workplace){.parallel = place->parallel};
}

sr_status workplace_buffer(const workplace *place, size_t count, size_t *size, sr_error *error)
{
    const uint64_t each = place->memory / 2 / (count ? count : 1);
    if (each < BUFFER_LEAST)
        return sr_fail(error, SR_ERROR_RUNTIME, "--memory: %llu bytes are too few to merge %zu sorted runs; %llu are needed",
                       (unsigned long long)place->memory, count, (unsigned long long)count * 2 * BUFFER_LEAST);
    *size = each < BUFFER_MOST ? (size_t)each : (size_t)BUFFER_MOST;
    return SR_OK;
}

sr_status workplace_range(const workplace *place, size_t size, uint64_t all, uint64_t *range, sr_error *error)
{
    int64_t least = -(int64_t)(place->range ? place->range : place->memory / 8 / size);
    SR_TRY(sr_parallel_maximum_int64(place->parallel, &least, 1, error));
    *range = least < 0 ? (uint64_t)-least : 1;
    *range = *range < all ? *range : all;
    return SR_OK;
}

sr_status workplace_sum(const workplace *place, uint32_t *counts, size_t count, sr_error *error)
{
    if (place->ranks == 1)
        return SR_OK;
    int64_t *piece;
    SR_TRY(SR_PARALLEL_ALLOCATE(place->parallel, &piece, (size_t)PIECE, "sums", error));
    sr_status status = SR_OK;
    for (size_t done = 0; done < count && status == SR_OK; done += PIECE) {
        const size_t here = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < here; ++i)
            piece[i] = counts[done + i];
        status = sr_parallel_sum_int64(place->parallel, piece, here, error);
        for (size_t i = 0; i < here; ++i)
            counts[done + i] = piece[i] < UINT32_MAX ? (uint32_t)piece[i] : UINT32_MAX;
    }
    free(piece);
    return status;
}

sr_status workplace_share(const workplace *place, uint64_t own, uint64_t *numbers, sr_error *error)
{
    void *all;
    size_t *offsets;
    SR_TRY(sr_parallel_gather_all(place->parallel, SR_OK, &own, 1, sizeof own, &all, &offsets, error));
    memcpy(numbers, all, place->ranks * sizeof *numbers);
    free(all);
    free(offsets);
    return SR_OK;
}
