/* The checkpoints in a directory: finding the newest valid one, and deleting old ones. Rank 0 looks and acts, all learn the
 * outcome. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    int64_t *steps; /* descending */
    size_t count, room;
} step_list;

static int descending(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a < b) - (a > b);
}

static sr_status add_step(step_list *list, int64_t step, sr_error *error)
{
    SR_TRY(SR_GROW(&list->steps, &list->room, list->count + 1, "a list of checkpoints", error));
    list->steps[list->count++] = step;
    return SR_OK;
}

/* The steps of all checkpoints in the directory; a missing directory has none. Temporary files go when `clean`. */
static sr_status list_steps(const char *directory, bool clean, step_list *list, sr_error *error)
{
    *list = (step_list){.count = 0};
    DIR *opened = opendir(directory);
    if (!opened)
        return errno == ENOENT ? SR_OK : sr_fail(error, SR_ERROR_RUNTIME, "cannot list %s: %s", directory, strerror(errno));
    sr_status status = SR_OK;
    for (struct dirent *entry; status == SR_OK && (entry = readdir(opened));) {
        const int64_t step = sr_checkpoint_step_of_name(entry->d_name);
        const size_t length = strlen(entry->d_name);
        char path[CHECKPOINT_PATH_SIZE + 512];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (step >= 0)
            status = add_step(list, step, error);
        else if (clean && length > 4 && strcmp(entry->d_name + length - 4, ".tmp") == 0)
            (void)unlink(path);
    }
    closedir(opened);
    if (list->count)
        qsort(list->steps, list->count, sizeof *list->steps, descending);
    return status;
}

static void path_of_step(const char *directory, int64_t step, char *path, size_t size)
{
    snprintf(path, size, "%s/step-%010lld.h5", directory, (long long)step);
}

/* ---- finding and deleting ---- */

/* Rank 0's list to every rank. */
static sr_status share_steps(sr_parallel *parallel, step_list *list, sr_error *error)
{
    uint64_t count = list->count;
    SR_TRY(sr_parallel_broadcast(parallel, &count, sizeof count, error));
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) != 0) {
        *list = (step_list){.count = count};
        status = SR_ALLOCATE(&list->steps, count, "a list of checkpoints", error);
    }
    SR_TRY(sr_parallel_agree(parallel, status, error));
    return sr_parallel_broadcast(parallel, list->steps, count * sizeof *list->steps, error);
}

/* Into `path`, which stays empty when there is none. The ranks share the verification. Only a file that is found wrong is
 * refused: for one that cannot be looked at, without memory for that, the search fails. */
static sr_status find_newest(sr_parallel *parallel, const char *directory, const step_list *list, char *path, size_t size,
                             sr_refused_function refused, void *context, sr_error *error)
{
    path[0] = '\0';
    for (size_t i = 0; i < list->count; ++i) {
        sr_error reason;
        path_of_step(directory, list->steps[i], path, size);
        const sr_status status = sr_checkpoint_verify(parallel, path, true, &reason);
        if (status != SR_ERROR_DATA) {
            if (status != SR_OK && error)
                *error = reason;
            return status;
        }
        if (refused && sr_parallel_rank(parallel) == 0)
            refused(context, path, reason.message);
        path[0] = '\0';
    }
    return SR_OK;
}

sr_status sr_checkpoint_newest(sr_parallel *parallel, const char *directory, char **path, sr_refused_function refused,
                               void *context, sr_error *error)
{
    char found[CHECKPOINT_PATH_SIZE] = "";
    step_list list = {.count = 0};
    *path = NULL;
    sr_status status = sr_parallel_rank(parallel) == 0 ? list_steps(directory, false, &list, error) : SR_OK;
    status = sr_parallel_agree(parallel, status, error);
    if (status == SR_OK)
        status = share_steps(parallel, &list, error);
    if (status == SR_OK)
        status = find_newest(parallel, directory, &list, found, sizeof found, refused, context, error);
    if (status == SR_OK) {
        if (found[0])
            status = sr_copy_string(path, found, error);
        status = sr_parallel_agree(parallel, status, error);
    }
    if (status != SR_OK) {
        free(*path);
        *path = NULL;
    }
    free(list.steps);
    return status;
}

static sr_status rename_later(const char *directory, int64_t step, sr_error *error)
{
    step_list list;
    sr_status status = list_steps(directory, false, &list, error);
    for (size_t i = 0; status == SR_OK && i < list.count && list.steps[i] > step; ++i) {
        char path[CHECKPOINT_PATH_SIZE], aside[CHECKPOINT_PATH_SIZE + 16];
        path_of_step(directory, list.steps[i], path, sizeof path);
        snprintf(aside, sizeof aside, "%s.damaged", path);
        if (rename(path, aside) != 0 && errno != ENOENT)
            status = sr_fail(error, SR_ERROR_RUNTIME, "cannot rename %s: %s", path, strerror(errno));
    }
    free(list.steps);
    return status;
}

sr_status sr_checkpoint_set_aside(sr_parallel *parallel, const char *directory, int64_t step, sr_error *error)
{
    const sr_status status = sr_parallel_rank(parallel) == 0 ? rename_later(directory, step, error) : SR_OK;
    return sr_parallel_agree(parallel, status, error);
}

static sr_status delete_old(const char *directory, int64_t keep, sr_error *error)
{
    step_list list;
    sr_status status = list_steps(directory, true, &list, error);
    for (size_t i = keep < 2 ? 2 : (size_t)keep; status == SR_OK && i < list.count; ++i) {
        char path[CHECKPOINT_PATH_SIZE];
        path_of_step(directory, list.steps[i], path, sizeof path);
        if (unlink(path) != 0 && errno != ENOENT)
            status = sr_fail(error, SR_ERROR_RUNTIME, "cannot delete %s: %s", path, strerror(errno));
    }
    free(list.steps);
    return status;
}

sr_status sr_checkpoint_rotate(sr_parallel *parallel, const char *directory, int64_t keep, sr_error *error)
{
    const sr_status status = sr_parallel_rank(parallel) == 0 ? delete_old(directory, keep, error) : SR_OK;
    return sr_parallel_agree(parallel, status, error);
}
