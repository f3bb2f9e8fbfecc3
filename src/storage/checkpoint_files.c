/* The checkpoints in a directory: finding the newest valid one, and deleting old ones. Rank 0 looks and acts, all learn the outcome. */
#include "srtrain/checkpoint.h"

#include "srtrain/memory.h"
#include "storage/checkpoint_layout.h"

#include <dirent.h>
#include <errno.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH_ROOM = 4096 };

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
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 64;
        int64_t *steps = realloc(list->steps, room * sizeof *steps);
        if (!steps)
            return sr_fail_memory(error, room * sizeof *steps, "a list of checkpoints");
        list->steps = steps;
        list->room = room;
    }
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
        const int64_t step = checkpoint_step_of_name(entry->d_name);
        const size_t length = strlen(entry->d_name);
        char path[PATH_ROOM + 512];
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

/* ---- validity ---- */

typedef struct {
    const char *path;
    sr_status status;
    sr_error *error;
} verification;

static sr_status verify_dataset(verification *v, hid_t set, const char *name)
{
    const hid_t space = H5Dget_space(set);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    const size_t size = points > 0 ? (size_t)points : 0, blocks = (size + CHECKPOINT_BLOCK - 1) / CHECKPOINT_BLOCK;
    float *values = NULL;
    int64_t *checksums = NULL;
    sr_status status = SR_ALLOCATE(&values, size, "a parameter", v->error);
    if (status == SR_OK)
        status = SR_ALLOCATE(&checksums, blocks, "checksums", v->error);
    if (status == SR_OK)
        status = checkpoint_read_checksums((int64_t)set, v->path, name, blocks, checksums, v->error);
    if (status == SR_OK && H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        status = sr_fail(v->error, SR_ERROR_DATA, "%s: dataset %s cannot be read", v->path, name);
    for (size_t block = 0; block < blocks && status == SR_OK; ++block) {
        const size_t begin = block * CHECKPOINT_BLOCK, left = size - begin;
        const size_t count = left < CHECKPOINT_BLOCK ? left : (size_t)CHECKPOINT_BLOCK;
        if ((int64_t)XXH3_64bits(values + begin, count * sizeof *values) != checksums[block])
            status = sr_fail(v->error, SR_ERROR_DATA, "%s is damaged: the checksum of %s does not fit", v->path, name);
    }
    free(values);
    free(checksums);
    return status;
}

static herr_t verify_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)info;
    verification *v = context;
    const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    v->status = set >= 0 ? verify_dataset(v, set, name) : sr_fail(v->error, SR_ERROR_DATA, "%s: %s cannot be opened", v->path, name);
    if (set >= 0)
        H5Dclose(set);
    return v->status == SR_OK ? 0 : 1;
}

static sr_status verify_group(hid_t file, const char *name, verification *v)
{
    const hid_t group = H5Gopen2(file, name, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(v->error, SR_ERROR_DATA, "%s: the group %s is missing", v->path, name);
    const herr_t visited = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, verify_link, v);
    H5Gclose(group);
    if (visited < 0)
        return sr_fail(v->error, SR_ERROR_DATA, "%s: the group %s cannot be listed", v->path, name);
    return v->status;
}

/* Whether training can go on from a file: its mark, header and every checksum. */
static sr_status verify_file(const char *path, sr_error *error)
{
    int64_t file;
    sr_checkpoint checkpoint = {.users = 0};
    bool has_optimizer = false;
    sr_status status = checkpoint_open(path, &file, &checkpoint, &has_optimizer, error);
    sr_checkpoint_free(&checkpoint);
    SR_TRY(status);
    static const char *const groups[] = {CHECKPOINT_PARAMETERS, CHECKPOINT_FIRST_MOMENT, CHECKPOINT_SECOND_MOMENT};
    verification v = {.path = path, .status = SR_OK, .error = error};
    for (size_t i = 0; i < CHECKPOINT_GROUPS && status == SR_OK; ++i)
        status = verify_group((hid_t)file, groups[i], &v);
    H5Fclose((hid_t)file);
    return status;
}

/* ---- finding and deleting ---- */

static sr_status find_newest(const char *directory, char *path, size_t size, sr_refused_function refused, void *context,
                             sr_error *error)
{
    step_list list;
    path[0] = '\0';
    const sr_status status = list_steps(directory, false, &list, error);
    for (size_t i = 0; status == SR_OK && i < list.count; ++i) {
        sr_error reason;
        path_of_step(directory, list.steps[i], path, size);
        if (verify_file(path, &reason) == SR_OK)
            break;
        if (refused)
            refused(context, path, reason.message);
        path[0] = '\0';
    }
    free(list.steps);
    return status;
}

sr_status sr_checkpoint_newest(sr_parallel *parallel, const char *directory, char **path, sr_refused_function refused,
                               void *context, sr_error *error)
{
    char found[PATH_ROOM] = "";
    *path = NULL;
    sr_status status = SR_OK;
    if (sr_parallel_rank(parallel) == 0)
        status = find_newest(directory, found, sizeof found, refused, context, error);
    SR_TRY(sr_parallel_agree(parallel, status, error));
    SR_TRY(sr_parallel_broadcast(parallel, found, sizeof found, error));
    if (found[0])
        status = sr_copy_string(path, found, error);
    return sr_parallel_agree(parallel, status, error);
}

static sr_status delete_old(const char *directory, int64_t keep, sr_error *error)
{
    step_list list;
    sr_status status = list_steps(directory, true, &list, error);
    for (size_t i = keep < 2 ? 2 : (size_t)keep; status == SR_OK && i < list.count; ++i) {
        char path[PATH_ROOM];
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
